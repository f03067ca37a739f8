// SPDX-License-Identifier: MIT
// The work, with Eigen. All matrices are row-major, [images][values of one image]; Eigen's maps put
// names on arrays of the session, so that nothing is allocated. The formulas are those of plugin.h.
#include "session.h"

// Eigen's assertions would end the process; a plugin throws at most as far as `guarded`.
#include <stdexcept>
#define eigen_assert(condition) ((condition) ? (void)0 : throw std::logic_error(#condition))
#define EIGEN_NO_MALLOC        // an allocation of Eigen is such an assertion: none is expected
#define EIGEN_DONT_PARALLELIZE // the threads are the session's own, within its budget
#define EIGEN_FAST_MATH 0      // square roots of full precision: the optimizers need them
#include <Eigen/Core>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

namespace {

using Eigen::Index;
using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<Matrix>;
using ConstView = Eigen::Map<const Matrix>;
using Row = Eigen::Map<Eigen::Array<float, 1, Eigen::Dynamic>>;
using ConstRow = Eigen::Map<const Eigen::Array<float, 1, Eigen::Dynamic>>;
using DoubleRow = Eigen::Map<Eigen::Array<double, 1, Eigen::Dynamic>>;

// The border for exceptions: what is thrown inside becomes a status.
template <class Work> int32_t guarded(bm_error *error, const Work &work) noexcept {
    try {
        work();
        return BM_STATUS_OK;
    } catch (const std::exception &broken) {
        return bm_kit_fail(error, BM_STATUS_INTERNAL, "eigen: %s", broken.what());
    } catch (...) {
        return bm_kit_fail(error, BM_STATUS_INTERNAL, "eigen: unknown exception");
    }
}

// ---- Threads ----

// Below this many multiplications it costs more to wake threads than they save.
constexpr double worth_threads = 32768;

// task(thread, thread_count) in every thread of the session, or in this one alone if there is
// little to do. A thread must not throw: what fails there is thrown here.
template <class Task> void parallel(bm_session *session, double work, const Task &task) {
    if (session->core.thread_count == 1 || work < worth_threads) {
        task(0, 1);
        return;
    }

    struct Context {
        const Task *task;
        std::atomic<bool> failed;
    } context = {&task, {false}};

    bm_kit_pool_run(
        session->pool,
        [](void *given, uint32_t thread, uint32_t thread_count) {
            Context *own = static_cast<Context *>(given);
            try {
                (*own->task)(thread, thread_count);
            } catch (...) {
                own->failed = true;
            }
        },
        &context);
    if (context.failed) {
        throw std::runtime_error("a thread failed");
    }
}

// task(begin, end) for the parts of 0 .. count, one for each thread; `cost` is that of one.
template <class Task>
void parallel_for(bm_session *session, Index count, Index grain, double cost, const Task &task) {
    parallel(session, static_cast<double>(count) * cost, [&](uint32_t thread, uint32_t threads) {
        uint64_t begin = 0;
        uint64_t end = 0;
        bm_kit_split(static_cast<uint64_t>(count), static_cast<uint64_t>(grain), thread, threads,
                     &begin, &end);
        if (begin < end) {
            task(static_cast<Index>(begin), static_cast<Index>(end));
        }
    });
}

// ---- Matrix products ----

// Eigen packs both operands of a product into buffers, which it takes from the heap if they are
// larger than EIGEN_STACK_ALLOCATION_LIMIT, 128 KiB. Tiles of this size are not. Short sums of
// `tile_depth` also keep the rounding error of long ones small.
constexpr Index tile_side = 256;
constexpr Index tile_depth = 128;

// Up to this depth packing costs more than it saves: the rows of b are added one after another.
constexpr Index shallow = 4;

// c[m][n] = or += sum_k a[m][k] b[k][n] for few k, one thread.
template <class Left, class Right, class Result>
void rank_few(const Left &a, const Right &b, bool add, Result &&c) {
    for (Index m = 0; m < c.rows(); m++) {
        for (Index k = 0; k < a.cols(); k++) {
            if (k > 0 || add) {
                c.row(m) += a(m, k) * b.row(k);
            } else {
                c.row(m) = a(m, k) * b.row(k);
            }
        }
    }
}

// The same for any number of them, tile by tile.
template <class Left, class Right, class Result>
void tiles(const Left &a, const Right &b, bool add, Result &&c) {
    if (a.cols() <= shallow && Right::IsRowMajor) {
        rank_few(a, b, add, c);
        return;
    }
    for (Index m = 0; m < c.rows(); m += tile_side) {
        Index rows = std::min(tile_side, c.rows() - m);
        for (Index n = 0; n < c.cols(); n += tile_side) {
            Index columns = std::min(tile_side, c.cols() - n);
            auto tile = c.block(m, n, rows, columns);
            for (Index k = 0; k < a.cols(); k += tile_depth) {
                Index depth = std::min(tile_depth, a.cols() - k);
                auto product = a.block(m, k, rows, depth) * b.block(k, n, depth, columns);
                if (k > 0 || add) {
                    tile.noalias() += product;
                } else {
                    tile.noalias() = product;
                }
            }
        }
    }
}

// The same by all threads: each takes rows or columns of c, of which there are more.
template <class Left, class Right>
void multiply(bm_session *session, const Left &a, const Right &b, bool add, View c) {
    double depth = static_cast<double>(a.cols());
    if (c.rows() > c.cols()) {
        double cost = depth * static_cast<double>(c.cols());
        parallel_for(session, c.rows(), 16, cost, [&](Index begin, Index end) {
            tiles(a.middleRows(begin, end - begin), b, add, c.middleRows(begin, end - begin));
        });
    } else {
        double cost = depth * static_cast<double>(c.rows());
        parallel_for(session, c.cols(), 16, cost, [&](Index begin, Index end) {
            tiles(a, b.middleCols(begin, end - begin), add, c.middleCols(begin, end - begin));
        });
    }
}

// ---- Layers: x is the input, y the output, dx and dy their gradients; [count][size] ----

// What the functions below need of a run and of one layer.
struct Pass {
    bm_session *session;
    const bm_kit_layer *layer;
    uint32_t flags; // of the slice
    Index count;    // images
    bool add;       // to the gradient that is there

    Index inputs() const {
        return static_cast<Index>(layer->input_size);
    }

    Index outputs() const {
        return static_cast<Index>(layer->output_size);
    }
};

// Row `b` of an array [count][size], its values begin .. end only.
ConstRow row(const float *x, Index size, Index b, Index begin, Index end) {
    return ConstRow(x + b * size + begin, end - begin);
}

Row row(float *x, Index size, Index b, Index begin, Index end) {
    return Row(x + b * size + begin, end - begin);
}

// The values of a parameter or of the gradient, the first of which is number `offset`.
Row part(float *array, uint64_t offset, Index begin, Index end) {
    return Row(array + offset + begin, end - begin);
}

// gradient = or += sums
void keep(const Pass &pass, uint64_t offset, Index begin, Index end, const DoubleRow &sums) {
    Row to = part(pass.session->gradient, offset, begin, end);
    if (pass.add) {
        to += sums.cast<float>();
    } else {
        to = sums.cast<float>();
    }
}

// y[b][o] = bias[o] + sum_i weight[o][i] x[b][i]
void dense_forward(const Pass &pass, const float *x, float *y) {
    const bm_kit_layer *layer = pass.layer;
    ConstView weight(pass.session->params + layer->weight_offset, pass.outputs(), pass.inputs());
    View output(y, pass.count, pass.outputs());
    output.rowwise() = part(pass.session->params, layer->bias_offset, 0, pass.outputs()).matrix();
    multiply(pass.session, ConstView(x, pass.count, pass.inputs()), weight.transpose(), true,
             output);
}

// dweight[o][i] = or += sum_b dy[b][o] x[b][i]; dbias[o] likewise of dy[b][o]
void dense_backward_params(const Pass &pass, const float *x, const float *dy) {
    const bm_kit_layer *layer = pass.layer;
    Index size = pass.outputs();
    multiply(pass.session, ConstView(dy, pass.count, size).transpose(),
             ConstView(x, pass.count, pass.inputs()), pass.add,
             View(pass.session->gradient + layer->weight_offset, size, pass.inputs()));
    double cost = static_cast<double>(pass.count);
    parallel_for(pass.session, size, 16, cost, [&](Index begin, Index end) {
        DoubleRow sums(pass.session->sums + begin, end - begin);
        sums.setZero();
        for (Index b = 0; b < pass.count; b++) {
            sums += row(dy, size, b, begin, end).cast<double>();
        }
        keep(pass, layer->bias_offset, begin, end, sums);
    });
}

// dx[b][i] = sum_o dy[b][o] weight[o][i]
void dense_backward_input(const Pass &pass, const float *dy, float *dx) {
    ConstView weight(pass.session->params + pass.layer->weight_offset, pass.outputs(),
                     pass.inputs());
    multiply(pass.session, ConstView(dy, pass.count, pass.outputs()), weight, false,
             View(dx, pass.count, pass.inputs()));
}

// The statistics of the features begin .. end, in double: the mean and the biased variance over the
// images; the running ones follow unless they are to be kept.
void batchnorm_statistics(
    const Pass &pass, const float *x, Index begin, Index end, DoubleRow mean, DoubleRow variance) {
    Row running_mean = part(pass.session->statistics, pass.layer->mean_offset, begin, end);
    Row running_variance = part(pass.session->statistics, pass.layer->variance_offset, begin, end);
    if ((pass.flags & BM_SLICE_USE_RUNNING) != 0) {
        mean = running_mean.cast<double>();
        variance = running_variance.cast<double>();
        return;
    }
    double n = static_cast<double>(pass.count);
    mean.setZero();
    variance.setZero();
    for (Index b = 0; b < pass.count; b++) {
        mean += row(x, pass.inputs(), b, begin, end).cast<double>();
    }
    mean /= n;
    for (Index b = 0; b < pass.count; b++) {
        variance += (row(x, pass.inputs(), b, begin, end).cast<double>() - mean).square();
    }
    variance /= n;
    if ((pass.flags & BM_SLICE_KEEP_STATISTICS) != 0) {
        return;
    }
    constexpr double old = BM_BATCHNORM_DECAY;
    running_mean = (old * running_mean.cast<double>() + (1 - old) * mean).cast<float>();
    if (pass.count > 1) { // of one value there is no unbiased variance
        running_variance =
            (old * running_variance.cast<double>() + (1 - old) * n / (n - 1) * variance)
                .cast<float>();
    }
}

// y = gain (x - mean) / sqrt(variance + epsilon) + shift for each feature. In double, because
// x - mean cancels; leaves mean and 1 / sqrt(...) for the way back.
void batchnorm_forward(const Pass &pass, const float *x, float *y) {
    const bm_kit_layer *layer = pass.layer;
    Index size = pass.inputs();
    double cost = 4 * static_cast<double>(pass.count);
    parallel_for(pass.session, size, 16, cost, [&](Index begin, Index end) {
        DoubleRow mean(pass.session->moments + layer->mean_offset + begin, end - begin);
        DoubleRow scale(pass.session->moments + layer->variance_offset + begin, end - begin);
        Row gain = part(pass.session->params, layer->weight_offset, begin, end);
        Row shift = part(pass.session->params, layer->bias_offset, begin, end);
        batchnorm_statistics(pass, x, begin, end, mean, scale);
        scale = (scale + BM_BATCHNORM_EPSILON).sqrt().inverse();
        for (Index b = 0; b < pass.count; b++) {
            row(y, size, b, begin, end) =
                ((row(x, size, b, begin, end).cast<double>() - mean) * scale * gain.cast<double>() +
                 shift.cast<double>())
                    .cast<float>();
        }
    });
}

// With h = (x - mean) / sqrt(variance + epsilon): dgain = sum_b dy h, dshift = sum_b dy, and
// dx = gain / sqrt(...) (dy - dshift / n - h dgain / n), Ioffe and Szegedy 2015, section 3; with
// running statistics, which are constants, the two sums are left out. Over dy, in place.
void batchnorm_backward(const Pass &pass, const float *x, float *dy) {
    const bm_kit_layer *layer = pass.layer;
    Index size = pass.inputs();
    bool constants = (pass.flags & BM_SLICE_USE_RUNNING) != 0;
    double n = static_cast<double>(pass.count);
    parallel_for(pass.session, size, 16, 6 * n, [&](Index begin, Index end) {
        DoubleRow mean(pass.session->moments + layer->mean_offset + begin, end - begin);
        DoubleRow scale(pass.session->moments + layer->variance_offset + begin, end - begin);
        DoubleRow dshift(pass.session->sums + begin, end - begin);
        DoubleRow dgain(pass.session->sums + size + begin, end - begin);
        Row gain = part(pass.session->params, layer->weight_offset, begin, end);
        dshift.setZero();
        dgain.setZero();
        for (Index b = 0; b < pass.count; b++) {
            auto values = row(x, size, b, begin, end);
            auto given = row(dy, size, b, begin, end);
            dshift += given.cast<double>();
            dgain += given.cast<double>() * (values.cast<double>() - mean) * scale;
        }
        keep(pass, layer->weight_offset, begin, end, dgain);
        keep(pass, layer->bias_offset, begin, end, dshift);
        if (constants) {
            dshift.setZero();
            dgain.setZero();
        }
        for (Index b = 0; b < pass.count; b++) {
            auto values = row(x, size, b, begin, end);
            auto given = row(dy, size, b, begin, end);
            given = (gain.cast<double>() * scale *
                     (given.cast<double>() - dshift / n -
                      (values.cast<double>() - mean) * scale * (dgain / n)))
                        .cast<float>();
        }
    });
}

// x = x where x > 0, otherwise 0, in place.
void relu_forward(const Pass &pass, float *x) {
    parallel_for(pass.session, pass.count * pass.inputs(), 16, 1, [&](Index begin, Index end) {
        Row values(x + begin, end - begin);
        values = (values > 0).select(values, 0.0f);
    });
}

// dy = dy where y > 0, otherwise 0, in place; y > 0 is x > 0.
void relu_backward(const Pass &pass, const float *y, float *dy) {
    parallel_for(pass.session, pass.count * pass.inputs(), 16, 1, [&](Index begin, Index end) {
        Row given(dy + begin, end - begin);
        given = (ConstRow(y + begin, end - begin) > 0).select(given, 0.0f);
    });
}

// Loss of one image, in double; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor
double softmax(const float *x, uint64_t classes, uint64_t label, double divisor, float *dx) {
    double largest = static_cast<double>(*std::max_element(x, x + classes));
    double sum = 0;
    for (uint64_t j = 0; j < classes; j++) {
        sum += std::exp(static_cast<double>(x[j]) - largest); // without it, this would overflow
    }
    for (uint64_t j = 0; divisor != 0 && j < classes; j++) {
        double probability = std::exp(static_cast<double>(x[j]) - largest) / sum;
        dx[j] = static_cast<float>((probability - (j == label ? 1 : 0)) / divisor);
    }
    return std::log(sum) + largest - static_cast<double>(x[label]);
}

// ---- The optimizer ----

// The constants of one step of one tensor, in the names of plugin.h.
struct Rule {
    uint32_t optimizer;
    float r, wd, u, b1, b2, e;
    float c1, c2; // 1 - b1, 1 - b2
    float k1, k2; // 1 / (1 - b1^t), 1 / (1 - b2^t)
    float ratio;  // LARS, LAMB

    // p of LAMB. ADAMW goes along it too: what decays there is the same w, from before the step.
    auto direction(const Row &w, const Row &m, const Row &v) const {
        return (m * k1) / ((v * k2).sqrt() + e) + w * wd;
    }
};

Rule make_rule(uint32_t optimizer, const bm_hyper *hyper) {
    double t = static_cast<double>(hyper->update);
    Rule rule = {};
    rule.optimizer = optimizer;
    rule.r = static_cast<float>(hyper->rate);
    rule.wd = static_cast<float>(hyper->decay);
    rule.u = static_cast<float>(hyper->momentum);
    rule.b1 = static_cast<float>(hyper->beta1);
    rule.b2 = static_cast<float>(hyper->beta2);
    rule.e = static_cast<float>(hyper->epsilon);
    rule.c1 = static_cast<float>(1 - hyper->beta1);
    rule.c2 = static_cast<float>(1 - hyper->beta2);
    rule.k1 = static_cast<float>(1 / (1 - std::pow(hyper->beta1, t)));
    rule.k2 = static_cast<float>(1 / (1 - std::pow(hyper->beta2, t)));
    rule.ratio = 1;
    return rule;
}

// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2
template <class Gradient> void average(const Rule &rule, const Gradient &g, Row m, Row v) {
    m = rule.b1 * m + rule.c1 * g;
    v = rule.b2 * v + rule.c2 * g.square();
}

// One step of the values of the four rows, which together fit in the nearest cache: so the several
// expressions of a rule cost one way through memory. m is slot 0 of the state, v is slot 1.
void step_chunk(const Rule &rule, Row w, ConstRow gradient, Row m, Row v) {
    auto g = gradient + rule.wd * w; // "coupled"; where a rule is not, see `gradient`
    switch (rule.optimizer) {
    case BM_OPTIMIZER_SGD:
        w -= rule.r * g;
        break;
    case BM_OPTIMIZER_MOMENTUM:
        m = rule.u * m - rule.r * g;
        w += m;
        break;
    case BM_OPTIMIZER_NESTEROV:
        m = rule.u * m - rule.r * g;
        w += rule.u * m - rule.r * g;
        break;
    case BM_OPTIMIZER_ADAGRAD:
        m += g.square();
        w -= rule.r * g / (m.sqrt() + rule.e);
        break;
    case BM_OPTIMIZER_RMSPROP:
        m = rule.b2 * m + rule.c2 * g.square();
        w -= rule.r * g / (m.sqrt() + rule.e);
        break;
    case BM_OPTIMIZER_ADAM:
        average(rule, g, m, v);
        w -= rule.r * ((m * rule.k1) / ((v * rule.k2).sqrt() + rule.e));
        break;
    case BM_OPTIMIZER_ADAMW:
        average(rule, gradient, m, v);
        w -= rule.r * rule.direction(w, m, v);
        break;
    case BM_OPTIMIZER_LARS:
        m = rule.u * m + rule.r * rule.ratio * g;
        w -= m;
        break;
    default: // LAMB; its m and v are there already
        w -= rule.r * rule.ratio * rule.direction(w, m, v);
        break;
    }
}

// The arrays of one weight or bias tensor; those of the state are NULL where a rule has none.
struct Tensor {
    bm_session *session;
    uint64_t offset;
    Index count;

    Row values(float *array, Index begin, Index end) const {
        return array != nullptr ? part(array, offset, begin, end) : Row(nullptr, 0);
    }

    // task(thread, w, g, m, v) for chunks of the tensor, in all threads.
    template <class Task> void for_chunks(const Task &task) const {
        constexpr Index chunk = 1024;
        parallel(session, 4 * static_cast<double>(count), [&](uint32_t thread, uint32_t threads) {
            uint64_t first = 0;
            uint64_t last = 0;
            bm_kit_split(static_cast<uint64_t>(count), chunk, thread, threads, &first, &last);
            for (Index i = static_cast<Index>(first); i < static_cast<Index>(last); i += chunk) {
                Index end = std::min(i + chunk, static_cast<Index>(last));
                task(thread, values(session->params, i, end), values(session->gradient, i, end),
                     values(session->state[0], i, end), values(session->state[1], i, end));
            }
        });
    }
};

template <class Values> double square_sum(const Values &values) {
    return values.template cast<double>().square().sum();
}

// The norms that LARS and LAMB need: |w|, and |g| or |p|. LAMB makes m and v on the way. Each
// thread adds up its own part, and the parts are added in turn: the same bits every time.
void norms(const Rule &rule, const Tensor &tensor, double *of_weight, double *of_other) {
    double *squares = tensor.session->squares;
    uint32_t threads = tensor.session->core.thread_count;
    std::fill(squares, squares + 2 * threads, 0.0);
    tensor.for_chunks([&](uint32_t thread, Row w, Row g, Row m, Row v) {
        squares[2 * thread] += square_sum(w);
        if (rule.optimizer == BM_OPTIMIZER_LARS) {
            squares[2 * thread + 1] += square_sum(g);
        } else {
            average(rule, g, m, v);
            squares[2 * thread + 1] += square_sum(rule.direction(w, m, v));
        }
    });
    for (uint32_t thread = 1; thread < threads; thread++) {
        squares[0] += squares[2 * thread];
        squares[1] += squares[2 * thread + 1];
    }
    *of_weight = std::sqrt(squares[0]);
    *of_other = std::sqrt(squares[1]);
}

// One step of one tensor. `weight` is true for what LARS and LAMB take a ratio and a decay for.
void step_tensor(const Tensor &tensor, bool weight, const bm_hyper *hyper) {
    uint32_t optimizer = tensor.session->core.optimizer;
    Rule rule = make_rule(optimizer, hyper);
    if (optimizer == BM_OPTIMIZER_LARS || optimizer == BM_OPTIMIZER_LAMB) {
        rule.wd = weight ? rule.wd : 0;
        double w = 0;
        double other = 0;
        norms(rule, tensor, &w, &other);
        if (weight && w > 0 && other > 0) {
            rule.ratio = static_cast<float>(optimizer == BM_OPTIMIZER_LAMB
                                                ? w / other
                                                : hyper->trust * w / (other + hyper->decay * w));
        }
    }
    tensor.for_chunks([&](uint32_t, Row w, Row g, Row m, Row v) {
        step_chunk(rule, w, ConstRow(g.data(), g.size()), m, v);
    });
}

void step_layer(bm_session *session, const bm_kit_layer *layer, const bm_hyper *hyper) {
    Tensor weight = {session, layer->weight_offset, static_cast<Index>(layer->weight_count)};
    Tensor bias = {session, layer->bias_offset, static_cast<Index>(layer->bias_count)};
    if (weight.count > 0) {
        step_tensor(weight, layer->kind == BM_LAYER_DENSE, hyper);
    }
    if (bias.count > 0) {
        step_tensor(bias, false, hyper);
    }
}

// ---- The walk through the network ----

uint64_t image_number(const bm_eigen_work *work, uint64_t b) {
    return work->order != nullptr ? work->order[b] : work->first + b;
}

// x[b][i] = the value, or scale[channel] byte + shift[channel]
void read_image(const bm_session *session, const bm_data *data, uint64_t image, float *x) {
    Index size = static_cast<Index>(session->core.network.input_size);
    Index channels = static_cast<Index>(session->core.network.input.channels);
    Index plane = size / channels;
    Index offset = static_cast<Index>(image) * size;
    if (data->type == BM_DATA_FLOAT32) {
        const float *values = static_cast<const float *>(data->images);
        std::memcpy(x, values + offset, static_cast<size_t>(size) * sizeof *x);
        return;
    }
    const uint8_t *bytes = static_cast<const uint8_t *>(data->images) + offset;
    for (Index c = 0; c < channels; c++) {
        Eigen::Map<const Eigen::Array<uint8_t, 1, Eigen::Dynamic>> from(bytes + c * plane, plane);
        Row(x + c * plane, plane) = from.cast<float>() * data->scale[c] + data->shift[c];
    }
}

void forward(Pass pass) {
    const bm_kit_network *network = &pass.session->core.network;
    float *x = pass.session->values;
    for (uint32_t l = 0; l + 1 < network->layer_count; l++) {
        pass.layer = &network->layers[l];
        float *y = x + bm_eigen_place(pass.layer, pass.session->piece);
        if (pass.layer->kind == BM_LAYER_DENSE) {
            dense_forward(pass, x, y);
        } else if (pass.layer->kind == BM_LAYER_BATCHNORM) {
            batchnorm_forward(pass, x, y);
        } else {
            relu_forward(pass, x);
        }
        x = y;
    }
}

// The input of the last layer: [count][classes].
float *logits(bm_session *session) {
    const bm_kit_network *network = &session->core.network;
    float *x = session->values;
    for (uint32_t l = 0; l + 1 < network->layer_count; l++) {
        x += bm_eigen_place(&network->layers[l], session->piece);
    }
    return x;
}

// The last layer: losses and answers, and the gradient of its input to begin with.
void finish(bm_session *session, const bm_eigen_work *work, bm_eigen_result *result) {
    uint64_t classes = session->core.network.class_count;
    for (uint64_t b = 0; b < work->count; b++) {
        const float *x = logits(session) + b * classes;
        uint64_t label = static_cast<uint64_t>(work->data->labels[image_number(work, b)]);
        uint64_t answer = static_cast<uint64_t>(std::max_element(x, x + classes) - x); // the first
        result->loss += softmax(x, classes, label, work->divisor, session->delta[0] + b * classes);
        result->correct += answer == label;
    }
}

// The step of a layer follows its gradient at once, while that is in the cache.
void backward(Pass pass, const bm_hyper *hyper) {
    bm_session *session = pass.session;
    float *x = logits(session);
    float *dy = session->delta[0];
    float *dx = session->delta[1];
    for (uint32_t l = session->core.network.layer_count - 1; l-- > 0;) {
        pass.layer = &session->core.network.layers[l];
        x -= bm_eigen_place(pass.layer, session->piece);
        if (pass.layer->kind == BM_LAYER_RELU) {
            relu_backward(pass, x, dy);
        } else if (pass.layer->kind == BM_LAYER_BATCHNORM) {
            batchnorm_backward(pass, x, dy);
        } else {
            dense_backward_params(pass, x, dy);
            if (l > 0) { // nobody wants the gradient of the images
                dense_backward_input(pass, dy, dx);
            }
            std::swap(dx, dy);
        }
        if (hyper != nullptr) {
            step_layer(session, pass.layer, hyper);
        }
    }
}

void run_piece(bm_session *session, const bm_eigen_work *work, bool add, bm_eigen_result *result) {
    uint64_t size = session->core.network.input_size;
    Index count = static_cast<Index>(work->count);
    parallel_for(session, count, 1, static_cast<double>(size), [&](Index begin, Index end) {
        for (uint64_t b = static_cast<uint64_t>(begin); b < static_cast<uint64_t>(end); b++) {
            read_image(session, work->data, image_number(work, b), session->values + b * size);
        }
    });
    Pass pass = {session, nullptr, work->flags, count, add};
    forward(pass);
    finish(session, work, result);
    if (work->divisor != 0) {
        backward(pass, work->hyper);
    }
}

} // namespace

int32_t bm_eigen_run(bm_session *session,
                     const bm_eigen_work *work,
                     bm_eigen_result *result,
                     bm_error *error) noexcept {
    /* cppcheck-suppress throwInNoexceptFunction ; guarded catches everything */
    return guarded(error, [&] {
        bool add = (work->flags & BM_SLICE_ACCUMULATE) != 0;
        for (uint64_t done = 0; done < work->count; done += session->piece) {
            bm_eigen_work piece = *work;
            piece.first += done;
            piece.order = work->order != nullptr ? work->order + done : nullptr;
            piece.count = std::min(work->count - done, session->piece);
            if (done + piece.count < work->count) {
                piece.hyper = nullptr; // the gradient is not complete yet
            }
            run_piece(session, &piece, add || done > 0, result);
        }
    });
}

int32_t bm_eigen_step(bm_session *session, const bm_hyper *hyper, bm_error *error) noexcept {
    /* cppcheck-suppress throwInNoexceptFunction ; guarded catches everything */
    return guarded(error, [&] {
        const bm_kit_network *network = &session->core.network;
        for (uint32_t l = 0; l < network->layer_count; l++) {
            step_layer(session, &network->layers[l], hyper);
        }
    });
}

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const char *bm_eigen_version() noexcept {
    return "Eigen " TEXT(EIGEN_WORLD_VERSION) "." TEXT(EIGEN_MAJOR_VERSION) "." TEXT(
        EIGEN_MINOR_VERSION);
}
