#version 460
// Forward: y = gain normal + shift. Backward, over dy: dx = gain inverse (dy - sum dy / n - normal sum (dy normal) / n).
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "norm.glsl"

layout(constant_id = 4) const bool HAS_RELU = false; // forward: y = max(y, 0)
layout(constant_id = 5) const bool HAS_MASK = false; // backward: 0 where x, which passed a relu, is not positive

layout(push_constant, std430) uniform Push {
    Vectors x;
    Vectors y; // backward: dy, which becomes dx of the stage below
    Vectors dx;
    Vectors facts;
    Vectors weights; // gain [vector], then shift [vector]
    uint rows;
};

void main() {
    uint i = item_number();
    if (i < rows * VECTORS) {
        uint column = i % VECTORS;
        vec4 old = x.v[i];
        vec4 normal = normal_of(facts, old, column);
        if (!IS_BACKWARD) {
            vec4 value = weights.v[column] * normal + weights.v[VECTORS + column];
            y.v[i] = HAS_RELU ? max(value, vec4(0)) : value;
        } else {
            vec4 pull = normal * facts.v[NORM_SLOPE * VECTORS + column];
            vec4 dy = y.v[i] - facts.v[NORM_SHARE * VECTORS + column];
            vec4 value = facts.v[NORM_FACTOR * VECTORS + column] * (dy - pull);
            dx.v[i] = HAS_MASK ? mix(vec4(0), value, greaterThan(old, vec4(0))) : value;
        }
    }
}
