#include "error.h"

#include "printable.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static void
set_text(struct bm_error *error, int32_t code, const char *format, va_list arguments) {
    error->code = code;
    error->native_code = 0;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    bm_printable(error->text, ""); /* it may quote a file, and is one line */
}

int32_t bm_fail(struct bm_error *error, int32_t code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_text(error, code, format, arguments);
    va_end(arguments);
    return code;
}

int32_t bm_fail_errno(struct bm_error *error, int32_t code, const char *format, ...) {
    int native_code = errno;
    va_list arguments;
    va_start(arguments, format);
    set_text(error, code, format, arguments);
    va_end(arguments);
    error->native_code = native_code;
    size_t length = strlen(error->text);
    (void)snprintf(error->text + length, sizeof error->text - length, ": %s",
                   strerror(native_code));
    return code;
}

void bm_assert_failed(const char *file, int line, const char *condition) {
    (void)fprintf(stderr, "batchmark: %s:%d: internal fault: %s\n", file, line, condition);
    abort();
}
