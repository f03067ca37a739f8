#version 460
// Of each channel, from the sums of the blocks. Forward: mean, inverse and the running statistics. Backward: the gradients of
// gain and shift, and the factors of the gradient of x. A workgroup has a vector of channels.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"
#include "norm.glsl"

layout(constant_id = 4) const uint CHANNELS = 1;
layout(constant_id = 5) const bool KEEPS_STATISTICS = false; // the running ones as they are
layout(constant_id = 6) const bool ADDS = false;
layout(constant_id = 7) const bool STEPS = false;
layout(constant_id = 8) const uint RULE = 0;

#define EPSILON 1e-5
#define DECAY 0.9

layout(push_constant, std430) uniform Push {
    Vectors facts;
    Vectors partial;
    Floats running_mean; // [channel]
    Floats running_variance;
    Sink sink; // gain [vector], then shift [vector]
    uint rows;
    uint block_rows;
};

#include "sink_gradient.glsl"

shared vec4 parts[gl_WorkGroupSize.x];

// The sum over the invocations of the workgroup, in their order.
vec4 sum_up(vec4 value) {
    uint own = gl_LocalInvocationIndex;
    barrier();
    parts[own] = value;
    for (uint step = 1; step < gl_WorkGroupSize.x; step *= 2) {
        barrier();
        if (own % (2 * step) == 0 && own + step < gl_WorkGroupSize.x) {
            parts[own] += parts[own + step];
        }
    }
    barrier();
    return parts[0];
}

float count_of(uint block) {
    return float(min(rows - block * block_rows, block_rows));
}

void batch_statistics(uint blocks, uint column, out vec4 mean, out vec4 variance) {
    vec4 sum = vec4(0);
    for (uint b = gl_LocalInvocationIndex; b < blocks; b += gl_WorkGroupSize.x) {
        sum = fma(vec4(count_of(b)), partial.v[2 * b * VECTORS + column], sum);
    }
    mean = sum_up(sum) / float(rows);
    vec4 squares = vec4(0);
    for (uint b = gl_LocalInvocationIndex; b < blocks; b += gl_WorkGroupSize.x) {
        vec4 distance = partial.v[2 * b * VECTORS + column] - mean;
        squares += fma(count_of(b) * distance, distance, partial.v[(2 * b + 1) * VECTORS + column]);
    }
    variance = sum_up(squares) / float(rows);
}

// running = decay running + (1 - decay) batch, the variance unbiased; a single value has none.
void update_running(uint channel, float mean, float variance) {
    running_mean.v[channel] = DECAY * running_mean.v[channel] + (1 - DECAY) * mean;
    if (rows > 1) {
        float unbiased = variance * (float(rows) / float(rows - 1));
        running_variance.v[channel] = DECAY * running_variance.v[channel] + (1 - DECAY) * unbiased;
    }
}

void forward(uint blocks, uint column) {
    vec4 mean = vec4(0);
    vec4 variance = vec4(0);
    if (!USES_RUNNING) {
        batch_statistics(blocks, column, mean, variance);
    }
    if (gl_LocalInvocationIndex == 0) {
        [[unroll]] for (uint j = 0; j < 4; j++) {
            uint channel = 4 * column + j;
            if (channel < CHANNELS && USES_RUNNING) {
                mean[j] = running_mean.v[channel];
                variance[j] = running_variance.v[channel];
            } else if (channel < CHANNELS && !KEEPS_STATISTICS) {
                update_running(channel, mean[j], variance[j]);
            }
        }
        facts.v[NORM_MEAN * VECTORS + column] = mean;
        facts.v[NORM_INVERSE * VECTORS + column] = 1 / sqrt(variance + EPSILON);
    }
}

void backward(uint blocks, uint column) {
    vec4 sum = vec4(0);
    vec4 product = vec4(0);
    for (uint b = gl_LocalInvocationIndex; b < blocks; b += gl_WorkGroupSize.x) {
        sum += partial.v[2 * b * VECTORS + column];
        product += partial.v[(2 * b + 1) * VECTORS + column];
    }
    sum = sum_up(sum);
    product = sum_up(product);
    if (gl_LocalInvocationIndex == 0) {
        float share = USES_RUNNING ? 0 : 1 / float(rows);
        facts.v[NORM_FACTOR * VECTORS + column] = sink.weights.v[column] * facts.v[NORM_INVERSE * VECTORS + column];
        facts.v[NORM_SHARE * VECTORS + column] = sum * share;
        facts.v[NORM_SLOPE * VECTORS + column] = product * share;
        sink_gradient(ADDS, STEPS, RULE, column, product);
        sink_gradient(ADDS, STEPS, RULE, VECTORS + column, sum);
    }
}

void main() {
    uint blocks = (rows + block_rows - 1) / block_rows;
    for (uint column = group_number(); column < VECTORS; column += gl_NumWorkGroups.x * gl_NumWorkGroups.y) {
        if (IS_BACKWARD) {
            backward(blocks, column);
        } else {
            forward(blocks, column);
        }
    }
}
