#include "compare_stored.h"

#include "compare_environment.h"
#include "field.h"
#include "stored_gate.h"
#include "stored_record.h"
#include "yuen.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A cell that both records have, or one of them. */
struct pair {
    const struct bm_stored_cell *base; /* NULL: only head has it */
    const struct bm_stored_cell *head;
    double log_ratio; /* of their times, estimated; NaN where one has too few rounds */
};

struct stored {
    const struct bm_options *options;
    struct bm_comparison *comparison;
    struct bm_error *error;
    struct bm_stored_record base;
    struct bm_stored_record head;
    uint32_t pair_count;
    struct pair *pairs;                      /* [base.cell_count + head.cell_count] */
    double controls[BM_STORED_CONTROLS_MAX]; /* of the cell that is judged */
};

/* ---- Pairs ---- */

/* Of cells that are alike but for their seeds, that of the same seed; where each record has but one
 * of them, that one: another shuffle of the same work. */
static const struct bm_stored_cell *find_head(const struct stored *stored,
                                              const struct bm_stored_cell *base) {
    const struct bm_stored_cell *alike = NULL;
    uint32_t ours = 0;
    uint32_t theirs = 0;
    for (uint32_t i = 0; i < stored->base.cell_count; i++) {
        ours += strcmp(stored->base.cells[i].key, base->key) == 0;
    }
    for (uint32_t i = 0; i < stored->head.cell_count; i++) {
        const struct bm_stored_cell *head = &stored->head.cells[i];
        if (strcmp(head->key, base->key) == 0) {
            if (head->seed == base->seed) {
                return head;
            }
            alike = head;
            theirs++;
        }
    }
    return ours == 1 && theirs == 1 ? alike : NULL;
}

static int has_base(const struct stored *stored, const struct bm_stored_cell *head) {
    for (uint32_t i = 0; i < stored->pair_count; i++) {
        if (stored->pairs[i].head == head) {
            return 1;
        }
    }
    return 0;
}

static double log_ratio_of(const struct bm_stored_cell *base, const struct bm_stored_cell *head) {
    if (head == NULL || base->round_count < BM_YUEN_COUNT_MIN ||
        head->round_count < BM_YUEN_COUNT_MIN) {
        return (double)NAN;
    }
    return bm_stored_log_ratio(base->log_ns, base->round_count, head->log_ns, head->round_count);
}

static int32_t make_pairs(struct stored *stored) {
    size_t most = (size_t)stored->base.cell_count + stored->head.cell_count;
    stored->pairs = calloc(most + 1, sizeof *stored->pairs);
    if (stored->pairs == NULL) {
        return bm_fail(stored->error, BM_STATUS_NO_MEMORY, "compare: no memory");
    }
    for (uint32_t i = 0; i < stored->base.cell_count; i++) {
        const struct bm_stored_cell *base = &stored->base.cells[i];
        const struct bm_stored_cell *head = find_head(stored, base);
        stored->pairs[stored->pair_count++] = (struct pair){base, head, log_ratio_of(base, head)};
    }
    for (uint32_t i = 0; i < stored->head.cell_count; i++) {
        const struct bm_stored_cell *head = &stored->head.cells[i];
        if (!has_base(stored, head)) {
            stored->pairs[stored->pair_count++] = (struct pair){NULL, head, (double)NAN};
        }
    }
    return BM_STATUS_OK;
}

/* ---- Devices ---- */

static const char *device_of(const struct bm_stored_cell *cell) {
    return cell == NULL ? "" : bm_field_text(cell->object, "device_name");
}

static const char *label_of(const struct bm_stored_cell *cell) {
    const char *label = bm_field_text(cell->object, "label");
    return label[0] != '\0' ? label : bm_field_text(cell->object, "backend");
}

static int is_told(const struct bm_comparison *comparison, const char *what) {
    for (uint32_t i = 0; i < comparison->difference_count; i++) {
        if (strcmp(comparison->differences[i].what, what) == 0) {
            return 1;
        }
    }
    return 0;
}

/* A backend's device is told once, whatever the number of its cells. */
static int32_t compare_devices(struct stored *stored, uint32_t *weighty) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < stored->pair_count; i++) {
        const struct pair *pair = &stored->pairs[i];
        char what[64];
        if (pair->base == NULL || pair->head == NULL ||
            strcmp(device_of(pair->base), device_of(pair->head)) == 0) {
            continue;
        }
        (void)snprintf(what, sizeof what, "device of %.40s", label_of(pair->base));
        if (status == BM_STATUS_OK && !is_told(stored->comparison, what)) {
            status = bm_comparison_differ(stored->comparison, what, device_of(pair->base),
                                          device_of(pair->head), stored->error);
            (*weighty)++;
        }
    }
    return status;
}

/* ---- Unchanged plugins ---- */

static const char *sha256_of(const struct bm_stored_cell *cell) {
    return bm_field_text(json_object_get(cell->object, "plugin"), "sha256");
}

static const char *describe_of(const struct bm_stored_cell *cell) {
    return bm_field_text(json_object_get(cell->object, "plugin"), "describe");
}

static int has_times(const struct pair *pair) {
    return pair->base != NULL && pair->head != NULL && pair->base->round_count > 0 &&
           pair->head->round_count > 0;
}

/* The same file that made the same choices and found the same libraries: any difference in time is
 * the machine's. */
static int is_unchanged(const struct pair *pair) {
    return has_times(pair) && sha256_of(pair->base)[0] != '\0' &&
           strcmp(sha256_of(pair->base), sha256_of(pair->head)) == 0 &&
           strcmp(describe_of(pair->base), describe_of(pair->head)) == 0;
}

/* How cells of the same device changed, all of them or those of unchanged plugins. */
static uint32_t collect_controls(const struct stored *stored,
                                 const struct pair *judged,
                                 int only_unchanged,
                                 double *controls) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < stored->pair_count && count < BM_STORED_CONTROLS_MAX; i++) {
        const struct pair *pair = &stored->pairs[i];
        if (!isnan(pair->log_ratio) && (!only_unchanged || is_unchanged(pair)) &&
            strcmp(device_of(pair->head), device_of(judged->head)) == 0) {
            controls[count++] = pair->log_ratio;
        }
    }
    return count;
}

/* Those of unchanged plugins are the better ones, if they are not judged themselves. */
static void
find_controls(struct stored *stored, const struct pair *judged, struct bm_stored_rule *rule) {
    double *controls = stored->controls;
    rule->controls = controls;
    rule->are_unchanged = 1;
    rule->control_count =
        stored->options->compare.no_identical ? 0 : collect_controls(stored, judged, 1, controls);
    if (rule->control_count < BM_STORED_CONTROLS_MIN) {
        rule->are_unchanged = 0;
        rule->control_count = collect_controls(stored, judged, 0, controls);
    }
}

/* ---- Cells ---- */

/* Why a cell has no times of the series that is asked for. */
static void
explain(const struct stored *stored, const struct bm_stored_cell *cell, char *text, size_t size) {
    const char *status = cell == NULL ? "" : bm_field_text(cell->object, "status");
    if (cell == NULL) {
        (void)snprintf(text, size, "not in the record");
    } else if (strcmp(status, "ok") == 0) {
        (void)snprintf(text, size, "no series %s", stored->options->compare.series);
    } else {
        const char *reason = bm_field_text(cell->object, "reason");
        (void)snprintf(text, size, "%s%s%.380s", status, reason[0] == '\0' ? "" : ": ", reason);
    }
}

/* What a failure of head is; SKIPPED: it did not fail. */
static enum bm_comparison_verdict failure_of(const struct bm_stored_cell *head) {
    const json_t *object = head == NULL ? NULL : head->object;
    if (bm_field_has_status(object, "wrong")) {
        return BM_COMPARISON_WRONG;
    }
    if (bm_field_has_status(object, "crashed")) {
        return BM_COMPARISON_CRASHED;
    }
    if (bm_field_has_status(object, "timeout")) {
        return BM_COMPARISON_TIMEOUT;
    }
    if (bm_field_has_status(object, "error")) {
        return json_is_true(json_object_get(object, "refused")) ? BM_COMPARISON_REFUSED
                                                                : BM_COMPARISON_ERROR;
    }
    return BM_COMPARISON_SKIPPED;
}

/* One of the two has no times. */
static void judge_presence(const struct stored *stored,
                           const struct pair *pair,
                           struct bm_comparison_cell *cell) {
    int base_times = pair->base != NULL && pair->base->round_count > 0;
    int head_times = pair->head != NULL && pair->head->round_count > 0;
    char text[448];
    cell->verdict = failure_of(pair->head);
    if (cell->verdict != BM_COMPARISON_SKIPPED) {
        explain(stored, pair->head, text, sizeof text);
        (void)snprintf(cell->reason, sizeof cell->reason, "%s", text);
        return;
    }
    explain(stored, head_times ? pair->base : pair->head, text, sizeof text);
    (void)snprintf(cell->reason, sizeof cell->reason, "%s: %s", head_times ? "base" : "head", text);
    cell->verdict = base_times   ? BM_COMPARISON_LOST
                    : head_times ? BM_COMPARISON_ADDED
                                 : BM_COMPARISON_SKIPPED;
}

static void
judge_times(struct stored *stored, const struct pair *pair, struct bm_comparison_cell *cell) {
    struct bm_stored_rule rule = {.threshold = stored->options->compare.threshold};
    find_controls(stored, pair, &rule);
    cell->base_ns = pair->base->median_ns;
    cell->head_ns = pair->head->median_ns;
    bm_stored_gate(pair->base->log_ns, pair->base->round_count, pair->head->log_ns,
                   pair->head->round_count, &rule, cell);
    if (is_unchanged(pair) && !stored->options->compare.no_identical) {
        cell->verdict = BM_COMPARISON_IDENTICAL;
        cell->reason[0] = '\0';
    }
}

static void fill_identity(const struct stored *stored,
                          const struct pair *pair,
                          struct bm_comparison_cell *cell) {
    const struct bm_stored_cell *one = pair->head != NULL ? pair->head : pair->base;
    BM_ASSERT(one != NULL);
    bm_stored_name(one->object, cell->name, sizeof cell->name);
    (void)snprintf(cell->backend, sizeof cell->backend, "%s", label_of(one));
    (void)snprintf(cell->device, sizeof cell->device, "%s%s", device_of(one),
                   json_is_true(json_object_get(one->object, "software")) ? " (software)" : "");
    cell->batch = bm_field_whole(one->object, "batch");
    cell->threads = (uint32_t)bm_field_whole(one->object, "threads");
    for (uint32_t i = 0; i < 2; i++) {
        const struct bm_stored_cell *side = i == 0 ? pair->base : pair->head;
        (void)snprintf(cell->choices[i], sizeof cell->choices[i], "%s",
                       side == NULL ? "" : describe_of(side));
    }
    cell->choices_differ = has_times(pair) && strcmp(cell->choices[0], cell->choices[1]) != 0;
    cell->details =
        json_pack("{s:s, s:i, s:i, s:s, s:s}", "series", stored->options->compare.series,
                  "base_rounds", pair->base == NULL ? 0 : (int)pair->base->round_count,
                  "head_rounds", pair->head == NULL ? 0 : (int)pair->head->round_count,
                  "base_sha256", pair->base == NULL ? "" : sha256_of(pair->base), "head_sha256",
                  pair->head == NULL ? "" : sha256_of(pair->head));
}

static int32_t judge_pair(struct stored *stored, const struct pair *pair) {
    struct bm_comparison_cell *cell = bm_comparison_add(stored->comparison);
    if (cell == NULL) {
        return bm_fail(stored->error, BM_STATUS_NO_MEMORY, "compare: no memory");
    }
    fill_identity(stored, pair, cell);
    if (!bm_comparison_is_wanted(cell, stored->options->filter)) {
        json_decref(cell->details);
        stored->comparison->cell_count--;
    } else if (has_times(pair)) {
        judge_times(stored, pair, cell);
    } else {
        judge_presence(stored, pair, cell);
    }
    return BM_STATUS_OK;
}

/* ---- Records ---- */

static int32_t check_in_process(const struct stored *stored) {
    const struct bm_stored_record *records[] = {&stored->base, &stored->head};
    for (uint32_t i = 0; i < 2; i++) {
        if (json_is_true(json_object_get(records[i]->run, "in_process"))) {
            return bm_fail(stored->error, BM_STATUS_INVALID,
                           "%s: expected plugins measured in workers, found --in-process, whose "
                           "times are never compared",
                           records[i]->path);
        }
    }
    return BM_STATUS_OK;
}

static int is_by_trust(const struct bm_stored_cell *cell) {
    const json_t *plugin = cell == NULL ? NULL : json_object_get(cell->object, "plugin");
    return json_is_true(json_object_get(plugin, "by_trust"));
}

/* A plugin that others could change is told of; what it did to the times nobody knows. */
static int32_t compare_trust(struct stored *stored) {
    static const char *const texts[] = {"loaded without --trust", "loaded with --trust"};
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < stored->pair_count && status == BM_STATUS_OK; i++) {
        const struct pair *pair = &stored->pairs[i];
        const struct bm_stored_cell *one = pair->head != NULL ? pair->head : pair->base;
        int base = is_by_trust(pair->base);
        int head = is_by_trust(pair->head);
        char what[64];
        BM_ASSERT(one != NULL);
        (void)snprintf(what, sizeof what, "plugin of %.40s", label_of(one));
        if ((base || head) && !is_told(stored->comparison, what)) {
            status = bm_comparison_differ(stored->comparison, what, texts[base], texts[head],
                                          stored->error);
        }
    }
    return status;
}

static int32_t compare_ends(struct stored *stored) {
    static const char *const texts[] = {"cut short", "finished"};
    uint32_t base = stored->base.is_finished;
    uint32_t head = stored->head.is_finished;
    return base && head ? BM_STATUS_OK
                        : bm_comparison_differ(stored->comparison, "run", texts[base], texts[head],
                                               stored->error);
}

/* Machines and settings; UNSUPPORTED if they differ too much. */
static int32_t compare_conditions(struct stored *stored) {
    struct bm_comparison *comparison = stored->comparison;
    uint32_t weighty = 0;
    int32_t status = bm_compare_environment(stored->base.run, stored->head.run, comparison,
                                            &weighty, stored->error);
    status = status ? status : compare_devices(stored, &weighty);
    status = status ? status : compare_trust(stored);
    status = status ? status : compare_ends(stored);
    if (status == BM_STATUS_OK && weighty > 0 && !stored->options->compare.force) {
        status = bm_fail(stored->error, BM_STATUS_UNSUPPORTED,
                         "expected records of the same machine and settings, found %u difference%s "
                         "that change%s times; --force judges all the same",
                         weighty, weighty == 1 ? "" : "s", weighty == 1 ? "s" : "");
    }
    return status;
}

static int32_t compare_records(struct stored *stored) {
    int32_t status = check_in_process(stored);
    status = status ? status : make_pairs(stored);
    status = status ? status : compare_conditions(stored);
    for (uint32_t i = 0; status == BM_STATUS_OK && i < stored->pair_count; i++) {
        status = judge_pair(stored, &stored->pairs[i]);
    }
    return status;
}

int32_t bm_compare_stored(const char *base_path,
                          const char *head_path,
                          const struct bm_options *options,
                          struct bm_comparison *comparison,
                          struct bm_error *error) {
    struct stored stored = {.options = options, .comparison = comparison, .error = error};
    int32_t status = bm_stored_open(base_path, options->compare.series, &stored.base, error);
    if (status == BM_STATUS_OK) {
        status = bm_stored_open(head_path, options->compare.series, &stored.head, error);
    }
    if (status == BM_STATUS_OK) {
        comparison->base_name = stored.base.name;
        comparison->head_name = stored.head.name;
        comparison->series = options->compare.series;
        comparison->is_stored = 1;
        comparison->is_strict = options->strict;
        comparison->threshold = options->compare.threshold;
        status = compare_records(&stored);
    }
    free(stored.pairs);
    bm_stored_close(&stored.base);
    bm_stored_close(&stored.head);
    return status;
}
