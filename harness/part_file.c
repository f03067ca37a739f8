#include "part_file.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each finds that another process has just finished its own. */
#define ATTEMPTS 16

static int has_name(int fd, const char *name) {
    struct stat opened;
    struct stat named;
    return fstat(fd, &opened) == 0 && stat(name, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* *mine is 0 where another process has finished and renamed the file between open and lock: then it
 * is that process's, and not to be touched. */
static int32_t try_open(const char *part, int *fd, int *mine, struct bm_error *error) {
    struct stat info;
    int32_t status = BM_STATUS_OK;
    *fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    if (*fd < 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", part);
    }
    if (fstat(*fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = bm_fail(error, BM_STATUS_INVALID,
                         "%s: expected a regular file, found another kind", part);
    } else if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK
                     ? bm_fail(error, BM_STATUS_INVALID, "%s: another process is writing it", part)
                     : bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", part);
    } else {
        *mine = has_name(*fd, part);
    }
    if (status != BM_STATUS_OK || !*mine) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

int32_t bm_part_file_open(const char *part, int *fd, struct bm_error *error) {
    int mine = 0;
    int32_t status = BM_STATUS_OK;
    for (int i = 0; i < ATTEMPTS && !mine && status == BM_STATUS_OK; i++) {
        status = try_open(part, fd, &mine, error);
    }
    return status != BM_STATUS_OK || mine
               ? status
               : bm_fail(error, BM_STATUS_INVALID, "%s: other processes are writing it", part);
}
