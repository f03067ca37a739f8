/* Small sessions with data of their own. Their arrays lie in guarded memory. */
#include "case.h"

#include "random.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD_IMAGES, GUARD_LABELS, GUARD_ORDER, GUARD_PARAMS, GUARD_FOUND };

static void *guarded(struct bm_conform_session *session, int which, uint64_t count, size_t size) {
    session->guard[which] = bm_conform_guard_make(session->conform, (size_t)(count * size));
    return session->guard[which].bytes;
}

static void make_images(struct bm_conform_session *session, enum bm_conform_images images) {
    static const float scale[BM_CONFORM_CHANNELS] = {1 / 255.0f, 1 / 128.0f, 1 / 255.0f,
                                                     1 / 200.0f};
    static const float shift[BM_CONFORM_CHANNELS] = {-0.5f, -0.25f, 0, -0.1f};
    static const float sparse_shift[BM_CONFORM_CHANNELS] = {0, -0.25f, 0, -0.1f};
    struct bm_shape shape = session->model.input;
    uint64_t count = (uint64_t)shape.channels * shape.height * shape.width * session->data.count;
    size_t size = images == BM_CONFORM_FLOATS ? sizeof(float) : 1;
    void *values = guarded(session, GUARD_IMAGES, count, size);
    struct bm_random random;
    EXPECT(session->conform, shape.channels <= BM_CONFORM_CHANNELS, "a case has too many channels");
    bm_random_init(&random, 5, BM_RANDOM_DATA, 0);
    for (uint64_t i = 0; i < count; i++) {
        uint32_t word = bm_random_u32(&random);
        uint8_t byte = images != BM_CONFORM_SPARSE_BYTES || word >> 29 == 0 ? (uint8_t)word : 0;
        if (images == BM_CONFORM_FLOATS) {
            ((float *)values)[i] = (float)byte / 255.0f - 0.5f;
        } else {
            ((uint8_t *)values)[i] = byte;
        }
    }
    session->data.type = images == BM_CONFORM_FLOATS ? BM_DATA_FLOAT32 : BM_DATA_UINT8;
    session->data.images = values;
    if (images != BM_CONFORM_FLOATS) {
        session->data.scale = scale;
        session->data.shift = images == BM_CONFORM_SPARSE_BYTES ? sparse_shift : shift;
    }
}

static void make_data(struct bm_conform_session *session, const struct bm_conform_spec *spec) {
    int32_t *labels = guarded(session, GUARD_LABELS, spec->image_count, sizeof *labels);
    struct bm_random random;
    session->data = (struct bm_data){
        .size = sizeof session->data, .count = spec->image_count, .labels = labels};
    make_images(session, spec->images);
    bm_random_init(&random, 5, BM_RANDOM_DATA, 1);
    for (uint32_t i = 0; i < spec->image_count; i++) {
        labels[i] = (int32_t)bm_random_below(&random, session->model.class_count);
    }
    session->order_count =
        spec->order_count > 0 ? spec->order_count : 2 * (uint64_t)spec->image_count;
    session->order = guarded(session, GUARD_ORDER, session->order_count, sizeof *session->order);
    for (uint64_t i = 0; i < session->order_count; i++) {
        session->order[i] = bm_random_below(&random, spec->image_count);
    }
    for (int which = GUARD_IMAGES; which <= GUARD_ORDER; which++) {
        bm_conform_guard_protect(session->conform, &session->guard[which]);
    }
}

/* The model's start, with biases, gains and shifts that are not 0 and 1. */
static void make_params(struct bm_conform_session *session) {
    struct bm_tensor tensors[2 * BM_MODEL_LAYER_MAX];
    uint32_t count = bm_model_tensors(&session->model, tensors, 2 * BM_MODEL_LAYER_MAX);
    struct bm_random random;
    session->params = guarded(session, GUARD_PARAMS, session->param_count, sizeof(float));
    session->found = guarded(session, GUARD_FOUND, session->param_count, sizeof(float));
    bm_random_init(&random, 6, BM_RANDOM_START, 0);
    bm_model_start(&session->model, 7, session->params);
    for (uint32_t t = 0; t < count; t++) {
        for (uint64_t i = 0; tensors[t].kind != BM_TENSOR_WEIGHT && i < tensors[t].count; i++) {
            session->params[tensors[t].offset + i] += (float)(bm_random_double(&random) - 0.5) / 4;
        }
    }
}

static void make_problem(struct bm_conform_session *session, const struct bm_conform_spec *spec) {
    const struct bm_conform_request *request = session->conform->request;
    uint32_t threads = spec->thread_count > 0 ? spec->thread_count : 1;
    session->problem = (struct bm_problem){
        .size = sizeof session->problem,
        .layer_count = session->model.layer_count,
        .layer_stride = sizeof(struct bm_layer),
        .input_channels = spec->input.channels,
        .input_height = spec->input.height,
        .input_width = spec->input.width,
        .optimizer = spec->optimizer,
        .thread_count =
            threads < session->conform->thread_max ? threads : session->conform->thread_max,
        .batch_max = spec->batch_max,
        .seed = UINT64_C(0x123456789abcdef),
        .layers = session->model.layers,
        .options = request->options,
        .option_count = request->option_count,
        .option_stride = sizeof *request->options,
        .precision = session->conform->info.precisions[0].name,
    };
}

/* UNSUPPORTED leaves no session; any other failure ends the case. */
static int32_t create(struct bm_conform_session *session) {
    struct bm_conform *conform = session->conform;
    const struct bm_plugin *plugin = session->plugin;
    struct bm_error *error = &session->error;
    uint64_t bytes = 0;
    const char *call = "supports";
    int32_t status = plugin->supports(conform->device, &session->problem, &bytes, error);
    if (status == BM_STATUS_OK) {
        call = "create";
        status = plugin->create(conform->device, &session->problem, &session->session, error);
    }
    if (status != BM_STATUS_OK && status != BM_STATUS_UNSUPPORTED) {
        bm_conform_fail_call(session, call);
    }
    return status;
}

static void fill(struct bm_conform_session *session) {
    const struct bm_plugin *plugin = session->plugin;
    struct bm_error *error = &session->error;
    for (uint32_t split = 0; split < BM_SPLIT_COUNT; split++) {
        CALL(session, plugin->bind_data(session->session, split, &session->data, error));
    }
    CALL(session, plugin->set_order(session->session, session->order, session->order_count, error));
    CALL(session,
         plugin->write_params(session->session, session->params, session->param_count, error));
}

struct bm_conform_session *bm_conform_open(struct bm_conform *conform,
                                           const struct bm_conform_spec *spec) {
    struct bm_conform_session *session = bm_conform_allocate(conform, 1, sizeof *session);
    uint32_t class_count = spec->class_count > 0 ? spec->class_count : BM_CONFORM_CLASSES;
    session->conform = conform;
    session->plugin = conform->plugin;
    int32_t status = bm_model_parse("check", spec->layers, spec->input, class_count,
                                    &session->model, &session->error);
    EXPECT(conform, status == BM_STATUS_OK, "%s", session->error.text);
    session->param_count = bm_model_param_count(&session->model);
    session->statistics_count = bm_model_statistics_count(&session->model);
    make_problem(session, spec);
    make_data(session, spec);
    make_params(session);
    conform->asked++;
    if (create(session) == BM_STATUS_UNSUPPORTED) {
        bm_conform_note(conform, "\"%s\" is not supported: %s", spec->layers, session->error.text);
        bm_conform_close(session);
        return NULL;
    }
    conform->made++;
    fill(session);
    return session;
}

void bm_conform_close(struct bm_conform_session *session) {
    session->plugin->destroy(session->session);
    for (size_t i = 0; i < sizeof session->guard / sizeof session->guard[0]; i++) {
        bm_conform_guard_free(&session->guard[i]);
    }
    free(session);
}

struct bm_slice bm_conform_slice(uint64_t first, uint64_t count, uint32_t flags, uint64_t update) {
    return (struct bm_slice){.size = sizeof(struct bm_slice),
                             .flags = flags,
                             .first = first,
                             .count = count,
                             .update = update,
                             .divisor = (double)count};
}

static int normalizes_single_values(const struct bm_model *model) {
    for (uint32_t l = 0; l < model->layer_count; l++) {
        const struct bm_shape shape = model->output[l];
        if (model->layers[l].kind == BM_LAYER_BATCHNORM && shape.height * shape.width == 1) {
            return 1;
        }
    }
    return 0;
}

int bm_conform_refuses_single_value(struct bm_conform_session *session,
                                    const struct bm_slice *slice) {
    if (slice->count > 1 || (slice->flags & BM_SLICE_USE_RUNNING) != 0 ||
        !normalizes_single_values(&session->model)) {
        return 0;
    }
    return session->plugin->gradient(session->session, slice, &session->error) ==
           BM_STATUS_UNSUPPORTED;
}

int32_t bm_conform_update(struct bm_conform_session *session,
                          const struct bm_slice *slice,
                          const struct bm_hyper *hyper) {
    const struct bm_plugin *plugin = session->plugin;
    if (plugin->update != NULL) {
        return plugin->update(session->session, slice, hyper, &session->error);
    }
    int32_t status = plugin->gradient(session->session, slice, &session->error);
    return status == BM_STATUS_OK ? plugin->apply(session->session, hyper, &session->error)
                                  : status;
}

void bm_conform_read_params(struct bm_conform_session *session) {
    CALL(session, session->plugin->read_params(session->session, session->found,
                                               session->param_count, &session->error));
}
