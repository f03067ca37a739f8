/* Filling the caller's bm_error: the one error type of the harness, the same as at the plugin
 * border. */
#ifndef BM_ERROR_H
#define BM_ERROR_H

#include <batchmark/plugin.h>

/* Sets code and a printf-style text (one line: thing, expected, found) and returns `code`, so that
 * a caller can `return bm_fail(...)`. native_code becomes 0. Never allocates. */
int32_t bm_fail(struct bm_error *error, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with native_code = errno and ": strerror(errno)" appended. */
int32_t bm_fail_errno(struct bm_error *error, int32_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Misuse by our own code: prints file and line and aborts; stays on in release builds. */
#define BM_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : bm_assert_failed(__FILE__, __LINE__, #condition))
void bm_assert_failed(const char *file, int line, const char *condition) __attribute__((noreturn));

#endif
