/* A page that is whole or not there. */
#include "report_parts.h"

#include "error.h"
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int32_t fail_write(const char *path, struct bm_error *error) {
    return bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: cannot write it", path);
}

/* mkostemp makes files for their owner alone; a page is one like any other. */
static void set_mode(int fd) {
    mode_t mask = umask(0);
    (void)umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

static int write_all(int fd, const char *text, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t wrote = write(fd, text + done, size - done);
        if (wrote < 0 && errno != EINTR) {
            return -1;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd);
}

/* Into a file beside it, which then takes its place. */
static int32_t replace(const char *path, const char *text, size_t size, struct bm_error *error) {
    char name[BM_PATH_SIZE + 16];
    (void)snprintf(name, sizeof name, "%.1023s.XXXXXX", path);
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0) {
        return fail_write(path, error);
    }
    set_mode(fd);
    int32_t status = write_all(fd, text, size) == 0 ? BM_STATUS_OK : fail_write(path, error);
    if (close(fd) != 0 && status == BM_STATUS_OK) {
        status = fail_write(path, error);
    }
    if (status == BM_STATUS_OK && bm_interrupt_signal() != 0) {
        status = bm_fail(error, BM_STATUS_INTERNAL, "%s: interrupted before it was written", path);
    }
    if (status == BM_STATUS_OK && rename(name, path) != 0) {
        status = fail_write(path, error);
    }
    if (status != BM_STATUS_OK) {
        (void)unlink(name);
    }
    return status;
}

int32_t bm_report_write_page(const json_t *data,
                             const char *path,
                             uint64_t *bytes,
                             struct bm_error *error) {
    char *text = NULL;
    size_t size = 0;
    struct stat found;
    if (stat(path, &found) == 0 && !S_ISREG(found.st_mode)) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: expected a plain file to write the page to",
                       path);
    }
    int32_t status = bm_report_page(data, &text, &size, error);
    status = status ? status : replace(path, text, size, error);
    if (bytes != NULL) {
        *bytes = size;
    }
    free(text);
    return status;
}
