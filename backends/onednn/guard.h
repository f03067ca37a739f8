// Nothing of C++ leaves the plugin: exceptions become a status and a text.
#ifndef BM_ONEDNN_GUARD_H
#define BM_ONEDNN_GUARD_H

#include <batchmark/kit.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <oneapi/dnnl/dnnl_debug.h>

#include <exception>
#include <new>

namespace {

inline int32_t status_of(dnnl_status_t status) {
    switch (status) {
    case dnnl_unimplemented:
        return BM_STATUS_UNSUPPORTED;
    case dnnl_out_of_memory:
        return BM_STATUS_NO_MEMORY;
    default:
        return BM_STATUS_INTERNAL;
    }
}

// The status that `body` returns, or that of what it throws.
template <class function>
int32_t guard(const char *call, bm_error *error, const function &body) noexcept {
    try {
        return body();
    } catch (const dnnl::error &failure) {
        (void)bm_kit_fail(error, status_of(failure.status), "%s: oneDNN: %s (%s)", call,
                          failure.message, dnnl_status2str(failure.status));
        error->native_code = failure.status;
        return error->code;
    } catch (const std::bad_alloc &) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", call);
    } catch (const std::exception &failure) {
        return bm_kit_fail(error, BM_STATUS_INTERNAL, "%s: %s", call, failure.what());
    } catch (...) {
        return bm_kit_fail(error, BM_STATUS_INTERNAL, "%s: unknown exception", call);
    }
}

} // namespace

#endif
