/* The tables of commands and of exit codes: help, completion and the manual page are made from
 * them. */
#include "command.h"

#include "options.h"

const struct bm_command bm_commands[] = {
    {"run", "measure one update and one epoch for every backend and batch size", BM_COMMAND_RUN,
     BM_WORDS_NONE, bm_command_run},
    {"train", "what optimizers and batch sizes reach: accuracy, updates and seconds",
     BM_COMMAND_TRAIN, BM_WORDS_NONE, bm_command_train},
    {"landscape", "why noise and momentum help: hills, saddles, curvature, sharpness",
     BM_COMMAND_LANDSCAPE, "escape noise line hessian sharpness " BM_WORDS_FILES,
     bm_command_landscape},
    {"compare", "is one build or record slower than another? A verdict a cell, and an exit code",
     BM_COMMAND_COMPARE, BM_WORDS_FILES, bm_command_compare},
    {"history", "the trend of every cell over stored runs, and which commits changed it",
     BM_COMMAND_HISTORY, BM_WORDS_FILES, bm_command_history},
    {"report", "tables of records side by side, or one page of them", BM_COMMAND_REPORT,
     BM_WORDS_FILES, bm_command_report},
    {"list", "plugins, devices, presets and data sets, and why one is not there", BM_COMMAND_LIST,
     BM_WORDS_NONE, bm_command_list},
    {"check", "does a backend keep the contract? The conformance suite, for authors",
     BM_COMMAND_CHECK, BM_WORDS_FILES, bm_command_check},
    {"new", "start a backend of your own: a folder that builds and passes", BM_COMMAND_NEW,
     BM_WORDS_FILES, bm_command_new},
    {"data", "look for data sets, check their files, fetch them", BM_COMMAND_DATA,
     "list verify fetch fashion-mnist mnist cifar10 cifar100", bm_command_data},
    {"completion", "print what a shell needs to complete these words: bash, zsh", 0, "bash zsh",
     bm_command_completion},
    {"man", "print the manual page", 0, BM_WORDS_NONE, bm_command_man},
};

const uint32_t bm_command_count = sizeof bm_commands / sizeof bm_commands[0];

const struct bm_exit_text bm_exit_texts[] = {
    {"0", "all good"},          {"1", "regression"},
    {"2", "usage or bad file"}, {"3", "wrong results or a failed check"},
    {"4", "inconclusive"},      {"5", "nothing measured or cases lost"},
    {"6", "plugin refused"},    {"7", "a worker crashed or timed out"},
    {"8", "a write failed"},    {"129, 130, 143", "signals"},
};

const uint32_t bm_exit_text_count = sizeof bm_exit_texts / sizeof bm_exit_texts[0];
