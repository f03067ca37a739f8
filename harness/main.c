/* The program: finds the command and leaves the rest to it. */
#include "command.h"
#include "serve.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void print_help(FILE *stream) {
    (void)fputs("usage: batchmark COMMAND [OPTIONS]\n\n"
                "What does one training update, and one epoch, cost on this hardware at this batch "
                "size?\n\n"
                "commands (each has --help):\n",
                stream);
    for (uint32_t i = 0; i < bm_command_count; i++) {
        (void)fprintf(stream, "  %-10s %s\n", bm_commands[i].name, bm_commands[i].help);
    }
    (void)fputs("\nexit codes:\n", stream);
    for (uint32_t i = 0; i < bm_exit_text_count; i++) {
        (void)fprintf(stream, "  %-10s %s\n", bm_exit_texts[i].codes, bm_exit_texts[i].text);
    }
}

/* What was printed must have arrived: a full disk or a closed pipe is no success. */
static int close_output(int code) {
    int failed = ferror(stdout) != 0;
    failed |= fflush(stdout) != 0;
    if (failed && code != BM_EXIT_WRITE) { /* otherwise it was said */
        (void)fputs("batchmark: cannot write to standard output\n", stderr);
        return BM_EXIT_WRITE;
    }
    return code;
}

/* One that was closed would be the number of the next file that is opened, and take what is
 * printed. Now printing fails, as it should. */
static void hold_standard_streams(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/dev/null", O_RDONLY); /* the lowest free number: fd */
        }
    }
}

/* Numbers of this thread have points, whatever locale a library that is loaded later chooses for
 * the process. */
static void keep_points(void) {
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain != (locale_t)0) {
        (void)uselocale(plain); /* until the end */
    }
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    hold_standard_streams();
    keep_points();
    if (strcmp(name, "worker") == 0) {
        bm_serve_main(argc - 1, argv + 1);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return close_output(BM_EXIT_OK);
    }
    if (strcmp(name, "--version") == 0) {
        (void)printf("batchmark %s\n", BM_VERSION);
        return close_output(BM_EXIT_OK);
    }
    for (uint32_t i = 0; i < bm_command_count; i++) {
        if (strcmp(name, bm_commands[i].name) == 0) {
            return close_output(bm_commands[i].run(argc - 1, argv + 1));
        }
    }
    if (name[0] == '\0') {
        print_help(stderr);
    } else {
        (void)fprintf(stderr, "batchmark: %s: expected a command (see batchmark --help)\n", name);
    }
    return BM_EXIT_USAGE;
}
