#include "quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 1024
#define LINE_SIZE 512

static int read_line(const char *path, char line[LINE_SIZE]) {
    FILE *file = fopen(path, "re");
    int has_line = file != NULL && fgets(line, LINE_SIZE, file) != NULL;
    if (file != NULL) {
        (void)fclose(file);
    }
    return has_line;
}

/* "50000 100000" or "max 100000" */
static double limit_v2(const char *folder) {
    char path[PATH_SIZE + 32];
    char line[LINE_SIZE];
    char *end = NULL;
    (void)snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, line)) {
        return 0;
    }
    double used = strtod(line, &end);
    double period = end == line ? 0 : strtod(end, NULL);
    return used > 0 && period > 0 ? used / period : 0;
}

/* Two files; a quota of -1 is none. */
static double limit_v1(const char *folder) {
    char path[PATH_SIZE + 32];
    char quota[LINE_SIZE];
    char period[LINE_SIZE];
    (void)snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    int has_both = read_line(path, quota);
    (void)snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    has_both = has_both && read_line(path, period);
    double used = has_both ? strtod(quota, NULL) : 0;
    double each = has_both ? strtod(period, NULL) : 0;
    return used > 0 && each > 0 ? used / each : 0;
}

static double least(double a, double b) {
    return a == 0 || (b > 0 && b < a) ? b : a;
}

/* Of the group and all above it. A container sees its own group as the top one, whatever its name
 * outside: the folder of that name is missing then. */
static double limit_of(const char *mount, const char *group, double (*limit)(const char *folder)) {
    char folder[PATH_SIZE];
    int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
    double found = 0;
    if (length < 0 || (size_t)length >= sizeof folder) {
        return limit(mount);
    }
    while (strlen(folder) > strlen(mount)) {
        found = least(found, limit(folder));
        *strrchr(folder, '/') = '\0';
    }
    return least(found, limit(mount));
}

static int has_controller(const char *list, const char *name) {
    size_t length = strlen(name);
    while (*list != '\0') {
        size_t found = strcspn(list, ",");
        if (found == length && strncmp(list, name, length) == 0) {
            return 1;
        }
        list += found + (list[found] == ',');
    }
    return 0;
}

/* "0::/a/b" (version 2) or "4:cpu,cpuacct:/a/b" (version 1) */
static double limit_of_line(const char *root, char *line) {
    static const char *const places_v1[] = {"cpu", "cpu,cpuacct", "cpuacct,cpu"};
    static const char *const places_v2[] = {"", "/unified"};
    char mount[PATH_SIZE];
    double found = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL || group[1] != '/') {
        return 0;
    }
    *group++ = '\0';
    controllers++;
    group[strcspn(group, "\n")] = '\0';
    for (size_t i = 0; i < 2 && controllers[0] == '\0'; i++) {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root, places_v2[i]);
        found = least(found, limit_of(mount, group, limit_v2));
    }
    for (size_t i = 0; i < 3 && has_controller(controllers, "cpu"); i++) {
        (void)snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/%s", root, places_v1[i]);
        found = least(found, limit_of(mount, group, limit_v1));
    }
    return found;
}

double bm_quota_processors(const char *root) {
    char path[PATH_SIZE];
    char line[LINE_SIZE];
    double found = 0;
    (void)snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        found = least(found, limit_of_line(root, line));
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}
