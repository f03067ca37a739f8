#include "hardware_counter.h"

#include "error.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int32_t bm_hardware_counter_open(struct bm_hardware_counter *counter, struct bm_error *error) {
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.size = sizeof attributes;
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    attributes.disabled = 1;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    counter->fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (counter->fd >= 0) {
        return BM_STATUS_OK;
    }
    if (errno == EACCES || errno == EPERM) {
        return bm_fail_errno(error, BM_STATUS_UNSUPPORTED,
                             "hardware counter: not allowed here (see "
                             "/proc/sys/kernel/perf_event_paranoid, seccomp)");
    }
    return bm_fail_errno(error, BM_STATUS_UNSUPPORTED,
                         "hardware counter: this machine shows none of instructions");
}

int32_t bm_hardware_counter_start(struct bm_hardware_counter *counter, struct bm_error *error) {
    if (ioctl(counter->fd, PERF_EVENT_IOC_RESET, 0) != 0 ||
        ioctl(counter->fd, PERF_EVENT_IOC_ENABLE, 0) != 0) {
        return bm_fail_errno(error, BM_STATUS_UNSUPPORTED, "hardware counter: cannot start");
    }
    return BM_STATUS_OK;
}

int32_t bm_hardware_counter_stop(struct bm_hardware_counter *counter,
                                 uint64_t *instructions,
                                 struct bm_error *error) {
    struct bm_hardware_reading reading;
    if (ioctl(counter->fd, PERF_EVENT_IOC_DISABLE, 0) != 0 ||
        read(counter->fd, &reading, sizeof reading) != (ssize_t)sizeof reading) {
        return bm_fail_errno(error, BM_STATUS_UNSUPPORTED, "hardware counter: cannot read it");
    }
    return bm_hardware_counter_judge(&reading, instructions, error);
}

void bm_hardware_counter_close(struct bm_hardware_counter *counter) {
    if (counter->fd >= 0) {
        (void)close(counter->fd);
    }
    counter->fd = -1;
}

int32_t bm_hardware_counter_judge(const struct bm_hardware_reading *reading,
                                  uint64_t *instructions,
                                  struct bm_error *error) {
    /* Others' counters took turns with it: the kernel would extrapolate, and that is no count. */
    if (reading->running_ns < reading->enabled_ns || reading->running_ns == 0) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "hardware counter: expected it to run for all of %llu ns, found %llu ns",
                       (unsigned long long)reading->enabled_ns,
                       (unsigned long long)reading->running_ns);
    }
    if (reading->value == 0) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "hardware counter: expected instructions, found 0");
    }
    *instructions = reading->value;
    return BM_STATUS_OK;
}
