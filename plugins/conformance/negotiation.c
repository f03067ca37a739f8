/* What lets a host and a plugin of different age work together: ABI numbers, sizes of structs,
 * strides of arrays; and names and numbers that a plugin does not know. */
#include "cases.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The session that a failed create must take away. */
#define NO_SESSION ((struct bm_session *)(void *)&no_session)

static char no_session;

static struct bm_conform_session *open_session(struct bm_conform *conform) {
    const struct bm_conform_spec spec = {.layers = "dense 17, relu, dense 4",
                                         .input = {2, 5, 5},
                                         .optimizer = BM_OPTIMIZER_MOMENTUM,
                                         .thread_count = 2,
                                         .batch_max = 32,
                                         .image_count = 64};
    return bm_conform_open(conform, &spec);
}

/* ---- ABI numbers ---- */

/* Whether the text holds the number, and not as a part of a longer one. */
static int names_number(const char *text, uint32_t number) {
    char digits[16];
    (void)snprintf(digits, sizeof digits, "%u", number);
    for (const char *found = strstr(text, digits); found != NULL;
         found = strstr(found + 1, digits)) {
        int starts = found == text || !isdigit((unsigned char)found[-1]);
        if (starts && !isdigit((unsigned char)found[strlen(digits)])) {
            return 1;
        }
    }
    return 0;
}

static void check_refusal(struct bm_conform *conform,
                          uint32_t major,
                          uint32_t minor,
                          const struct bm_error *error) {
    const struct bm_plugin *table = conform->table;
    EXPECT(conform, error->code < 0 && error->code >= BM_STATUS_INTERNAL,
           "bm_plugin_entry(%u, %u): expected NULL with a failure of plugin.h in error.code, found "
           "%d",
           major, minor, error->code);
    EXPECT(conform, memchr(error->text, '\0', sizeof error->text) != NULL,
           "bm_plugin_entry(%u, %u): expected a terminated error.text, found none", major, minor);
    EXPECT(conform, error->text[0] != '\0' && strpbrk(error->text, "\r\n") == NULL,
           "bm_plugin_entry(%u, %u): expected one line in error.text, found \"%s\"", major, minor,
           error->text);
    EXPECT(conform,
           names_number(error->text, major) && names_number(error->text, minor) &&
               names_number(error->text, table->abi_major) &&
               names_number(error->text, table->abi_minor),
           "bm_plugin_entry(%u, %u): expected a text with both sides' numbers, the host's %u.%u "
           "and the plugin's %u.%u, found \"%s\"",
           major, minor, major, minor, table->abi_major, table->abi_minor, error->text);
}

static void try_host(struct bm_conform *conform, uint32_t major, uint32_t minor) {
    struct bm_error error;
    struct bm_error untouched;
    memset(&error, 0x5a, sizeof error);
    memset(&untouched, 0x5a, sizeof untouched);
    const struct bm_plugin *table = bm_conform_entry(conform)(major, minor, &error);
    if (major != conform->table->abi_major) {
        EXPECT(conform, table == NULL,
               "bm_plugin_entry(%u, %u): expected NULL from a plugin of ABI %u.%u, found a table",
               major, minor, conform->table->abi_major, conform->table->abi_minor);
        check_refusal(conform, major, minor, &error);
        return;
    }
    EXPECT(conform, table == conform->table,
           "bm_plugin_entry(%u, %u): expected the table that it gave before, found %s", major,
           minor, table == NULL ? "NULL" : "another");
    EXPECT(conform, memcmp(&error, &untouched, sizeof error) == 0,
           "bm_plugin_entry(%u, %u): expected an untouched error beside a table, found it changed",
           major, minor);
}

/* Each refusal is followed by a host that fits. */
void bm_conform_negotiation_entry(struct bm_conform *conform) {
    const uint32_t major = conform->table->abi_major;
    const uint32_t minor = conform->table->abi_minor;
    const uint32_t hosts[][2] = {
        {major, minor},     {major, minor + 1},       {major, minor - 1}, {major, 7304},
        {major + 1, minor}, {major - 1, minor},       {9812, 7304},       {major + 1, minor + 1},
        {major, 0},         {UINT32_MAX, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        try_host(conform, hosts[i][0], hosts[i][1]);
        try_host(conform, major, minor);
    }
}

/* ---- Extensions ---- */

void bm_conform_negotiation_extension(struct bm_conform *conform) {
    static const char *const unknown[] = {
        "",
        "/",
        "/1",
        "no.such.extension/1",
        "org.example.none/4294967296",
        "org.example.a-name-that-is-longer-than-a-buffer-of-fixed-length-may-be/1"};
    if (conform->plugin->extension == NULL) {
        bm_conform_leave(conform, "the plugin has no extensions");
    }
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        EXPECT(conform, conform->plugin->extension(unknown[i]) == NULL,
               "extension(\"%s\"): expected NULL for an id that nobody has given a meaning, found "
               "a table",
               unknown[i]);
    }
}

/* ---- Sizes of structs ---- */

/* A struct as a host of another age gives it, at the end of memory that it may touch. */
struct form {
    const char *what;
    int32_t growth; /* bytes more, or fewer, than in ABI 1.0; SIZE_IS - n: the size is n */
    uint32_t first; /* first byte that ABI 1.0 does not have */
    uint32_t last;  /* last one; those between are 0 */
    int32_t status; /* expected */
};

#define SIZE_IS (-1000)

static const struct form forms[] = {
    {"8 more bytes, all 0", 8, 0, 0, BM_STATUS_OK},
    {"72 more bytes, all 0", 72, 0, 0, BM_STATUS_OK},
    {"8 more bytes, the first not 0", 8, 1, 0, BM_STATUS_UNSUPPORTED},
    {"8 more bytes, the last not 0", 8, 0, 0x80, BM_STATUS_UNSUPPORTED},
    {"72 more bytes, the last not 0", 72, 0, 1, BM_STATUS_UNSUPPORTED},
    {"8 bytes fewer", -8, 0, 0, BM_STATUS_INVALID},
    {"a size of 4", SIZE_IS - 4, 0, 0, BM_STATUS_INVALID},
    {"a size of 0", SIZE_IS, 0, 0, BM_STATUS_INVALID},
};

/* One call that takes a struct. `make` gives it to the call and looks at what came of success. */
struct call {
    const char *name;
    int32_t (*make)(struct bm_conform_session *test, void *given, uint32_t size);
};

static uint32_t form_size(const struct form *form, uint32_t known) {
    int32_t size = form->growth <= SIZE_IS ? SIZE_IS - form->growth : (int32_t)known + form->growth;
    return (uint32_t)size;
}

static void shape(const struct form *form, const void *known, uint32_t known_size, void *to) {
    unsigned char *bytes = to;
    uint32_t size = form_size(form, known_size);
    memset(bytes, 0, size > 8 ? size : 8);
    memcpy(bytes, known, size < known_size ? size : known_size);
    memcpy(bytes, &size, sizeof size);
    if (size > known_size) {
        bytes[known_size] = (unsigned char)form->first;
        bytes[size - 1] |= (unsigned char)form->last;
    }
}

static void try_form(struct bm_conform_session *test,
                     const struct call *call,
                     const struct form *form,
                     const void *known,
                     uint32_t known_size) {
    uint32_t size = form_size(form, known_size);
    struct bm_conform_guard guard = bm_conform_guard_make(test->conform, size > 8 ? size : 8);
    shape(form, known, known_size, guard.bytes);
    int32_t status = call->make(test, guard.bytes, size);
    if (form->status == BM_STATUS_INVALID) {
        bm_conform_invalid(test->conform, status, call->name, form->what);
    } else if (form->status == BM_STATUS_UNSUPPORTED) {
        bm_conform_unsupported(test->conform, status, call->name, form->what);
    } else {
        EXPECT(test->conform, status == BM_STATUS_OK, "%s with %s: expected OK, found %d: %s",
               call->name, form->what, status, test->error.text);
    }
    bm_conform_guard_free(&guard);
}

static void try_forms(struct bm_conform_session *test,
                      const struct call *call,
                      const void *known,
                      uint32_t known_size) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        try_form(test, call, &forms[i], known, known_size);
    }
}

/* ---- Problem ---- */

static int32_t ask_supports(struct bm_conform_session *test, const struct bm_problem *problem) {
    uint64_t bytes = 0;
    return test->plugin->supports(test->conform->device, problem, &bytes, &test->error);
}

/* What is created has the parameters of the session that is open. */
static int32_t try_create(struct bm_conform_session *test, const struct bm_problem *problem) {
    struct bm_session *session = NO_SESSION;
    struct bm_error error;
    int32_t status = test->plugin->create(test->conform->device, problem, &session, &test->error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    status = test->plugin->read_params(session, test->found, test->param_count, &error);
    EXPECT(test->conform, status == BM_STATUS_OK,
           "read_params of a session of the same problem: expected OK, found %d: %s", status,
           error.text);
    test->plugin->destroy(session);
    return BM_STATUS_OK;
}

static int32_t make_supports(struct bm_conform_session *test, void *given, uint32_t size) {
    (void)size;
    return ask_supports(test, given);
}

static int32_t make_create(struct bm_conform_session *test, void *given, uint32_t size) {
    (void)size;
    return try_create(test, given);
}

void bm_conform_negotiation_problem(struct bm_conform *conform) {
    static const struct call calls[] = {{"supports", make_supports}, {"create", make_create}};
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        try_forms(test, &calls[i], &test->problem, sizeof test->problem);
    }
    bm_conform_close(test);
}

/* ---- Layers ---- */

/* An array of layers as a host of another age lays it out. */
struct layout {
    const char *what;
    uint32_t size; /* of each struct */
    uint32_t stride;
    uint32_t odd; /* the layer whose last byte is not 0; ALL_ZERO: none */
    int32_t status;
};

#define ALL_ZERO UINT32_MAX
#define LAYER ((uint32_t)sizeof(struct bm_layer))

static const struct layout layouts[] = {
    {"layers of 8 more bytes, all 0", LAYER + 8, LAYER + 8, ALL_ZERO, BM_STATUS_OK},
    {"layers 40 bytes apart from each other", LAYER, LAYER + 40, ALL_ZERO, BM_STATUS_OK},
    {"layers of 8 more bytes in a stride of 24 more", LAYER + 8, LAYER + 24, ALL_ZERO,
     BM_STATUS_OK},
    {"a first layer of 8 more bytes, not all 0", LAYER + 8, LAYER + 8, 0, BM_STATUS_UNSUPPORTED},
    {"a third layer of 8 more bytes, not all 0", LAYER + 8, LAYER + 8, 2, BM_STATUS_UNSUPPORTED},
    {"layers of 8 bytes fewer", LAYER - 8, LAYER, ALL_ZERO, BM_STATUS_INVALID},
    {"layers of size 0", 0, LAYER, ALL_ZERO, BM_STATUS_INVALID},
    {"layers of 8 bytes fewer in a stride of 8 fewer", LAYER - 8, LAYER - 8, ALL_ZERO,
     BM_STATUS_INVALID},
    {"a layer_stride of 8", LAYER, 8, ALL_ZERO, BM_STATUS_INVALID},
    {"a layer_stride of 0", LAYER, 0, ALL_ZERO, BM_STATUS_INVALID},
};

static void lay_out(const struct bm_conform_session *test, const struct layout *layout, void *to) {
    unsigned char *bytes = to;
    for (uint32_t i = 0; i < test->problem.layer_count; i++) {
        unsigned char *layer = bytes + (size_t)i * layout->stride;
        memcpy(layer, &test->model.layers[i], layout->stride < LAYER ? layout->stride : LAYER);
        memcpy(layer, &layout->size, layout->stride < 4 ? layout->stride : 4);
        if (i == layout->odd) {
            layer[layout->size - 1] = 1;
        }
    }
}

static void try_layout(struct bm_conform_session *test, const struct layout *layout) {
    struct bm_problem problem = test->problem;
    size_t length = (size_t)problem.layer_count * (layout->stride > 0 ? layout->stride : LAYER);
    struct bm_conform_guard guard = bm_conform_guard_make(test->conform, length);
    memset(guard.bytes, 0, length);
    lay_out(test, layout, guard.bytes);
    problem.layers = guard.bytes;
    problem.layer_stride = layout->stride;
    int32_t status[2] = {ask_supports(test, &problem), try_create(test, &problem)};
    for (int i = 0; i < 2; i++) {
        const char *call = i == 0 ? "supports" : "create";
        if (layout->status == BM_STATUS_OK) {
            EXPECT(test->conform, status[i] == BM_STATUS_OK,
                   "%s with %s: expected OK, found %d: %s", call, layout->what, status[i],
                   test->error.text);
        } else if (layout->status == BM_STATUS_UNSUPPORTED) {
            bm_conform_unsupported(test->conform, status[i], call, layout->what);
        } else {
            bm_conform_invalid(test->conform, status[i], call, layout->what);
        }
    }
    bm_conform_guard_free(&guard);
}

void bm_conform_negotiation_layers(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        try_layout(test, &layouts[i]);
    }
    bm_conform_close(test);
}

/* ---- Data, slice, hyper-parameters ---- */

static int32_t make_bind(struct bm_conform_session *test, void *given, uint32_t size) {
    (void)size;
    return test->plugin->bind_data(test->session, BM_SPLIT_VALIDATION, given, &test->error);
}

void bm_conform_negotiation_data(struct bm_conform *conform) {
    static const struct call bind = {"bind_data", make_bind};
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    try_forms(test, &bind, &test->data, sizeof test->data);
    bm_conform_close(test);
}

static const struct bm_hyper step = {
    .size = sizeof step, .update = 1, .rate = 0.01, .momentum = 0.9};

static int32_t make_gradient(struct bm_conform_session *test, void *given, uint32_t size) {
    (void)size;
    return test->plugin->gradient(test->session, given, &test->error);
}

static int32_t make_update_slice(struct bm_conform_session *test, void *given, uint32_t size) {
    (void)size;
    return test->plugin->update(test->session, given, &step, &test->error);
}

static int32_t make_updates_slice(struct bm_conform_session *test, void *given, uint32_t size) {
    const struct bm_hyper steps[2] = {step, step};
    (void)size;
    return test->plugin->updates(test->session, given, 2, steps, sizeof step, &test->error);
}

void bm_conform_negotiation_slice(struct bm_conform *conform) {
    static const struct call gradient = {"gradient", make_gradient};
    static const struct call update = {"update", make_update_slice};
    static const struct call updates = {"updates", make_updates_slice};
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    try_forms(test, &gradient, &slice, sizeof slice);
    if (test->plugin->update != NULL) {
        try_forms(test, &update, &slice, sizeof slice);
    }
    if (test->plugin->updates != NULL) {
        try_forms(test, &updates, &slice, sizeof slice);
    }
    bm_conform_close(test);
}

static int32_t make_apply(struct bm_conform_session *test, void *given, uint32_t size) {
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    (void)size;
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    return test->plugin->apply(test->session, given, &test->error);
}

static int32_t make_update_hyper(struct bm_conform_session *test, void *given, uint32_t size) {
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    (void)size;
    return test->plugin->update(test->session, &slice, given, &test->error);
}

static int32_t make_updates_hyper(struct bm_conform_session *test, void *given, uint32_t size) {
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    return test->plugin->updates(test->session, &slice, 1, given, size, &test->error);
}

/* Three steps of different rates, in structs `gap` bytes apart; the parameters after them. */
static void run_updates(struct bm_conform_session *test, uint32_t gap) {
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    uint32_t stride = (uint32_t)sizeof step + gap;
    size_t length = (size_t)3 * stride;
    struct bm_conform_guard guard = bm_conform_guard_make(test->conform, length);
    float *zeros = bm_conform_allocate(test->conform, test->param_count, sizeof *zeros);
    memset(guard.bytes, 0, length);
    for (uint32_t k = 0; k < 3; k++) {
        struct bm_hyper hyper = step;
        hyper.update = k + 1;
        hyper.rate = 0.01 * (double)(k + 1);
        memcpy((unsigned char *)guard.bytes + (size_t)k * stride, &hyper, sizeof hyper);
    }
    CALL(test,
         test->plugin->write_params(test->session, test->params, test->param_count, &test->error));
    if (test->plugin->write_state != NULL) {
        CALL(test,
             test->plugin->write_state(test->session, 0, zeros, test->param_count, &test->error));
    }
    int32_t status =
        test->plugin->updates(test->session, &slice, 3, guard.bytes, stride, &test->error);
    EXPECT(test->conform, status == BM_STATUS_OK,
           "updates of 3 with hyper_stride %u, structs of %zu: expected OK, found %d: %s", stride,
           sizeof step, status, test->error.text);
    bm_conform_read_params(test);
    free(zeros);
    bm_conform_guard_free(&guard);
}

static void compare_strides(struct bm_conform_session *test) {
    float *expected = bm_conform_allocate(test->conform, test->param_count, sizeof *expected);
    run_updates(test, 0);
    memcpy(expected, test->found, test->param_count * sizeof *expected);
    run_updates(test, 48);
    for (uint64_t i = 0; i < test->param_count; i++) {
        EXPECT(test->conform, memcmp(&test->found[i], &expected[i], sizeof(float)) == 0,
               "updates of 3 with hyper_stride %zu: parameter %llu: expected %a, as with %zu, "
               "found %a",
               sizeof step + 48, (unsigned long long)i, (double)expected[i], sizeof step,
               (double)test->found[i]);
    }
    free(expected);
}

/* A plugin without write_state starts the second run where the first has ended: no comparison. */
void bm_conform_negotiation_hyper(struct bm_conform *conform) {
    static const struct call apply = {"apply", make_apply};
    static const struct call update = {"update", make_update_hyper};
    static const struct call updates = {"updates", make_updates_hyper};
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    try_forms(test, &apply, &step, sizeof step);
    if (test->plugin->update != NULL) {
        try_forms(test, &update, &step, sizeof step);
    }
    if (test->plugin->updates != NULL) {
        try_forms(test, &updates, &step, sizeof step);
        if (test->plugin->write_state != NULL) {
            compare_strides(test);
        }
    }
    bm_conform_close(test);
}

/* ---- What a plugin fills ---- */

static int32_t make_info(struct bm_conform_session *test, void *given, uint32_t size) {
    struct bm_conform *conform = test->conform;
    const struct bm_device_info *info = given;
    int32_t status = conform->plugin->device_info(conform->device, given, &test->error);
    if (status == BM_STATUS_OK) {
        EXPECT(conform, info->size == size,
               "device_info: expected size %u as the host has set it, "
               "found %u",
               size, info->size);
        EXPECT(conform,
               info->kind == conform->info.kind && strcmp(info->name, conform->info.name) == 0 &&
                   info->precision_count == conform->info.precision_count,
               "device_info of %u bytes: expected what it says in %zu bytes (\"%s\"), found "
               "\"%.127s\"",
               size, sizeof *info, conform->info.name, info->name);
    }
    return status;
}

void bm_conform_negotiation_device_info(struct bm_conform *conform) {
    static const struct call device_info = {"device_info", make_info};
    const struct bm_device_info empty = {.size = sizeof empty};
    struct bm_conform_session test = {.conform = conform, .plugin = conform->plugin};
    try_forms(&test, &device_info, &empty, sizeof empty);
}

static int32_t make_time(struct bm_conform_session *test, void *given, uint32_t size) {
    const struct bm_device_time *time = given;
    int32_t status = test->plugin->device_time(test->session, given, &test->error);
    EXPECT(test->conform, status != BM_STATUS_OK || time->size == size,
           "device_time: expected size %u as the host has set it, found %u", size, time->size);
    return status;
}

void bm_conform_negotiation_device_time(struct bm_conform *conform) {
    static const struct call device_time = {"device_time", make_time};
    const struct bm_device_time empty = {.size = sizeof empty};
    const struct bm_slice slice = bm_conform_slice(3, 8, 0, 1);
    if (conform->plugin->device_time == NULL) {
        bm_conform_leave(conform, "the plugin has no device_time");
    }
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    CALL(test, test->plugin->gradient(test->session, &slice, &test->error));
    try_forms(test, &device_time, &empty, sizeof empty);
    bm_conform_close(test);
}

/* ---- Options ---- */

#define OPTIONS_MAX 32u
#define OPTION ((uint32_t)sizeof(struct bm_option))

/* Options that the plugin takes: those of the request, and of the lines of describe, which names
 * every option with its value, what it takes as an option. */
struct options {
    struct bm_option option[OPTIONS_MAX];
    uint32_t given; /* of the request, the first ones */
    uint32_t count;
    char text[4096]; /* of describe, cut into keys and values */
};

static int32_t ask_options(struct bm_conform_session *test,
                           const struct bm_option *option,
                           uint32_t count,
                           uint32_t stride) {
    struct bm_problem problem = test->problem;
    problem.options = option;
    problem.option_count = count;
    problem.option_stride = stride;
    return ask_supports(test, &problem);
}

static int has_key(const struct options *options, const char *key) {
    for (uint32_t i = 0; i < options->count; i++) {
        if (strcmp(options->option[i].key, key) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Takes the line as an option if the plugin does. */
static void try_line(struct bm_conform_session *test, struct options *options, char *line) {
    char *value = strchr(line, '=');
    if (value == NULL || options->count == OPTIONS_MAX) {
        return;
    }
    *value = '\0';
    if (!has_key(options, line)) {
        options->option[options->count] = (struct bm_option){line, value + 1};
        options->count += ask_options(test, options->option, options->count + 1, OPTION) == 0;
    }
}

static void find_options(struct bm_conform_session *test, struct options *options) {
    const struct bm_conform_request *request = test->conform->request;
    memset(options, 0, sizeof *options);
    for (uint32_t i = 0; i < request->option_count && i < OPTIONS_MAX; i++) {
        options->option[options->count++] = request->options[i];
    }
    options->given = options->count;
    CALL(test,
         test->plugin->describe(test->session, options->text, sizeof options->text, &test->error));
    for (char *next = options->text; next != NULL;) {
        try_line(test, options, strsep(&next, "\n"));
    }
}

static void refuse_options(struct bm_conform_session *test,
                           const struct bm_option *option,
                           uint32_t count,
                           uint32_t stride,
                           const char *given) {
    struct bm_problem problem = test->problem;
    problem.options = option;
    problem.option_count = count;
    problem.option_stride = stride;
    bm_conform_invalid(test->conform, ask_supports(test, &problem), "supports", given);
    bm_conform_invalid(test->conform, try_create(test, &problem), "create", given);
}

/* Option number i, alone, is given a wrong value, then twice. */
static void refuse_known(struct bm_conform_session *test, const struct options *options) {
    char given[128];
    for (uint32_t i = 0; i < options->count; i++) {
        struct bm_option option[2] = {options->option[i], options->option[i]};
        (void)snprintf(given, sizeof given, "option %.64s=%.32s twice", option[0].key,
                       option[0].value);
        refuse_options(test, option, 2, OPTION, given);
        option[0].value = "no such value";
        (void)snprintf(given, sizeof given, "option %.64s=%s", option[0].key, option[0].value);
        refuse_options(test, option, 1, OPTION, given);
    }
}

void bm_conform_negotiation_options(struct bm_conform *conform) {
    const struct bm_option unknown = {"no such key", "8"};
    const struct bm_option empty = {"", ""};
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    struct options *options = bm_conform_allocate(conform, 1, sizeof *options);
    find_options(test, options);
    refuse_options(test, &unknown, 1, OPTION, "option \"no such key\"=8");
    refuse_options(test, &empty, 1, OPTION, "an option without key and value");
    refuse_known(test, options);
    if (options->count == 0) {
        bm_conform_note(conform, "the plugin has no options of its own");
    }
    free(options);
    bm_conform_close(test);
}

/* Options with an unknown one in each gap, which a plugin that walks by sizeof would meet. */
static void try_option_stride(struct bm_conform_session *test, const struct options *options) {
    struct bm_option apart[2 * OPTIONS_MAX];
    for (uint32_t i = 0; i < options->count; i++) {
        apart[2 * (size_t)i] = options->option[i];
        apart[2 * (size_t)i + 1] = (struct bm_option){"no such key", "8"};
    }
    int32_t status = ask_options(test, apart, options->count, 2 * OPTION);
    EXPECT(test->conform, status == BM_STATUS_OK,
           "supports with %u options in a stride of %u bytes: expected OK, as in one of %u, found "
           "%d: %s",
           options->count, 2 * OPTION, OPTION, status, test->error.text);
    /* The last one is unknown, after a gap that is known. */
    apart[1] = (struct bm_option){"no such key", "8"};
    apart[2] = apart[1];
    apart[1] = options->option[options->count - 1];
    refuse_options(test, apart, 2, 2 * OPTION,
                   "an unknown option after a known one in a stride of twice the size");
}

void bm_conform_negotiation_option_stride(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform);
    if (test == NULL) {
        return;
    }
    struct options *options = bm_conform_allocate(conform, 1, sizeof *options);
    find_options(test, options);
    if (options->count == 0) {
        bm_conform_leave(conform, "the plugin has no options");
    }
    refuse_options(test, options->option, 1, OPTION / 2, "an option_stride of half the size");
    refuse_options(test, options->option, 1, 0, "an option_stride of 0");
    try_option_stride(test, options);
    free(options);
    bm_conform_close(test);
}

/* ---- Unknown names and numbers ---- */

static void refuse_problem(struct bm_conform_session *test,
                           const struct bm_problem *problem,
                           const char *what) {
    bm_conform_refused(test->conform, ask_supports(test, problem), "supports", what);
    bm_conform_refused(test->conform, try_create(test, problem), "create", what);
}

static int offers(const struct bm_device_info *info, const char *precision) {
    for (uint32_t i = 0; i < info->precision_count && i < BM_PRECISION_COUNT_MAX; i++) {
        if (strncmp(info->precisions[i].name, precision, BM_PRECISION_NAME_SIZE) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Of the names of plugin.h those that device_info does not offer, too: nothing falls back. */
void bm_conform_negotiation_precision(struct bm_conform *conform) {
    static const char *const names[] = {"float31",
                                        "",
                                        "float32 ",
                                        "FLOAT32",
                                        "a-precision-of-more-bytes-than-a-name-has",
                                        BM_PRECISION_FLOAT32,
                                        BM_PRECISION_TF32,
                                        BM_PRECISION_BF16_F32,
                                        BM_PRECISION_F16_F32};
    struct bm_conform_session *test = open_session(conform);
    char what[96];
    if (test == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct bm_problem problem = test->problem;
        problem.precision = names[i];
        (void)snprintf(what, sizeof what, "precision \"%s\", which device_info does not offer",
                       names[i]);
        if (!offers(&conform->info, names[i])) {
            refuse_problem(test, &problem, what);
        }
    }
    bm_conform_close(test);
}

void bm_conform_negotiation_unknown(struct bm_conform *conform) {
    static const uint32_t kinds[] = {0, BM_LAYER_SOFTMAX_CROSS_ENTROPY + 1, UINT32_MAX};
    static const uint32_t optimizers[] = {BM_OPTIMIZER_LAMB + 1, UINT32_MAX};
    struct bm_conform_session *test = open_session(conform);
    char what[64];
    if (test == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct bm_layer layers[BM_MODEL_LAYER_MAX];
        struct bm_problem problem = test->problem;
        memcpy(layers, test->model.layers, sizeof layers);
        layers[1].kind = kinds[i];
        problem.layers = layers;
        (void)snprintf(what, sizeof what, "layer kind %u", kinds[i]);
        refuse_problem(test, &problem, what);
    }
    for (size_t i = 0; i < sizeof optimizers / sizeof optimizers[0]; i++) {
        struct bm_problem problem = test->problem;
        problem.optimizer = optimizers[i];
        (void)snprintf(what, sizeof what, "optimizer %u", optimizers[i]);
        refuse_problem(test, &problem, what);
    }
    bm_conform_close(test);
}

void bm_conform_negotiation_device(struct bm_conform *conform) {
    struct bm_conform_session *test = open_session(conform);
    const struct bm_plugin *plugin = conform->plugin;
    char what[64];
    uint32_t count = 0;
    if (test == NULL) {
        return;
    }
    CALL(test, plugin->device_count(&count, &test->error));
    const uint32_t beyond[] = {count, count + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; i++) {
        struct bm_device_info info = {.size = sizeof info};
        struct bm_session *session = NO_SESSION;
        uint64_t bytes = 0;
        (void)snprintf(what, sizeof what, "device %u of %u", beyond[i], count);
        bm_conform_invalid(conform, plugin->device_info(beyond[i], &info, &test->error),
                           "device_info", what);
        bm_conform_invalid(conform,
                           plugin->supports(beyond[i], &test->problem, &bytes, &test->error),
                           "supports", what);
        bm_conform_invalid(conform,
                           plugin->create(beyond[i], &test->problem, &session, &test->error),
                           "create", what);
    }
    bm_conform_close(test);
}
