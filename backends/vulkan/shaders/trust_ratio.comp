#version 460
// The ratio of a layer's weights; one workgroup.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "pair.glsl"
#include "trust.glsl"

layout(push_constant, std430) uniform Push {
    Vectors partial;
    Floats ratio; // [1]
    Control control;
    uint partial_count;
};

shared vec4 parts[gl_WorkGroupSize.x];

void main() {
    uint own = gl_LocalInvocationIndex;
    vec4 sums = vec4(0);
    for (uint i = own; i < partial_count; i += gl_WorkGroupSize.x) {
        vec4 other = partial.v[i];
        sums = vec4(pair_add(sums.xy, other.xy), pair_add(sums.zw, other.zw));
    }
    parts[own] = sums;
    for (uint step = 1; step < gl_WorkGroupSize.x; step *= 2) {
        barrier();
        if (own % (2 * step) == 0 && own + step < gl_WorkGroupSize.x) {
            vec4 other = parts[own + step];
            parts[own] = vec4(pair_add(parts[own].xy, other.xy), pair_add(parts[own].zw, other.zw));
        }
    }
    if (own == 0) {
        float w = sqrt(parts[0].x);
        float other = sqrt(parts[0].z);
        float value = RULE == LAMB ? w / other : control.current.trust * w / (other + control.current.decay * w);
        ratio.v[0] = w == 0 || other == 0 ? 1 : value;
    }
}
