/* Of a build without libcurl's header: every download says so. */
#include "download.h"
#include "error.h"

int32_t bm_download(const struct bm_download *download, struct bm_error *error) {
    return bm_fail(error, BM_STATUS_UNSUPPORTED,
                   "%s: expected a build with libcurl (Debian: libcurl4-openssl-dev) to fetch it, "
                   "found one without",
                   download->url);
}
