/* Records, read as hostile input: all that `report`, `compare` and `history` make of them. */
#include "fuzz.h"
#include "report.h"
#include "stored_record.h"

#include <stdio.h>
#include <stdlib.h>

static void show(const struct bm_report *report, FILE *nowhere) {
    static const char *const formats[] = {"table", "markdown", "csv", "gbench"};
    struct bm_error error;
    json_t *data = bm_report_data(report, &error);
    json_decref(data);
    for (uint32_t i = 0; data != NULL && i < sizeof formats / sizeof formats[0]; i++) {
        (void)bm_report_print(report, formats[i], nowhere, "nowhere", &error);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *nowhere;
    static struct bm_options options;
    struct bm_report report = {.options = &options};
    struct bm_stored_record stored;
    struct bm_error error;
    const char *path = bm_fuzz_file(data, size);
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "w");
        if (nowhere == NULL) {
            abort();
        }
    }
    if (bm_report_read(&report, path, &error) == BM_STATUS_OK) {
        show(&report, nowhere);
    }
    bm_report_deinit(&report);
    if (bm_stored_open(path, "update", &stored, &error) == BM_STATUS_OK) {
        bm_stored_close(&stored);
    }
    return 0;
}
