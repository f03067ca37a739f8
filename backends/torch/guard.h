/* Nothing that C++ throws crosses the border of the plugin. */
#ifndef BM_TORCH_GUARD_H
#define BM_TORCH_GUARD_H

#include "torch.h"

#include <c10/util/Exception.h>

#include <cstring>
#include <exception>
#include <new>

/* torch's texts have several lines; the first says what is wrong. */
inline int32_t bm_torch_fail(struct bm_error *error, const char *call, const char *text) noexcept {
    int32_t status =
        std::strstr(text, "allocate memory") != nullptr ? BM_STATUS_NO_MEMORY : BM_STATUS_INTERNAL;
    return bm_kit_fail(error, status, "%s: torch says \"%.*s\"", call,
                       static_cast<int>(std::strcspn(text, "\n")), text);
}

/* What work() throws becomes a status and its text. */
template <class Work>
int32_t bm_torch_guard(const char *call, struct bm_error *error, Work &&work) noexcept {
    try {
        work();
        return BM_STATUS_OK;
    } catch (const c10::Error &thrown) {
        return bm_torch_fail(error, call, thrown.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        return bm_kit_fail(error, BM_STATUS_NO_MEMORY, "%s: no memory", call);
    } catch (const std::exception &thrown) {
        return bm_torch_fail(error, call, thrown.what());
    } catch (...) {
        return bm_torch_fail(error, call, "an exception that is no std::exception");
    }
}

#endif
