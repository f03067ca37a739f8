#version 460
// Maxima of windows. Forward keeps the place of each first maximum in its window, four bytes in a word; backward gathers the
// gradients of the windows that a value has won.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"

layout(constant_id = 1) const bool IS_BACKWARD = false;
layout(constant_id = 2) const uint VECTORS = 1;
layout(constant_id = 3) const uint INPUT_HEIGHT = 1;
layout(constant_id = 4) const uint INPUT_WIDTH = 1;
layout(constant_id = 5) const uint OUTPUT_HEIGHT = 1;
layout(constant_id = 6) const uint OUTPUT_WIDTH = 1;
layout(constant_id = 7) const uint KERNEL_HEIGHT = 1;
layout(constant_id = 8) const uint KERNEL_WIDTH = 1;
layout(constant_id = 9) const uint STRIDE = 1;
layout(constant_id = 10) const uint PADDING = 0;
layout(constant_id = 11) const bool HAS_MASK = false; // backward: 0 where x is not positive

layout(push_constant, std430) uniform Push {
    Vectors x;
    Vectors y; // backward: dy
    Vectors dx;
    Words winners; // [row of y][vector]
    uint count;    // images
};

void forward(uint i) {
    uint column = i % VECTORS;
    uint row = i / VECTORS;
    uint position = row % (OUTPUT_HEIGHT * OUTPUT_WIDTH);
    uint image = row / (OUTPUT_HEIGHT * OUTPUT_WIDTH);
    bool found = false;
    vec4 most = vec4(0);
    uvec4 winner = uvec4(0);
    for (uint tap = 0; tap < KERNEL_HEIGHT * KERNEL_WIDTH; tap++) {
        uint in_y = position / OUTPUT_WIDTH * STRIDE + tap / KERNEL_WIDTH - PADDING;
        uint in_x = position % OUTPUT_WIDTH * STRIDE + tap % KERNEL_WIDTH - PADDING;
        if (in_y < INPUT_HEIGHT && in_x < INPUT_WIDTH) { // above or left of the image the difference is huge
            vec4 value = x.v[((image * INPUT_HEIGHT + in_y) * INPUT_WIDTH + in_x) * VECTORS + column];
            bvec4 wins = found ? greaterThan(value, most) : bvec4(true);
            most = mix(most, value, wins);
            winner = mix(winner, uvec4(tap), wins);
            found = true;
        }
    }
    y.v[i] = most;
    winners.v[i] = winner.x | winner.y << 8 | winner.z << 16 | winner.w << 24;
}

void backward(uint i) {
    uint column = i % VECTORS;
    uint row = i / VECTORS;
    uint position = row % (INPUT_HEIGHT * INPUT_WIDTH);
    uint image = row / (INPUT_HEIGHT * INPUT_WIDTH);
    uint in_y = position / INPUT_WIDTH + PADDING;
    uint in_x = position % INPUT_WIDTH + PADDING;
    uint first_y = in_y < KERNEL_HEIGHT ? 0 : (in_y - KERNEL_HEIGHT) / STRIDE + 1;
    uint first_x = in_x < KERNEL_WIDTH ? 0 : (in_x - KERNEL_WIDTH) / STRIDE + 1;
    vec4 sum = vec4(0);
    for (uint out_y = first_y; out_y <= min(in_y / STRIDE, OUTPUT_HEIGHT - 1); out_y++) {
        for (uint out_x = first_x; out_x <= min(in_x / STRIDE, OUTPUT_WIDTH - 1); out_x++) {
            uint at = ((image * OUTPUT_HEIGHT + out_y) * OUTPUT_WIDTH + out_x) * VECTORS + column;
            uint tap = (in_y - out_y * STRIDE) * KERNEL_WIDTH + in_x - out_x * STRIDE;
            uint word = winners.v[at];
            uvec4 winner = uvec4(word, word >> 8, word >> 16, word >> 24) & 0xffu;
            sum += mix(vec4(0), y.v[at], equal(winner, uvec4(tap)));
        }
    }
    dx.v[i] = HAS_MASK ? mix(vec4(0), sum, greaterThan(x.v[i], vec4(0))) : sum;
}

void main() {
    uint rows = count * (IS_BACKWARD ? INPUT_HEIGHT * INPUT_WIDTH : OUTPUT_HEIGHT * OUTPUT_WIDTH);
    uint i = item_number();
    if (i < rows * VECTORS) {
        if (IS_BACKWARD) {
            backward(i);
        } else {
            forward(i);
        }
    }
}
