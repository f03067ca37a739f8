#version 460
// The optimizer's step of all parameters with the stored gradient, for the rules that look at each parameter alone.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"

layout(constant_id = 1) const uint RULE = 0;
layout(constant_id = 2) const bool TAKES_UPDATE = true; // it is the first kernel of its program

layout(push_constant, std430) uniform Push {
    Vectors weights;
    Vectors gradient;
    Vectors state[2];
    Ring ring;
    Control control;
    uint count;
};

void main() {
    Update update = control.current;
    if (TAKES_UPDATE) {
        update = take_update(control, ring);
    }
    uint i = item_number();
    if (i < count) {
        vec4 w = weights.v[i];
        vec4 m = SLOT_COUNT(RULE) > 0 ? state[0].v[i] : vec4(0);
        vec4 v = SLOT_COUNT(RULE) > 1 ? state[1].v[i] : vec4(0);
        step_params(RULE, update, gradient.v[i], w, m, v);
        weights.v[i] = w;
        if (SLOT_COUNT(RULE) > 0) {
            state[0].v[i] = m;
        }
        if (SLOT_COUNT(RULE) > 1) {
            state[1].v[i] = v;
        }
    }
    if (TAKES_UPDATE) {
        leave_update(control, update);
    }
}
