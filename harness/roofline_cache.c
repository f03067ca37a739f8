#include "roofline_cache.h"

#include "cache.h"
#include "environment.h"
#include "error.h"
#include "roofline_probe.h"

#include <string.h>

#define SCHEMA 1    /* of the file: other loops or counts are another number */
#define PROBE_S 1.2 /* for all points together, about */

json_t *bm_roofline_key(void) {
    static const char *const of_host[] = {"cpu", "isa", "cores", "processors", "caches"};
    static const char *const of_build[] = {"version", "compiler", "flags"};
    json_t *key = json_pack("{s:i}", "schema", SCHEMA);
    json_t *host = bm_environment_host();
    json_t *build = bm_environment_build();
    for (size_t i = 0; i < sizeof of_host / sizeof of_host[0]; i++) {
        (void)json_object_set(key, of_host[i], json_object_get(host, of_host[i]));
    }
    for (size_t i = 0; i < sizeof of_build / sizeof of_build[0]; i++) {
        (void)json_object_set(key, of_build[i], json_object_get(build, of_build[i]));
    }
    json_decref(host);
    json_decref(build);
    return key;
}

/* ---- The file ---- */

int32_t bm_roofline_cache_path(char *path, size_t capacity) {
    char machine[BM_NAME_SIZE];
    char name[BM_NAME_SIZE + 16];
    bm_environment_machine(machine, sizeof machine);
    (void)snprintf(name, sizeof name, "roofline-%s.json", machine);
    return bm_cache_path(name, path, capacity);
}

int32_t bm_roofline_cache_read(const char *path, const json_t *key, struct bm_roofline *roofline) {
    roofline->point_count = 0;
    json_t *object = bm_cache_read(path);
    int32_t good = bm_roofline_from_json(object, key, roofline);
    json_decref(object);
    return good;
}

int32_t bm_roofline_cache_write(const char *path,
                                const json_t *key,
                                const struct bm_roofline *roofline,
                                struct bm_error *error) {
    json_t *object = bm_roofline_json(roofline, key);
    int32_t status = bm_cache_write(path, object, error);
    json_decref(object);
    return status;
}

/* ---- Measuring what is missing ---- */

struct thread_counts {
    uint32_t count;
    uint32_t threads[BM_ROOFLINE_POINTS_MAX];
};

/* One thread and the wanted numbers, each once, that are not known. */
static void find_missing(const struct bm_roofline_wish *wish,
                         const struct bm_roofline *roofline,
                         int32_t steady_only,
                         struct thread_counts *missing) {
    missing->count = 0;
    for (uint32_t i = 0; i < wish->threads->count + 1; i++) {
        uint32_t threads = i == 0 ? 1 : (uint32_t)wish->threads->values[i - 1];
        const struct bm_roofline_point *point = bm_roofline_find(roofline, threads);
        int32_t known = point != NULL && (!steady_only || bm_roofline_is_steady(point));
        for (uint32_t k = 0; k < missing->count; k++) {
            known |= missing->threads[k] == threads;
        }
        if (!known) {
            missing->threads[missing->count++] = threads;
        }
    }
}

/* A point that was known is kept where it was better. */
static void add_point(struct bm_roofline *roofline, const struct bm_roofline_point *point) {
    for (uint32_t i = 0; i < roofline->point_count; i++) {
        if (roofline->point[i].threads == point->threads) {
            bm_roofline_merge(&roofline->point[i], point);
            return;
        }
    }
    BM_ASSERT(roofline->point_count < BM_ROOFLINE_POINTS_MAX);
    roofline->point[roofline->point_count++] = *point;
}

static int32_t measure(const struct bm_roofline_wish *wish,
                       const struct thread_counts *missing,
                       struct bm_roofline *roofline,
                       struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (uint32_t i = 0; i < missing->count && status == BM_STATUS_OK; i++) {
        struct bm_roofline_point point;
        struct bm_roofline_request request = {
            .threads = missing->threads[i],
            .seconds = PROBE_S / missing->count,
            .progress = wish->progress,
            .context = wish->context,
        };
        status = bm_roofline_probe(&request, &point, error);
        if (status == BM_STATUS_OK) {
            add_point(roofline, &point);
        }
    }
    return status;
}

static void set_source(struct bm_roofline *roofline, const char *source) {
    (void)snprintf(roofline->source, sizeof roofline->source, "%s", source);
}

static void set_reason(struct bm_roofline *roofline, const char *reason) {
    roofline->point_count = 0;
    (void)snprintf(roofline->reason, sizeof roofline->reason, "%s", reason);
}

/* From the cache what is there; measures the rest, and anew what was disturbed. */
static void take_or_measure(const struct bm_roofline_wish *wish,
                            const json_t *key,
                            struct bm_roofline *roofline) {
    char path[BM_PATH_SIZE];
    struct thread_counts missing;
    struct bm_error error = {0};
    int32_t placed = bm_roofline_cache_path(path, sizeof path);
    int32_t timely = wish->time_limit_s >= BM_ROOFLINE_TIME_LIMIT_MIN_S;
    if (placed && strcmp(wish->mode, "measure") != 0) {
        (void)bm_roofline_cache_read(path, key, roofline);
    }
    find_missing(wish, roofline, timely, &missing);
    if (roofline->point_count + missing.count > BM_ROOFLINE_POINTS_MAX) {
        roofline->point_count = 0;
        find_missing(wish, roofline, timely, &missing);
    }
    set_source(roofline, missing.count == 0 ? "cache" : "measured");
    if (missing.count == 0) {
        return;
    }
    if (!timely) {
        set_reason(roofline, "not measured within a time limit below 10 s");
    } else if (measure(wish, &missing, roofline, &error) != BM_STATUS_OK) {
        set_reason(roofline, error.text);
    } else if (placed) {
        (void)bm_roofline_cache_write(path, key, roofline, &error);
    }
}

void bm_roofline_get(const struct bm_roofline_wish *wish, struct bm_roofline *roofline) {
    struct thread_counts missing;
    memset(roofline, 0, sizeof *roofline);
    if (strcmp(wish->mode, "none") == 0) {
        set_reason(roofline, "--roofline none");
        return;
    }
    json_t *key = bm_roofline_key();
    int32_t earlier = bm_roofline_from_json(wish->earlier, key, roofline);
    find_missing(wish, roofline, 0, &missing);
    if (earlier && missing.count == 0) {
        set_source(roofline, "earlier run");
    } else {
        roofline->point_count = 0;
        take_or_measure(wish, key, roofline);
    }
    json_decref(key);
}
