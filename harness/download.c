#include "download.h"

#include "error.h"
#include "interrupt.h"
#include "library.h"
#include "now.h"
#include "part_file.h"
#include "progress.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REDIRECTIONS_MAX 5L
/* Transfers of one call, those that go on after a cut included. */
#define TRANSFERS_MAX 5u
#define PARTIAL_CONTENT 206L
#define RANGE_NOT_SATISFIABLE 416L

/* ---- libcurl ---- */

typedef CURL *easy_init_function(void);
typedef CURLcode easy_setopt_function(CURL *, CURLoption, ...);
typedef CURLcode easy_perform_function(CURL *);
typedef CURLcode easy_getinfo_function(CURL *, CURLINFO, ...);
typedef void easy_cleanup_function(CURL *);
typedef const char *easy_strerror_function(CURLcode);

/* In the order of `names` in open_curl. */
struct curl {
    easy_init_function *init;
    easy_setopt_function *setopt;
    easy_perform_function *perform;
    easy_getinfo_function *getinfo;
    easy_cleanup_function *cleanup;
    easy_strerror_function *strerror;
};

static int32_t open_curl(struct curl *curl, struct bm_error *error) {
    static const char *const names[] = {"curl_easy_init",
                                        "curl_easy_setopt",
                                        "curl_easy_perform",
                                        "curl_easy_getinfo",
                                        "curl_easy_cleanup",
                                        "curl_easy_strerror",
                                        NULL};
    void (*functions[6])(void);
    int32_t status = bm_library_open("libcurl.so.4", "libcurl4", names, functions, error);
    if (status == BM_STATUS_OK) {
        curl->init = (easy_init_function *)functions[0];
        curl->setopt = (easy_setopt_function *)functions[1];
        curl->perform = (easy_perform_function *)functions[2];
        curl->getinfo = (easy_getinfo_function *)functions[3];
        curl->cleanup = (easy_cleanup_function *)functions[4];
        curl->strerror = (easy_strerror_function *)functions[5];
    }
    return status;
}

/* ---- One transfer ---- */

struct transfer {
    const struct bm_download *download;
    const struct curl *curl;
    CURL *easy;
    int fd;
    uint64_t bytes;  /* of the file so far */
    int write_errno; /* other than 0: it could not be written */
    uint32_t is_too_large;
    uint32_t is_silent;
    double heard_s; /* when the last bytes came */
    struct bm_progress progress;
    char text[CURL_ERROR_SIZE];
};

static size_t take_bytes(char *bytes, size_t size, size_t count, void *own) {
    struct transfer *transfer = own;
    size_t total = size * count;
    if (total > transfer->download->bytes_max - transfer->bytes) {
        transfer->is_too_large = 1;
        return CURL_WRITEFUNC_ERROR;
    }
    for (size_t done = 0; done < total;) {
        ssize_t written =
            pwrite(transfer->fd, bytes + done, total - done, (off_t)(transfer->bytes + done));
        if (written < 0 && errno != EINTR) {
            transfer->write_errno = errno;
            return CURL_WRITEFUNC_ERROR;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    transfer->bytes += total;
    transfer->heard_s = bm_now_s();
    return total;
}

/* Called about once a second. Whether to stop. */
static int watch(void *own, curl_off_t total, curl_off_t now, curl_off_t to_send, curl_off_t sent) {
    struct transfer *transfer = own;
    curl_off_t each_s = 0;
    (void)to_send;
    (void)sent;
    (void)transfer->curl->getinfo(transfer->easy, CURLINFO_SPEED_DOWNLOAD_T, &each_s);
    double left_s = total > now && each_s > 0 ? (double)(total - now) / (double)each_s : 0;
    bm_progress_show(&transfer->progress, left_s, "%s: %.1f MB", transfer->download->name,
                     (double)transfer->bytes / 1e6);
    transfer->is_silent = bm_now_s() - transfer->heard_s > transfer->download->silence_s;
    return bm_interrupt_signal() != 0 || transfer->is_silent;
}

static long whole_seconds(double seconds) {
    return seconds < 1 ? 1 : (long)fmin(ceil(seconds), (double)INT_MAX);
}

static void set_options(struct transfer *transfer) {
    const struct bm_download *download = transfer->download;
    easy_setopt_function *set = transfer->curl->setopt;
    CURL *easy = transfer->easy;
    long silence_s = whole_seconds(download->silence_s);
    int is_safe = strncmp(download->url, "https:", 6) == 0;
    (void)set(easy, CURLOPT_URL, download->url);
    (void)set(easy, CURLOPT_USERAGENT, "batchmark/" BM_VERSION);
    (void)set(easy, CURLOPT_ERRORBUFFER, transfer->text);
    (void)set(easy, CURLOPT_NOSIGNAL, 1L);
    (void)set(easy, CURLOPT_FAILONERROR, 1L);
    (void)set(easy, CURLOPT_FOLLOWLOCATION, 1L);
    (void)set(easy, CURLOPT_MAXREDIRS, REDIRECTIONS_MAX);
    (void)set(easy, CURLOPT_CONNECTTIMEOUT, silence_s);
    (void)set(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)transfer->bytes);
    (void)set(easy, CURLOPT_WRITEFUNCTION, take_bytes);
    (void)set(easy, CURLOPT_WRITEDATA, transfer);
    (void)set(easy, CURLOPT_NOPROGRESS, 0L);
    (void)set(easy, CURLOPT_XFERINFOFUNCTION, watch);
    (void)set(easy, CURLOPT_XFERINFODATA, transfer);
    /* Nothing of the machine's own, such as file:, and never from a safe place to an unsafe one. */
    (void)set(easy, CURLOPT_REDIR_PROTOCOLS_STR, is_safe ? "https" : "http,https");
}

/* The one option that must not fail unseen: without it any scheme would do. */
static int32_t limit_schemes(const struct transfer *transfer, struct bm_error *error) {
    CURLcode code = transfer->curl->setopt(transfer->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    return code == CURLE_OK ? BM_STATUS_OK
                            : bm_fail(error, BM_STATUS_UNSUPPORTED, "libcurl: %s",
                                      transfer->curl->strerror(code));
}

/* What is to be done after a transfer. */
#define DONE 0u
#define GO_ON 1u   /* it was cut off, but brought something */
#define RESTART 2u /* the server cannot go on from the middle */
#define GIVE_UP 3u

static uint32_t
judge(const struct transfer *transfer, CURLcode code, uint64_t before, struct bm_error *error) {
    const struct bm_download *download = transfer->download;
    long answer = 0;
    (void)transfer->curl->getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer);
    if (code == CURLE_OK) {
        return before == 0 || answer == PARTIAL_CONTENT ? DONE : RESTART;
    }
    if (bm_interrupt_signal() != 0) {
        (void)bm_fail(error, BM_STATUS_TIMEOUT, "%s: interrupted after %" PRIu64 " bytes",
                      download->url, transfer->bytes);
        return GIVE_UP;
    }
    if (transfer->write_errno != 0) {
        errno = transfer->write_errno;
        (void)bm_fail_errno(error, BM_STATUS_INTERNAL, "%s.part: expected room for the download",
                            download->path);
        return GIVE_UP;
    }
    if (transfer->is_too_large) {
        (void)ftruncate(transfer->fd, 0); /* nobody wants to go on from it */
        (void)bm_fail(error, BM_STATUS_INVALID,
                      "%s: expected at most %" PRIu64 " bytes, found more", download->url,
                      download->bytes_max);
        return GIVE_UP;
    }
    if (transfer->is_silent) {
        (void)bm_fail(error, BM_STATUS_INVALID,
                      "%s: expected a download, found a server silent for %g s after %" PRIu64
                      " bytes",
                      download->url, download->silence_s, transfer->bytes);
        return GIVE_UP;
    }
    (void)bm_fail(error, BM_STATUS_INVALID, "%s: expected a download, found: %s", download->url,
                  transfer->text[0] != '\0' ? transfer->text : transfer->curl->strerror(code));
    if (before > 0 && (code == CURLE_RANGE_ERROR || answer == RANGE_NOT_SATISFIABLE)) {
        return RESTART;
    }
    return transfer->bytes > before ? GO_ON : GIVE_UP;
}

static uint32_t run_transfer(const struct bm_download *download,
                             const struct curl *curl,
                             int fd,
                             uint64_t *bytes,
                             struct bm_error *error) {
    struct transfer transfer = {.download = download,
                                .curl = curl,
                                .fd = fd,
                                .bytes = *bytes,
                                .easy = curl->init(),
                                .heard_s = bm_now_s()};
    uint64_t before = *bytes;
    uint32_t next = GIVE_UP;
    if (transfer.easy == NULL) {
        (void)bm_fail(error, BM_STATUS_NO_MEMORY, "libcurl: no memory");
        return GIVE_UP;
    }
    bm_progress_init(&transfer.progress);
    set_options(&transfer);
    if (limit_schemes(&transfer, error) == BM_STATUS_OK) {
        next = judge(&transfer, curl->perform(transfer.easy), before, error);
    }
    bm_progress_clear(&transfer.progress);
    curl->cleanup(transfer.easy);
    *bytes = transfer.bytes;
    return next;
}

/* ---- The file ---- */

/* Empties it. */
static int32_t begin_anew(int fd, uint64_t *bytes, const char *part, struct bm_error *error) {
    *bytes = 0;
    return ftruncate(fd, 0) == 0
               ? BM_STATUS_OK
               : bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: expected a file to write", part);
}

/* Transfers until the file is whole and right, or it is no use. `bytes`: what is there already. */
static int32_t
complete(const struct bm_download *download, int fd, uint64_t bytes, struct bm_error *error) {
    char part[PATH_MAX];
    struct curl curl;
    uint32_t has_begun_anew = bytes == 0;
    (void)snprintf(part, sizeof part, "%s.part", download->path);
    /* What is there may be all of it: the last call ended between the last byte and the name. */
    if (bytes > 0 && download->check(part, download->own, error) == BM_STATUS_OK) {
        return BM_STATUS_OK;
    }
    int32_t status = open_curl(&curl, error);
    if (status == BM_STATUS_OK && bytes > download->bytes_max) {
        has_begun_anew = 1;
        status = begin_anew(fd, &bytes, part, error);
    }
    for (uint32_t i = 0; i < TRANSFERS_MAX && status == BM_STATUS_OK; i++) {
        uint32_t next = run_transfer(download, &curl, fd, &bytes, error);
        if (next == DONE) {
            status = download->check(part, download->own, error);
            if (status == BM_STATUS_INVALID && has_begun_anew) {
                (void)unlink(part); /* nobody wants to go on from it */
            }
            if (status != BM_STATUS_INVALID || has_begun_anew) {
                return status;
            }
        } else if (next == GIVE_UP) {
            return error->code;
        }
        if (next != GO_ON) {
            has_begun_anew = 1;
            status = begin_anew(fd, &bytes, part, error);
        }
    }
    return status != BM_STATUS_OK ? status : error->code;
}

int32_t bm_download(const struct bm_download *download, struct bm_error *error) {
    char part[PATH_MAX];
    struct stat info;
    int fd = -1;
    int length = snprintf(part, sizeof part, "%s.part", download->path);
    if (length < 0 || (size_t)length >= sizeof part) {
        return bm_fail(error, BM_STATUS_INVALID, "%.64s...: expected a shorter path",
                       download->path);
    }
    int32_t status = bm_part_file_open(part, &fd, error);
    if (status == BM_STATUS_OK && fstat(fd, &info) != 0) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: expected a file to write", part);
    }
    status = status ? status : complete(download, fd, (uint64_t)info.st_size, error);
    if (status == BM_STATUS_OK && (fsync(fd) != 0 || rename(part, download->path) != 0)) {
        status = bm_fail_errno(error, BM_STATUS_INTERNAL, "%s: expected it to be written",
                               download->path);
    }
    if (status != BM_STATUS_OK && fd >= 0 && fstat(fd, &info) == 0 && info.st_size == 0) {
        (void)unlink(part); /* nothing came: nothing to go on from */
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}
