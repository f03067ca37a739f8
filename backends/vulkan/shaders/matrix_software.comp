#version 460
// The products of a layer on a software device: registers only, since its shared memory is memory like any other.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"
#include "matrix.glsl"

#define ROWS 4
#define COLUMNS 4 // vectors

void forward(uint tile) {
    const uint column_tiles = (OUTPUTS + COLUMNS - 1) / COLUMNS;
    uint row = tile / column_tiles * ROWS;
    uint column = tile % column_tiles * COLUMNS;
    vec4 sum[ROWS][COLUMNS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
            sum[r][n] = vec4(0);
        }
    }
    for (uint d = 0; d < DEPTH; d++) {
        vec4 left[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            left[r] = load_input(min(row + r, rows - 1), d);
        }
        [[unroll]] for (uint j = 0; j < 4; j++) {
            [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
                vec4 right = b.v[(4 * d + j) * OUTPUTS + min(column + n, OUTPUTS - 1)];
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    sum[r][n] = fma(vec4(left[r][j]), right, sum[r][n]);
                }
            }
        }
    }
    for (uint r = 0; r < ROWS; r++) {
        for (uint n = 0; n < COLUMNS; n++) {
            if (row + r < rows && column + n < OUTPUTS) {
                store_output(row + r, column + n, sum[r][n]);
            }
        }
    }
}

void input_gradient(uint tile) {
    const uint column_tiles = (INPUTS + COLUMNS - 1) / COLUMNS;
    const uint depth = (IS_CONVOLUTION ? TAPS : 1) * OUTPUTS;
    uint row = tile / column_tiles * ROWS;
    uint column = tile % column_tiles * COLUMNS;
    vec4 sum[ROWS][COLUMNS];
    [[unroll]] for (uint r = 0; r < ROWS; r++) {
        [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
            sum[r][n] = vec4(0);
        }
    }
    for (uint k = 0; k < depth; k++) {
        vec4 left[ROWS];
        [[unroll]] for (uint r = 0; r < ROWS; r++) {
            left[r] = load_gradient(min(row + r, rows - 1), k);
        }
        [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
            [[unroll]] for (uint j = 0; j < 4; j++) {
                vec4 right = load_weights_of(min(column + n, INPUTS - 1) * 4 + j, k);
                [[unroll]] for (uint r = 0; r < ROWS; r++) {
                    sum[r][n][j] += dot(left[r], right);
                }
            }
        }
    }
    for (uint r = 0; r < ROWS; r++) {
        for (uint n = 0; n < COLUMNS; n++) {
            if (row + r < rows && column + n < INPUTS) {
                store_input_gradient(row + r, column + n, sum[r][n]);
            }
        }
    }
}

// A tile's rows are one vector of inputs; that behind the last is (1, 0, 0, 0), whose first row is the bias.
void weight_gradient(uint tile) {
    const uint column_tiles = (OUTPUTS + COLUMNS - 1) / COLUMNS;
    uint d = tile / column_tiles;
    uint column = tile % column_tiles * COLUMNS;
    vec4 sum[4][COLUMNS];
    [[unroll]] for (uint j = 0; j < 4; j++) {
        [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
            sum[j][n] = vec4(0);
        }
    }
    for (uint row = row_begin; row < rows; row++) {
        vec4 left = d < DEPTH ? load_input(row, d) : vec4(1, 0, 0, 0);
        [[unroll]] for (uint n = 0; n < COLUMNS; n++) {
            vec4 right = b.v[row * OUTPUTS + min(column + n, OUTPUTS - 1)];
            [[unroll]] for (uint j = 0; j < 4; j++) {
                sum[j][n] = fma(vec4(left[j]), right, sum[j][n]);
            }
        }
    }
    for (uint j = 0; j < 4; j++) {
        for (uint n = 0; n < COLUMNS; n++) {
            if (4 * d + j <= 4 * DEPTH && column + n < OUTPUTS) {
                store_weight_gradient(4 * d + j, column + n, sum[j][n]);
            }
        }
    }
}

uint tile_count() {
    if (MODE == FORWARD) {
        return (rows + ROWS - 1) / ROWS * ((OUTPUTS + COLUMNS - 1) / COLUMNS);
    }
    if (MODE == INPUT_GRADIENT) {
        return (rows + ROWS - 1) / ROWS * ((INPUTS + COLUMNS - 1) / COLUMNS);
    }
    return (DEPTH + 1) * ((OUTPUTS + COLUMNS - 1) / COLUMNS);
}

void main() {
    uint tiles = tile_count();
    uint tile = item_number();
    if (tile < tiles) {
        if (MODE == FORWARD) {
            forward(tile);
        } else if (MODE == INPUT_GRADIENT) {
            input_gradient(tile);
        } else {
            weight_gradient(tile);
        }
    }
}
