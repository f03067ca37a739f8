/* Misbehaves in device_count in the way that the variable HOSTILE names. */
#include "base.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLY_FD 4 /* of a worker */

static volatile int32_t stays = 1;

static void stay(void) {
    while (stays) {
        (void)sleep(1);
    }
}

static void write_text(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) {
        _exit(9);
    }
}

static void write_for_ever(int fd) {
    static char bytes[65536];
    while (stays && write(fd, bytes, sizeof bytes) > 0) {
    }
}

static void *flood_stderr(void *argument) {
    write_for_ever(STDERR_FILENO);
    return argument;
}

static void in_thread(void *(*work)(void *argument)) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0) {
        _exit(9);
    }
    (void)pthread_detach(thread);
}

/* The child keeps all pipes open for ten seconds. */
static void leave_child(void) {
    if (fork() == 0) {
        (void)sleep(10);
        _exit(0);
    }
    _exit(3);
}

static void write_megabytes(void) {
    static char line[1000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int32_t i = 0; i < 8000; i++) {
        if (write(STDERR_FILENO, line, sizeof line) < 0) {
            _exit(9);
        }
    }
    write_text(STDERR_FILENO, "the last line of many\n");
    abort();
}

static void misbehave(const char *how) {
    if (strcmp(how, "abort") == 0) {
        write_text(STDERR_FILENO, "one\ntwo \033[2J\377 \302\265s\r\n\n");
        abort();
    } else if (strcmp(how, "exit") == 0) {
        _exit(3);
    } else if (strcmp(how, "close") == 0) {
        (void)close(REPLY_FD);
        stay();
    } else if (strcmp(how, "change group") == 0) {
        (void)setpgid(0, getpgid(getppid()));
        (void)close(REPLY_FD);
        stay();
    } else if (strcmp(how, "garbage") == 0) {
        write_text(REPLY_FD, "this is not a message");
    } else if (strcmp(how, "flood reply") == 0) {
        write_for_ever(REPLY_FD);
    } else if (strcmp(how, "flood stderr") == 0) {
        in_thread(flood_stderr);
        stay();
    } else if (strcmp(how, "leave child") == 0) {
        leave_child();
    } else if (strcmp(how, "stop") == 0) {
        (void)raise(SIGSTOP);
    } else if (strcmp(how, "hang") == 0) {
        stay();
    } else if (strcmp(how, "print") == 0) {
        (void)puts("hello");
    } else if (strcmp(how, "megabytes") == 0) {
        write_megabytes();
    } else if (strcmp(how, "end thread") == 0) {
        pthread_exit(NULL);
    }
}

static int32_t device_count(uint32_t *count, struct bm_error *error) {
    const char *how = getenv("HOSTILE");
    misbehave(how == NULL ? "" : how);
    *count = 0;
    (void)snprintf(error->text, sizeof error->text, "HOSTILE is %s", how == NULL ? "not set" : how);
    return BM_STATUS_OK;
}

BM_PLUGIN_EXPORT const struct bm_plugin *
bm_plugin_entry(uint32_t host_major, uint32_t host_minor, struct bm_error *error) {
    static struct bm_plugin table;
    (void)host_major;
    (void)host_minor;
    if (copy_base(&table, error) == NULL) {
        return NULL;
    }
    table.device_count = device_count;
    return &table;
}
