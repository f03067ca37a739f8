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

// struct bm_vulkan_dense of session.h.
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

void main() {
    uint i = item_number();
    uint begin = 0;
    for (uint l = 0; l < LAYERS; l++) {
        Dense layer = layers.v[l];
        if (i >= begin && i < layer.end) {
            uint own = i - begin;
            uint row = own / layer.outputs;
            uint column = own % layer.outputs;
            vec4 sum = vec4(0);
            for (uint b = 0; b < count; b++) {
                float x = row < 4 * layer.inputs ? layer.x.v[b * layer.inputs + row / 4][row % 4] : 1;
                sum = fma(vec4(x), layer.dy.v[b * layer.outputs + column], sum);
            }
            sink_gradient(ADDS, STEPS, RULE, sink, layer.weight + own, sum);
        }
        begin = layer.end;
    }
}
