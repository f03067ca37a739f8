/* Batch norm: with its errors in float64, and as float32 computes it. */
#include "reference_call.h"

/* Sums over one channel's values of all images. */
struct channel {
    const struct call *call;
    size_t first; /* of the channel in an image */
    size_t positions;
    double count;                 /* values in the slice, repetitions counted */
    const uint32_t *images_order; /* of float32 sums */
    const uint32_t *positions_order;
};

static struct channel channel_of(const struct call *call, size_t c) {
    size_t positions = positions_of(call->in);
    return (struct channel){.call = call,
                            .first = c * positions,
                            .positions = positions,
                            .count = (double)call->pass->slice_count * (double)positions};
}

/* Variance of the roundings of a channel's sum: a walk over images, each a walk over positions. */
struct walk {
    double images; /* sum over images of (sum over positions)^2 */
    double terms;  /* sum of squares */
    double sum;
};

static void walk_image(struct walk *walk, double weight, double sum, double squares) {
    walk->images += weight * square(sum);
    walk->terms += weight * squares;
    walk->sum += weight * sum;
}

static double walk_variance(const struct bm_pass *pass, const struct walk *walk, double terms) {
    return terms * square(accumulate_u(pass)) *
           (2 * walk->images + walk->terms + square(walk->sum));
}

/* Mean, and the deviation of the summation's roundings. */
static void channel_mean(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct walk walk = {0};
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *x = call->x.value + n * call->inputs + of->first;
        double sum = 0;
        double squares = 0;
        for (size_t p = 0; p < of->positions; p++) {
            sum += x[p];
            squares += square(x[p]);
        }
        walk_image(&walk, pass->weight[n], sum, squares);
    }
    norm->mean[c] = walk.sum / of->count;
    norm->mean_error[c] = sqrt(walk_variance(pass, &walk, of->count)) / of->count;
}

/*
 * Biased variance. Both ways of computing it are honest: two passes, or E x^2 - mean^2, whose
 * rounding errors are relative to E x^2 + mean^2; sums of one sign, see reference_layers.c.
 */
static void channel_variance(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    double squares = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        const double *x = call->x.value + n * call->inputs + of->first;
        for (size_t p = 0; p < of->positions; p++) {
            sum += pass->weight[n] * square(x[p] - norm->mean[c]);
            squares += pass->weight[n] * square(x[p]);
        }
    }
    double scale = squares / of->count + square(norm->mean[c]);
    norm->variance[c] = of->count > 1 ? sum / of->count : 0;
    norm->variance_error[c] = of->count > 1 ? sqrt(of->count + 4) * accumulate_u(pass) * scale : 0;
}

/* 1 / sqrt(v + e) has the relative error d / (2 (v + e)) for an error d of v; where d is not small,
 * what is left of v + e in the worst case decides. */
static void channel_inverse(const struct channel *of, struct bm_norm *norm, size_t c) {
    double v = norm->variance[c] + BM_BATCHNORM_EPSILON;
    double bound = BM_REFERENCE_LAMBDA * norm->variance_error[c] / v;
    double left = fmax(1 - bound, BM_BATCHNORM_EPSILON / v);
    double relative = 1 / sqrt(left) - 1;
    norm->inverse[c] = 1 / sqrt(v);
    norm->inverse_error[c] = relative / BM_REFERENCE_LAMBDA + 4 * accumulate_u(of->call->pass);
}

/* A run's mean, and its variance and inverse, which have one error. */
static void channel_perturb(const struct channel *of, struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    struct signs means = signs_of(call->pass, call->index, SIGNS_MEAN);
    struct signs inverses = signs_of(call->pass, call->index, SIGNS_INVERSE);
    norm->mean[c] += signed_at(&means, c, norm->mean_error[c]);
    norm->variance[c] -= signed_at(&inverses, c, norm->variance_error[c]);
    norm->inverse[c] *= 1 + signed_at(&inverses, c, norm->inverse_error[c]);
}

/* running = decay running + (1 - decay) batch; a backend keeps it in float32. The bound's last
 * roundings only: the rest is estimated. */
static void channel_running(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    size_t at = pass->statistics_offset[call->index] + c;
    size_t channels = call->in.channels;
    double u = accumulate_u(pass);
    double rest = 1 - BM_BATCHNORM_DECAY;
    double unbiased = of->count > 1 ? of->count / (of->count - 1) : 1;
    double variance = unbiased * norm->variance[c];
    pass->statistics_after[at] = BM_BATCHNORM_DECAY * pass->statistics[at] + rest * norm->mean[c];
    pass->statistics_after[at + channels] =
        of->count > 1 ? BM_BATCHNORM_DECAY * pass->statistics[at + channels] + rest * variance
                      : pass->statistics[at + channels];
    if (is_estimated(pass)) {
        pass->statistics_bound[at] = 4 * u * (fabs(pass->statistics[at]) + fabs(norm->mean[c]));
        pass->statistics_bound[at + channels] =
            4 * u * (fabs(pass->statistics[at + channels]) + variance);
    }
}

static uint32_t uses_running(const struct bm_pass *pass) {
    return (pass->request->flags & BM_SLICE_USE_RUNNING) != 0;
}

static void channel_from_running(const struct call *call, struct bm_norm *norm, size_t c) {
    const struct bm_pass *pass = call->pass;
    size_t at = pass->statistics_offset[call->index] + c;
    double u = accumulate_u(pass);
    norm->mean[c] = pass->statistics[at];
    norm->variance[c] = pass->statistics[at + call->in.channels];
    norm->inverse[c] = 1 / sqrt(norm->variance[c] + BM_BATCHNORM_EPSILON);
    norm->mean_error[c] = u * fabs(norm->mean[c]);
    norm->variance_error[c] = 0;
    norm->inverse_error[c] = 5 * u;
}

/* The mean square of a channel's sigma. */
static double channel_spread(const struct channel *of) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double sum = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        const float *sigma = call->x.sigma + n * call->inputs + of->first;
        for (size_t p = 0; p < of->positions; p++) {
            sum += pass->weight[n] * square((double)sigma[p]);
        }
    }
    return sum / of->count;
}

/* Whether sigma is as large as the deviations, in the mean square over the channels: then a
 * calculation with small errors says nothing. A single value is a constant. */
static void judge_norm(const struct call *call) {
    const struct bm_norm *norm = &call->pass->norm[call->index];
    double sum = 0;
    if (channel_of(call, 0).count <= 1) {
        return;
    }
    for (size_t c = 0; c < call->in.channels; c++) {
        struct channel of = channel_of(call, c);
        sum += channel_spread(&of) * square(norm->inverse[c]);
    }
    if (sum > call->in.channels) {
        call->pass->undetermined = 1;
    }
}

/* What a channel's values have in common. */
struct norm_channel {
    double gain;
    double bias;
    double mean;
    double inverse;
    double scale; /* gain inverse */
    double shift; /* rounding of bias - mean scale: its deviation, or a run's error */
    double mean_error;
    double inverse_error;
    double spread;
};

static struct norm_channel
norm_channel_of(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct signs signs = signs_of(pass, call->index, SIGNS_SHIFT);
    struct norm_channel channel = {.gain = call->weight[c],
                                   .bias = call->bias[c],
                                   .mean = norm->mean[c],
                                   .inverse = norm->inverse[c],
                                   .scale = call->weight[c] * norm->inverse[c],
                                   .mean_error = norm->mean_error[c],
                                   .inverse_error = norm->inverse_error[c]};
    channel.shift =
        2 * accumulate_u(pass) * (fabs(channel.scale * channel.mean) + fabs(channel.bias));
    if (pass->run > 0) {
        channel.shift = signed_at(&signs, c, channel.shift);
    } else if (pass->bounded) {
        channel.spread = uses_running(pass) ? 0 : channel_spread(of);
    }
    return channel;
}

/*
 * y = gain (x - mean) inverse + shift, also as x scale + (shift - mean scale); roundings of the
 * latter are relative to the sizes of its terms. The errors of x lose their part along 1 and along
 * `normal`: a projection, after which their mean square `spread` is not larger, see
 * reference_layers.c.
 */
static void norm_value(const struct channel *of,
                       const struct norm_channel *norm,
                       struct signs *signs,
                       size_t at) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double u = accumulate_u(pass);
    double normal = (call->x.value[at] - norm->mean) * norm->inverse;
    double terms = fabs(norm->scale) * (fabs(call->x.value[at]) + fabs(norm->mean));
    double rounding = 2 * u * (terms + fabs(norm->bias));
    call->y.value[at] = norm->gain * normal + norm->bias;
    if (pass->run > 0) {
        call->y.value[at] += signed_at(signs, at, rounding) + norm->shift;
    } else if (pass->bounded) {
        double x = fmax(square((double)call->x.sigma[at]), norm->spread);
        call->y.sigma[at] = (float)sqrt(square(norm->scale) * (x + square(norm->mean_error)) +
                                        square(norm->gain * normal * norm->inverse_error) +
                                        square(rounding) + square(norm->shift));
    }
}

/* One value per channel: y = shift exactly. */
static void constant_value(const struct call *call, size_t c, size_t at) {
    call->y.value[at] = call->bias[c];
    if (is_estimated(call->pass)) {
        call->y.sigma[at] = 0;
    }
}

static void norm_forward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    struct bm_norm norm = pass->norm[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_FORWARD);
    (void)thread;
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_of(call, c);
        if (uses_running(pass)) {
            channel_from_running(call, &norm, c);
        } else {
            channel_mean(&of, &norm, c);
            channel_variance(&of, &norm, c);
            channel_inverse(&of, &norm, c);
        }
        if (pass->run > 0) {
            channel_perturb(&of, &norm, c);
        }
        if (!uses_running(pass) && (pass->request->flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            channel_running(&of, &norm, c);
        }
        struct norm_channel channel = norm_channel_of(&of, &norm, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        for (size_t n = 0; n < pass->image_count; n++) {
            for (size_t p = 0; p < of.positions; p++) {
                size_t at = n * call->inputs + of.first + p;
                if (constant) {
                    constant_value(call, c, at);
                } else {
                    norm_value(&of, &channel, &signs, at);
                }
            }
        }
    }
}

struct channel_sums {
    double shift;    /* sum dy */
    double gain;     /* sum dy (x - mean) inverse */
    double rounding; /* a run's relative error of gain inverse */
};

/* sum dy x - mean sum dy is honest too, and its terms are larger. */
static struct channel_sums
channel_gradients(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    struct walk shift = {0};
    struct walk product = {0}; /* sum dy x */
    double gain = 0;
    for (size_t n = 0; n < pass->image_count; n++) {
        double sums[4] = {0};
        for (size_t p = 0; p < of->positions; p++) {
            size_t at = n * call->inputs + of->first + p;
            double dy = call->dy.value[at];
            double x = call->x.value[at];
            sums[0] += dy;
            sums[1] += square(dy);
            sums[2] += dy * x;
            sums[3] += square(dy * x);
            gain += pass->weight[n] * dy * (x - norm->mean[c]);
        }
        walk_image(&shift, pass->weight[n], sums[0], sums[1]);
        walk_image(&product, pass->weight[n], sums[2], sums[3]);
    }
    struct channel_sums sums = {shift.sum, gain * norm->inverse[c], 0};
    if (pass->run > 0) {
        double terms = bm_reference_slice_terms(call, of->first, of->positions, 1);
        double shift_variance = walk_variance(pass, &shift, terms);
        double gain_variance =
            walk_variance(pass, &product, terms) + square(norm->mean[c]) * shift_variance;
        struct signs signs = signs_of(pass, call->index, SIGNS_SHIFT_SUM);
        sums.shift += signed_at(&signs, c, sqrt(shift_variance));
        signs = signs_of(pass, call->index, SIGNS_GAIN_SUM);
        sums.gain += signed_at(&signs, c, norm->inverse[c] * sqrt(gain_variance));
        signs = signs_of(pass, call->index, SIGNS_SCALE);
        sums.rounding = signed_at(&signs, c, 2 * accumulate_u(pass));
    }
    return sums;
}

/* dx = gain inverse (dy - (sum dy + normal sum dy normal) / count) */
static void norm_gradient(const struct channel *of,
                          const struct bm_norm *norm,
                          struct signs *signs,
                          size_t c,
                          const struct channel_sums *sums,
                          size_t at) {
    const struct call *call = of->call;
    const struct bm_pass *pass = call->pass;
    double scale = call->weight[c] * norm->inverse[c];
    double normal = (call->x.value[at] - norm->mean[c]) * norm->inverse[c];
    double constant = uses_running(pass) ? 0 : 1 / of->count;
    double shift = constant * sums->shift;
    double gain = constant * sums->gain;
    double dy = call->dy.value[at];
    call->dx.value[at] = scale * (dy - shift - normal * gain);
    if (pass->run > 0) {
        double size = (fabs(call->x.value[at]) + fabs(norm->mean[c])) * norm->inverse[c];
        double roundings = 3 * accumulate_u(pass) * (fabs(dy) + fabs(shift) + size * fabs(gain));
        call->dx.value[at] +=
            signed_at(signs, at, fabs(scale) * roundings) + sums->rounding * call->dx.value[at];
    }
}

static void norm_backward(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const struct bm_norm *norm = &pass->norm[call->index];
    struct signs signs = signs_of(pass, call->index, SIGNS_BACKWARD);
    (void)thread;
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_of(call, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        struct channel_sums sums = channel_gradients(&of, norm, c);
        pass->sums.gradient[call->bias_offset + c] += sums.shift;
        pass->sums.gradient[call->weight_offset + c] += constant ? 0 : sums.gain;
        for (size_t n = 0; n < pass->image_count && call->below; n++) {
            for (size_t p = 0; p < of.positions; p++) {
                size_t at = n * call->inputs + of.first + p;
                if (constant) {
                    call->dx.value[at] = 0;
                } else {
                    norm_gradient(&of, norm, &signs, c, &sums, at);
                }
            }
        }
    }
}

/* ---- Batch norm in float32: two passes over the values, each formula as it is written ---- */

static struct channel channel_float32(const struct call *call, uint32_t thread, size_t c) {
    struct channel of = channel_of(call, c);
    of.images_order = chains_of(call, thread, ORDER_IMAGES, call->pass->image_count).order;
    of.positions_order = chains_of(call, thread, ORDER_POSITIONS, of.positions).order;
    BM_ASSERT(of.images_order != NULL && of.positions_order != NULL);
    return of;
}

/* Where the channel's value of an image begins, in the order of a float32 sum. */
static size_t image_at(const struct channel *of, size_t n) {
    return of->images_order[n] * of->call->inputs + of->first;
}

static void channel_statistics_float32(const struct channel *of, struct bm_norm *norm, size_t c) {
    uint64_t images = of->call->pass->image_count;
    float count = (float)of->count;
    struct accumulator sum = accumulator_of(of->call, 0);
    struct accumulator squares = accumulator_of(of->call, 0);
    for (size_t n = 0; n < images; n++) {
        const double *x = of->call->x.value + image_at(of, n);
        for (size_t p = 0; p < of->positions; p++) {
            accumulate(&sum, (float)x[of->positions_order[p]]);
        }
        end_image(&sum, of->positions);
    }
    float mean = sum_of(&sum) / count;
    for (size_t n = 0; n < images; n++) {
        const double *x = of->call->x.value + image_at(of, n);
        for (size_t p = 0; p < of->positions; p++) {
            float distance = (float)x[of->positions_order[p]] - mean;
            accumulate(&squares, distance * distance);
        }
        end_image(&squares, of->positions);
    }
    norm->mean[c] = (double)mean;
    norm->variance[c] = of->count > 1 ? (double)(sum_of(&squares) / count) : 0;
}

static double inverse_float32(double variance) {
    return (double)(1 / sqrtf((float)variance + (float)BM_BATCHNORM_EPSILON));
}

static void running_float32(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct bm_pass *pass = of->call->pass;
    const float decay = (float)BM_BATCHNORM_DECAY;
    const float rest = (float)(1 - BM_BATCHNORM_DECAY);
    size_t mean = pass->statistics_offset[of->call->index] + c;
    size_t variance = mean + of->call->in.channels;
    float unbiased = of->count > 1 ? (float)(of->count / (of->count - 1)) : 1;
    float batch = rest * ((float)norm->variance[c] * unbiased);
    pass->statistics_after[mean] =
        (double)(decay * (float)pass->statistics[mean] + rest * (float)norm->mean[c]);
    pass->statistics_after[variance] =
        of->count > 1 ? (double)(decay * (float)pass->statistics[variance] + batch)
                      : pass->statistics[variance];
}

static float
normal_float32(const struct call *call, const struct bm_norm *norm, size_t c, size_t at) {
    return ((float)call->x.value[at] - (float)norm->mean[c]) * (float)norm->inverse[c];
}

static void norm_forward_float32(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    struct bm_norm norm = pass->norm[call->index];
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_float32(call, thread, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        if (uses_running(pass)) {
            channel_from_running(call, &norm, c);
        } else {
            channel_statistics_float32(&of, &norm, c);
        }
        norm.inverse[c] = inverse_float32(norm.variance[c]);
        if (!uses_running(pass) && (pass->request->flags & BM_SLICE_KEEP_STATISTICS) == 0) {
            running_float32(&of, &norm, c);
        }
        for (size_t i = 0; i < pass->image_count * of.positions; i++) {
            size_t at = i / of.positions * call->inputs + of.first + i % of.positions;
            float normal = constant ? 0 : normal_float32(call, &norm, c, at);
            call->y.value[at] = (double)((float)call->weight[c] * normal + (float)call->bias[c]);
        }
    }
}

static struct channel_sums
channel_gradients_float32(const struct channel *of, const struct bm_norm *norm, size_t c) {
    const struct call *call = of->call;
    struct accumulator shift = accumulator_of(call, 0);
    struct accumulator gain = accumulator_of(call, 0);
    for (size_t n = 0; n < call->pass->image_count; n++) {
        for (size_t p = 0; p < of->positions; p++) {
            size_t at = image_at(of, n) + of->positions_order[p];
            float dy = (float)call->dy.value[at];
            accumulate(&shift, dy);
            accumulate(&gain, dy * normal_float32(call, norm, c, at));
        }
        end_image(&shift, of->positions);
        end_image(&gain, of->positions);
    }
    return (struct channel_sums){.shift = (double)sum_of(&shift), .gain = (double)sum_of(&gain)};
}

static void norm_backward_float32(void *context, uint32_t thread, uint64_t first, uint64_t last) {
    const struct call *call = context;
    const struct bm_pass *pass = call->pass;
    const struct bm_norm *norm = &pass->norm[call->index];
    for (size_t c = first; c < last; c++) {
        struct channel of = channel_float32(call, thread, c);
        uint32_t constant = of.count <= 1 && !uses_running(pass);
        struct channel_sums sums = channel_gradients_float32(&of, norm, c);
        double *gradient = pass->sums.gradient;
        double *shift = gradient + call->bias_offset + c;
        double *gain = gradient + call->weight_offset + c;
        *shift = round_to_float32(*shift + sums.shift);
        *gain = constant ? *gain : round_to_float32(*gain + sums.gain);
        float scale = constant ? 0 : (float)call->weight[c] * (float)norm->inverse[c];
        float count = uses_running(pass) ? HUGE_VALF : (float)of.count;
        float mean_shift = (float)sums.shift / count;
        float mean_gain = (float)sums.gain / count;
        for (size_t i = 0; i < pass->image_count * of.positions && call->below; i++) {
            size_t at = i / of.positions * call->inputs + of.first + i % of.positions;
            float normal = normal_float32(call, norm, c, at);
            float rest = (float)call->dy.value[at] - mean_shift - normal * mean_gain;
            call->dx.value[at] = (double)(scale * rest);
        }
    }
}

void bm_reference_batchnorm_forward(struct call *call) {
    const struct bm_pass *pass = call->pass;
    bm_reference_parallel(pass->thread_count, call->in.channels, 8,
                          pass->rounding != 0 ? norm_forward_float32 : norm_forward, call);
    if (is_estimated(pass) && !uses_running(pass)) {
        judge_norm(call);
    }
}

void bm_reference_batchnorm_backward(struct call *call) {
    const struct bm_pass *pass = call->pass;
    bm_reference_parallel(pass->thread_count, call->in.channels, 8,
                          pass->rounding != 0 ? norm_backward_float32 : norm_backward, call);
}
