/* `batchmark landscape`: why noise and momentum help. Words, points, and which analyses. */
#include "command.h"
#include "error.h"
#include "fastest.h"
#include "landscape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Batch size at which backends are compared where none is named. */
#define USUAL_BATCH UINT64_C(100)

/* In this order: what is quick comes first. */
static const struct {
    const char *name;
    uint32_t bit;
    uint32_t needs_points;
    int32_t (*run)(struct bm_landscape *landscape);
} analyses[] = {
    {"escape", BM_LANDSCAPE_ESCAPE, 0, bm_landscape_escape},
    {"noise", BM_LANDSCAPE_NOISE, 1, bm_landscape_noise},
    {"line", BM_LANDSCAPE_LINE, 1, bm_landscape_line},
    {"hessian", BM_LANDSCAPE_HESSIAN, 1, bm_landscape_hessian},
    {"sharpness", BM_LANDSCAPE_SHARPNESS, 1, bm_landscape_sharpness},
};

#define ANALYSIS_COUNT (sizeof analyses / sizeof analyses[0])

/* ---- Words ---- */

static uint32_t find_analysis(const char *word) {
    for (size_t i = 0; i < ANALYSIS_COUNT; i++) {
        if (strcmp(analyses[i].name, word) == 0) {
            return analyses[i].bit;
        }
    }
    return 0;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text);
    size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* A word that is neither an analysis nor looks like a file is a slip. */
static int is_file(const char *word) {
    return strchr(word, '/') != NULL || strchr(word, '.') != NULL;
}

/* Sorts the words; files are read here: checkpoints say which data set is opened, and a bad one
 * is better known before hours of measuring. */
static int32_t read_words(struct bm_landscape *landscape) {
    struct bm_campaign *campaign = landscape->campaign;
    const char *paths[BM_CAMPAIGN_WORD_MAX];
    uint32_t path_count = 0;
    uint32_t is_named = 0;
    for (uint32_t i = 0; i < campaign->word_count; i++) {
        const char *word = campaign->words[i];
        uint32_t bit = find_analysis(word);
        if (bit != 0) {
            landscape->analyses |= bit;
            is_named = 1;
            continue;
        }
        if (!is_file(word)) {
            return bm_fail(campaign->error, BM_STATUS_INVALID,
                           "expected escape, noise, line, hessian, sharpness or a file, found "
                           "\"%s\"",
                           word);
        }
        if (!ends_with(word, ".jsonl") && !ends_with(word, ".jsonl.partial")) {
            paths[path_count++] = word;
            continue;
        }
        int32_t status = bm_landscape_record_read(landscape, word, campaign->error);
        if (status != BM_STATUS_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < ANALYSIS_COUNT && !is_named; i++) {
        landscape->analyses |= analyses[i].bit;
    }
    return bm_landscape_points_read(landscape, paths, path_count, campaign->error);
}

/* ---- What is measured on ---- */

static int32_t expect_one(const char *name, uint32_t count, struct bm_error *error) {
    return count == 1
               ? BM_STATUS_OK
               : bm_fail(error, BM_STATUS_INVALID, "--%s: expected one, found %u", name, count);
}

static int32_t prepare(struct bm_campaign *campaign) {
    struct bm_landscape *landscape = campaign->own;
    const struct bm_options *options = campaign->options;
    struct bm_error *error = campaign->error;
    landscape->campaign = campaign;
    int32_t status = read_words(landscape);
    status = status ? status : bm_campaign_make_folder(campaign);
    status = status ? status : expect_one("model", options->model.count, error);
    status = status ? status : expect_one("dataset", options->dataset.count, error);
    status = status ? status : expect_one("optimizer", options->optimizer.count, error);
    status = status ? status : expect_one("threads", options->threads.count, error);
    status = status ? status : expect_one("precision", options->precision.count, error);
    if (status == BM_STATUS_OK && options->backend.count > 1) {
        status = expect_one("backend", options->backend.count, error);
    }
    return status;
}

static int is_asked_for(const struct bm_landscape *landscape, size_t analysis) {
    return (landscape->analyses & analyses[analysis].bit) != 0;
}

static int needs_points(const struct bm_landscape *landscape) {
    for (size_t i = 0; i < ANALYSIS_COUNT; i++) {
        if (is_asked_for(landscape, i) && analyses[i].needs_points) {
            return 1;
        }
    }
    return 0;
}

static void print_plan(const struct bm_campaign *campaign) {
    const struct bm_landscape *landscape = campaign->own;
    const char *between = "";
    (void)fputs("plan: ", stderr);
    for (size_t i = 0; i < ANALYSIS_COUNT; i++) {
        if (is_asked_for(landscape, i)) {
            (void)fprintf(stderr, "%s%s", between, analyses[i].name);
            between = ", ";
        }
    }
    if (landscape->point_count > 0) {
        (void)fprintf(stderr, "; of %u checkpoint%s", landscape->point_count,
                      landscape->point_count == 1 ? "" : "s");
    } else if (needs_points(landscape)) {
        (void)fprintf(stderr, "; of %s trained here with batch size%s ",
                      campaign->options->model.names[0],
                      campaign->options->batch.count == 1 ? "" : "s");
        for (uint32_t i = 0; i < campaign->options->batch.count; i++) {
            (void)fprintf(stderr, "%s%llu", i == 0 ? "" : ", ",
                          (unsigned long long)campaign->options->batch.values[i]);
        }
    }
    (void)fprintf(stderr, "; at most %.1f minutes\n", campaign->options->time_limit_s / 60);
}

/* The backend that was named, of several devices the first; without a name the fastest. */
static int32_t choose_row(struct bm_landscape *landscape) {
    struct bm_campaign *campaign = landscape->campaign;
    struct bm_selection *selection = &campaign->selection;
    for (uint32_t i = 0; i < selection->row_count && campaign->options->backend.count > 0; i++) {
        if (!selection->row[i].computes_nothing) {
            landscape->row = &selection->row[i];
            return BM_STATUS_OK;
        }
    }
    uint64_t images = campaign->dataset.split[BM_SPLIT_TRAIN].count;
    return bm_fastest_row(campaign, images < USUAL_BATCH ? images : USUAL_BATCH, &landscape->row);
}

/* The network, under the name that checkpoints have for it. A data set that was made anew with
 * other shapes does not fit them. */
static int32_t make_model(struct bm_landscape *landscape) {
    struct bm_campaign *campaign = landscape->campaign;
    int32_t status = bm_campaign_make_model(campaign, campaign->options->model.names[0]);
    if (status != BM_STATUS_OK || landscape->point_count == 0) {
        return status;
    }
    const struct bm_checkpoint *state = &landscape->points[0].state;
    uint64_t found = bm_model_param_count(&campaign->model);
    if (found != state->param_count ||
        bm_model_statistics_count(&campaign->model) != state->statistics_count) {
        return bm_fail(campaign->error, BM_STATUS_INVALID,
                       "%s: expected data for the %llu parameters of the checkpoints, found such "
                       "for %llu",
                       campaign->dataset.name, (unsigned long long)state->param_count,
                       (unsigned long long)found);
    }
    (void)snprintf(campaign->model.name, sizeof campaign->model.name, "%.*s",
                   BM_MODEL_NAME_SIZE - 1, state->model);
    return BM_STATUS_OK;
}

static int32_t set_up(struct bm_landscape *landscape) {
    struct bm_campaign *campaign = landscape->campaign;
    const struct bm_options *options = campaign->options;
    campaign->of.precision = options->precision.names[0];
    campaign->of.threads = (uint32_t)options->threads.values[0];
    campaign->of.seed = options->seed.values[0];
    campaign->of.optimizer = (uint32_t)bm_optimizer_find(options->optimizer.names[0]);
    campaign->of.reference_fd = -1;
    campaign->of.lr = 1e-4; /* of sessions that do not train */
    int32_t status = bm_campaign_divide(campaign);
    status = status ? status : make_model(landscape);
    if (status == BM_STATUS_OK) {
        bm_campaign_plan_batches(campaign);
        status = choose_row(landscape);
    }
    return status;
}

/* What was asked for and is missing or not all there, so that nobody takes that for a result. */
static void tell_rest(struct bm_landscape *landscape, size_t analysis) {
    char reason[BM_NAME_SIZE];
    json_t *object = bm_landscape_object(analyses[analysis].name, "rest");
    (void)snprintf(reason, sizeof reason, "not reached: %s", bm_landscape_stop_text());
    bm_landscape_fail(object, "skipped", reason);
    bm_landscape_write(landscape, object);
}

static int32_t measure(struct bm_campaign *campaign) {
    struct bm_landscape *landscape = campaign->own;
    uint32_t is_right = 0;
    int32_t status = set_up(landscape);
    if (status == BM_STATUS_OK && !bm_landscape_stopped(landscape)) {
        status = bm_landscape_check(landscape, &is_right, campaign->error);
    }
    if (status != BM_STATUS_OK || (!is_right && !bm_landscape_stopped(landscape))) {
        return status;
    }
    if (landscape->point_count == 0 && needs_points(landscape) &&
        !bm_landscape_stopped(landscape)) {
        status = bm_landscape_points_train(landscape, campaign->error);
    }
    for (size_t i = 0; i < ANALYSIS_COUNT && status == BM_STATUS_OK; i++) {
        if (!is_asked_for(landscape, i)) {
            continue;
        }
        if (!bm_landscape_stopped(landscape)) {
            status = analyses[i].run(landscape);
        }
        if (status == BM_STATUS_OK && bm_landscape_stopped(landscape)) {
            tell_rest(landscape, i);
        }
    }
    return status;
}

int bm_command_landscape(int argc, char **argv) {
    static const struct bm_campaign_command command = {
        .bit = BM_COMMAND_LANDSCAPE,
        .name = "landscape",
        .words = "[ANALYSIS...] [FILES...]",
        .about =
            "Why noise and momentum help, computed on a backend. Analyses, all if none is named:\n"
            "  escape     descent on surfaces with hills and saddles, and from a saddle of a "
            "network\n"
            "  noise      gradient noise scale along a training\n"
            "  line       loss along lines between two sets of parameters, and on a plane\n"
            "  hessian    largest and smallest eigenvalues, trace, kind of critical point\n"
            "  sharpness  Keskar's metric, and what re-scaling does to it\n\n"
            "FILES are checkpoints of `batchmark train --keep`, and records of `train` for noise; "
            "without\ncheckpoints the networks are trained first, one for each batch size and "
            "seed.",
        .prepare = prepare,
        .plan = print_plan,
        .measure = measure,
    };
    struct bm_landscape *landscape = calloc(1, sizeof *landscape);
    if (landscape == NULL) {
        (void)fprintf(stderr, "batchmark landscape: no memory\n");
        return BM_EXIT_USAGE;
    }
    int code = bm_campaign_run(&command, landscape, argc, argv);
    json_decref(landscape->knees);
    bm_landscape_points_free(landscape);
    free(landscape);
    return code;
}
