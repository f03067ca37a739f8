#include "page.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <ucontext.h>

static const char *const phase_names[BM_PHASE_COUNT] = {
    [BM_PHASE_START] = "start",
    [BM_PHASE_LOAD] = "load",
    [BM_PHASE_DEVICE_COUNT] = "device_count",
    [BM_PHASE_DEVICE_INFO] = "device_info",
    [BM_PHASE_SUPPORTS] = "supports",
    [BM_PHASE_CREATE] = "create",
    [BM_PHASE_BIND_DATA] = "bind_data",
    [BM_PHASE_SET_ORDER] = "set_order",
    [BM_PHASE_WRITE_PARAMS] = "write_params",
    [BM_PHASE_READ_PARAMS] = "read_params",
    [BM_PHASE_READ_GRADIENT] = "read_gradient",
    [BM_PHASE_WRITE_GRADIENT] = "write_gradient",
    [BM_PHASE_READ_STATE] = "read_state",
    [BM_PHASE_WRITE_STATE] = "write_state",
    [BM_PHASE_GRADIENT] = "gradient",
    [BM_PHASE_APPLY] = "apply",
    [BM_PHASE_UPDATE] = "update",
    [BM_PHASE_UPDATES] = "updates",
    [BM_PHASE_WAIT] = "wait",
    [BM_PHASE_EVALUATE] = "evaluate",
    [BM_PHASE_DEVICE_TIME] = "device_time",
    [BM_PHASE_DESCRIBE] = "describe",
    [BM_PHASE_DESTROY] = "destroy",
    [BM_PHASE_HOST] = "the harness",
};

const char *bm_phase_name(uint32_t phase) {
    return phase < BM_PHASE_COUNT ? phase_names[phase] : "an unknown phase";
}

#ifndef BM_SANITIZED

#define STACK_REACH                                                                                \
    65536 /* a frame below the end of the stack lies at most this far from the stack pointer */

/* Signal handlers take no argument of ours. */
static struct bm_page *caught_page;

static uintptr_t stack_pointer(const void *context) {
    const ucontext_t *user = context;
#if defined(__x86_64__)
    return (uintptr_t)user->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)user->uc_mcontext.sp;
#else
    (void)user;
    return 0;
#endif
}

static void note_and_die(int number, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;
    uintptr_t stack = stack_pointer(context);
    uintptr_t distance = address > stack ? address - stack : stack - address;
    caught_page->stack_overflow =
        (number == SIGSEGV || number == SIGBUS) && stack != 0 && distance < STACK_REACH;
    caught_page->signal = (uint32_t)number;
    /* SA_RESETHAND has restored the default action: the signal kills when the handler returns. */
    (void)raise(number);
}

int bm_page_catch_signals(struct bm_page *page) {
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    stack_t stack = {0};
    stack.ss_size = 65536;
    stack.ss_sp = malloc(stack.ss_size); /* kept until the process ends */
    if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0) {
        free(stack.ss_sp);
        return -1;
    }
    caught_page = page;
    struct sigaction action = {0};
    action.sa_sigaction = note_and_die;
    action.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], &action, NULL) != 0) {
            return -1;
        }
    }
    return 0;
}

#else

int bm_page_catch_signals(struct bm_page *page) {
    (void)page;
    return 0;
}

#endif
