// The session of the oneDNN backend, and what its files offer each other. oneDNN computes the
// layers; what it has no training primitive for (images, loss, dropout, running statistics,
// optimizers) are plain loops of ours, on the same OpenMP threads.
//
// Inside the plugin failures are exceptions; guard.h turns them into a status at the border.
#ifndef BM_ONEDNN_H
#define BM_ONEDNN_H

#include <batchmark/kit.h>

#include <oneapi/dnnl/dnnl.hpp>

#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// A block of memory for tensors.
struct bm_onednn_block {
    explicit bm_onednn_block(uint64_t size);

    template <class type> type *at(uint64_t offset) const {
        return static_cast<type *>(static_cast<void *>(data.get() + offset));
    }

    struct release {
        void operator()(unsigned char *memory) const {
            std::free(memory);
        }
    };

    std::unique_ptr<unsigned char, release> data;
    uint64_t bytes;
};

// One parameter tensor. `own` is how it lies in our arrays, as do its gradient and state.
struct bm_onednn_param {
    dnnl::memory::desc canonical;
    dnnl::memory::desc own;
    uint64_t canonical_offset;
    uint64_t count;
    uint64_t offset; // in floats, a multiple of a cache line
    bool is_weight;  // of a dense or convolution layer: lars and lamb scale it
};

// The two of one layer; empty where it has none.
struct bm_onednn_layer {
    uint32_t weight = UINT32_MAX; // index into the session's params
    uint32_t bias = UINT32_MAX;
};

// Where a tensor of a plan lies: in a region of the plan's arena, or in an array of the session.
constexpr uint32_t bm_onednn_in_values = UINT32_MAX;
constexpr uint32_t bm_onednn_in_gradient = UINT32_MAX - 1;
constexpr uint32_t bm_onednn_in_statistics = UINT32_MAX - 2;
constexpr uint32_t bm_onednn_in_batch_statistics = UINT32_MAX - 3;

struct bm_onednn_place {
    dnnl::memory::desc md;
    uint32_t region = 0; // index of a region, or bm_onednn_in_*
    uint64_t offset = 0; // in floats, of an array
};

enum class bm_onednn_operation { PRIMITIVE, GATHER, DROPOUT, DROPOUT_BACKWARD, STATISTICS, LOSS };

// One step of a plan: a primitive with its arguments, or a loop of ours.
struct bm_onednn_node {
    bm_onednn_operation operation = bm_onednn_operation::PRIMITIVE;
    uint32_t layer = 0;
    dnnl::primitive_desc_base pd;
    // Arguments of the primitive by DNNL_ARG_*. Loops number theirs from 0: x and y (or the mask).
    std::vector<std::pair<int, bm_onednn_place>> places;
    // Made when the plan gets its memory.
    dnnl::primitive primitive;
    std::vector<dnnl_exec_arg_t> arguments;
    std::vector<void *> pointers;
};

// How a pass goes through the network; each has primitives of its own.
enum class bm_onednn_mode { TRAIN, TRAIN_RUNNING, EVALUATE };

// Everything that one batch count in one mode needs, made when the two are first met.
struct bm_onednn_plan {
    uint64_t count = 0;
    bm_onednn_mode mode = bm_onednn_mode::TRAIN;
    std::vector<bm_onednn_node> nodes;
    std::vector<uint64_t> region_bytes;
    std::vector<dnnl::memory> memories;
    std::shared_ptr<bm_onednn_block> arena;
    std::vector<std::string> notes; // for describe, a line each

    uint64_t arena_bytes() const;
};

// The images of the pass that is being computed.
struct bm_onednn_pass {
    const bm_data *data;
    const uint32_t *images; // [count] image numbers; NULL: first, first + 1, ...
    uint64_t first;
    uint64_t count;
    uint32_t flags;
    uint64_t update;
    double divisor;

    uint64_t image(uint64_t b) const {
        return images != nullptr ? images[b] : first + b;
    }
};

struct bm_session {
    bm_session() = default;
    bm_session(const bm_session &) = delete;
    bm_session &operator=(const bm_session &) = delete;
    ~bm_session();

    bm_kit_session core{};
    bool plain_weights = false; // option: keep weights in canonical layout
    uint32_t first_trainable = 0;
    dnnl::engine engine;
    dnnl::stream stream;
    std::vector<bm_onednn_param> params;
    std::vector<bm_onednn_layer> layers;
    uint64_t array_count = 0; // floats of each array below but the statistics

    std::unique_ptr<bm_onednn_block> values; // parameters
    std::unique_ptr<bm_onednn_block> gradient;
    std::unique_ptr<bm_onednn_block> state[2];
    std::unique_ptr<bm_onednn_block> earlier; // what ACCUMULATE adds to, from its first use on
    std::unique_ptr<bm_onednn_block> statistics;
    std::unique_ptr<bm_onednn_block> batch_statistics; // of the last forward pass
    std::vector<double> losses;                        // [batch_max]
    std::vector<uint8_t> right;
    std::vector<double> norms; // of lars and lamb, [chunk][2]
    std::vector<float> ratios;

    std::shared_ptr<bm_onednn_block> arena;
    std::map<std::pair<uint64_t, bm_onednn_mode>, bm_onednn_plan> plans;
    bm_onednn_pass pass{};
};

// ---- session.cc ----

// Everything that is known before memory is taken: params, their layouts, plans for batch_max.
// Returns the bytes that the session will take.
uint64_t bm_onednn_prepare(bm_session &session, std::vector<bm_onednn_plan> &plans);

// Takes the memory and makes the plans ready.
void bm_onednn_start(bm_session &session, std::vector<bm_onednn_plan> plans);

// Largest number of images that evaluate sends through the layers at once.
uint64_t bm_onednn_evaluate_count(const bm_session &session);

// OpenMP's thread count belongs to the calling thread, which other sessions may use as well.
void bm_onednn_use_threads(const bm_session &session);

// ---- params.cc ----

void bm_onednn_make_params(bm_session &session);

// One of the session's arrays to canonical layout and back.
void bm_onednn_read_array(bm_session &session, const bm_onednn_block &array, float *values);
void bm_onednn_write_array(bm_session &session, const bm_onednn_block &array, const float *values);

// ---- linear.cc ----

// The layouts that a layer's weight has in canonical form and by the choice of its forward
// primitive.
dnnl::memory::desc bm_onednn_canonical_weight(const bm_session &session, uint32_t layer);
dnnl::memory::desc bm_onednn_preferred_weight(const bm_session &session, uint32_t layer);

// ---- build.cc ----

bm_onednn_plan bm_onednn_build(const bm_session &session, uint64_t count, bm_onednn_mode mode);

// ---- plan.cc ----

// Gives the plan memory, at least what it needs, and makes its primitives.
void bm_onednn_realize(const bm_session &session,
                       bm_onednn_plan &plan,
                       std::shared_ptr<bm_onednn_block> arena);

// The plan for that count, made now if it has not been met.
const bm_onednn_plan &bm_onednn_plan_for(bm_session &session, uint64_t count, bm_onednn_mode mode);

// Runs the session's pass through it; the summed loss.
double bm_onednn_run(bm_session &session, const bm_onednn_plan &plan);

// ---- loops.cc ----

// x: [count][input_size]
void bm_onednn_gather(const bm_session &session, float *x);
void bm_onednn_dropout(const bm_session &session, uint32_t layer, float *x, uint8_t *kept);
void bm_onednn_dropout_backward(const bm_session &session,
                                uint32_t layer,
                                float *dx,
                                const uint8_t *kept);
// dx NULL: the loss alone
void bm_onednn_loss(bm_session &session, const float *x, float *dx);
void bm_onednn_statistics(bm_session &session, uint32_t layer);

// ---- optimizer.cc ----

void bm_onednn_apply(bm_session &session, const bm_hyper &hyper);
uint64_t bm_onednn_chunk_count(const bm_session &session);

// ---- describe.cc ----

// A layout as oneDNN's own log writes it: axes by stride, blocked ones in capitals, then the
// blocks.
std::string bm_onednn_format(const dnnl::memory::desc &md);
std::string bm_onednn_describe(const bm_session &session);

#endif
