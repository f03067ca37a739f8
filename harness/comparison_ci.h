/* A comparison for machines that watch a repository: a JUnit file, and the lines that GitHub's
 * runners take for annotations. */
#ifndef BM_COMPARISON_CI_H
#define BM_COMPARISON_CI_H

#include "comparison.h"

#include <stdio.h>

/* JUnit as the schema of Jenkins and GitLab has it: a suite a backend, a test case a cell.
 * Failures: slower, wrong, lost, and what stays open if the comparison is strict. Errors: a crash,
 * a timeout, a refused plugin, any other error. Skipped: open, without a base, new, or without a
 * time. */
void bm_comparison_ci_junit(const struct bm_comparison *comparison, FILE *stream);

/* Workflow commands: ::error for what the exit code calls a failure, ::warning for what stays open,
 * ::notice for improvements and for the summary. */
void bm_comparison_ci_github(const struct bm_comparison *comparison, FILE *stream);

#endif
