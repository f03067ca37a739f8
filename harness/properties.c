#include "properties.h"

#include "cache.h"

#include <stdio.h>
#include <string.h>

static int is_property(const struct bm_conform_case *which) {
    return (which->flags & BM_CONFORM_PROPERTY) != 0;
}

static uint32_t property_count(void) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        count += is_property(&bm_conform_cases[i]) != 0;
    }
    return count;
}

/* Settings change what a backend does: only what it does without any is known. */
static int has_no_settings(const struct bm_conform_subject *subject) {
    const struct bm_options *options = subject->options;
    for (uint32_t i = 0; i < options->setting_count; i++) {
        if (strcmp(options->setting[i].backend, subject->file->name) == 0) {
            return 0;
        }
    }
    return 1;
}

static int32_t path_of(const struct bm_conform_subject *subject, char *path, size_t capacity) {
    char name[128];
    (void)snprintf(name, sizeof name, "properties-%.64s-%u.json", subject->file->sha256,
                   subject->device_index);
    return has_no_settings(subject) && bm_cache_path(name, path, capacity);
}

/* What the properties were found for. */
static json_t *key_of(const struct bm_conform_subject *subject) {
    const json_t *name = json_object_get(subject->device, "name");
    const json_t *driver = json_object_get(subject->device, "driver");
    return json_pack("{s:i, s:i, s:s?, s:s?}", "major", (int)BM_CONFORM_MAJOR, "minor",
                     (int)BM_CONFORM_MINOR, "device", json_string_value(name), "driver",
                     json_string_value(driver));
}

json_t *bm_properties_known(const struct bm_conform_subject *subject) {
    char path[BM_PATH_SIZE];
    json_t *object = path_of(subject, path, sizeof path) ? bm_cache_read(path) : NULL;
    json_t *key = key_of(subject);
    json_t *properties = json_object_get(object, "properties");
    int good = json_equal(json_object_get(object, "key"), key) == 1 &&
               json_array_size(properties) == property_count();
    json_t *found = good ? json_incref(properties) : NULL;
    json_decref(key);
    json_decref(object);
    return found;
}

static void append(json_t *properties, const json_t *object) {
    static const char *const keys[] = {"name", "status", "reason"};
    json_t *property = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        (void)json_object_set(property, keys[i], json_object_get(object, keys[i]));
    }
    (void)json_array_append_new(properties, property);
}

static void write_cache(const struct bm_conform_subject *subject, json_t *properties) {
    char path[BM_PATH_SIZE];
    struct bm_error ignored;
    int is_usual = subject->options->threads.count == 0 && !subject->options->in_process;
    if (is_usual && path_of(subject, path, sizeof path)) {
        json_t *object = json_pack("{s:o, s:O}", "key", key_of(subject), "properties", properties);
        (void)bm_cache_write(path, object, &ignored);
        json_decref(object);
    }
}

json_t *bm_properties_find(const struct bm_conform_subject *subject) {
    json_t *properties = bm_properties_known(subject);
    if (properties != NULL) {
        return properties;
    }
    properties = json_array();
    for (uint32_t i = 0; i < bm_conform_case_count; i++) {
        json_t *object = NULL;
        if (!is_property(&bm_conform_cases[i])) {
            continue;
        }
        object = bm_conform_ask(subject, &bm_conform_cases[i]);
        if (object == NULL) {
            json_decref(properties);
            return NULL;
        }
        append(properties, object);
        json_decref(object);
    }
    write_cache(subject, properties);
    return properties;
}

void bm_properties_keep(const struct bm_conform_subject *subject, const json_t *objects) {
    json_t *properties = json_array();
    size_t index;
    const json_t *object;
    json_array_foreach(objects, index, object) {
        const char *backend = json_string_value(json_object_get(object, "backend"));
        if (json_is_true(json_object_get(object, "property")) && backend != NULL &&
            strcmp(backend, subject->file->name) == 0 &&
            json_integer_value(json_object_get(object, "device")) ==
                (json_int_t)subject->device_index) {
            append(properties, object);
        }
    }
    if (json_array_size(properties) == property_count()) {
        write_cache(subject, properties);
    }
    json_decref(properties);
}
