#include "interrupt.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t received;

static void note(int number) {
    received = number;
}

void bm_interrupt_catch(void) {
    struct sigaction action = {0};
    action.sa_handler = note;
    /* No SA_RESTART: a waiting poll must return. */
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    (void)sigaction(SIGPIPE, &action, NULL);
    /* Ignored, which is inherited, it would take the exit statuses of workers away. */
    action.sa_handler = SIG_DFL;
    (void)sigaction(SIGCHLD, &action, NULL);
}

int bm_interrupt_signal(void) {
    return received;
}
