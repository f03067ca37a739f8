/* The processor as the one device of a backend. */
#include <batchmark/kit.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The value of "key : value" in the head of /proc/cpuinfo; empty if there is none. */
static void cpu_fact(const char *head, const char *key, char *value, size_t capacity) {
    const char *line = strstr(head, key);
    const char *colon = line != NULL ? strchr(line, ':') : NULL;
    value[0] = '\0';
    if (colon != NULL) {
        const char *text = colon + 1 + strspn(colon + 1, " \t");
        (void)snprintf(value, capacity, "%.*s", (int)strcspn(text, "\n"), text);
    }
}

static void read_cpu(struct bm_device_info *info) {
    char head[2048];
    ssize_t length = -1;
    int file = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        length = read(file, head, sizeof head - 1);
        close(file);
    }
    head[length > 0 ? length : 0] = '\0';
    cpu_fact(head, "model name", info->name, sizeof info->name);
    cpu_fact(head, "vendor_id", info->vendor, sizeof info->vendor);
    if (info->name[0] == '\0') {
        (void)snprintf(info->name, sizeof info->name, "CPU");
    }
}

int32_t bm_kit_cpu_check(uint32_t device, struct bm_error *error) {
    return device == 0
               ? BM_STATUS_OK
               : bm_kit_fail(error, BM_STATUS_INVALID, "device: expected 0, found %u", device);
}

int32_t bm_kit_cpu_info(uint32_t device, struct bm_device_info *info, struct bm_error *error) {
    int32_t status = bm_kit_cpu_check(device, error);
    if (status == BM_STATUS_OK) {
        status = bm_kit_struct(info, sizeof *info, "info", error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);
    *info = (struct bm_device_info){
        .size = info->size, .kind = BM_DEVICE_KIND_CPU, .precision_count = 1};
    info->memory_bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
    read_cpu(info);
    (void)snprintf(info->precisions[0].name, BM_PRECISION_NAME_SIZE, "%s", BM_PRECISION_FLOAT32);
    info->precisions[0].multiply_roundoff = BM_ROUNDOFF_FLOAT32;
    info->precisions[0].accumulate_roundoff = BM_ROUNDOFF_FLOAT32;
    return BM_STATUS_OK;
}
