#version 460
// Sums of w^2 and of g^2 (lars) or p^2 (lamb, whose moments are made here) over a layer's weights, one pair an invocation.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "pair.glsl"
#include "trust.glsl"

layout(push_constant, std430) uniform Push {
    Vectors weights;
    Vectors gradient;
    Vectors state[2];
    Vectors partial; // [invocation]: sum w^2 as a pair, the other sum
    Ring ring;
    Control control;
    uint count;        // vectors of all parameters of the layer
    uint weight_count; // of those with a ratio, which come first
    uint partial_count;
};

void main() {
    Update update = control.current;
    if (TAKES_UPDATE) {
        update = take_update(control, ring);
    }
    vec4 sums = vec4(0);
    for (uint i = item_number(); i < count && item_number() < partial_count; i += partial_count) {
        vec4 w = weights.v[i];
        vec4 other = gradient.v[i];
        if (RULE == LAMB) {
            vec4 m = update.beta1 * state[0].v[i] + update.rest1 * other;
            vec4 v = update.beta2 * state[1].v[i] + update.rest2 * (other * other);
            state[0].v[i] = m;
            state[1].v[i] = v;
            other = direction(update, update.decay, w, m, v);
        }
        if (i < weight_count) {
            [[unroll]] for (uint j = 0; j < 4; j++) {
                sums.xy = pair_add(sums.xy, pair_square(w[j]));
                sums.zw = pair_add(sums.zw, pair_square(other[j]));
            }
        }
    }
    if (item_number() < partial_count) {
        partial.v[item_number()] = sums;
    }
    if (TAKES_UPDATE) {
        leave_update(control, update);
    }
}
