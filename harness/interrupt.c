#include "interrupt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* Written by a signal handler, read by any thread: atomic, and free of locks (C11 7.14.1.1). */
static atomic_int received;
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "a signal handler may not wait for a lock");

static void note(int number) {
    received = number;
}

static int is_ignored(int number) {
    struct sigaction action = {0};
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void bm_interrupt_catch(void) {
    struct sigaction action = {0};
    action.sa_handler = note;
    /* No SA_RESTART: a waiting poll must return. */
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    if (!is_ignored(SIGHUP)) { /* by nohup. A shell's `&` ignores SIGINT, which is no wish */
        (void)sigaction(SIGHUP, &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    (void)sigaction(SIGPIPE, &action, NULL);
    /* A file at the limit of `ulimit -f` is a write that fails. */
    (void)sigaction(SIGXFSZ, &action, NULL);
    /* Ignored, which is inherited, it would take the exit statuses of workers away. */
    action.sa_handler = SIG_DFL;
    (void)sigaction(SIGCHLD, &action, NULL);
}

int bm_interrupt_signal(void) {
    return received;
}
