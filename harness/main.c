/* The program: finds the command and leaves the rest to it. */
#include "command.h"
#include "serve.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", "measure one update and one epoch for every backend and batch size", bm_command_run},
    {"train", "what optimizers and batch sizes reach: accuracy, updates and seconds",
     bm_command_train},
    {"landscape", "why noise and momentum help: hills, saddles, curvature, sharpness",
     bm_command_landscape},
    {"compare", "is one record slower than another? A verdict a cell, and an exit code",
     bm_command_compare},
    {"history", "the trend of every cell over stored runs, and which commits changed it",
     bm_command_history},
    {"report", "tables of records side by side, or one page of them", bm_command_report},
    {"list", "plugins, devices, presets and data sets, and why one is not there", bm_command_list},
    {"check", "does a backend keep the contract? The conformance suite, for authors",
     bm_command_check},
    {"new", "start a backend of your own: a folder that builds and passes", bm_command_new},
    {"data", "look for data sets, check their files", bm_command_data},
};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *stream) {
    (void)fputs("usage: batchmark COMMAND [OPTIONS]\n\n"
                "What does one training update, and one epoch, cost on this hardware at this batch "
                "size?\n\n"
                "commands (each has --help):\n",
                stream);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        (void)fprintf(stream, "  %-9s %s\n", commands[i].name, commands[i].help);
    }
    (void)fputs("\nexit codes: 0 all good; 1 regression; 2 usage or bad file; 3 wrong results or a "
                "failed check;\n"
                "4 inconclusive; 5 nothing measured or cases lost; 6 plugin refused; 7 a worker "
                "crashed or timed\n"
                "out; 8 a write failed; 130, 143 signals\n",
                stream);
}

/* What was printed must have arrived: a full disk or a closed pipe is no success. */
static int close_output(int code) {
    int failed = ferror(stdout) != 0;
    failed |= fflush(stdout) != 0;
    if (failed) {
        (void)fputs("batchmark: cannot write to standard output\n", stderr);
        return BM_EXIT_WRITE;
    }
    return code;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
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
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            return close_output(commands[i].run(argc - 1, argv + 1));
        }
    }
    if (name[0] == '\0') {
        print_help(stderr);
    } else {
        (void)fprintf(stderr, "batchmark: %s: expected a command (see batchmark --help)\n", name);
    }
    return BM_EXIT_USAGE;
}
