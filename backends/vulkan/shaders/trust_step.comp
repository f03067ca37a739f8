#version 460
// The step of a layer's parameters with its ratio.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "trust.glsl"

layout(push_constant, std430) uniform Push {
    Vectors weights;
    Vectors gradient;
    Vectors state[2];
    Floats ratio; // [1]
    Control control;
    uint count;
    uint weight_count;
};

void main() {
    Update update = control.current;
    uint i = item_number();
    if (i < count) {
        float share = i < weight_count ? ratio.v[0] : 1;
        float decay = i < weight_count ? update.decay : 0;
        vec4 w = weights.v[i];
        if (RULE == LAMB) {
            w -= update.rate * share * direction(update, decay, w, state[0].v[i], state[1].v[i]);
        } else {
            vec4 g = fma(vec4(decay), w, gradient.v[i]);
            vec4 v = fma(vec4(update.momentum), state[0].v[i], update.rate * share * g);
            state[0].v[i] = v;
            w -= v;
        }
        weights.v[i] = w;
    }
}
