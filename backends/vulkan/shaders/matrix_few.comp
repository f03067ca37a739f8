#version 460
// Forward and input gradient of a dense layer for a handful of images, which is reading the weights: lanes of a workgroup
// divide a sum among them and add up what they have.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"
#include "matrix.glsl"

layout(constant_id = 18) const uint ROWS = 1;   // at least the rows of c; those behind the last repeat it
layout(constant_id = 19) const uint LANES = 32; // a power of 2 that divides the workgroup

const uint COLUMNS = gl_WorkGroupSize.x / LANES; // vectors of a workgroup
shared vec4 parts[gl_WorkGroupSize.x];
vec4 sum[ROWS];

// W[k][column]: neighbouring invocations have neighbouring columns.
void forward(uint lane, uint column) {
    for (uint d = lane; d < DEPTH; d += LANES) {
        vec4 left[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            left[r] = a.v[min(r, rows - 1) * INPUTS + d];
        }
        [[unroll]] for (uint j = 0; j < 4; j++) {
            vec4 right = b.v[(4 * d + j) * OUTPUTS + column];
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                sum[r] = fma(vec4(left[r][j]), right, sum[r]);
            }
        }
    }
}

// W[input][k]: neighbouring invocations have neighbouring k.
void input_gradient(uint lane, uint column) {
    for (uint k = lane; k < OUTPUTS; k += LANES) {
        vec4 left[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            left[r] = a.v[min(r, rows - 1) * OUTPUTS + k];
        }
        [[unroll]] for (uint j = 0; j < 4; j++) {
            vec4 right = b.v[(4 * column + j) * OUTPUTS + k];
            [[unroll]] for (uint r = 0; r < ROWS; r++) {
                sum[r][j] += dot(left[r], right);
            }
        }
    }
}

void main() {
    const uint columns = MODE == FORWARD ? OUTPUTS : INPUTS;
    uint own = gl_LocalInvocationID.x;
    uint lane = MODE == FORWARD ? own / COLUMNS : own % LANES;
    uint step = MODE == FORWARD ? COLUMNS : 1; // from one lane to the next
    uint column = group_number() * COLUMNS + (MODE == FORWARD ? own % COLUMNS : own / LANES);
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        sum[r] = vec4(0);
    }
    if (column < columns) {
        if (MODE == FORWARD) {
            forward(lane, column);
        } else {
            input_gradient(lane, column);
        }
    }
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        barrier();
        parts[own] = sum[r];
        for (uint span = LANES / 2; span > 0; span /= 2) {
            barrier();
            if (lane < span) {
                parts[own] += parts[own + span * step];
            }
        }
        if (lane == 0 && column < columns && r < rows) {
            if (MODE == FORWARD) {
                store_output(r, column, parts[own]);
            } else {
                store_input_gradient(r, column, parts[own]);
            }
        }
    }
}
