#include "resident.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "VmRSS:     1234 kB" of /proc/PID/status; 0 if it is not there. */
static uint64_t status_bytes(const char *path, const char *key) {
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    while (kilobytes == 0 && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kilobytes = strtoull(line + strlen(key), NULL, 10);
        }
    }
    (void)fclose(file);
    return 1024 * kilobytes;
}

int32_t bm_resident_reset_peak(void) {
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t written = write(fd, "5", 1);
    (void)close(fd);
    return written == 1;
}

uint64_t bm_resident_bytes(void) {
    return status_bytes("/proc/self/status", "VmRSS:");
}

uint64_t bm_resident_peak_bytes(pid_t pid) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
    return status_bytes(path, "VmHWM:");
}
