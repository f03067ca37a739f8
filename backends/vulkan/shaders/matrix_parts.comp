#version 460
// The gradient of a layer's weights and bias from that of its parts.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"

layout(constant_id = 1) const bool ADDS = false;
layout(constant_id = 2) const bool STEPS = false;
layout(constant_id = 3) const uint RULE = 0;
layout(constant_id = 4) const uint PARTS = 1;

layout(push_constant, std430) uniform Push {
    Vectors partial; // [part][count]
    Sink sink;
    uint count; // vectors
};

#include "sink_gradient.glsl"

void main() {
    uint i = item_number();
    if (i < count) {
        vec4 sum = partial.v[i];
        for (uint part = 1; part < PARTS; part++) {
            sum += partial.v[part * count + i];
        }
        sink_gradient(ADDS, STEPS, RULE, i, sum);
    }
}
