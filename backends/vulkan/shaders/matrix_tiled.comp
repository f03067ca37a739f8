#version 460
// The products of a layer on a GPU: a workgroup makes a tile of c from tiles of a and b in shared memory, an invocation a part
// of it in registers, while the next tiles are on their way. Each sum goes over k in order, whatever the tiles are.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "rule.glsl"
#include "sink.glsl"
#include "matrix.glsl"

// Of c: rows and columns of a workgroup and of an invocation, all multiples of 4.
layout(constant_id = 18) const uint TILE_ROWS = 32;
layout(constant_id = 19) const uint TILE_COLUMNS = 32;
layout(constant_id = 20) const uint TILE_DEPTH = 16;
layout(constant_id = 21) const uint OWN_ROWS = 4;
layout(constant_id = 22) const uint OWN_COLUMNS = 4;
layout(constant_id = 23) const uint PARTS = 1; // weight gradient: of the rows, summed up by matrix_parts

// Rows of a tile in shared memory: the tile's depth. One vector more, against conflicts of banks.
const uint STEP_A = TILE_ROWS / 4 + 1;
const uint STEP_B = TILE_COLUMNS / 4 + 1;
shared vec4 tile_a[TILE_DEPTH * STEP_A];
shared vec4 tile_b[TILE_DEPTH * STEP_B];

const uint INVOCATIONS = TILE_ROWS / OWN_ROWS * (TILE_COLUMNS / OWN_COLUMNS);
const uint LOADS_A = (TILE_DEPTH * TILE_ROWS / 4 + INVOCATIONS - 1) / INVOCATIONS;
const uint LOADS_B = (TILE_DEPTH * TILE_COLUMNS / 4 + INVOCATIONS - 1) / INVOCATIONS;

// Vectors of the depth of forward and input gradient.
const uint SUM_DEPTH = (MODE == FORWARD ? INPUTS : OUTPUTS) * (IS_CONVOLUTION ? TAPS : 1);

struct Place {
    uint row; // first ones of the tile
    uint column;
    uint begin; // of k
    uint end;
};

// ---- Along k: a vector is four steps of one row (a) or column (b) ----

void spread_a(uint row, uint k, vec4 value) {
    [[unroll]] for (uint j = 0; j < 4; j++) {
        tile_a[(4 * k + j) * STEP_A + row / 4][row % 4] = value[j];
    }
}

void spread_b(uint column, uint k, vec4 value) {
    [[unroll]] for (uint j = 0; j < 4; j++) {
        tile_b[(4 * k + j) * STEP_B + column / 4][column % 4] = value[j];
    }
}

// ---- Number i of the vectors of a tile ----

vec4 fetch_a(Place place, uint first, uint i) {
    if (MODE == WEIGHT_GRADIENT) {
        uint row = first + i / (TILE_ROWS / 4);
        uint d = place.row / 4 + i % (TILE_ROWS / 4);
        return row < place.end && d < DEPTH ? load_input(row, d) : vec4(0);
    }
    uint row = place.row + i / (TILE_DEPTH / 4);
    uint k = first / 4 + i % (TILE_DEPTH / 4);
    if (row >= rows || k >= SUM_DEPTH) {
        return vec4(0);
    }
    return MODE == FORWARD ? load_input(row, k) : load_gradient(row, k);
}

void place_a(uint i, vec4 value) {
    if (MODE == WEIGHT_GRADIENT) {
        tile_a[i / (TILE_ROWS / 4) * STEP_A + i % (TILE_ROWS / 4)] = value;
    } else {
        spread_a(i / (TILE_DEPTH / 4), i % (TILE_DEPTH / 4), value);
    }
}

vec4 fetch_b(Place place, uint first, uint i) {
    if (MODE == INPUT_GRADIENT) {
        uint column = place.column + i / (TILE_DEPTH / 4);
        uint k = first / 4 + i % (TILE_DEPTH / 4);
        return column < 4 * INPUTS && k < SUM_DEPTH ? load_weights_of(column, k) : vec4(0);
    }
    uint k = first + i / (TILE_COLUMNS / 4);
    uint column = place.column / 4 + i % (TILE_COLUMNS / 4);
    return k < place.end && column < OUTPUTS ? b.v[k * OUTPUTS + column] : vec4(0);
}

void place_b(uint i, vec4 value) {
    if (MODE == INPUT_GRADIENT) {
        spread_b(i / (TILE_DEPTH / 4), i % (TILE_DEPTH / 4), value);
    } else {
        tile_b[i / (TILE_COLUMNS / 4) * STEP_B + i % (TILE_COLUMNS / 4)] = value;
    }
}

// ---- A tile of c ----

vec4 next_a[LOADS_A];
vec4 next_b[LOADS_B];
vec4 sum[OWN_ROWS][OWN_COLUMNS / 4];
vec4 bias_sum;

void fetch(Place place, uint first) {
    [[unroll]] for (uint i = 0; i < LOADS_A; i++) {
        uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
        next_a[i] = at < TILE_DEPTH * TILE_ROWS / 4 ? fetch_a(place, first, at) : vec4(0);
    }
    [[unroll]] for (uint i = 0; i < LOADS_B; i++) {
        uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
        next_b[i] = at < TILE_DEPTH * TILE_COLUMNS / 4 ? fetch_b(place, first, at) : vec4(0);
    }
}

void put() {
    [[unroll]] for (uint i = 0; i < LOADS_A; i++) {
        uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
        if (at < TILE_DEPTH * TILE_ROWS / 4) {
            place_a(at, next_a[i]);
        }
    }
    [[unroll]] for (uint i = 0; i < LOADS_B; i++) {
        uint at = i * INVOCATIONS + gl_LocalInvocationID.x;
        if (at < TILE_DEPTH * TILE_COLUMNS / 4) {
            place_b(at, next_b[i]);
        }
    }
}

// An invocation's rows are groups of four, as far apart as the invocations have rows; likewise its columns.
const uint ACROSS = TILE_COLUMNS / OWN_COLUMNS;
const uint DOWN = TILE_ROWS / OWN_ROWS;

void multiply(uint down, uint across) {
    [[unroll]] for (uint k = 0; k < TILE_DEPTH; k++) {
        vec4 left[OWN_ROWS / 4];
        vec4 right[OWN_COLUMNS / 4];
        [[unroll]] for (uint i = 0; i < OWN_ROWS / 4; i++) {
            left[i] = tile_a[k * STEP_A + i * DOWN + down];
        }
        [[unroll]] for (uint i = 0; i < OWN_COLUMNS / 4; i++) {
            right[i] = tile_b[k * STEP_B + i * ACROSS + across];
        }
        [[unroll]] for (uint r = 0; r < OWN_ROWS; r++) {
            [[unroll]] for (uint n = 0; n < OWN_COLUMNS / 4; n++) {
                sum[r][n] = fma(vec4(left[r / 4][r % 4]), right[n], sum[r][n]);
            }
        }
    }
}

// The bias's gradient is the sum of b's rows: the first tiles of each column have it.
bool has_bias(Place place) {
    return MODE == WEIGHT_GRADIENT && place.row == 0 && gl_LocalInvocationID.x < TILE_COLUMNS / 4;
}

void add_bias(Place place) {
    if (has_bias(place)) {
        for (uint k = 0; k < TILE_DEPTH; k++) {
            bias_sum += tile_b[k * STEP_B + gl_LocalInvocationID.x];
        }
    }
}

void store_weights(uint part, uint row, uint column, vec4 value) {
    if (PARTS > 1) {
        partial.v[(part * (4 * DEPTH + 1) + row) * OUTPUTS + column] = value;
    } else {
        store_weight_gradient(row, column, value);
    }
}

void store(uint part, uint row, uint column, vec4 value) {
    if (MODE == FORWARD) {
        if (row < rows && column < OUTPUTS) {
            store_output(row, column, value);
        }
    } else if (MODE == INPUT_GRADIENT) {
        if (row < rows && column < INPUTS) {
            store_input_gradient(row, column, value);
        }
    } else if (row < 4 * DEPTH && column < OUTPUTS) {
        store_weights(part, row, column, value);
    }
}

void main() {
    const uint columns = MODE == INPUT_GRADIENT ? INPUTS : OUTPUTS;
    const uint tile_columns = (4 * columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    uint all_rows = MODE == WEIGHT_GRADIENT ? 4 * DEPTH : rows;
    uint tiles = (all_rows + TILE_ROWS - 1) / TILE_ROWS * tile_columns;
    uint group = group_number();
    uint part = group / tiles;
    uint tile = group % tiles;
    if (part >= PARTS) {
        return;
    }
    Place place = Place(tile / tile_columns * TILE_ROWS, tile % tile_columns * TILE_COLUMNS, 0, 4 * SUM_DEPTH);
    if (MODE == WEIGHT_GRADIENT) {
        place.begin = row_begin + part * part_rows;
        place.end = min(place.begin + part_rows, rows);
    }
    uint down = gl_LocalInvocationID.x / ACROSS;
    uint across = gl_LocalInvocationID.x % ACROSS;
    bias_sum = vec4(0);
    [[unroll]] for (uint r = 0; r < OWN_ROWS; r++) {
        [[unroll]] for (uint n = 0; n < OWN_COLUMNS / 4; n++) {
            sum[r][n] = vec4(0);
        }
    }
    fetch(place, place.begin);
    for (uint first = place.begin; first < place.end; first += TILE_DEPTH) {
        put();
        barrier();
        if (first + TILE_DEPTH < place.end) {
            fetch(place, first + TILE_DEPTH);
        }
        multiply(down, across);
        add_bias(place);
        barrier();
    }
    [[unroll]] for (uint r = 0; r < OWN_ROWS; r++) {
        uint row = place.row + (r / 4 * DOWN + down) * 4 + r % 4;
        [[unroll]] for (uint n = 0; n < OWN_COLUMNS / 4; n++) {
            store(part, row, place.column / 4 + n * ACROSS + across, sum[r][n]);
        }
    }
    uint column = place.column / 4 + gl_LocalInvocationID.x;
    if (has_bias(place) && column < OUTPUTS) {
        store_weights(part, 4 * DEPTH, column, bias_sum);
    }
}
