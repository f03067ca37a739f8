/* How much of the processors the control groups of this process (cgroups, version 1 or 2) let it
 * use, as containers and services limit it. */
#ifndef BM_QUOTA_H
#define BM_QUOTA_H

/* In processors, 1.5 say: the least that a group of the process or one above it allows; 0: no limit
 * is known. `root` stands before /proc and /sys/fs/cgroup: "", or a test's folder. */
double bm_quota_processors(const char *root);

#endif
