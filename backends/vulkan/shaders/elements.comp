#version 460
// Relu and dropout in place, forward on the values and backward on their gradient.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "philox.glsl"

layout(constant_id = 1) const bool IS_DROPOUT = false;
layout(constant_id = 2) const bool IS_BACKWARD = false;
layout(constant_id = 3) const bool HAS_MASK = false; // backward: 0 where the value is not positive
layout(constant_id = 4) const uint VECTORS = 1;      // of a row
layout(constant_id = 5) const uint POSITIONS = 1;    // rows of an image
layout(constant_id = 6) const uint LAYER = 0;
layout(constant_id = 7) const uint THRESHOLD = 0; // units whose random word is below are dropped
layout(constant_id = 8) const uint KEY_LOW = 0;
layout(constant_id = 9) const uint KEY_HIGH = 0;
layout(constant_id = 10) const float KEPT_SHARE = 1; // 1 - rate

layout(push_constant, std430) uniform Push {
    Vectors values;
    Vectors gradient;
    Words order;
    Control control;
    uint rows;
};

// A unit's number in its image has the channels outermost.
vec4 drop(vec4 value, uint row, uint column) {
    Update update = control.current;
    uint image = order.v[update.first + row / POSITIONS];
    uvec4 words = uvec4(0);
    [[unroll]] for (uint j = 0; j < 4; j++) {
        uint unit = (4 * column + j) * POSITIONS + row % POSITIONS;
        if (j == 0 || POSITIONS != 1) {
            words = philox(uvec2(KEY_LOW, KEY_HIGH), uvec4(unit / 4, image, update.number, LAYER));
        }
        value[j] = words[unit % 4] >= THRESHOLD ? value[j] / KEPT_SHARE : 0;
    }
    return value;
}

void main() {
    uint i = item_number();
    if (i < rows * VECTORS) {
        vec4 value = IS_BACKWARD ? gradient.v[i] : values.v[i];
        if (IS_DROPOUT) {
            value = drop(value, i / VECTORS, i % VECTORS);
        } else if (!IS_BACKWARD) {
            value = max(value, vec4(0));
        }
        if (HAS_MASK) {
            value = mix(vec4(0), value, greaterThan(values.v[i], vec4(0)));
        }
        if (IS_BACKWARD) {
            gradient.v[i] = value;
        } else {
            values.v[i] = value;
        }
    }
}
