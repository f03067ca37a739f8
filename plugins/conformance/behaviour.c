/* What the calls leave as it was: the process around them and its files. */
#include "cases.h"
#include "measure.h"

#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_SIZE 4096u

extern char **environ;

static const char rich[] = "conv 6 3x3 pad 1, batchnorm, relu, maxpool 2, dense 33, dropout 0.5, "
                           "dense 4";
static const char simple[] = "dense 33, relu, dense 4";

static struct bm_conform_spec spec_of(const char *layers, uint32_t threads) {
    return (struct bm_conform_spec){.layers = layers,
                                    .input = {2, 8, 8},
                                    .optimizer = BM_OPTIMIZER_MOMENTUM,
                                    .thread_count = threads,
                                    .batch_max = 64,
                                    .image_count = 128};
}

/* Every call of the table, on two networks, with one thread and with as many as there may be. */
static void make_calls(struct bm_conform *conform) {
    for (uint32_t threads = 1; threads <= conform->thread_max;
         threads += conform->thread_max > 1 ? conform->thread_max - 1 : 1) {
        const struct bm_conform_spec of_rich = spec_of(rich, threads);
        const struct bm_conform_spec of_simple = spec_of(simple, threads);
        bm_conform_every_call(conform, &of_rich, 40);
        bm_conform_every_call(conform, &of_simple, 7);
    }
}

/* ---- The process ---- */

void bm_conform_behaviour_rounding(struct bm_conform *conform) {
    /* The watch looks at the mode around each call, so it also finds one that is put back later. */
    make_calls(conform);
    EXPECT(conform, fegetround() == FE_TONEAREST,
           "rounding mode after every call: expected %d (to nearest), found %d", FE_TONEAREST,
           fegetround());
}

void bm_conform_behaviour_locale(struct bm_conform *conform) {
    char before[TEXT_SIZE];
    (void)snprintf(before, sizeof before, "%s", setlocale(LC_ALL, NULL));
    make_calls(conform);
    const char *after = setlocale(LC_ALL, NULL);
    EXPECT(conform, strcmp(before, after) == 0,
           "locale after every call: expected \"%s\" as before, found \"%s\"", before, after);
}

struct signals {
    struct sigaction action[NSIG];
    sigset_t mask;
};

static void read_signals(struct signals *signals) {
    memset(signals, 0, sizeof *signals);
    for (int number = 1; number < NSIG; number++) {
        (void)sigaction(number, NULL, &signals->action[number]);
    }
    (void)pthread_sigmask(SIG_SETMASK, NULL, &signals->mask);
}

void bm_conform_behaviour_signals(struct bm_conform *conform) {
    struct signals before;
    struct signals after;
    read_signals(&before);
    make_calls(conform);
    read_signals(&after);
    for (int number = 1; number < NSIG; number++) {
        const struct sigaction *one = &before.action[number];
        const struct sigaction *other = &after.action[number];
        EXPECT(conform,
               one->sa_sigaction == other->sa_sigaction && one->sa_flags == other->sa_flags,
               "signal %d after every call: expected the handler as before, found another", number);
        EXPECT(conform, sigismember(&before.mask, number) == sigismember(&after.mask, number),
               "signal %d after every call: expected it %s as before, found it %s", number,
               sigismember(&before.mask, number) ? "blocked" : "let through",
               sigismember(&after.mask, number) ? "blocked" : "let through");
    }
}

void bm_conform_behaviour_affinity(struct bm_conform *conform) {
    cpu_set_t before;
    cpu_set_t after;
    (void)sched_getaffinity(0, sizeof before, &before);
    make_calls(conform);
    (void)sched_getaffinity(0, sizeof after, &after);
    EXPECT(conform, CPU_EQUAL(&before, &after),
           "processors of the calling thread after every call: expected the %d as before, found "
           "others, %d",
           CPU_COUNT(&before), CPU_COUNT(&after));
}

void bm_conform_behaviour_folder(struct bm_conform *conform) {
    char before[TEXT_SIZE] = "";
    char after[TEXT_SIZE] = "";
    EXPECT(conform, getcwd(before, sizeof before) != NULL, "the working folder is not known");
    make_calls(conform);
    EXPECT(conform, getcwd(after, sizeof after) != NULL && strcmp(before, after) == 0,
           "working folder after every call: expected %s as before, found %s", before, after);
}

static char **copy_environment(struct bm_conform *conform) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **copied = bm_conform_allocate(conform, count + 1, sizeof *copied);
    for (size_t i = 0; i < count; i++) {
        copied[i] = strdup(environ[i]);
        EXPECT(conform, copied[i] != NULL, "no memory");
    }
    return copied;
}

void bm_conform_behaviour_environment(struct bm_conform *conform) {
    char **before = copy_environment(conform);
    make_calls(conform);
    for (size_t i = 0; before[i] != NULL || environ[i] != NULL; i++) {
        const char *one = before[i] == NULL ? "the end" : before[i];
        const char *other = environ[i] == NULL ? "the end" : environ[i];
        EXPECT(conform, strcmp(one, other) == 0,
               "environment after every call: [%zu]: expected %.200s as before, found %.200s", i,
               one, other);
        free(before[i]);
    }
    free(before);
}

static mode_t read_umask(void) {
    mode_t mask = umask(0);
    (void)umask(mask);
    return mask;
}

void bm_conform_behaviour_umask(struct bm_conform *conform) {
    mode_t before = read_umask();
    make_calls(conform);
    mode_t after = read_umask();
    EXPECT(conform, before == after, "umask after every call: expected %03o as before, found %03o",
           before, after);
}

/* No child waits to be asked for, none runs, and none was waited for in the meantime. */
void bm_conform_behaviour_children(struct bm_conform *conform) {
    siginfo_t child = {0};
    struct rusage before;
    struct rusage after;
    (void)getrusage(RUSAGE_CHILDREN, &before);
    make_calls(conform);
    (void)getrusage(RUSAGE_CHILDREN, &after);
    int status = waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT);
    EXPECT(conform, status != 0 && errno == ECHILD,
           "processes after every call: expected no child, found one that %s",
           child.si_pid == 0 ? "runs" : "has ended");
    EXPECT(conform, before.ru_minflt == after.ru_minflt,
           "processes after every call: expected that no child was started, found page faults of "
           "one that has ended: %ld more",
           after.ru_minflt - before.ru_minflt);
}

/* ---- Files ---- */

void bm_conform_behaviour_standard_files(struct bm_conform *conform) {
    struct stat before[3];
    int flags[3];
    memset(before, 0, sizeof before);
    for (int fd = 0; fd < 3; fd++) {
        (void)fstat(fd, &before[fd]);
        flags[fd] = fcntl(fd, F_GETFL);
    }
    make_calls(conform);
    for (int fd = 0; fd < 3; fd++) {
        struct stat after = {0};
        (void)fstat(fd, &after);
        EXPECT(
            conform,
            after.st_dev == before[fd].st_dev && after.st_ino == before[fd].st_ino &&
                fcntl(fd, F_GETFL) == flags[fd],
            "descriptor %d after every call: expected the file as before, found another or other "
            "flags",
            fd);
    }
}

/* Standard output or error, caught in a file in memory. */
struct caught {
    int fd;
    int kept;
    int file;
};

static struct caught catch_output(struct bm_conform *conform, int fd) {
    struct caught caught = {.fd = fd, .kept = fcntl(fd, F_DUPFD_CLOEXEC, 10)};
    caught.file = memfd_create("batchmark output", MFD_CLOEXEC);
    EXPECT(conform, caught.kept >= 0 && caught.file >= 0 && dup2(caught.file, fd) == fd,
           "descriptor %d cannot be caught: %s", fd, strerror(errno));
    return caught;
}

/* Gives the descriptor back; the text is that of the first bytes. */
static size_t release_output(const struct caught *caught, char *text, size_t capacity) {
    struct stat state = {0};
    (void)fstat(caught->file, &state);
    ssize_t count = pread(caught->file, text, capacity - 1, 0);
    text[count > 0 ? count : 0] = '\0';
    (void)dup2(caught->kept, caught->fd);
    (void)close(caught->kept);
    (void)close(caught->file);
    return (size_t)state.st_size;
}

/* The output is given back also where a call fails, which ends the case. */
void bm_conform_behaviour_output(struct bm_conform *conform) {
    char printed[2][200];
    size_t count[2];
    jmp_buf end;
    volatile int failed = 1;
    memcpy(&end, &conform->end, sizeof end);
    (void)fflush(NULL);
    const struct caught out = catch_output(conform, STDOUT_FILENO);
    const struct caught err = catch_output(conform, STDERR_FILENO);
    if (setjmp(conform->end) == 0) {
        make_calls(conform);
        failed = 0;
    }
    memcpy(&conform->end, &end, sizeof end);
    (void)fflush(NULL);
    count[0] = release_output(&out, printed[0], sizeof printed[0]);
    count[1] = release_output(&err, printed[1], sizeof printed[1]);
    if (failed) {
        longjmp(conform->end, 1);
    }
    for (int i = 0; i < 2; i++) {
        EXPECT(conform, count[i] == 0,
               "standard %s while every call was made: expected nothing printed, found %zu bytes: "
               "%s",
               i == 0 ? "output" : "error", count[i], printed[i]);
    }
}
