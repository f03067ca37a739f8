#version 460
// The gradients of the weights of all dense layers for a handful of images, in one dispatch: an invocation has one vector of
// one row of weights.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"

layout(constant_id = 1) const bool ADDS = false;
layout(constant_id = 2) const bool STEPS = false;
layout(constant_id = 3) const uint RULE = 0;
layout(constant_id = 4) const uint LAYERS = 1;

// struct bm_vulkan_dense of session.h. Read a member at a time: SwiftShader cannot copy a struct of addresses.
struct Dense {
    Vectors x;
    Vectors dy;
    uint inputs;  // vectors
    uint outputs; // vectors
    uint weight;  // of its weights in the arrays of parameters
    uint end;     // of the invocations of this layer and those before
};

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Layers {
    Dense v[];
};

layout(push_constant, std430) uniform Push {
    Layers layers;
    Sink sink; // of all parameters
    uint count;
};

#include "sink_gradient.glsl"

void main() {
    uint i = item_number();
    uint begin = 0;
    for (uint l = 0; l < LAYERS; l++) {
        uint end = layers.v[l].end;
        if (i >= begin && i < end) {
            Vectors x = layers.v[l].x;
            Vectors dy = layers.v[l].dy;
            uint inputs = layers.v[l].inputs;
            uint outputs = layers.v[l].outputs;
            uint own = i - begin;
            uint row = own / outputs;
            uint column = own % outputs;
            vec4 sum = vec4(0);
            for (uint b = 0; b < count; b++) {
                float left = row < 4 * inputs ? x.v[b * inputs + row / 4][row % 4] : 1;
                sum = fma(vec4(left), dy.v[b * outputs + column], sum);
            }
            sink_gradient(ADDS, STEPS, RULE, layers.v[l].weight + own, sum);
        }
        begin = end;
    }
}
