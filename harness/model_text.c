/* Networks as text: parsing, binding to a shape, and the way back. */
#include "error.h"
#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 32
#define WORD_MAX 8
#define OUTPUT_MAX (1u << 20)
#define KERNEL_MAX 1024u
#define PARAM_MAX (UINT64_C(1) << 40)

/* One item of the list, split into words. `number` counts from 1. */
struct item {
    uint32_t number;
    uint32_t word_count;
    char text[128];
    char words[WORD_MAX][WORD_SIZE];
};

static int32_t fail_item(const struct item *item,
                         struct bm_error *error,
                         const char *expected,
                         const char *found) {
    return bm_fail(error, BM_STATUS_INVALID, "layers: item %u \"%s\": expected %s, found \"%s\"",
                   item->number, item->text, expected, found);
}

/* ---- Words and numbers ---- */

static int is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Fills item->text with the item without blanks around it; cut if it is too long to be right. */
static void trim_item(const char *begin, size_t length, struct item *item) {
    while (length > 0 && is_blank(begin[0])) {
        begin++;
        length--;
    }
    while (length > 0 && is_blank(begin[length - 1])) {
        length--;
    }
    (void)snprintf(item->text, sizeof item->text, "%.*s", (int)(length < 127 ? length : 127),
                   begin);
}

static int32_t split_words(struct item *item, struct bm_error *error) {
    item->word_count = 0;
    for (const char *p = item->text; *p != '\0';) {
        if (is_blank(*p)) {
            p++;
            continue;
        }
        size_t length = strcspn(p, " \t");
        if (length >= WORD_SIZE || item->word_count == WORD_MAX) {
            return fail_item(item, error, "at most 8 words of 31 letters", p);
        }
        memcpy(item->words[item->word_count], p, length);
        item->words[item->word_count][length] = '\0';
        item->word_count++;
        p += length;
    }
    return BM_STATUS_OK;
}

/* Decimal digits only, low .. high. Returns 0 if it is something else. */
static int parse_number(const char *text, size_t length, uint32_t low, uint32_t high, uint32_t *n) {
    uint64_t value = 0;
    if (length == 0 || length > 9) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *n = (uint32_t)value;
    return value >= low && value <= high;
}

static int parse_window(const char *text, uint32_t *height, uint32_t *width) {
    size_t rows = strcspn(text, "x");
    if (text[rows] != 'x') {
        return 0;
    }
    return parse_number(text, rows, 1, KERNEL_MAX, height) &&
           parse_number(text + rows + 1, strlen(text + rows + 1), 1, KERNEL_MAX, width);
}

/* ---- Items ---- */

/* Word `index`, or "nothing" for the error text. */
static const char *word_at(const struct item *item, uint32_t index) {
    return index < item->word_count ? item->words[index] : "nothing";
}

/* [stride S] [pad P] from word `first` on, each at most once. */
static int32_t parse_stride_pad(const struct item *item,
                                uint32_t first,
                                struct bm_layer *layer,
                                struct bm_error *error) {
    int stride_seen = 0;
    int pad_seen = 0;
    for (uint32_t w = first; w < item->word_count; w += 2) {
        const char *value = word_at(item, w + 1);
        int is_stride = strcmp(item->words[w], "stride") == 0 && !stride_seen;
        int is_pad = strcmp(item->words[w], "pad") == 0 && !pad_seen;
        if (!is_stride && !is_pad) {
            return fail_item(item, error, "`stride S` or `pad P`, each once", item->words[w]);
        }
        uint32_t *target = is_stride ? &layer->stride : &layer->padding;
        if (!parse_number(value, strlen(value), is_stride ? 1 : 0, KERNEL_MAX, target)) {
            return fail_item(item, error,
                             is_stride ? "a stride from 1 to 1024" : "a padding from 0 to 1024",
                             value);
        }
        stride_seen |= is_stride;
        pad_seen |= is_pad;
    }
    return BM_STATUS_OK;
}

static int32_t parse_outputs(const struct item *item,
                             uint32_t class_count,
                             struct bm_layer *layer,
                             struct bm_error *error) {
    const char *word = word_at(item, 1);
    if (strcmp(word, "classes") == 0) {
        layer->outputs = class_count;
        return BM_STATUS_OK;
    }
    if (!parse_number(word, strlen(word), 1, OUTPUT_MAX, &layer->outputs)) {
        return fail_item(item, error, "a number of outputs from 1 to 1048576", word);
    }
    return BM_STATUS_OK;
}

static int32_t expect_word_count(const struct item *item, uint32_t count, struct bm_error *error) {
    if (item->word_count > count) {
        return fail_item(item, error, "the end of the item", item->words[count]);
    }
    return BM_STATUS_OK;
}

static int32_t parse_dense(const struct item *item,
                           uint32_t class_count,
                           struct bm_layer *layer,
                           struct bm_error *error) {
    layer->kind = BM_LAYER_DENSE;
    int32_t status = parse_outputs(item, class_count, layer, error);
    return status != BM_STATUS_OK ? status : expect_word_count(item, 2, error);
}

static int32_t parse_conv(const struct item *item,
                          uint32_t class_count,
                          struct bm_layer *layer,
                          struct bm_error *error) {
    layer->kind = BM_LAYER_CONV2D;
    layer->stride = 1;
    int32_t status = parse_outputs(item, class_count, layer, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    const char *window = word_at(item, 2);
    if (!parse_window(window, &layer->kernel_height, &layer->kernel_width)) {
        return fail_item(item, error, "a kernel like 3x3, sides from 1 to 1024", window);
    }
    return parse_stride_pad(item, 3, layer, error);
}

static int32_t
parse_maxpool(const struct item *item, struct bm_layer *layer, struct bm_error *error) {
    layer->kind = BM_LAYER_MAXPOOL;
    const char *side = word_at(item, 1);
    if (!parse_number(side, strlen(side), 1, KERNEL_MAX, &layer->kernel_height)) {
        return fail_item(item, error, "a window side from 1 to 1024", side);
    }
    layer->kernel_width = layer->kernel_height;
    layer->stride = layer->kernel_height;
    int32_t status = parse_stride_pad(item, 2, layer, error);
    if (status == BM_STATUS_OK && layer->padding >= layer->kernel_height) {
        char found[16];
        (void)snprintf(found, sizeof found, "%u", layer->padding);
        return fail_item(item, error, "a padding smaller than the window", found);
    }
    return status;
}

static int32_t
parse_dropout(const struct item *item, struct bm_layer *layer, struct bm_error *error) {
    layer->kind = BM_LAYER_DROPOUT;
    const char *word = word_at(item, 1);
    char *end = NULL;
    layer->rate = strtod(word, &end);
    int is_decimal = strspn(word, "0123456789.eE-") == strlen(word) && *end == '\0' && end != word;
    if (!is_decimal || !(layer->rate >= 0 && layer->rate < 1)) {
        return fail_item(item, error, "a rate from 0 to below 1", word);
    }
    return expect_word_count(item, 2, error);
}

static int32_t parse_item(const struct item *item,
                          uint32_t class_count,
                          struct bm_layer *layer,
                          struct bm_error *error) {
    const char *kind = word_at(item, 0);
    *layer = (struct bm_layer){.size = sizeof *layer};
    if (strcmp(kind, "dense") == 0) {
        return parse_dense(item, class_count, layer, error);
    }
    if (strcmp(kind, "conv") == 0) {
        return parse_conv(item, class_count, layer, error);
    }
    if (strcmp(kind, "maxpool") == 0) {
        return parse_maxpool(item, layer, error);
    }
    if (strcmp(kind, "dropout") == 0) {
        return parse_dropout(item, layer, error);
    }
    if (strcmp(kind, "batchnorm") == 0 || strcmp(kind, "relu") == 0) {
        layer->kind = kind[0] == 'b' ? BM_LAYER_BATCHNORM : BM_LAYER_RELU;
        return expect_word_count(item, 1, error);
    }
    return fail_item(item, error, "conv, dense, maxpool, batchnorm, relu or dropout", kind);
}

/* ---- Binding to a shape ---- */

/* rows = (height + 2 pad - kernel) / stride + 1; 0 if the kernel does not fit. */
static uint32_t windows_along(uint32_t size, uint32_t kernel, uint32_t stride, uint32_t padding) {
    BM_ASSERT(stride > 0);
    uint64_t padded = (uint64_t)size + 2 * (uint64_t)padding;
    return padded < kernel ? 0 : (uint32_t)((padded - kernel) / stride + 1);
}

static struct bm_shape output_shape(const struct bm_layer *layer, struct bm_shape input) {
    if (layer->kind == BM_LAYER_DENSE) {
        return (struct bm_shape){layer->outputs, 1, 1};
    }
    if (layer->kind != BM_LAYER_CONV2D && layer->kind != BM_LAYER_MAXPOOL) {
        return input;
    }
    return (struct bm_shape){
        layer->kind == BM_LAYER_CONV2D ? layer->outputs : input.channels,
        windows_along(input.height, layer->kernel_height, layer->stride, layer->padding),
        windows_along(input.width, layer->kernel_width, layer->stride, layer->padding),
    };
}

static uint64_t shape_size(struct bm_shape shape) {
    /* height and width are below 2^32 each: their product cannot overflow, the next one can. */
    uint64_t plane = (uint64_t)shape.height * shape.width;
    return shape.channels > 0 && plane > UINT64_MAX / shape.channels ? UINT64_MAX
                                                                     : plane * shape.channels;
}

static int32_t append_layer(struct bm_model *model,
                            const struct item *item,
                            const struct bm_layer *layer,
                            struct bm_error *error) {
    uint32_t n = model->layer_count;
    struct bm_shape input = n == 0 ? model->input : model->output[n - 1];
    struct bm_shape output = output_shape(layer, input);
    if (output.height == 0 || output.width == 0) {
        return bm_fail(error, BM_STATUS_UNSUPPORTED,
                       "%s: layer %u \"%s\": expected an input of at least %ux%u with its padding, "
                       "found %ux%ux%u",
                       model->name, item->number, item->text, layer->kernel_height,
                       layer->kernel_width, input.channels, input.height, input.width);
    }
    model->layers[n] = *layer;
    model->output[n] = output;
    model->layer_count++;
    if (shape_size(output) > UINT32_MAX || bm_model_param_count(model) > PARAM_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "layers: item %u \"%s\": expected at most 2^32 outputs and 2^40 parameters, "
                       "found more",
                       item->number, item->text);
    }
    return BM_STATUS_OK;
}

static int32_t check_input(const struct bm_model *model, struct bm_error *error) {
    uint64_t size = shape_size(model->input);
    if (size == 0 || size > UINT32_MAX) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "%s: input shape: expected 1 to 2^32 values, found %ux%ux%u", model->name,
                       model->input.channels, model->input.height, model->input.width);
    }
    if (model->class_count == 0 || model->class_count > OUTPUT_MAX) {
        return bm_fail(error, BM_STATUS_INVALID, "%s: classes: expected 1 to %u, found %u",
                       model->name, OUTPUT_MAX, model->class_count);
    }
    return BM_STATUS_OK;
}

static int32_t
append_loss(struct bm_model *model, const struct item *last, struct bm_error *error) {
    const struct bm_layer *layer = &model->layers[model->layer_count - 1];
    if (layer->kind != BM_LAYER_DENSE || layer->outputs != model->class_count) {
        char expected[64];
        (void)snprintf(expected, sizeof expected, "`dense %u` (the classes) as the last item",
                       model->class_count);
        return fail_item(last, error, expected, last->text);
    }
    model->layers[model->layer_count] = (struct bm_layer){
        .size = sizeof *layer,
        .kind = BM_LAYER_SOFTMAX_CROSS_ENTROPY,
    };
    model->output[model->layer_count] = model->output[model->layer_count - 1];
    model->layer_count++;
    return BM_STATUS_OK;
}

static int32_t parse_next(struct bm_model *model,
                          const char *begin,
                          size_t length,
                          struct item *item,
                          struct bm_error *error) {
    struct bm_layer layer;
    item->number = model->layer_count + 1;
    trim_item(begin, length, item);
    if (model->layer_count == BM_MODEL_LAYER_MAX - 1) {
        return bm_fail(error, BM_STATUS_INVALID, "layers: expected at most %d items, found more",
                       BM_MODEL_LAYER_MAX - 1);
    }
    int32_t status = split_words(item, error);
    if (status == BM_STATUS_OK) {
        status = parse_item(item, model->class_count, &layer, error);
    }
    return status == BM_STATUS_OK ? append_layer(model, item, &layer, error) : status;
}

int32_t bm_model_parse(const char *name,
                       const char *layers,
                       struct bm_shape input,
                       uint32_t class_count,
                       struct bm_model *model,
                       struct bm_error *error) {
    struct item item;
    *model = (struct bm_model){.input = input, .class_count = class_count};
    (void)snprintf(model->name, sizeof model->name, "%s", name);
    int32_t status = check_input(model, error);
    for (const char *p = layers; status == BM_STATUS_OK;) {
        size_t length = strcspn(p, ",");
        status = parse_next(model, p, length, &item, error);
        if (p[length] == '\0') {
            break;
        }
        p += length + 1;
    }
    return status == BM_STATUS_OK ? append_loss(model, &item, error) : status;
}

/* ---- The way back ---- */

/* The fewest digits that read back as the same number. */
static void format_rate(double rate, char *text, size_t capacity) {
    for (int digits = 1; digits <= 17; digits++) {
        (void)snprintf(text, capacity, "%.*g", digits, rate);
        if (fabs(strtod(text, NULL) - rate) <= 0) {
            return;
        }
    }
}

static size_t
format_stride_pad(const struct bm_layer *layer, uint32_t usual_stride, char *text, size_t size) {
    char stride[24] = "";
    char pad[24] = "";
    if (layer->stride != usual_stride) {
        (void)snprintf(stride, sizeof stride, " stride %u", layer->stride);
    }
    if (layer->padding != 0) {
        (void)snprintf(pad, sizeof pad, " pad %u", layer->padding);
    }
    return (size_t)snprintf(text, size, "%s%s", stride, pad);
}

static void format_layer(const struct bm_layer *layer, char *text, size_t size) {
    char rate[32];
    int n = 0;
    switch (layer->kind) {
    case BM_LAYER_DENSE:
        (void)snprintf(text, size, "dense %u", layer->outputs);
        break;
    case BM_LAYER_CONV2D:
        n = snprintf(text, size, "conv %u %ux%u", layer->outputs, layer->kernel_height,
                     layer->kernel_width);
        (void)format_stride_pad(layer, 1, text + n, size - (size_t)n);
        break;
    case BM_LAYER_MAXPOOL:
        n = snprintf(text, size, "maxpool %u", layer->kernel_height);
        (void)format_stride_pad(layer, layer->kernel_height, text + n, size - (size_t)n);
        break;
    case BM_LAYER_DROPOUT:
        format_rate(layer->rate, rate, sizeof rate);
        (void)snprintf(text, size, "dropout %s", rate);
        break;
    default:
        (void)snprintf(text, size, "%s", layer->kind == BM_LAYER_RELU ? "relu" : "batchnorm");
        break;
    }
}

void bm_model_format(const struct bm_model *model, char *text, size_t capacity) {
    size_t used = 0;
    if (capacity > 0) {
        text[0] = '\0';
    }
    for (uint32_t i = 0; i + 1 < model->layer_count && used < capacity; i++) {
        char layer[96];
        format_layer(&model->layers[i], layer, sizeof layer);
        int written = snprintf(text + used, capacity - used, "%s%s", i == 0 ? "" : ", ", layer);
        used += (size_t)written;
    }
}
