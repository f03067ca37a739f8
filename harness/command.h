/* The program's commands. Each takes its own argv (argv[0] is its name) and returns the exit code.
 */
#ifndef BM_COMMAND_H
#define BM_COMMAND_H

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

#endif
