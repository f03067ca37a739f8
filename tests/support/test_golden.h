/* Records and what is printed of them, kept in tests/golden; every failure ends the test. */
#ifndef BM_TEST_GOLDEN_H
#define BM_TEST_GOLDEN_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* A renderer of records: table.h, train_table.h, landscape_table.h. */
typedef void
bm_test_printer(const json_t *objects, uint32_t format, uint32_t verbose, FILE *stream);

/* The objects of a whole record. The caller's. */
json_t *bm_test_read_record(const char *folder, const char *name);

/* What it prints. The caller's, to be freed. */
char *
bm_test_print(bm_test_printer *printer, const json_t *objects, uint32_t format, uint32_t verbose);

/* What it prints is what the file holds; with BM_TEST_UPDATE set the file is written first. */
void bm_test_golden(bm_test_printer *printer,
                    const json_t *objects,
                    uint32_t format,
                    uint32_t verbose,
                    const char *folder,
                    const char *name);

#endif
