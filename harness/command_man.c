/* `batchmark man`: the manual page, made from the tables of commands, options and exit codes. */
#include "command.h"
#include "option_table.h"

#include <stdio.h>
#include <string.h>

/* A hyphen that can be copied, a backslash that is one, no control line. */
static void print_text(const char *text) {
    if (*text == '.' || *text == '\'') {
        (void)fputs("\\&", stdout);
    }
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            (void)fputs("\\e", stdout);
        } else {
            (void)printf("%s%c", *text == '-' ? "\\" : "", *text);
        }
    }
}

static void print_option(const struct bm_option_spec *option) {
    (void)printf(".TP\n");
    if (option->letter != 0) {
        (void)printf("\\fB\\-%c\\fR, ", option->letter);
    }
    (void)printf("\\fB\\-\\-");
    print_text(option->name);
    (void)printf("\\fR");
    if (option->value != NULL) {
        (void)printf(" \\fI");
        print_text(option->value);
        (void)printf("\\fR");
    }
    (void)printf("\n");
    print_text(option->help);
    (void)printf("\n");
}

static void print_command(const struct bm_command *command) {
    (void)printf(".SS batchmark %s\n", command->name);
    print_text(command->help);
    (void)printf("\n");
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if ((bm_option_table[i].commands & command->options) != 0) {
            print_option(&bm_option_table[i]);
        }
    }
}

static const char description[] =
    "Batchmark loads compute backends as shared objects and times one training update and one\n"
    "epoch with them, for batch sizes from one image to all of them. It trains with them, "
    "compares\n"
    "optimizers, shows what the batch size does to accuracy, and tells a continuous integration\n"
    "when a backend became slower.\n"
    ".PP\n"
    "Each command explains itself and its words: \\fBbatchmark\\fR \\fICOMMAND\\fR "
    "\\fB\\-\\-help\\fR.\n"
    "Options are also keys of ini files (\\fB\\-\\-config\\fR).\n";

static const char places[] =
    ".SH ENVIRONMENT\n"
    ".TP\n\\fBBATCHMARK_DATA\\fR\nfolders of data sets, separated by colons\n"
    ".TP\n\\fBBATCHMARK_PLUGINS\\fR\nfolders of plugins that come before the installed ones\n"
    ".TP\n\\fBBATCHMARK_PRESETS\\fR\nfolder of presets that come before those of the program\n"
    ".TP\n\\fBXDG_DATA_HOME\\fR, \\fBXDG_STATE_HOME\\fR, \\fBXDG_CACHE_HOME\\fR\n"
    "below them, in the folder batchmark: data sets that were fetched, records, what was found "
    "out\n"
    "about this machine\n"
    ".TP\n\\fBhttps_proxy\\fR, \\fBno_proxy\\fR\nof \\fBbatchmark data fetch\\fR\n";

int bm_command_man(int argc, char **argv) {
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        (void)printf("usage: batchmark man\n\nPrints the manual page: batchmark man | man -l -\n");
        return BM_EXIT_OK;
    }
    if (argc > 1) {
        (void)fprintf(stderr, "batchmark man: expected nothing after it, found \"%.64s\"\n",
                      argv[1]);
        return BM_EXIT_USAGE;
    }
    (void)printf(".TH BATCHMARK 1 \"\" \"batchmark " BM_VERSION "\" \"User Commands\"\n"
                 ".SH NAME\nbatchmark \\- what one training update and one epoch cost on this "
                 "hardware\n"
                 ".SH SYNOPSIS\n\\fBbatchmark\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
                 ".SH DESCRIPTION\n%s.SH COMMANDS\n",
                 description);
    for (uint32_t i = 0; i < bm_command_count; i++) {
        print_command(&bm_commands[i]);
    }
    (void)printf(".SH EXIT STATUS\n");
    for (uint32_t i = 0; i < bm_exit_text_count; i++) {
        (void)printf(".TP\n\\fB%s\\fR\n%s\n", bm_exit_texts[i].codes, bm_exit_texts[i].text);
    }
    (void)fputs(places, stdout);
    return BM_EXIT_OK;
}
