// What oneDNN has no training primitive for: images, dropout, running statistics, loss.
#include "loops.h"
#include "onednn.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

namespace {

// x = scale[channel] value + shift[channel]
void convert(const bm_session &session, const uint8_t *values, float *x) {
    const bm_kit_shape &shape = session.core.network.input;
    const uint64_t plane = static_cast<uint64_t>(shape.height) * shape.width;
    for (uint32_t c = 0; c < shape.channels; c++) {
        const float scale = session.pass.data->scale[c];
        const float shift = session.pass.data->shift[c];
        for (uint64_t i = c * plane; i < (c + 1) * plane; i++) {
            x[i] = scale * static_cast<float>(values[i]) + shift;
        }
    }
}

float kept_scale(const bm_kit_layer &facts) {
    return static_cast<float>(1 / (1 - facts.rate));
}

double exponential_sum(const float *x, uint32_t classes, double largest) {
    return std::accumulate(x, x + classes, 0.0, [largest](double sum, float value) {
        return sum + std::exp(static_cast<double>(value) - largest);
    });
}

// loss = log(sum_j exp(x[j])) - x[label]; dx[j] = (exp(x[j]) / sum - [j = label]) / divisor
void image_loss(bm_session &session, uint64_t b, const float *x, float *dx) {
    const uint32_t classes = session.core.network.class_count;
    const auto label = static_cast<uint32_t>(session.pass.data->labels[session.pass.image(b)]);
    const auto best = static_cast<uint32_t>(std::max_element(x, x + classes) - x);
    const auto largest = static_cast<double>(x[best]);
    const double sum = exponential_sum(x, classes, largest);
    session.losses[b] = std::log(sum) + largest - static_cast<double>(x[label]);
    session.right[b] = best == label;
    for (uint32_t j = 0; dx != nullptr && j < classes; j++) {
        const double probability = std::exp(static_cast<double>(x[j]) - largest) / sum;
        dx[j] = static_cast<float>((probability - (j == label ? 1 : 0)) / session.pass.divisor);
    }
}

} // namespace

void bm_onednn_gather(const bm_session &session, float *x) {
    const uint64_t size = session.core.network.input_size;
    const bm_onednn_pass &pass = session.pass;
    bm_onednn_share(pass.count, pass.count * size, [&](uint64_t b) {
        const uint64_t offset = pass.image(b) * size;
        if (pass.data->type == BM_DATA_UINT8) {
            convert(session, static_cast<const uint8_t *>(pass.data->images) + offset,
                    x + b * size);
        } else {
            std::memcpy(x + b * size, static_cast<const float *>(pass.data->images) + offset,
                        size * sizeof *x);
        }
    });
}

void bm_onednn_dropout(const bm_session &session, uint32_t layer, float *x, uint8_t *kept) {
    const bm_onednn_pass &pass = session.pass;
    const bm_kit_layer &facts = session.core.network.layers[layer];
    const bm_kit_dropout dropout = {session.core.seed, pass.update, layer, facts.rate};
    const uint64_t size = facts.output_size;
    const float scale = kept_scale(facts);
    if ((pass.flags & BM_SLICE_NO_DROPOUT) != 0) {
        return;
    }
    bm_onednn_share(pass.count, pass.count * size, [&](uint64_t b) {
        const uint64_t first = b * size;
        bm_kit_dropout_mask(&dropout, static_cast<uint32_t>(pass.image(b)), size, kept + first);
        for (uint64_t i = first; i < first + size; i++) {
            x[i] = kept[i] != 0 ? x[i] * scale : 0;
        }
    });
}

void bm_onednn_dropout_backward(const bm_session &session,
                                uint32_t layer,
                                float *dx,
                                const uint8_t *kept) {
    const bm_kit_layer &facts = session.core.network.layers[layer];
    const uint64_t size = facts.output_size;
    const float scale = kept_scale(facts);
    if ((session.pass.flags & BM_SLICE_NO_DROPOUT) != 0) {
        return;
    }
    bm_onednn_share(session.pass.count, session.pass.count * size, [&](uint64_t b) {
        for (uint64_t i = b * size; i < (b + 1) * size; i++) {
            dx[i] = kept[i] != 0 ? dx[i] * scale : 0;
        }
    });
}

void bm_onednn_loss(bm_session &session, const float *x, float *dx) {
    const uint64_t classes = session.core.network.class_count;
    // An exponential costs as much as tens of multiplications.
    bm_onednn_share(session.pass.count, 50 * session.pass.count * classes, [&](uint64_t b) {
        image_loss(session, b, x + b * classes, dx != nullptr ? dx + b * classes : nullptr);
    });
}

// running = decay running + (1 - decay) batch, the variance unbiased; a single value has none.
void bm_onednn_statistics(bm_session &session, uint32_t layer) {
    const bm_kit_layer &facts = session.core.network.layers[layer];
    const auto *batch = session.batch_statistics->at<const float>(0);
    auto *running = session.statistics->at<float>(0);
    const auto n =
        static_cast<double>(session.pass.count) * facts.output.height * facts.output.width;
    const auto decay = static_cast<float>(BM_BATCHNORM_DECAY);
    const auto rest = static_cast<float>(1 - BM_BATCHNORM_DECAY);
    if ((session.pass.flags & BM_SLICE_KEEP_STATISTICS) != 0) {
        return;
    }
    for (uint32_t c = 0; c < facts.output.channels; c++) {
        const uint64_t mean = facts.mean_offset + c;
        const uint64_t variance = facts.variance_offset + c;
        running[mean] = decay * running[mean] + rest * batch[mean];
        if (n > 1) {
            const float unbiased = batch[variance] * static_cast<float>(n / (n - 1));
            running[variance] = decay * running[variance] + rest * unbiased;
        }
    }
}
