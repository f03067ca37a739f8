/* What came of the cases of `batchmark check`, as the user wants to read it. */
#ifndef BM_CONFORM_REPORT_H
#define BM_CONFORM_REPORT_H

#include <jansson.h>
#include <stdio.h>

/* Objects: one of kind "conformance" for each device ({version, backend, device, device_name,
 * plugin{name, sha256, by_trust, version}}), followed by its cases, kind "case" ({number, name,
 * property, holds, backend, device, status, reason, seconds, repro}; status: pass, fail,
 * unsupported, crashed, timeout, error), and one of kind "end". Format: jsonl or junit. */
void bm_conform_report(const json_t *objects, const char *format, FILE *stream);

/* One line of the table, while it grows. Long notes are cut unless all is `whole`, those of
 * failures never. */
void bm_conform_report_line(const json_t *object, int whole, FILE *stream);

#endif
