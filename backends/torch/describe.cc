/* What really runs: libtorch is built in many ways, and the BLAS below it is often not the one that
 * its user thinks of. */
#include "guard.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

/* The word after `key` in torch's own account of its build. */
static std::string build_fact(const std::string &account, const std::string &key) {
    std::size_t begin = account.find(key);
    if (begin == std::string::npos) {
        return "not known";
    }
    begin += key.size();
    return account.substr(begin, account.find_first_of(",\n", begin) - begin);
}

static const char *setting(const char *name) {
    const char *value = std::getenv(name);
    return value != nullptr ? value : "";
}

static std::string account_of(const struct bm_kit_session &core) {
    char blas[BM_TORCH_BLAS_NAME_SIZE];
    const std::string build = at::show_config();
    std::ostringstream text;
    bm_torch_blas_name(blas);
    text << "library=libtorch\n"
         << "version=" << TORCH_VERSION << '\n'
         << "isa=" << build_fact(build, "CPU capability usage: ") << '\n'
         << "threads=" << core.thread_count << '\n'
         << "precision=float32\n"
         << "blas=" << blas << '\n'
         << "blas_threads=";
    /* OpenBLAS may be loaded for LAPACK alone. */
    if (std::strstr(blas, "openblas") != nullptr && bm_torch_blas_threads() != 0) {
        text << bm_torch_blas_threads() << '\n';
    } else {
        text << "BLIS_NUM_THREADS=" << setting("BLIS_NUM_THREADS")
             << " OMP_NUM_THREADS=" << setting("OMP_NUM_THREADS") << '\n';
    }
    text << "blas_info=" << build_fact(build, "BLAS_INFO=") << '\n'
         << "onednn=" << build_fact(build, "MKL-DNN v") << '\n'
         << "openmp=" << build_fact(build, "OpenMP ") << '\n'
         << "torch_threads=" << at::get_num_threads() << '\n'
         << "interop_threads=" << at::get_num_interop_threads() << '\n'
         << "update=gradient, apply\n"
         << "batch_max=" << core.batch_max << '\n';
    return text.str();
}

int32_t bm_torch_describe(struct bm_session *session,
                          char *text,
                          uint32_t capacity,
                          struct bm_error *error) {
    return bm_torch_guard("describe", error, [&] {
        (void)std::snprintf(text, capacity, "%s", account_of(session->core).c_str());
    });
}
