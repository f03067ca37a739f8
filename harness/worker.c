#include "worker.h"

#include "error.h"
#include "interrupt.h"
#include "now.h"
#include "resident.h"
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Most that is read from a pipe before the clock is looked at again: more than a pipe holds, so
 * that the last words of the dead are read whole. */
#define DRAIN_READS_MAX 512

/* How long the end of a worker may take after its pipe has closed. */
#define END_MS_MAX 1000

/* Pauses in which a worker is waited for to have stopped; one that does not goes on. */
#define STOP_PAUSES_MAX 1000

/* Above the descriptors that a worker gets, so that moving one there cannot overwrite another. */
#define LOWEST_OWN_FD 10

const char *bm_verdict_status(enum bm_verdict_kind kind) {
    switch (kind) {
    case BM_VERDICT_OK:
        return "ok";
    case BM_VERDICT_UNSUPPORTED:
        return "unsupported";
    case BM_VERDICT_WRONG:
        return "wrong";
    case BM_VERDICT_CRASHED:
        return "crashed";
    case BM_VERDICT_TIMEOUT:
        return "timeout";
    case BM_VERDICT_SKIPPED:
    case BM_VERDICT_INTERRUPTED:
        return "skipped";
    case BM_VERDICT_REFUSED:
    case BM_VERDICT_ERROR:
        break;
    }
    return "error";
}

/* Length of the UTF-8 sequence of one printable character, or 0. */
static size_t character_length(const unsigned char *c) {
    size_t length = c[0] < 0x80                   ? 1
                    : c[0] >= 0xc2 && c[0] < 0xe0 ? 2
                    : c[0] >= 0xe0 && c[0] < 0xf0 ? 3
                    : c[0] >= 0xf0 && c[0] < 0xf5 ? 4
                                                  : 0;
    static const uint32_t least[] = {0x20, 0x20, 0xa0, 0x800, 0x10000};
    static const unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = c[0] & lead_bits[length];
    for (size_t i = 1; i < length; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    int is_surrogate = code >= 0xd800 && code < 0xe000;
    return code < least[length] || code == 0x7f || is_surrogate || code > 0x10ffff ? 0 : length;
}

/* What a plugin said goes to terminals and into JSON: control characters become spaces, what is no
 * UTF-8, also for having been cut, question marks. */
static void make_printable(char *text) {
    for (unsigned char *c = (unsigned char *)text; *c != '\0';) {
        size_t length = character_length(c);
        if (length == 0) {
            *c = *c < 0x20 || *c == 0x7f ? ' ' : '?';
        }
        c += length == 0 ? 1 : length;
    }
}

static void
set_verdict(struct bm_verdict *verdict, enum bm_verdict_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
set_verdict(struct bm_verdict *verdict, enum bm_verdict_kind kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    verdict->kind = kind;
    verdict->is_other_abi = 0;
    (void)vsnprintf(verdict->reason, sizeof verdict->reason, format, arguments);
    va_end(arguments);
    make_printable(verdict->reason);
}

/* ---- Starting ---- */

static void close_fd(int *fd) {
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static int move_high(int *fd) {
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, LOWEST_OWN_FD);
    close_fd(fd);
    *fd = high;
    return high < 0 ? -1 : 0;
}

static int open_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[0] = ends[1] = -1;
        return -1;
    }
    return move_high(&ends[0]) == 0 && move_high(&ends[1]) == 0 ? 0 : -1;
}

/* Both ends of everything between the two processes, until each side has taken its own. */
struct plumbing {
    int command[2];
    int reply[2];
    int out[2];
    int err[2];
    int page;
    int data; /* copies of the memory files' descriptors, out of the way of the fixed numbers */
    int reference;
    int vectors;
    int plugin;
};

static void close_plumbing(struct plumbing *plumbing) {
    int *fds[] = {&plumbing->command[0], &plumbing->command[1], &plumbing->reply[0],
                  &plumbing->reply[1],   &plumbing->out[0],     &plumbing->out[1],
                  &plumbing->err[0],     &plumbing->err[1],     &plumbing->page,
                  &plumbing->data,       &plumbing->reference,  &plumbing->vectors,
                  &plumbing->plugin};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        close_fd(fds[i]);
    }
}

static int copy_high(int fd, int *copy) {
    *copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOWEST_OWN_FD);
    return fd >= 0 && *copy < 0 ? -1 : 0;
}

static int vectors_of(const struct bm_worker_spec *spec) {
    return spec->vectors_fd > 0 ? spec->vectors_fd : -1;
}

static int plugin_of(const struct bm_worker_spec *spec) {
    return spec->plugin == NULL ? -1 : spec->plugin->fd;
}

static int32_t open_plumbing(struct plumbing *plumbing,
                             const struct bm_worker_spec *spec,
                             struct bm_worker *worker,
                             struct bm_error *error) {
    *plumbing = (struct plumbing){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, -1, -1, -1, -1, -1};
    plumbing->page = memfd_create("batchmark page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (plumbing->page < 0 || move_high(&plumbing->page) != 0 ||
        ftruncate(plumbing->page, (off_t)sizeof(struct bm_page)) != 0 ||
        fcntl(plumbing->page, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        open_pipe(plumbing->command) != 0 || open_pipe(plumbing->reply) != 0 ||
        open_pipe(plumbing->out) != 0 || open_pipe(plumbing->err) != 0 ||
        copy_high(spec->data_fd, &plumbing->data) != 0 ||
        copy_high(spec->reference_fd, &plumbing->reference) != 0 ||
        copy_high(vectors_of(spec), &plumbing->vectors) != 0 ||
        copy_high(plugin_of(spec), &plumbing->plugin) != 0) {
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot make its pipes");
    }
    worker->page =
        mmap(NULL, sizeof(struct bm_page), PROT_READ | PROT_WRITE, MAP_SHARED, plumbing->page, 0);
    if (worker->page == MAP_FAILED) {
        worker->page = NULL;
        return bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot map its page");
    }
    return BM_STATUS_OK;
}

/* A copy of our environment with the worker's own variables in front, where getenv finds them
 * first. */
static char **make_environment(const struct bm_worker_spec *spec) {
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **list = calloc(count + spec->variable_count + 1, sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < spec->variable_count; i++) {
        if (asprintf(&list[i], "%s=%s", spec->variables[i].name, spec->variables[i].value) < 0) {
            list[i] = NULL;
            break;
        }
    }
    memcpy(list + spec->variable_count, environ, count * sizeof *list);
    return list;
}

static void free_environment(char **list, uint32_t own_count) {
    for (uint32_t i = 0; i < own_count; i++) {
        free(list[i]);
    }
    free(list);
}

static int add_files(posix_spawn_file_actions_t *actions, const struct plumbing *plumbing) {
    const int moves[][2] = {
        {plumbing->out[1], STDOUT_FILENO},
        {plumbing->err[1], STDERR_FILENO},
        {plumbing->command[0], BM_SERVE_COMMAND_FD},
        {plumbing->reply[1], BM_SERVE_REPLY_FD},
        {plumbing->page, BM_SERVE_PAGE_FD},
        {plumbing->data, BM_SERVE_DATA_FD},
        {plumbing->reference, BM_SERVE_REFERENCE_FD},
        {plumbing->vectors, BM_SERVE_VECTORS_FD},
        {plumbing->plugin, BM_SERVE_PLUGIN_FD},
    };
    int status = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    for (size_t i = 0; i < sizeof moves / sizeof moves[0] && status == 0; i++) {
        if (moves[i][0] >= 0) {
            status = posix_spawn_file_actions_adddup2(actions, moves[i][0], moves[i][1]);
        }
    }
    return status;
}

/* The program's own file: who runs it for us would find itself behind /proc/self/exe. */
static int own_file(char path[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
    return length > 0 ? 0 : errno;
}

/* The words of the worker: those of the wrapper, the program, what it finds open. */
struct words {
    char own[PATH_MAX];
    char command[8];
    char parent[32];
    char data[8];
    char reference[16];
    char vectors[8];
    char plugin[8];
    char *argv[BM_WORKER_WRAPPER_MAX + 8];
};

static void make_words(struct words *words, const struct bm_worker_spec *spec) {
    uint32_t count = 0;
    for (; spec->wrapper != NULL && spec->wrapper[count] != NULL; count++) {
        BM_ASSERT(count < BM_WORKER_WRAPPER_MAX);
        words->argv[count] = spec->wrapper[count];
    }
    (void)snprintf(words->parent, sizeof words->parent, "%d", (int)getpid());
    words->argv[count++] = words->own;
    words->argv[count++] = memcpy(words->command, "worker", sizeof "worker");
    words->argv[count++] = words->parent;
    if (spec->data_fd >= 0) {
        words->argv[count++] = memcpy(words->data, "data", sizeof "data");
    }
    if (spec->reference_fd >= 0) {
        words->argv[count++] = memcpy(words->reference, "reference", sizeof "reference");
    }
    if (vectors_of(spec) >= 0) {
        words->argv[count++] = memcpy(words->vectors, "vectors", sizeof "vectors");
    }
    if (plugin_of(spec) >= 0) {
        words->argv[count++] = memcpy(words->plugin, "plugin", sizeof "plugin");
    }
    words->argv[count] = NULL;
}

static int spawn(struct bm_worker *worker,
                 const struct plumbing *plumbing,
                 const struct bm_worker_spec *spec) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    struct words words = {.own = "batchmark"};
    const char *file = spec->wrapper == NULL ? "/proc/self/exe" : spec->wrapper[0];
    if (spec->wrapper != NULL && own_file(words.own) != 0) {
        return errno;
    }
    make_words(&words, spec);
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    char **environment = make_environment(spec);
    int status = environment == NULL ? ENOMEM : add_files(&actions, plumbing);
    if (status == 0) {
        status = posix_spawn(&worker->pid, file, &actions, &attributes, words.argv, environment);
    }
    if (environment != NULL) {
        free_environment(environment, spec->variable_count);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return status;
}

static void *serve_thread(void *argument) {
    struct bm_serve_files files = *(struct bm_serve_files *)argument;
    free(argument);
    bm_serve(&files);
    return NULL;
}

/* The thread takes copies of its ends, as a process would. */
static int start_thread(struct bm_worker *worker,
                        const struct plumbing *plumbing,
                        const struct bm_worker_spec *spec) {
    struct bm_serve_files *files = malloc(sizeof *files);
    if (files == NULL) {
        return ENOMEM;
    }
    files->command_fd = fcntl(plumbing->command[0], F_DUPFD_CLOEXEC, LOWEST_OWN_FD);
    files->reply_fd = fcntl(plumbing->reply[1], F_DUPFD_CLOEXEC, LOWEST_OWN_FD);
    (void)copy_high(spec->data_fd, &files->data_fd);
    (void)copy_high(spec->reference_fd, &files->reference_fd);
    (void)copy_high(vectors_of(spec), &files->vectors_fd);
    (void)copy_high(plugin_of(spec), &files->plugin_fd);
    files->page = worker->page;
    int status = pthread_create(&worker->thread, NULL, serve_thread, files);
    if (status == 0) {
        worker->pid = getpid();
    } else {
        free(files);
    }
    return status;
}

static void take_ends(struct bm_worker *worker, struct plumbing *plumbing) {
    worker->command_fd = plumbing->command[1];
    worker->reply_fd = plumbing->reply[0];
    worker->stdout_fd = plumbing->out[0];
    worker->stderr_fd = plumbing->err[0];
    plumbing->command[1] = plumbing->reply[0] = plumbing->out[0] = plumbing->err[0] = -1;
    (void)fcntl(worker->reply_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(worker->stdout_fd, F_SETFL, O_NONBLOCK);
    (void)fcntl(worker->stderr_fd, F_SETFL, O_NONBLOCK);
}

int32_t bm_worker_start(const struct bm_worker_spec *spec,
                        struct bm_worker *worker,
                        struct bm_error *error) {
    struct plumbing plumbing;
    memset(worker, 0, sizeof *worker);
    worker->command_fd = worker->reply_fd = worker->stdout_fd = worker->stderr_fd = -1;
    worker->in_process = spec->in_process;
    int32_t status = open_plumbing(&plumbing, spec, worker, error);
    if (status == BM_STATUS_OK) {
        errno = spec->in_process ? start_thread(worker, &plumbing, spec)
                                 : spawn(worker, &plumbing, spec);
        if (errno != 0) {
            worker->pid = 0;
            status = bm_fail_errno(error, BM_STATUS_INTERNAL, "worker: cannot start it");
        }
    }
    if (status == BM_STATUS_OK) {
        take_ends(worker, &plumbing);
    } else if (worker->page != NULL) {
        (void)munmap(worker->page, sizeof *worker->page);
        worker->page = NULL;
    }
    close_plumbing(&plumbing);
    return status;
}

/* ---- Asking ---- */

/* Keeps the last bytes of standard error, for the verdict on a crash. */
static void keep_tail(struct bm_worker *worker, const char *bytes, size_t count) {
    size_t room = sizeof worker->stderr_tail - 1;
    size_t used = strlen(worker->stderr_tail);
    if (count > room) {
        bytes += count - room;
        count = room;
    }
    if (used + count > room) {
        size_t dropped = used + count - room;
        memmove(worker->stderr_tail, worker->stderr_tail + dropped, used - dropped);
        used -= dropped;
    }
    for (size_t i = 0; i < count; i++) {
        worker->stderr_tail[used + i] = bytes[i];
        if (bytes[i] == '\0') {
            worker->stderr_tail[used + i] = ' ';
        }
    }
    worker->stderr_tail[used + count] = '\0';
}

static void keep_head(struct bm_worker *worker, const char *bytes, size_t count) {
    size_t used = strlen(worker->stdout_head);
    for (size_t i = 0; i < count && used + 1 < sizeof worker->stdout_head; i++) {
        int32_t is_text = bytes[i] >= ' ' && bytes[i] != 127;
        worker->stdout_head[used] = ' ';
        if (is_text) {
            worker->stdout_head[used] = bytes[i];
        }
        used++;
    }
    worker->stdout_head[used] = '\0';
    worker->stdout_bytes += count;
}

/* Reads what is there, and not for ever where more comes all the time; 0 at end of file, 1
 * otherwise. */
static int drain(struct bm_worker *worker, int fd) {
    char bytes[4096];
    ssize_t count = -1;
    for (int i = 0; i < DRAIN_READS_MAX && (count = read(fd, bytes, sizeof bytes)) > 0; i++) {
        struct bm_error error;
        if (fd == worker->stderr_fd) {
            keep_tail(worker, bytes, (size_t)count);
        } else if (fd == worker->stdout_fd) {
            keep_head(worker, bytes, (size_t)count);
        } else if (bm_frame_feed(&worker->replies, bytes, (size_t)count, &error) != BM_STATUS_OK) {
            return 0;
        }
    }
    return count != 0;
}

/* The last line of standard error that says something, cut to fit a reason. */
static const char *last_line(struct bm_worker *worker) {
    char *text = worker->stderr_tail;
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' ')) {
        text[--length] = '\0';
    }
    char *newline = strrchr(text, '\n');
    return newline == NULL ? text : newline + 1;
}

static const char *signal_name(int number) {
    const char *name = sigabbrev_np(number);
    return name == NULL ? "?" : name;
}

/* Waits for the end of a worker whose pipe has closed, or that was killed. */
static int reap(struct bm_worker *worker) {
    int state = 0;
    while (waitpid(worker->pid, &state, 0) < 0 && errno == EINTR) {
    }
    worker->pid = 0;
    return state;
}

/* Whether the process has ended, whoever else still holds its pipes; it stays to be reaped. */
static int has_ended(const struct bm_worker *worker) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

/* Its files are closed a little before a process has ended. */
static int ends_soon(const struct bm_worker *worker) {
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < END_MS_MAX && !has_ended(worker); i++) {
        (void)nanosleep(&pause, NULL);
    }
    return has_ended(worker);
}

/* The worker itself too: it may have left its group. */
static void signal_all(const struct bm_worker *worker, int number) {
    (void)kill(-worker->pid, number);
    (void)kill(worker->pid, number);
}

static void judge_death(struct bm_worker *worker, struct bm_verdict *verdict) {
    const char *phase = bm_phase_name(worker->page->phase);
    uint32_t overflow = worker->page->stack_overflow;
    if (worker->in_process) {
        set_verdict(verdict, BM_VERDICT_ERROR, "the plugin's thread ended in %s", phase);
        return;
    }
    int ended = ends_soon(worker);
    signal_all(worker, SIGKILL);
    int state = reap(worker);
    (void)drain(worker, worker->stderr_fd);
    const char *line = last_line(worker);
    const char *quote = line[0] == '\0' ? "" : "; last words: ";
    if (!ended) {
        set_verdict(verdict, BM_VERDICT_ERROR, "plugin closed its pipe in %s and went on; stopped",
                    phase);
    } else if (WIFSIGNALED(state)) {
        int number = worker->page->signal != 0 ? (int)worker->page->signal : WTERMSIG(state);
        const char *hint = number == SIGILL ? " (an instruction this processor lacks?)"
                           : overflow       ? " (stack overflow)"
                                            : "";
        set_verdict(verdict, BM_VERDICT_CRASHED, "killed by SIG%s in %s%s%s%.300s",
                    signal_name(number), phase, hint, quote, line);
    } else {
        set_verdict(verdict, BM_VERDICT_CRASHED, "exited with status %d in %s%s%.300s",
                    WEXITSTATUS(state), phase, quote, line);
    }
}

static void judge_reply(struct bm_worker *worker, json_t **reply, struct bm_verdict *verdict) {
    const char *status = json_string_value(json_object_get(*reply, "status"));
    const char *reason = json_string_value(json_object_get(*reply, "reason"));
    reason = reason == NULL ? "" : reason;
    (void)drain(worker, worker->stdout_fd);
    if (worker->stdout_bytes > 0) {
        set_verdict(verdict, BM_VERDICT_ERROR,
                    "plugin wrote %llu bytes to standard output, which it must not: \"%s\"",
                    (unsigned long long)worker->stdout_bytes, worker->stdout_head);
    } else if (status == NULL) {
        set_verdict(verdict, BM_VERDICT_ERROR, "worker: expected an answer with a status");
    } else if (strcmp(status, "ok") == 0) {
        set_verdict(verdict, BM_VERDICT_OK, "%s", "");
    } else if (strcmp(status, "wrong") == 0) {
        set_verdict(verdict, BM_VERDICT_WRONG, "%s", reason);
    } else if (strcmp(status, "unsupported") == 0) {
        set_verdict(verdict, BM_VERDICT_UNSUPPORTED, "%s", reason);
    } else if (strcmp(status, "refused") == 0) {
        set_verdict(verdict, BM_VERDICT_REFUSED, "%s", reason);
        verdict->is_other_abi = json_is_true(json_object_get(*reply, "other_abi"));
    } else if (strcmp(status, "timeout") == 0) {
        set_verdict(verdict, BM_VERDICT_TIMEOUT, "%s", reason);
    } else {
        set_verdict(verdict, BM_VERDICT_ERROR, "%s", reason);
    }
    if (verdict->kind != BM_VERDICT_OK && verdict->kind != BM_VERDICT_WRONG) {
        json_decref(*reply);
        *reply = NULL;
    }
    /* A device that did not finish holds on to the process that asked it. */
    if (worker->stdout_bytes > 0 || verdict->kind == BM_VERDICT_TIMEOUT) {
        bm_worker_stop(worker);
    }
}

static int is_out_of_grace(struct bm_worker *worker) {
    if (bm_interrupt_signal() == 0) {
        return 0;
    }
    if (worker->interrupted_s == 0) {
        worker->interrupted_s = bm_now_s();
    }
    return bm_now_s() - worker->interrupted_s >= worker->grace_s;
}

/* One turn of waiting: 1 when the verdict is known. */
static int wait_once(struct bm_worker *worker,
                     double deadline_s,
                     double limit_s,
                     json_t **reply,
                     struct bm_verdict *verdict) {
    struct bm_error error;
    if (bm_frame_next(&worker->replies, reply, &error) != BM_STATUS_OK) {
        set_verdict(verdict, BM_VERDICT_ERROR, "worker: garbage on its pipe: %s", error.text);
        bm_worker_stop(worker);
        return 1;
    }
    if (*reply != NULL) {
        judge_reply(worker, reply, verdict);
        return 1;
    }
    /* A process that it started may hold the pipe open. */
    if (!worker->in_process && has_ended(worker)) {
        size_t had = worker->replies.used;
        (void)drain(worker, worker->reply_fd);
        if (worker->replies.used > had) {
            return 0;
        }
        judge_death(worker, verdict);
        bm_worker_stop(worker);
        return 1;
    }
    double left_s = deadline_s - bm_now_s();
    if (is_out_of_grace(worker)) {
        set_verdict(verdict, BM_VERDICT_INTERRUPTED, "interrupted");
        bm_worker_stop(worker);
        return 1;
    }
    /* A thread cannot be stopped, and a debugger stops it for as long as it likes. */
    if (left_s <= 0 && !worker->in_process) {
        set_verdict(verdict, BM_VERDICT_TIMEOUT, "no answer from %s within %.3g s; stopped",
                    bm_phase_name(worker->page->phase), limit_s);
        bm_worker_stop(worker);
        return 1;
    }
    struct pollfd fds[] = {{worker->reply_fd, POLLIN, 0},
                           {worker->stdout_fd, POLLIN, 0},
                           {worker->stderr_fd, POLLIN, 0}};
    /* A second at most, so that a signal between the check above and the poll is not missed for
     * long. */
    int timeout_ms = left_s > 1 || left_s <= 0 ? 1000 : (int)(left_s * 1000) + 1;
    if (poll(fds, 3, timeout_ms) <= 0) {
        return 0;
    }
    /* A closed descriptor would make every poll return at once. */
    if (!drain(worker, worker->stdout_fd)) {
        close_fd(&worker->stdout_fd);
    }
    if (!drain(worker, worker->stderr_fd)) {
        close_fd(&worker->stderr_fd);
    }
    size_t had = worker->replies.used;
    if (drain(worker, worker->reply_fd) == 0 && worker->replies.used == had) {
        judge_death(worker, verdict);
        bm_worker_stop(worker);
        return 1;
    }
    return 0;
}

/* Whether all threads of the process have stopped, or it has ended; it stays to be reaped. */
static int has_stopped(const struct bm_worker *worker) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)worker->pid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid != 0;
}

/* Between two questions a worker is stopped, all its threads: those of some libraries go on
 * spinning for a while and would take the processor from the worker whose turn it is. */
static void let_rest(const struct bm_worker *worker) {
    const struct timespec pause = {0, 20000};
    if (worker->in_process || !bm_worker_running(worker)) {
        return;
    }
    signal_all(worker, SIGSTOP);
    for (int i = 0; i < STOP_PAUSES_MAX && !has_stopped(worker); i++) {
        (void)nanosleep(&pause, NULL);
    }
}

static void let_run(const struct bm_worker *worker) {
    if (!worker->in_process) {
        signal_all(worker, SIGCONT);
    }
}

json_t *
bm_worker_load_command(const char *what, const char *path, const struct bm_opened_file *file) {
    return json_pack("{s:s, s:s, s:o}", "do", what, "plugin", path, "file",
                     bm_opened_file_json(file));
}

void bm_worker_ask(struct bm_worker *worker,
                   const json_t *command,
                   double limit_s,
                   json_t **reply,
                   struct bm_verdict *verdict) {
    struct bm_error error;
    *reply = NULL;
    BM_ASSERT(bm_worker_running(worker));
    let_run(worker);
    int32_t status = bm_channel_send(worker->command_fd, command, &error);
    if (status == BM_STATUS_INVALID || status == BM_STATUS_NO_MEMORY) {
        /* Nothing was sent, so no answer comes. */
        set_verdict(verdict, BM_VERDICT_ERROR, "%s",
                    command == NULL ? "expected a path in UTF-8, found another" : error.text);
    } else {
        /* Any other failure means that the worker is gone; the wait finds out how. */
        double deadline_s = bm_now_s() + limit_s;
        while (!wait_once(worker, deadline_s, limit_s, reply, verdict)) {
        }
    }
    let_rest(worker);
}

/* ---- Ending ---- */

void bm_worker_stop(struct bm_worker *worker) {
    close_fd(&worker->command_fd);
    if (worker->in_process && worker->pid != 0) {
        (void)pthread_join(worker->thread, NULL);
        worker->pid = 0;
    }
    if (worker->pid != 0) {
        signal_all(worker, SIGKILL);
        (void)reap(worker);
    }
    close_fd(&worker->reply_fd);
    close_fd(&worker->stdout_fd);
    close_fd(&worker->stderr_fd);
    bm_frame_buffer_deinit(&worker->replies);
    if (worker->page != NULL) {
        (void)munmap(worker->page, sizeof *worker->page);
        worker->page = NULL;
    }
}

int32_t bm_worker_running(const struct bm_worker *worker) {
    return worker->pid != 0;
}

uint64_t bm_worker_cpu_ns(const struct bm_worker *worker) {
    clockid_t clock;
    struct timespec used;
    if (worker->in_process || worker->pid == 0 || clock_getcpuclockid(worker->pid, &clock) != 0 ||
        clock_gettime(clock, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

uint64_t bm_worker_peak_bytes(const struct bm_worker *worker) {
    return worker->in_process || worker->pid == 0 ? 0 : bm_resident_peak_bytes(worker->pid);
}
