#include "digest.h"

#include "error.h"

#include <sha2.h>
#include <stddef.h>

int32_t bm_digest_file(const char *path, char hex[65], struct bm_error *error) {
    if (SHA256File(path, hex) == NULL) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "%s: cannot read it", path);
    }
    return BM_STATUS_OK;
}
