// The matrices of a dense or convolutional layer, which is a product of rows and weights: a row of the output is one
// position of one image.
//
//   W  [depth + 1][outputs]  weights; the last row is the bias. Of a convolution depth = [tap][input channel]
//   x  [image][input position][input channel], y, dy [row][output]
//
//   forward          y[row][o]  = W[depth][o] + sum_d x[row, d] W[d][o]
//   input gradient   dx[row][i] = sum_o dy[row][o] W[i][o]; of a convolution dx[row][c] = sum over taps and o
//   weight gradient  dW[d][o]   = sum_row x[row, d] dy[row][o], with x[row, depth] = 1
//
// All counts of columns are of vectors; those behind the last channel hold zeros and stay so.

#define FORWARD 0
#define INPUT_GRADIENT 1
#define WEIGHT_GRADIENT 2

layout(constant_id = 1) const uint MODE = FORWARD;
layout(constant_id = 2) const uint INPUTS = 1;  // vectors of a row of x; of a convolution, of one position of x
layout(constant_id = 3) const uint OUTPUTS = 1; // vectors of a row of y
layout(constant_id = 4) const bool IS_CONVOLUTION = false;
layout(constant_id = 5) const uint INPUT_HEIGHT = 1;
layout(constant_id = 6) const uint INPUT_WIDTH = 1;
layout(constant_id = 7) const uint OUTPUT_HEIGHT = 1;
layout(constant_id = 8) const uint OUTPUT_WIDTH = 1;
layout(constant_id = 9) const uint KERNEL_HEIGHT = 1;
layout(constant_id = 10) const uint KERNEL_WIDTH = 1;
layout(constant_id = 11) const uint STRIDE = 1;
layout(constant_id = 12) const uint PADDING = 0;
layout(constant_id = 13) const bool HAS_RELU = false; // forward: y = max(y, 0)
layout(constant_id = 14) const bool HAS_MASK = false; // input gradient: 0 where `mask` is not positive
layout(constant_id = 15) const bool ADDS = false;     // weight gradient: to what is there
layout(constant_id = 16) const bool STEPS = false;    // weight gradient: the parameters too
layout(constant_id = 17) const uint RULE = 0;

const uint TAPS = KERNEL_HEIGHT * KERNEL_WIDTH;
const uint DEPTH = (IS_CONVOLUTION ? TAPS : 1) * INPUTS; // vectors

layout(push_constant, std430) uniform Push {
    Vectors a;    // x, dy, x
    Vectors b;    // W, W, dy
    Vectors c;    // y, dx
    Vectors mask; // [row][input]: the layer's input
    Sink sink;    // of the weight gradient
    Vectors partial; // weight gradient, [part][like W]
    uint rows;       // of c in forward and input gradient; in the weight gradient the end of those summed over
    uint row_begin;  // weight gradient
    uint part_rows;
};

#include "sink_gradient.glsl"

// x[row, 4 d .. 4 d + 3]; the convolution's row is a position of the output.
vec4 load_input(uint row, uint d) {
    if (!IS_CONVOLUTION) {
        return a.v[row * INPUTS + d];
    }
    uint tap = d / INPUTS;
    uint image = row / (OUTPUT_HEIGHT * OUTPUT_WIDTH);
    uint position = row % (OUTPUT_HEIGHT * OUTPUT_WIDTH);
    uint y = position / OUTPUT_WIDTH * STRIDE + tap / KERNEL_WIDTH - PADDING;
    uint x = position % OUTPUT_WIDTH * STRIDE + tap % KERNEL_WIDTH - PADDING;
    if (y >= INPUT_HEIGHT || x >= INPUT_WIDTH) { // above or left of the image the difference is huge
        return vec4(0);
    }
    return a.v[((image * INPUT_HEIGHT + y) * INPUT_WIDTH + x) * INPUTS + d % INPUTS];
}

// dy for a row of dx and output vector k; the convolution's row is a position of the input, and k = [tap][output].
vec4 load_gradient(uint row, uint k) {
    if (!IS_CONVOLUTION) {
        return a.v[row * OUTPUTS + k];
    }
    uint tap = k / OUTPUTS;
    uint image = row / (INPUT_HEIGHT * INPUT_WIDTH);
    uint position = row % (INPUT_HEIGHT * INPUT_WIDTH);
    uint y = position / INPUT_WIDTH + PADDING - tap / KERNEL_WIDTH;
    uint x = position % INPUT_WIDTH + PADDING - tap % KERNEL_WIDTH;
    if (y % STRIDE != 0 || x % STRIDE != 0 || y / STRIDE >= OUTPUT_HEIGHT || x / STRIDE >= OUTPUT_WIDTH) {
        return vec4(0);
    }
    return a.v[((image * OUTPUT_HEIGHT + y / STRIDE) * OUTPUT_WIDTH + x / STRIDE) * OUTPUTS + k % OUTPUTS];
}

// W[input][k] for a row of dx: of a convolution k = [tap][output].
vec4 load_weights_of(uint row, uint k) {
    return b.v[(IS_CONVOLUTION ? (k / OUTPUTS * INPUTS * 4 + row) * OUTPUTS + k % OUTPUTS : row * OUTPUTS + k)];
}

void store_output(uint row, uint column, vec4 value) {
    value += b.v[4 * DEPTH * OUTPUTS + column];
    c.v[row * OUTPUTS + column] = HAS_RELU ? max(value, vec4(0)) : value;
}

void store_input_gradient(uint row, uint column, vec4 value) {
    uint at = row * INPUTS + column;
    if (HAS_MASK) {
        value = mix(vec4(0), value, greaterThan(mask.v[at], vec4(0)));
    }
    c.v[at] = value;
}

void store_weight_gradient(uint row, uint column, vec4 value) {
    sink_gradient(ADDS, STEPS, RULE, row * OUTPUTS + column, value);
}
