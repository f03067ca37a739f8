/* The program's commands. Each takes its own argv (argv[0] is its name) and returns the exit code.
 */
#ifndef BM_COMMAND_H
#define BM_COMMAND_H

#include <stdint.h>

/* Exit codes, one meaning each (see `batchmark --help`). */
#define BM_EXIT_OK 0
#define BM_EXIT_REGRESSION 1
#define BM_EXIT_USAGE 2
#define BM_EXIT_WRONG 3
#define BM_EXIT_INCONCLUSIVE 4
#define BM_EXIT_NOTHING 5
#define BM_EXIT_REFUSED 6
#define BM_EXIT_CRASHED 7
#define BM_EXIT_WRITE 8

int bm_command_run(int argc, char **argv);
int bm_command_train(int argc, char **argv);
int bm_command_landscape(int argc, char **argv);
int bm_command_compare(int argc, char **argv);
int bm_command_history(int argc, char **argv);
int bm_command_report(int argc, char **argv);
int bm_command_list(int argc, char **argv);
int bm_command_check(int argc, char **argv);
int bm_command_new(int argc, char **argv);
int bm_command_data(int argc, char **argv);
int bm_command_completion(int argc, char **argv);
int bm_command_man(int argc, char **argv);

struct bm_command {
    const char *name;
    const char *help;  /* one line */
    uint32_t options;  /* BM_COMMAND_* of options.h: its options; 0: it has none */
    const char *words; /* what may follow it: names, BM_WORDS_FILES last if files may, too */
    int (*run)(int argc, char **argv);
};

#define BM_WORDS_NONE ""
#define BM_WORDS_FILES "FILES"

extern const struct bm_command bm_commands[];
extern const uint32_t bm_command_count;

struct bm_exit_text {
    const char *codes;
    const char *text;
};

extern const struct bm_exit_text bm_exit_texts[];
extern const uint32_t bm_exit_text_count;

#endif
