#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void bm_progress_init(struct bm_progress *progress) {
    progress->shown = isatty(STDERR_FILENO) != 0;
}

void bm_progress_show(struct bm_progress *progress, double left_s, const char *format, ...) {
    if (!progress->shown) {
        return;
    }
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    int seconds = left_s > 0 ? (int)left_s : 0;
    (void)fprintf(stderr, "\r\033[K%s (at most %d:%02d left)", text, seconds / 60, seconds % 60);
    (void)fflush(stderr);
}

void bm_progress_clear(struct bm_progress *progress) {
    if (progress->shown) {
        (void)fputs("\r\033[K", stderr);
        (void)fflush(stderr);
    }
}
