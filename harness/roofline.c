#include "roofline.h"

#include "error.h"

#include <math.h>
#include <string.h>

#define THREADS_MAX 65536
#define STEADY 0.95 /* share of the processors */

const char *const bm_roofline_level_names[BM_ROOFLINE_LEVELS] = {"L2", "L3", "memory"};

const struct bm_roofline_point *bm_roofline_find(const struct bm_roofline *roofline,
                                                 uint32_t threads) {
    for (uint32_t i = 0; i < roofline->point_count; i++) {
        if (roofline->point[i].threads == threads) {
            return &roofline->point[i];
        }
    }
    return NULL;
}

int32_t bm_roofline_is_steady(const struct bm_roofline_point *point) {
    double least = point->multiply_add.cpu_share;
    for (uint32_t i = 0; i < BM_ROOFLINE_LEVELS; i++) {
        if (point->level[i].bytes > 0) {
            least = fmin(least, point->level[i].read.cpu_share);
            least = fmin(least, point->level[i].update.cpu_share);
        }
    }
    return least >= STEADY;
}

static void merge_rate(struct bm_roofline_rate *rate, const struct bm_roofline_rate *other) {
    double median = fmax(rate->median, other->median);
    double cpu_share = fmax(rate->cpu_share, other->cpu_share);
    if (other->best > rate->best) {
        *rate = *other;
    }
    rate->median = median;
    rate->cpu_share = cpu_share;
}

void bm_roofline_merge(struct bm_roofline_point *point, const struct bm_roofline_point *other) {
    BM_ASSERT(point->threads == other->threads);
    merge_rate(&point->multiply_add, &other->multiply_add);
    for (uint32_t i = 0; i < BM_ROOFLINE_LEVELS; i++) {
        merge_rate(&point->level[i].read, &other->level[i].read);
        merge_rate(&point->level[i].update, &other->level[i].update);
    }
}

/* Bandwidth of a level for bounds: the larger of its two, since what moves both ways may exceed
 * what only reads, or fall below. */
static double bandwidth_of(const struct bm_roofline_level *level) {
    return level->read.best > level->update.best ? level->read.best : level->update.best;
}

void bm_roofline_bound(const struct bm_roofline_point *point, struct bm_bound *bound) {
    uint32_t level = BM_ROOFLINE_L2;
    while (level < BM_ROOFLINE_MEMORY && bound->working_bytes > point->level[level].bytes) {
        level++;
    }
    double compute_ns = 1e9 * bound->flops / point->multiply_add.best;
    double memory_ns = 1e9 * bound->bytes / bandwidth_of(&point->level[level]);
    bound->ns = compute_ns > memory_ns ? compute_ns : memory_ns;
    bound->level = bm_roofline_level_names[level];
    bound->limit = compute_ns > memory_ns ? "compute" : "memory";
}

/* ---- To JSON ---- */

static json_t *rate_json(const struct bm_roofline_rate *rate) {
    return json_pack("{s:f, s:f, s:f, s:s}", "best", rate->best, "median", rate->median,
                     "cpu_share", rate->cpu_share, "isa", rate->isa);
}

static json_t *level_json(const char *name, const struct bm_roofline_level *level) {
    return json_pack("{s:s, s:o, s:o, s:o}", "name", name, "bytes",
                     isinf(level->bytes) ? json_null() : json_real(level->bytes),
                     "read_bytes_per_s", rate_json(&level->read), "update_bytes_per_s",
                     rate_json(&level->update));
}

static json_t *point_json(const struct bm_roofline_point *point) {
    json_t *levels = json_array();
    for (uint32_t i = 0; i < BM_ROOFLINE_LEVELS; i++) {
        if (point->level[i].bytes > 0) {
            (void)json_array_append_new(levels,
                                        level_json(bm_roofline_level_names[i], &point->level[i]));
        }
    }
    return json_pack("{s:i, s:b, s:o, s:o}", "threads", (int)point->threads, "steady",
                     (int)bm_roofline_is_steady(point), "flop_per_s",
                     rate_json(&point->multiply_add), "levels", levels);
}

json_t *bm_roofline_json(const struct bm_roofline *roofline, const json_t *key) {
    json_t *points = json_array();
    for (uint32_t i = 0; i < roofline->point_count; i++) {
        (void)json_array_append_new(points, point_json(&roofline->point[i]));
    }
    return json_pack("{s:s, s:o, s:o}", "source", roofline->source, "key", json_deep_copy(key),
                     "points", points);
}

/* ---- From JSON ---- */

static int32_t read_positive(const json_t *object, const char *name, double *number) {
    *number = json_number_value(json_object_get(object, name));
    return *number > 0 && isfinite(*number);
}

static int32_t read_rate(const json_t *object, struct bm_roofline_rate *rate) {
    const char *isa = json_string_value(json_object_get(object, "isa"));
    (void)snprintf(rate->isa, sizeof rate->isa, "%s", isa == NULL ? "" : isa);
    return isa != NULL && read_positive(object, "best", &rate->best) &&
           read_positive(object, "median", &rate->median) &&
           read_positive(object, "cpu_share", &rate->cpu_share);
}

static uint32_t level_index(const char *name) {
    uint32_t i = 0;
    while (i < BM_ROOFLINE_LEVELS &&
           (name == NULL || strcmp(name, bm_roofline_level_names[i]) != 0)) {
        i++;
    }
    return i;
}

static int32_t read_level(const json_t *object, struct bm_roofline_point *point) {
    uint32_t index = level_index(json_string_value(json_object_get(object, "name")));
    if (index == BM_ROOFLINE_LEVELS) {
        return 0;
    }
    struct bm_roofline_level *level = &point->level[index];
    int32_t sized = index == BM_ROOFLINE_MEMORY || read_positive(object, "bytes", &level->bytes);
    if (index == BM_ROOFLINE_MEMORY) {
        level->bytes = INFINITY;
    }
    return sized && read_rate(json_object_get(object, "read_bytes_per_s"), &level->read) &&
           read_rate(json_object_get(object, "update_bytes_per_s"), &level->update);
}

static int32_t read_point(const json_t *object, struct bm_roofline_point *point) {
    const json_t *levels = json_object_get(object, "levels");
    json_int_t threads = json_integer_value(json_object_get(object, "threads"));
    size_t index;
    const json_t *level;
    memset(point, 0, sizeof *point);
    if (threads < 1 || threads > THREADS_MAX ||
        !read_rate(json_object_get(object, "flop_per_s"), &point->multiply_add)) {
        return 0;
    }
    point->threads = (uint32_t)threads;
    json_array_foreach(levels, index, level) {
        if (!read_level(level, point)) {
            return 0;
        }
    }
    return point->level[BM_ROOFLINE_MEMORY].bytes > 0;
}

int32_t
bm_roofline_from_json(const json_t *object, const json_t *key, struct bm_roofline *roofline) {
    const json_t *points = json_object_get(object, "points");
    size_t index;
    const json_t *point;
    roofline->point_count = 0;
    if (!json_equal(json_object_get(object, "key"), key) || json_array_size(points) == 0 ||
        json_array_size(points) > BM_ROOFLINE_POINTS_MAX) {
        return 0;
    }
    json_array_foreach(points, index, point) {
        if (!read_point(point, &roofline->point[index])) {
            return 0;
        }
    }
    roofline->point_count = (uint32_t)json_array_size(points);
    return 1;
}
