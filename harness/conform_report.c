#include "conform_report.h"

#include "field.h"
#include "xml_text.h"

#include <string.h>

/* ---- Table ---- */

/* The networks that a backend does not support can be a long list. */
#define NOTE_MAX 100

/* No character is cut in two. */
static void print_cut(const char *text, FILE *stream) {
    size_t length = strlen(text);
    size_t end = length > NOTE_MAX ? NOTE_MAX : length;
    while (end < length && end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80) {
        end--;
    }
    (void)fprintf(stream, "%.*s%s", (int)end, text, end < length ? "..." : "");
}

/* Of a property the last part, which is what was measured; of what is unsupported the first. */
static void print_note(const json_t *object, FILE *stream) {
    const char *note = bm_field_text(object, "reason");
    const char *next = strstr(note, "; ");
    if (bm_field_has_status(object, "unsupported") && next != NULL) {
        (void)fprintf(stream, "%.*s; ...", (int)(next - note), note);
    } else if (bm_field_has_status(object, "unsupported")) {
        (void)fputs(note, stream);
    } else if (json_is_true(json_object_get(object, "property")) && next != NULL) {
        for (; next != NULL; next = strstr(note, "; ")) {
            note = next + 2;
        }
        (void)fputs("...; ", stream);
        print_cut(note, stream);
    } else {
        print_cut(note, stream);
    }
}

/* Failures are always whole. */
static void print_reason_of(const json_t *object, int whole, FILE *stream) {
    const char *reason = bm_field_text(object, "reason");
    int cuts = bm_field_has_status(object, "pass") || bm_field_has_status(object, "unsupported");
    if (reason[0] == '\0') {
        return;
    }
    (void)fputs(": ", stream);
    if (cuts && !whole && strlen(reason) > NOTE_MAX) {
        print_note(object, stream);
    } else {
        (void)fputs(reason, stream);
    }
}

static void print_case(const json_t *object, int whole, FILE *stream) {
    int property = json_is_true(json_object_get(object, "property"));
    int passed = bm_field_has_status(object, "pass");
    const char *word = bm_field_text(object, "status");
    if (property && passed) {
        word = "holds";
    } else if (property && bm_field_has_status(object, "fail")) {
        word = "does not hold";
    }
    (void)fprintf(stream, "  %3d %-28s %s",
                  (int)json_integer_value(json_object_get(object, "number")),
                  bm_field_text(object, "name"), word);
    print_reason_of(object, whole, stream);
    (void)fputc('\n', stream);
    if (!passed && !property && !bm_field_has_status(object, "unsupported")) {
        (void)fprintf(stream, "      expected: %s\n      again: %s\n",
                      bm_field_text(object, "holds"), bm_field_text(object, "repro"));
    }
}

static void print_device(const json_t *object, FILE *stream) {
    (void)fprintf(stream, "%s:%d  %s, conformance %s\n", bm_field_text(object, "backend"),
                  (int)json_integer_value(json_object_get(object, "device")),
                  bm_field_text(object, "device_name"), bm_field_text(object, "version"));
}

static void print_end(const json_t *object, FILE *stream) {
    (void)fprintf(stream, "%s\n", bm_field_text(object, "verdict"));
}

void bm_conform_report_line(const json_t *object, int whole, FILE *stream) {
    if (bm_field_is_kind(object, "conformance")) {
        print_device(object, stream);
    } else if (bm_field_is_kind(object, "case")) {
        print_case(object, whole, stream);
    } else {
        print_end(object, stream);
    }
    (void)fflush(stream);
}

/* ---- JUnit, as the schema of Jenkins and GitLab has it ---- */

/* An element that says why; `tag` NULL: nothing to say. */
static void print_reason(const char *tag, const json_t *object, FILE *stream) {
    if (tag != NULL) {
        (void)fprintf(stream, "      <%s message=\"", tag);
        bm_xml_text_print(bm_field_text(object, "reason"), stream);
        (void)fprintf(stream, "\">");
        if (strcmp(tag, "skipped") != 0) {
            bm_xml_text_print(bm_field_text(object, "repro"), stream);
        }
        (void)fprintf(stream, "</%s>\n", tag);
    }
}

/* A property that does not hold is no failure: it is shown as skipped, with what was found. */
static const char *tag_of(const json_t *object) {
    if (bm_field_has_status(object, "pass")) {
        return NULL;
    }
    if (bm_field_has_status(object, "unsupported") ||
        (json_is_true(json_object_get(object, "property")) &&
         !json_is_true(json_object_get(object, "counts")))) {
        return "skipped";
    }
    return bm_field_has_status(object, "fail") ? "failure" : "error";
}

static void print_test_case(const json_t *object, FILE *stream) {
    (void)fprintf(stream, "    <testcase classname=\"%s.%d\" name=\"%s\" time=\"%.3f\">\n",
                  bm_field_text(object, "backend"),
                  (int)json_integer_value(json_object_get(object, "device")),
                  bm_field_text(object, "name"),
                  json_real_value(json_object_get(object, "seconds")));
    print_reason(tag_of(object), object, stream);
    (void)fprintf(stream, "    </testcase>\n");
}

static int count_tag(const json_t *objects, size_t begin, size_t end, const char *tag) {
    int count = 0;
    for (size_t i = begin; i < end; i++) {
        const char *own = tag_of(json_array_get(objects, i));
        count += own != NULL && strcmp(own, tag) == 0;
    }
    return count;
}

static void print_suite(const json_t *objects, size_t begin, FILE *stream) {
    const json_t *head = json_array_get(objects, begin);
    size_t end = begin + 1;
    while (end < json_array_size(objects) &&
           bm_field_is_kind(json_array_get(objects, end), "case")) {
        end++;
    }
    (void)fprintf(
        stream,
        "  <testsuite name=\"%s:%d conformance %s\" tests=\"%zu\" failures=\"%d\" "
        "errors=\"%d\" skipped=\"%d\">\n",
        bm_field_text(head, "backend"), (int)json_integer_value(json_object_get(head, "device")),
        bm_field_text(head, "version"), end - begin - 1,
        count_tag(objects, begin + 1, end, "failure"), count_tag(objects, begin + 1, end, "error"),
        count_tag(objects, begin + 1, end, "skipped"));
    for (size_t i = begin + 1; i < end; i++) {
        print_test_case(json_array_get(objects, i), stream);
    }
    (void)fprintf(stream, "  </testsuite>\n");
}

static void print_junit(const json_t *objects, FILE *stream) {
    (void)fprintf(stream, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (size_t i = 0; i < json_array_size(objects); i++) {
        if (bm_field_is_kind(json_array_get(objects, i), "conformance")) {
            print_suite(objects, i, stream);
        }
    }
    (void)fprintf(stream, "</testsuites>\n");
}

/* ---- JSON lines ---- */

void bm_conform_report(const json_t *objects, const char *format, FILE *stream) {
    size_t index;
    const json_t *object;
    if (strcmp(format, "junit") == 0) {
        print_junit(objects, stream);
        return;
    }
    json_array_foreach(objects, index, object) {
        (void)json_dumpf(object, stream, JSON_COMPACT | JSON_REAL_PRECISION(9));
        (void)fputc('\n', stream);
    }
}
