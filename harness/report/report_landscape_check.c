/* Objects of `landscape` as hostile input: types, sizes, and lists that tell of the same points. */
#include "error.h"
#include "field.h"
#include "report_landscape.h"

#include <string.h>

static int32_t check_members(const struct bm_report_place *place,
                             const json_t *object,
                             const struct bm_report_member *members,
                             struct bm_error *error);

/* ---- Lists ---- */

static int are_numbers(const json_t *list, size_t most) {
    size_t i;
    const json_t *value;
    if (!json_is_array(list) || json_array_size(list) > most) {
        return 0;
    }
    json_array_foreach(list, i, value) {
        if (!json_is_number(value) && !json_is_null(value)) {
            return 0;
        }
    }
    return 1;
}

static int are_texts(const json_t *list) {
    size_t i;
    const json_t *value;
    if (!json_is_array(list) || json_array_size(list) > BM_REPORT_OBJECTS_MAX) {
        return 0;
    }
    json_array_foreach(list, i, value) {
        if (!json_is_string(value)) {
            return 0;
        }
    }
    return 1;
}

static int are_points(const json_t *list) {
    size_t i;
    const json_t *point;
    if (!json_is_array(list) || json_array_size(list) > BM_REPORT_LIST_MAX) {
        return 0;
    }
    json_array_foreach(list, i, point) {
        if (!are_numbers(point, BM_REPORT_DIMENSIONS_MAX)) {
            return 0;
        }
    }
    return 1;
}

/* ---- Members ---- */

static const char *const expected[] = {[BM_REPORT_TEXT] = "a text",
                                       [BM_REPORT_NUMBER] = "a number",
                                       [BM_REPORT_FLAG] = "true or false",
                                       [BM_REPORT_NUMBERS] = "a list of at most 2000 numbers",
                                       [BM_REPORT_TEXTS] = "a list of at most 512 texts",
                                       [BM_REPORT_GRID] = "a grid of at most 201 x 201 numbers",
                                       [BM_REPORT_POINTS] =
                                           "a list of at most 2000 points of at most 8 numbers",
                                       [BM_REPORT_OBJECT] = "an object",
                                       [BM_REPORT_OBJECTS] = "a list of at most 512 objects",
                                       [BM_REPORT_ANY] = "anything"};

static int fits(const json_t *value, enum bm_report_shape shape) {
    switch (shape) {
    case BM_REPORT_TEXT:
        return json_is_string(value);
    case BM_REPORT_NUMBER:
        return json_is_number(value);
    case BM_REPORT_FLAG:
        return json_is_boolean(value);
    case BM_REPORT_NUMBERS:
        return are_numbers(value, BM_REPORT_LIST_MAX);
    case BM_REPORT_TEXTS:
        return are_texts(value);
    case BM_REPORT_GRID:
        return are_numbers(value, BM_REPORT_GRID_MAX);
    case BM_REPORT_POINTS:
        return are_points(value);
    case BM_REPORT_OBJECT:
        return json_is_object(value);
    case BM_REPORT_OBJECTS:
        return json_is_array(value) && json_array_size(value) <= BM_REPORT_OBJECTS_MAX;
    case BM_REPORT_ANY:
        return 1;
    }
    return 0;
}

static int32_t check_inside(const struct bm_report_place *place,
                            const json_t *value,
                            const struct bm_report_member *member,
                            struct bm_error *error) {
    size_t i;
    const json_t *one;
    int32_t status = BM_STATUS_OK;
    if (member->shape == BM_REPORT_OBJECT) {
        return check_members(place, value, member->of, error);
    }
    json_array_foreach(value, i, one) {
        if (status == BM_STATUS_OK && !json_is_object(one)) {
            status = bm_report_refuse(place, member->key, "objects", one, error);
        }
        status = status ? status : check_members(place, one, member->of, error);
    }
    return status;
}

static int32_t check_members(const struct bm_report_place *place,
                             const json_t *object,
                             const struct bm_report_member *members,
                             struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (; status == BM_STATUS_OK && members->key != NULL; members++) {
        const json_t *value = json_object_get(object, members->key);
        int is_absent = value == NULL || json_is_null(value);
        if (is_absent ? members->is_needed : !fits(value, members->shape)) {
            return bm_report_refuse(place, members->key, expected[members->shape], value, error);
        }
        if (!is_absent && members->of != NULL) {
            status = check_inside(place, value, members, error);
        }
    }
    return status;
}

/* ---- Grids ---- */

static int32_t check_axis(const struct bm_report_place *place,
                          const json_t *object,
                          const char *name,
                          uint64_t most,
                          struct bm_error *error) {
    const json_t *axis = json_object_get(object, name);
    uint64_t count = bm_field_whole(axis, "count");
    if (count < 2 || count > most || !json_is_integer(json_object_get(axis, "count"))) {
        char text[64];
        (void)snprintf(text, sizeof text, "a count from 2 to %llu", (unsigned long long)most);
        return bm_report_refuse(place, name, text, json_object_get(axis, "count"), error);
    }
    if (!(bm_field_number(axis, "low") < bm_field_number(axis, "high"))) {
        return bm_report_refuse(place, name, "an axis whose low is below its high", axis, error);
    }
    return BM_STATUS_OK;
}

static int32_t
check_grid(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    int is_plane = json_is_object(json_object_get(object, "y"));
    const json_t *values = json_object_get(object, "values");
    uint64_t most = is_plane ? BM_REPORT_SIDE_MAX : BM_REPORT_LIST_MAX;
    int32_t status = check_axis(place, object, "x", most, error);
    uint64_t size = bm_field_whole(json_object_get(object, "x"), "count");
    if (is_plane) {
        status = status ? status : check_axis(place, object, "y", most, error);
        size *= bm_field_whole(json_object_get(object, "y"), "count");
    }
    /* What was cut may have lost its end. */
    int is_short = json_array_size(values) < size && !bm_field_has_status(object, "cut");
    if (status == BM_STATUS_OK && (is_short || json_array_size(values) > size)) {
        char text[64];
        (void)snprintf(text, sizeof text, "%llu numbers", (unsigned long long)size);
        json_t *found = json_integer((json_int_t)json_array_size(values));
        status = bm_report_refuse(place, "values", text, found, error);
        json_decref(found);
    }
    return status;
}

/* ---- Lists that belong together ---- */

/* The list at "curve.losses". */
static const json_t *list_at(const json_t *object, const char *name) {
    const char *dot = strchr(name, '.');
    if (dot == NULL) {
        return json_object_get(object, name);
    }
    char outer[32];
    (void)snprintf(outer, sizeof outer, "%.*s", (int)(dot - name), name);
    return json_object_get(json_object_get(object, outer), dot + 1);
}

/* An empty list is as good as none. */
static int32_t check_lengths(const struct bm_report_place *place,
                             const json_t *object,
                             const char *const *names,
                             struct bm_error *error) {
    size_t length = 0;
    for (; *names != NULL; names++) {
        const json_t *list = list_at(object, *names);
        size_t size = json_array_size(list);
        if (size > 0 && length > 0 && size != length) {
            char text[64];
            (void)snprintf(text, sizeof text, "%zu values as in the lists beside it", length);
            return bm_report_refuse(place, *names, text, list, error);
        }
        length = size > 0 ? size : length;
    }
    return BM_STATUS_OK;
}

static int32_t
check_paths(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const char *const names[] = {"x", "y", "off", "epochs", NULL};
    size_t i;
    const json_t *one;
    int32_t status = BM_STATUS_OK;
    json_array_foreach(json_object_get(object, "paths"), i, one) {
        status = status ? status : check_lengths(place, one, names, error);
    }
    return status;
}

/* ---- An object ---- */

static int32_t
check_status(const struct bm_report_place *place, const json_t *object, struct bm_error *error) {
    static const char *const names[] = {"ok",    "cut",     "unsupported", "error",
                                        "wrong", "crashed", "timeout",     "skipped"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (bm_field_has_status(object, names[i])) {
            return BM_STATUS_OK;
        }
    }
    return bm_report_refuse(place, "status", "ok, cut, skipped, ...",
                            json_object_get(object, "status"), error);
}

int bm_report_landscape_has_values(const json_t *object) {
    return bm_field_has_status(object, "ok") || bm_field_has_status(object, "cut");
}

static int is_own(const struct bm_report_member *members, const char *key) {
    for (; members != NULL && members->key != NULL; members++) {
        if (strcmp(members->key, key) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Those that all objects have, but for what the part calls by the same name. */
static int32_t check_common(const struct bm_report_place *place,
                            const json_t *object,
                            const struct bm_report_member *own,
                            struct bm_error *error) {
    int32_t status = BM_STATUS_OK;
    for (const struct bm_report_member *at = bm_report_landscape_common;
         status == BM_STATUS_OK && at->key != NULL; at++) {
        struct bm_report_member one[2] = {*at, {NULL, BM_REPORT_ANY, 0, NULL}};
        status = is_own(own, at->key) ? BM_STATUS_OK : check_members(place, object, one, error);
    }
    return status;
}

int32_t bm_report_check_landscape(const struct bm_report_place *place,
                                  const json_t *object,
                                  struct bm_error *error) {
    const char *part = bm_field_text(object, "part");
    const struct bm_report_member *own = bm_report_landscape_part(part);
    const char *const *parallel = bm_report_landscape_parallel(part);
    int32_t status = check_common(place, object, own, error);
    status = status ? status : check_status(place, object, error);
    if (status != BM_STATUS_OK || own == NULL || !bm_report_landscape_has_values(object)) {
        return status;
    }
    status = check_members(place, object, own, error);
    if (status == BM_STATUS_OK && is_own(own, "values")) {
        status = check_grid(place, object, error);
    }
    if (status == BM_STATUS_OK && parallel != NULL) {
        status = check_lengths(place, object, parallel, error);
    }
    return status ? status : check_paths(place, object, error);
}
