#include "environment.h"

#include "gbench.h"
#include "quota.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zlib.h>

/* First line of a small file, without its newline; 0 if there is none. */
static int read_line(const char *path, char *line, size_t capacity) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int found = fgets(line, (int)capacity, file) != NULL;
    (void)fclose(file);
    if (found) {
        line[strcspn(line, "\n")] = '\0';
    }
    return found && line[0] != '\0';
}

static void add_line(json_t *object, const char *key, const char *path) {
    char line[256];
    char reason[64];
    if (read_line(path, line, sizeof line)) {
        (void)json_object_set_new(object, key, json_string(line));
        return;
    }
    (void)snprintf(reason, sizeof reason, "%s_reason", key);
    (void)json_object_set_new(object, key, json_null());
    (void)json_object_set_new(object, reason, json_sprintf("no %s", path));
}

/* The value of "name : value" in /proc/cpuinfo's first processor. */
static int cpuinfo_value(const char *name, char *value, size_t capacity) {
    char *line = NULL;
    size_t size = 0;
    int found = 0;
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file != NULL && !found && getline(&line, &size, file) > 0) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, name, strlen(name)) == 0) {
            (void)snprintf(value, capacity, "%s", colon + 1 + strspn(colon + 1, " \t"));
            value[strcspn(value, "\n")] = '\0';
            found = 1;
        }
    }
    free(line);
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

/* The instruction sets that matter to a kernel, in the order of /proc/cpuinfo. */
static json_t *instruction_sets(void) {
    static const char *const wanted[] = {"sse2",     "sse4_2",   "avx",         "avx2",
                                         "fma",      "f16c",     "avx512f",     "avx512vl",
                                         "avx512bw", "avx512dq", "avx512_bf16", "avx512_fp16",
                                         "amx_tile", "asimd",    "sve"};
    char flags[8192];
    json_t *list = json_array();
    if (!cpuinfo_value("flags", flags, sizeof flags) &&
        !cpuinfo_value("Features", flags, sizeof flags)) {
        return list;
    }
    char *rest = flags;
    for (char *flag; (flag = strsep(&rest, " ")) != NULL;) {
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
            if (strcmp(flag, wanted[i]) == 0) {
                (void)json_array_append_new(list, json_string(flag));
            }
        }
    }
    return list;
}

static json_t *caches(void) {
    json_t *object = json_object();
    for (int i = 0; i < 8; i++) {
        char path[96];
        char level[32];
        char type[32];
        char size[32];
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
        if (!read_line(path, level, sizeof level)) {
            break;
        }
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
        int typed = read_line(path, type, sizeof type);
        (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
        if (typed && read_line(path, size, sizeof size)) {
            char key[72];
            (void)snprintf(key, sizeof key, "L%.8s %.16s", level, type);
            (void)json_object_set_new(object, key, json_string(size));
        }
    }
    return object;
}

json_t *bm_environment_host(void) {
    struct utsname system;
    char model[256];
    double load[3] = {0, 0, 0};
    json_t *host = json_object();
    (void)json_object_set_new(host, "cpu",
                              cpuinfo_value("model name", model, sizeof model) ? json_string(model)
                                                                               : json_null());
    (void)json_object_set_new(host, "isa", instruction_sets());
    (void)json_object_set_new(host, "cores", json_integer(bm_environment_cores()));
    (void)json_object_set_new(host, "processors", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    double quota = bm_quota_processors("");
    if (quota > 0) {
        (void)json_object_set_new(host, "quota", json_real(quota));
    }
    (void)json_object_set_new(host, "caches", caches());
    (void)json_object_set_new(
        host, "memory_bytes",
        json_integer((json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE)));
    if (uname(&system) == 0) {
        (void)json_object_set_new(host, "kernel",
                                  json_sprintf("%s %s", system.sysname, system.release));
        (void)json_object_set_new(host, "architecture", json_string(system.machine));
    }
    add_line(host, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    add_line(host, "clock_source",
             "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    add_line(host, "transparent_hugepage", "/sys/kernel/mm/transparent_hugepage/enabled");
    if (getloadavg(load, 3) == 3) {
        (void)json_object_set_new(host, "load", json_pack("[f, f, f]", load[0], load[1], load[2]));
    }
    return host;
}

json_t *bm_environment_build(void) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "version", BM_VERSION, "compiler",
                     __VERSION__, "flags", BM_COMPILE_FLAGS, "benchmark", bm_gbench_version(),
                     "benchmark_build", bm_gbench_build_type(), "jansson", JANSSON_VERSION, "zlib",
                     zlibVersion());
}

/* ---- Cores ---- */

uint32_t bm_environment_cores(void) {
    cpu_set_t set;
    uint32_t cores = 1;
    double share = bm_quota_processors("");
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        cores = (uint32_t)CPU_COUNT(&set);
    }
    if (share > 0 && share < (double)cores) {
        cores = (uint32_t)share + (share > (double)(uint32_t)share);
    }
    return cores == 0 ? 1 : cores;
}

/* ---- Caches ---- */

static int cache_line(int index, const char *name, char *line, size_t capacity) {
    char path[96];
    (void)snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
    return read_line(path, line, capacity);
}

/* "1024K" or "32M"; 0 if it is something else. */
static uint64_t parse_size(const char *text) {
    char *end = NULL;
    uint64_t size = strtoull(text, &end, 10);
    return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : 0;
}

/* Processors of a list like "0-3,8"; at least 1. */
static uint32_t count_processors(const char *list) {
    unsigned long count = 0;
    for (const char *item = list; item != NULL && *item != '\0';) {
        char *end = NULL;
        unsigned long first = strtoul(item, &end, 10);
        unsigned long last = *end == '-' ? strtoul(end + 1, NULL, 10) : first;
        count += last >= first ? last - first + 1 : 1;
        item = strchr(item, ',');
        item = item == NULL ? NULL : item + 1;
    }
    return count > 0 ? (uint32_t)count : 1;
}

/* What the C library knows where the kernel shows nothing. */
static uint64_t library_cache(uint32_t level) {
    long size = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
    size = level == 2   ? sysconf(_SC_LEVEL2_CACHE_SIZE)
           : level == 3 ? sysconf(_SC_LEVEL3_CACHE_SIZE)
                        : 0;
#else
    (void)level;
#endif
    return size > 0 ? (uint64_t)size : 0;
}

uint64_t bm_environment_cache(uint32_t level, uint32_t *sharers) {
    char line[256];
    char type[32];
    *sharers = 1;
    for (int i = 0; cache_line(i, "level", line, sizeof line); i++) {
        if (strtoul(line, NULL, 10) != level || !cache_line(i, "type", type, sizeof type) ||
            strcmp(type, "Instruction") == 0 || !cache_line(i, "size", line, sizeof line)) {
            continue;
        }
        uint64_t size = parse_size(line);
        if (cache_line(i, "shared_cpu_list", line, sizeof line)) {
            *sharers = count_processors(line);
        }
        return size;
    }
    return library_cache(level);
}

/* ---- Memory ---- */

static uint64_t meminfo_available(void) {
    char line[128];
    unsigned long long kib = 0;
    uint64_t bytes = UINT64_MAX;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
            bytes = kib * 1024;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return bytes;
}

/* What a cgroup leaves: limit minus use; UINT64_MAX if it has no limit. */
static uint64_t cgroup_available(const char *limit_path, const char *usage_path) {
    char limit_line[64];
    char usage_line[64];
    if (!read_line(limit_path, limit_line, sizeof limit_line) ||
        !read_line(usage_path, usage_line, sizeof usage_line) || strcmp(limit_line, "max") == 0) {
        return UINT64_MAX;
    }
    uint64_t limit = strtoull(limit_line, NULL, 10);
    uint64_t usage = strtoull(usage_line, NULL, 10);
    return limit > usage ? limit - usage : 0;
}

uint64_t bm_environment_memory_available(void) {
    uint64_t least = meminfo_available();
    uint64_t group[] = {
        cgroup_available("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        cgroup_available("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                         "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    };
    for (size_t i = 0; i < sizeof group / sizeof group[0]; i++) {
        least = group[i] < least ? group[i] : least;
    }
    return least;
}

void bm_environment_machine(char *name, uint32_t capacity) {
    char model[256] = "unknown processor";
    uint32_t used = 0;
    (void)cpuinfo_value("model name", model, sizeof model);
    for (const char *c = model; *c != '\0' && used + 1 < capacity; c++) {
        if (*c == '(' && strchr(c, ')') != NULL) {
            c = strchr(c, ')'); /* "(R)", "(TM)" */
        } else if (isalnum((unsigned char)*c)) {
            name[used++] = (char)tolower((unsigned char)*c);
        } else if (used > 0 && name[used - 1] != '-' && (*c == ' ' || *c == '-')) {
            name[used++] = '-';
        }
    }
    while (used > 0 && name[used - 1] == '-') {
        used--;
    }
    name[used] = '\0';
}

const char *bm_environment_revision(void) {
    return BM_REVISION;
}
