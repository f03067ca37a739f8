/* Steps in the format of Google Benchmark: as many as a round has, and no sum that does not fit, of
 * a record that somebody wrote. */
#include "gbench_format.h"
#include "test.h"

#include <stdint.h>

#define VALUES 20

/* A cell with one round of updates of 5 ns, and what is printed of it. The caller's. */
static json_t *print(json_int_t block) {
    char *text = NULL;
    size_t size = 0;
    json_t *samples = json_array();
    for (int i = 0; i < VALUES; i++) {
        (void)json_array_append_new(samples, json_real(5));
    }
    json_t *objects =
        json_pack("[{s:s, s:s, s:{s:I, s:[i], s:o}}]", "kind", "cell", "status", "ok", "update",
                  "block", block, "round_counts", VALUES, "samples_ns", samples);
    FILE *stream = open_memstream(&text, &size);
    TEST_CHECK(objects != NULL && stream != NULL);
    bm_gbench_format_print(objects, stream);
    TEST_CHECK(fclose(stream) == 0);
    json_t *document = json_loads(text, 0, NULL);
    TEST_CHECK_MSG(document != NULL, "%s", text);
    free(text);
    json_decref(objects);
    return document;
}

static void check_steps(json_int_t block, json_int_t expected) {
    json_t *document = print(block);
    const json_t *benchmarks = json_object_get(document, "benchmarks");
    json_int_t found =
        json_integer_value(json_object_get(json_array_get(benchmarks, 0), "iterations"));
    TEST_CHECK_MSG(json_array_size(benchmarks) == 1 && found == expected, "block %d: %zu, %d",
                   (int)block, json_array_size(benchmarks), (int)found);
    json_decref(document);
}

static void check_left_out(json_int_t block) {
    json_t *document = print(block);
    TEST_CHECK(json_array_size(json_object_get(document, "benchmarks")) == 0);
    json_decref(document);
}

int main(void) {
    check_steps(1, VALUES);
    check_steps(1000000, 1000000 * VALUES);
    check_left_out(INT64_C(900000000000000000));
    check_left_out(INT64_C(100000000000000000)); /* 20 of them fit, 400 do not */
    return 0;
}
