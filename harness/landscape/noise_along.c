/* The gradient noise scale at the points, along their trainings where these are known, and next to
 * it the knee of updates to a target. */
#include "error.h"
#include "knee.h"
#include "probe.h"
#include "record.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What McCandlish et al. (arXiv 1812.06162, table 1, B_simple) found with networks of their own. */
static const struct {
    const char *dataset;
    double start;
    double average;
} published[] = {{"mnist", 50, 900}, {"cifar10", 400, 2000}};

/* ---- One stop ---- */

static const char *stage_of(const struct bm_landscape_point *point, uint32_t index) {
    if (index == 0) {
        return "start";
    }
    if (index + 1 == point->path_count) {
        return "end";
    }
    return index == point->path_count / 2 ? "middle" : NULL;
}

static json_t *noise_json(const struct bm_noise *noise) {
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "slice", (json_int_t)noise->images,
                     "slices", (json_int_t)noise->slices, "gradient_squared",
                     bm_field_finite(noise->gradient2), "trace", bm_field_finite(noise->trace),
                     "scale", bm_field_finite(noise->scale), "low", bm_field_finite(noise->low),
                     "high", bm_field_finite(noise->high));
}

/* How many images the slices take together, and each of them; 0: too few for two slices. */
struct plan {
    uint64_t images;
    uint64_t slice;
};

static struct plan plan_of(const struct bm_probe *probe) {
    const struct bm_landscape_options *options = &probe->landscape->campaign->options->landscape;
    uint64_t all = probe->setup.dataset->split[BM_SPLIT_TRAIN].count;
    struct plan plan = {.images = all, .slice = options->slice};
    if (options->noise_images > 0 && options->noise_images < all) {
        plan.images = options->noise_images;
    }
    if (plan.slice > plan.images / 2) {
        plan.slice = plan.images / 2;
    }
    return plan;
}

/* The fields of a point and of a loss that is over slices, each of which normalizes alone. */
static json_t *
new_object(const struct bm_probe *probe, const struct bm_landscape_point *point, const char *part) {
    const struct plan plan = plan_of(probe);
    json_t *object = bm_probe_object(probe, "noise", part);
    bm_landscape_describe(point, object);
    (void)json_object_set_new(object, "images", json_integer((json_int_t)plan.images));
    if (probe->statistics_count > 0) {
        (void)json_object_set_new(object, "batch_norm",
                                  json_sprintf("ghost-%llu", (unsigned long long)plan.slice));
    }
    return object;
}

/* What a measurement of a stop has found, for the average. */
struct sums {
    uint32_t count;
    double scale;
    double low;
    double high;
    double gradient2; /* of all stops, also where the scale is not known */
    double trace;
    double error; /* of gradient2: trace / low - gradient2 of each, as if they erred together */
    json_t *from;
};

static void add_to(struct sums *sums, const struct bm_noise *noise) {
    (void)json_array_append_new(sums->from, bm_field_finite(noise->scale));
    if (isfinite(noise->scale)) {
        sums->count++;
        sums->scale += noise->scale;
        sums->low += noise->low;
        sums->high += noise->high; /* NAN: no upper limit, nor of the mean */
    }
    sums->gradient2 += noise->gradient2;
    sums->trace += noise->trace;
    sums->error += noise->trace / noise->low - noise->gradient2;
}

static double above_zero(double value) {
    return value > 0 ? value : (double)NAN;
}

/* Both averaged apart, then divided: as the paper's appendix A.1 smooths its estimates, but over
 * all of the training. Early stops, where gradients are large, weigh most. */
static json_t *pooled_json(const struct sums *sums) {
    double low = sums->trace / above_zero(sums->gradient2 + sums->error);
    double high = sums->trace / above_zero(sums->gradient2 - sums->error);
    return json_pack("{s:o, s:o, s:o}", "scale",
                     bm_field_finite(sums->trace / above_zero(sums->gradient2)), "low",
                     bm_field_finite(low), "high", bm_field_finite(high));
}

static int32_t measure_at(struct bm_probe *probe,
                          const struct bm_landscape_point *point,
                          const struct bm_landscape_stop *stop,
                          const char *stage,
                          struct sums *sums,
                          struct bm_error *error) {
    const struct bm_rate_plan rate = bm_rate_plan_defaults(BM_RATE_CONSTANT, 1e-3, 1, 1, 0);
    const struct plan plan = plan_of(probe);
    struct bm_noise noise = {0};
    bm_landscape_show(probe->landscape, "gradient noise of %s, epoch %g", point->name, stop->epoch);
    if (probe->statistics_count > 0) {
        memcpy(probe->statistics, stop->statistics, probe->statistics_count * sizeof(float));
    }
    int32_t status = bm_probe_begin(probe, &rate, NULL, stop->params, error);
    if (status == BM_STATUS_OK) {
        status = plan.slice == 0
                     ? bm_fail(error, BM_STATUS_UNSUPPORTED, "expected two images, found fewer")
                     : bm_probe_noise(probe, plan.slice, plan.images / plan.slice, &noise, error);
    }
    json_t *object = new_object(probe, point, "noise");
    (void)json_object_set_new(object, "at", stage == NULL ? json_null() : json_string(stage));
    (void)json_object_set_new(object, "update", json_integer((json_int_t)stop->update));
    (void)json_object_set_new(object, "epoch", json_real(stop->epoch));
    if (status == BM_STATUS_OK) {
        json_t *fields = noise_json(&noise);
        (void)json_object_update(object, fields);
        json_decref(fields);
        add_to(sums, &noise);
    } else {
        bm_probe_fail(probe, object, status, error);
    }
    bm_landscape_write(probe->landscape, object);
    return status;
}

/* ---- A training ---- */

static json_t *published_json(const char *dataset, double scale, double *within) {
    *within = (double)NAN;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        if (strcmp(published[i].dataset, dataset) == 0) {
            double ratio = scale / published[i].average;
            *within = fmax(ratio, 1 / ratio);
            return json_pack("{s:f, s:f}", "start", published[i].start, "average",
                             published[i].average);
        }
    }
    return json_null();
}

/* The mean over the stops, and the means of their limits, which is more than the mean's own
 * interval: their errors are of the same images. */
static void write_average(struct bm_probe *probe,
                          const struct bm_landscape_point *point,
                          const struct sums *sums) {
    double within = NAN;
    double count = sums->count > 0 ? (double)sums->count : (double)NAN;
    json_t *object = new_object(probe, point, "average");
    json_t *of_paper = published_json(probe->of.dataset->name, sums->scale / count, &within);
    json_t *fields =
        json_pack("{s:o, s:o, s:o, s:o, s:O, s:o, s:o}", "scale",
                  bm_field_finite(sums->scale / count), "low", bm_field_finite(sums->low / count),
                  "high", bm_field_finite(sums->high / count), "pooled", pooled_json(sums), "from",
                  sums->from, "published", of_paper, "within", bm_field_finite(within));
    (void)json_object_update(object, fields);
    json_decref(fields);
    if (sums->count == 0) {
        bm_landscape_fail(object, "skipped", "the gradient never stood out from the noise");
    }
    bm_landscape_write(probe->landscape, object);
}

static void measure_point(struct bm_landscape *landscape, const struct bm_landscape_point *point) {
    struct bm_error error = {0};
    struct bm_probe probe;
    struct sums sums = {.from = json_array()};
    struct bm_landscape_stop here = {.epoch = (double)point->state.epoch,
                                     .update = point->state.update - 1,
                                     .params = point->state.params,
                                     .statistics = point->state.statistics};
    int32_t status = bm_probe_open_point(landscape, point, &probe, &error);
    if (status != BM_STATUS_OK) {
        json_t *object = bm_landscape_object("noise", "noise");
        bm_landscape_describe(point, object);
        bm_probe_fail(&probe, object, status, &error);
        bm_landscape_write(landscape, object);
    } else if (point->path_count == 0) {
        (void)measure_at(&probe, point, &here, NULL, &sums, &error);
    } else {
        for (uint32_t i = 0; i < point->path_count && status == BM_STATUS_OK; i++) {
            status = measure_at(&probe, point, &point->path[i], stage_of(point, i), &sums, &error);
        }
        write_average(&probe, point, &sums);
    }
    bm_probe_close(&probe);
    json_decref(sums.from);
}

/* ---- Records ---- */

int32_t
bm_landscape_record_read(struct bm_landscape *landscape, const char *path, struct bm_error *error) {
    json_t *objects = NULL;
    uint32_t torn = 0;
    const char *slash = strrchr(path, '/');
    int32_t status = bm_record_read(path, &objects, &torn, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    json_t *knees = bm_knee_objects(objects, slash == NULL ? path : slash + 1);
    json_decref(objects);
    if (json_array_size(knees) == 0) {
        status =
            bm_fail(error, BM_STATUS_INVALID,
                    "%s: expected a record of `train` with targets (--target), found none", path);
    }
    landscape->knees = landscape->knees == NULL ? json_array() : landscape->knees;
    (void)json_array_extend(landscape->knees, knees);
    json_decref(knees);
    return status;
}

int32_t bm_landscape_noise(struct bm_landscape *landscape) {
    size_t index;
    json_t *knee;
    json_array_foreach(landscape->knees, index, knee) {
        bm_landscape_write(landscape, json_incref(knee));
    }
    for (uint32_t i = 0; i < landscape->point_count; i++) {
        if (!bm_landscape_stopped(landscape)) {
            measure_point(landscape, &landscape->points[i]);
        }
    }
    return BM_STATUS_OK;
}
