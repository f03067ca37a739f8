/* Quotas of control groups, as containers and services have them, in made-up trees. */
#include "quota.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/bm-quota-XXXXXX";

static void put(const char *file, const char *text) {
    char path[512];
    (void)snprintf(path, sizeof path, "%s%s", root, file);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *stream = fopen(path, "w");
    TEST_CHECK(stream != NULL && fputs(text, stream) >= 0 && fclose(stream) == 0);
}

static void expect(double processors) {
    double found = bm_quota_processors(root);
    TEST_CHECK_MSG(fabs(found - processors) < 1e-9, "expected %g, found %g", processors, found);
}

static void clean_up(void) {
    char line[64];
    (void)snprintf(line, sizeof line, "rm -rf %s", root);
    (void)system(line);
}

int main(void) {
    TEST_CHECK(mkdtemp(root) != NULL && atexit(clean_up) == 0);
    expect(0);

    /* Version 2: the least of a service's group and the slice above it. */
    put("/proc/self/cgroup", "0::/system.slice/bench.service\n");
    put("/sys/fs/cgroup/system.slice/bench.service/cpu.max", "max 100000\n");
    expect(0);
    put("/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n");
    expect(1.5);
    put("/sys/fs/cgroup/system.slice/bench.service/cpu.max", "50000 100000\n");
    expect(0.5);
    put("/sys/fs/cgroup/system.slice/bench.service/cpu.max", "400000 100000\n");
    expect(1.5);

    /* A container: its group has another name outside, and is the top one inside. */
    put("/proc/self/cgroup", "0::/../../docker/0123\n");
    expect(0);
    put("/proc/self/cgroup", "0::/docker/0123\n");
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    expect(2);

    /* Damage is no limit. */
    put("/sys/fs/cgroup/cpu.max", "many 100000\n");
    expect(0);
    put("/sys/fs/cgroup/cpu.max", "50000 0\n");
    expect(0);
    put("/sys/fs/cgroup/cpu.max", "");
    put("/proc/self/cgroup", "no lines\n0\n:\n::\n");
    expect(0);

    /* Version 1, among other controllers, beside an empty tree of version 2. */
    put("/proc/self/cgroup", "5:cpuset:/a\n4:cpuacct,cpu:/a/b\n0::/\n");
    put("/sys/fs/cgroup/cpuset/a/cpu.cfs_quota_us", "1\n");
    put("/sys/fs/cgroup/cpuset/a/cpu.cfs_period_us", "1000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/a/b/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpuacct,cpu/a/b/cpu.cfs_period_us", "100000\n");
    expect(0);
    put("/sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/a/cpu.cfs_period_us", "100000\n");
    expect(3);
    put("/sys/fs/cgroup/cpuacct,cpu/a/b/cpu.cfs_quota_us", "25000\n");
    expect(0.25);
    return 0;
}
