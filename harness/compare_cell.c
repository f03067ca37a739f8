#include "compare_cell.h"

#include "choices.h"
#include "error.h"
#include "now.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A set's share of the cell's time, and that of one whose updates are so long that fewer rounds
 * have to do. */
#define SET_SHARE (1.0 / 60)
#define LONGEST_SHARE (1.0 / 24)
/* How often in a set a tuner is asked again, until sets have shown that it is no lottery: then the
 * builds choose otherwise. */
#define RETRIES 4u
#define STUBBORN_MAX 2u

/* What a cell is on its way to its verdict. */
struct measurement {
    const struct bm_compare_request *request;
    struct bm_comparison_cell *cell;
    struct bm_gate gate;
    struct bm_gate_rule rule;
    struct bm_set_result set; /* the last one */
    double begun_s;
    double sets_s;      /* of all sets, checks left out */
    double estimate_ns; /* that turns are shaped by, of the first set */
    double update_ns[BM_SIDE_COUNT][BM_GATE_SETS_MAX];
    uint32_t rounds[BM_GATE_SETS_MAX];
    uint32_t retried;  /* sets in which a tuner was asked again, */
    uint32_t unlike;   /* and in which arms chose otherwise in the end, */
    uint32_t stubborn; /* head alone and from the start */
};

/* ---- What cannot be measured ---- */

static void
conclude(struct bm_comparison_cell *cell, enum bm_comparison_verdict verdict, const char *reason) {
    cell->verdict = verdict;
    (void)snprintf(cell->reason, sizeof cell->reason, "%.500s", reason);
}

static void conclude_side(struct bm_comparison_cell *cell,
                          enum bm_comparison_verdict verdict,
                          const char *side,
                          const struct bm_verdict *found) {
    char reason[sizeof found->reason + 16];
    (void)snprintf(reason, sizeof reason, "%s: %s", side, found->reason);
    conclude(cell, verdict, reason);
}

/* What a failure of head means where base is well. */
static enum bm_comparison_verdict head_failure(enum bm_verdict_kind kind) {
    switch (kind) {
    case BM_VERDICT_REFUSED:
        return BM_COMPARISON_REFUSED;
    case BM_VERDICT_CRASHED:
        return BM_COMPARISON_CRASHED;
    case BM_VERDICT_TIMEOUT:
        return BM_COMPARISON_TIMEOUT;
    case BM_VERDICT_WRONG:
        return BM_COMPARISON_WRONG;
    default:
        return BM_COMPARISON_LOST;
    }
}

/* What a failure of base means: one that cannot be compared with is no base. */
static enum bm_comparison_verdict base_failure(const struct bm_verdict *base) {
    switch (base->kind) {
    case BM_VERDICT_REFUSED:
        return base->is_other_abi ? BM_COMPARISON_NO_BASE : BM_COMPARISON_REFUSED;
    case BM_VERDICT_CRASHED:
        return BM_COMPARISON_CRASHED;
    case BM_VERDICT_TIMEOUT:
        return BM_COMPARISON_TIMEOUT;
    case BM_VERDICT_WRONG:
        return BM_COMPARISON_NO_BASE;
    case BM_VERDICT_UNSUPPORTED:
        return BM_COMPARISON_ADDED;
    default:
        return BM_COMPARISON_ERROR;
    }
}

/* At least one of them is not OK. What base lacks as well, head has not lost. */
static void judge_failure(const struct bm_verdict *base,
                          const struct bm_verdict *head,
                          struct bm_comparison_cell *cell) {
    enum bm_comparison_verdict of_head = head_failure(head->kind);
    int is_base_too = of_head == BM_COMPARISON_LOST && base->kind != BM_VERDICT_OK;
    if (base->kind == BM_VERDICT_UNSUPPORTED && head->kind == BM_VERDICT_UNSUPPORTED) {
        conclude_side(cell, BM_COMPARISON_SKIPPED, "both", head);
    } else if (head->kind == BM_VERDICT_OK || is_base_too) {
        conclude_side(cell, base_failure(base), "base", base);
    } else {
        conclude_side(cell, of_head, "head", head);
    }
}

int bm_compare_judge_pair(const struct bm_compare_pair *pair, struct bm_comparison_cell *cell) {
    const struct bm_row *base = pair->row[BM_SIDE_BASE];
    const struct bm_row *head = pair->row[BM_SIDE_HEAD];
    const struct bm_verdict good = {.kind = BM_VERDICT_OK};
    const struct bm_verdict *of_base = base == NULL ? &good : &base->answer->verdict;
    const struct bm_verdict *of_head = head == NULL ? &good : &head->answer->verdict;
    if (of_base->kind != BM_VERDICT_OK || of_head->kind != BM_VERDICT_OK) {
        judge_failure(of_base, of_head, cell);
    } else if (base == NULL) {
        conclude(cell, BM_COMPARISON_ADDED, "base has no such plugin or device");
    } else if (head == NULL) {
        conclude(cell, BM_COMPARISON_LOST, "head has no such plugin or device");
    } else {
        return 0;
    }
    return 1;
}

/* ---- Sets ---- */

static double left_s(const struct measurement *of) {
    return of->begun_s + of->request->time_s - bm_now_s();
}

/* A stage begins with checks. */
static int begins_stage(const struct bm_gate *gate) {
    return gate->count == 0 || (gate->is_confirming && gate->count == gate->screened);
}

static void measure_set(struct measurement *of) {
    const struct bm_compare_request *request = of->request;
    struct bm_set_request set = {
        .of = request->of,
        .batch = request->batch,
        .row = {request->pair->row[BM_SIDE_BASE], request->pair->row[BM_SIDE_HEAD]},
        .number = request->first_set + of->gate.count,
        .checks = (uint32_t)begins_stage(&of->gate),
        .length_s = SET_SHARE * request->time_s,
        .longest_s = LONGEST_SHARE * request->time_s,
        .retries = of->stubborn < STUBBORN_MAX ? RETRIES : 0,
        .update_ns = of->estimate_ns,
        .hang_time_s = request->hang_time_s,
    };
    if (request->progress != NULL) {
        request->progress(request->context, &of->gate);
    }
    bm_set_measure(&set, &of->set);
}

/* Of the first set, or of one that could not be made alike. */
static void note_choices(struct measurement *of) {
    struct bm_comparison_cell *cell = of->cell;
    const struct bm_set_result *set = &of->set;
    uint32_t differ = bm_choices_differ(set->describe[BM_SIDE_BASE], set->describe[BM_SIDE_HEAD]);
    of->retried += set->retries > 0;
    of->unlike += set->is_unlike;
    of->stubborn += set->is_stubborn;
    if (of->gate.count == 0 || (differ && !cell->choices_differ)) {
        for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
            bm_choices_copy(set->describe[side], cell->choices[side], sizeof cell->choices[0]);
        }
        cell->choices_differ = differ;
    }
}

static void keep_set(struct measurement *of) {
    uint32_t index = of->gate.count;
    note_choices(of);
    of->estimate_ns = of->set.estimate_ns;
    of->sets_s += of->set.seconds - of->set.checks_s;
    of->rounds[index] = of->set.rounds;
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        of->update_ns[side][index] = of->set.update_ns[side];
    }
    bm_gate_add(&of->gate, of->set.log_ratio, of->set.aa);
}

/* How many sets the cell will have had when its time is over. */
static uint32_t fitting_sets(const struct measurement *of) {
    double more = floor(left_s(of) * of->gate.count / of->sets_s);
    double most = BM_GATE_SETS_MAX - of->gate.count;
    more = more < most ? more : most;
    return of->gate.count + (more > 0 ? (uint32_t)more : 0);
}

/* ---- What is told ---- */

static double median_of(const double *values, uint32_t count) {
    double scratch[BM_GATE_SETS_MAX];
    return bm_stats_quantile(values, count, 0.5, scratch);
}

static json_t *numbers_json(const double *values, uint32_t count) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, json_real(values[i]));
    }
    return list;
}

static json_t *details_json(const struct measurement *of) {
    const struct bm_gate *gate = &of->gate;
    const struct bm_compare_pair *pair = of->request->pair;
    json_t *rounds = json_array();
    for (uint32_t i = 0; i < gate->count; i++) {
        (void)json_array_append_new(rounds, json_integer(of->rounds[i]));
    }
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:f, s:{s:s, s:s}, s:{s:s, s:s}, "
        "s:{s:b, s:b}}",
        "log_ratio", numbers_json(gate->log_ratio, gate->count), "aa_log_ratio",
        numbers_json(gate->aa, gate->count), "base_ns",
        numbers_json(of->update_ns[BM_SIDE_BASE], gate->count), "head_ns",
        numbers_json(of->update_ns[BM_SIDE_HEAD], gate->count), "rounds", rounds, "first_set",
        (int)of->request->first_set, "screened",
        (int)(gate->is_confirming ? gate->screened : gate->count), "sets_max",
        (int)of->rule.sets_max, "retried_sets", (int)of->retried, "unlike_sets", (int)of->unlike,
        "set_s", of->sets_s / gate->count, "sha256", "base", pair->row[BM_SIDE_BASE]->file->sha256,
        "head", pair->row[BM_SIDE_HEAD]->file->sha256, "code", "base", pair->code[BM_SIDE_BASE],
        "head", pair->code[BM_SIDE_HEAD], "by_trust", "base",
        (int)pair->row[BM_SIDE_BASE]->file->trusted, "head",
        (int)pair->row[BM_SIDE_HEAD]->file->trusted);
}

static void fill_figures(struct measurement *of) {
    struct bm_comparison_cell *cell = of->cell;
    struct bm_gate_figures figures;
    bm_gate_figures(&of->gate, &of->rule, &figures);
    cell->sets = of->gate.count;
    cell->base_ns = median_of(of->update_ns[BM_SIDE_BASE], of->gate.count);
    cell->head_ns = median_of(of->update_ns[BM_SIDE_HEAD], of->gate.count);
    cell->details = details_json(of);
    if (isnan(figures.estimate)) {
        return;
    }
    cell->ratio = exp(figures.estimate);
    cell->low = exp(figures.low);
    cell->high = exp(figures.high);
    cell->p = figures.p;
    cell->aa_ratio = exp(figures.aa_estimate);
    cell->aa_spread = figures.aa_spread;
    cell->sensitivity = bm_gate_sensitivity(&of->gate, &of->rule);
}

/* Why nothing can be said. */
static void explain_open(const struct measurement *of, char *reason, size_t size) {
    const struct bm_gate *gate = &of->gate;
    if (gate->count < 2 * BM_GATE_LOOK) {
        (void)snprintf(reason, size,
                       "%u sets of %.2g s are too few for a verdict; a longer --cell-time has room "
                       "for more",
                       gate->count, of->sets_s / gate->count);
    } else if (gate->is_confirming) {
        (void)snprintf(reason, size, "%u sets raised a suspicion, %u more did not settle it",
                       gate->screened, gate->count - gate->screened);
    } else {
        (void)snprintf(reason, size, "%u sets scatter too much", gate->count);
    }
}

static void fill_verdict(struct measurement *of, enum bm_gate_verdict verdict) {
    static const enum bm_comparison_verdict verdicts[] = {
        [BM_GATE_PASS] = BM_COMPARISON_PASS,
        [BM_GATE_REGRESSION] = BM_COMPARISON_REGRESSION,
        [BM_GATE_IMPROVEMENT] = BM_COMPARISON_IMPROVEMENT,
        [BM_GATE_INCONCLUSIVE] = BM_COMPARISON_INCONCLUSIVE,
        [BM_GATE_VOID] = BM_COMPARISON_INCONCLUSIVE,
    };

    char reason[256] = "";
    if (verdict == BM_GATE_VOID) {
        (void)snprintf(reason, sizeof reason,
                       "void: the two arms of base, the same file, differ by %.2f %%",
                       100 * (of->cell->aa_ratio - 1));
    } else if (verdict == BM_GATE_INCONCLUSIVE) {
        explain_open(of, reason, sizeof reason);
    }
    conclude(of->cell, verdicts[verdict], reason);
}

/* ---- All of it ---- */

/* 0 if a signal came. */
static int measure(struct measurement *of) {
    enum bm_gate_verdict verdict = BM_GATE_OPEN;
    while (verdict == BM_GATE_OPEN) {
        const struct bm_verdict *base = &of->set.verdict[BM_SIDE_BASE];
        const struct bm_verdict *head = &of->set.verdict[BM_SIDE_HEAD];
        measure_set(of);
        if (base->kind == BM_VERDICT_INTERRUPTED || head->kind == BM_VERDICT_INTERRUPTED) {
            return 0;
        }
        if (base->kind != BM_VERDICT_OK || head->kind != BM_VERDICT_OK) {
            judge_failure(base, head, of->cell);
            return 1;
        }
        keep_set(of);
        of->rule.sets_max = fitting_sets(of);
        verdict = bm_gate_judge(&of->gate, &of->rule);
    }
    fill_figures(of);
    fill_verdict(of, verdict);
    return 1;
}

int bm_compare_measure_cell(const struct bm_compare_request *request,
                            struct bm_comparison_cell *cell) {
    struct measurement *of = calloc(1, sizeof *of);
    if (of == NULL) {
        conclude(cell, BM_COMPARISON_ERROR, "no memory");
        return 1;
    }
    of->request = request;
    of->cell = cell;
    of->rule.threshold = request->threshold;
    of->begun_s = bm_now_s();
    int is_judged = measure(of);
    cell->seconds = bm_now_s() - of->begun_s;
    free(of);
    return is_judged;
}
