#version 460
// Forward: mean and sum of squared distances from it of each block of rows. Backward: sums of dy and of dy normal.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "norm.glsl"

layout(push_constant, std430) uniform Push {
    Vectors x;
    Vectors dy;
    Vectors facts;
    Vectors partial; // [block][2][vector]
    uint rows;
    uint block_rows;
};

void forward(uint block, uint column, uint begin, uint end) {
    vec4 sum = vec4(0);
    for (uint row = begin; row < end; row++) {
        sum += x.v[row * VECTORS + column];
    }
    vec4 mean = sum / float(end - begin);
    vec4 squares = vec4(0);
    for (uint row = begin; row < end; row++) {
        vec4 distance = x.v[row * VECTORS + column] - mean;
        squares = fma(distance, distance, squares);
    }
    partial.v[2 * block * VECTORS + column] = mean;
    partial.v[(2 * block + 1) * VECTORS + column] = squares;
}

void backward(uint block, uint column, uint begin, uint end) {
    vec4 sum = vec4(0);
    vec4 product = vec4(0);
    for (uint row = begin; row < end; row++) {
        vec4 gradient = dy.v[row * VECTORS + column];
        sum += gradient;
        product = fma(gradient, normal_of(facts, x.v[row * VECTORS + column], column), product);
    }
    partial.v[2 * block * VECTORS + column] = sum;
    partial.v[(2 * block + 1) * VECTORS + column] = product;
}

void main() {
    uint blocks = (rows + block_rows - 1) / block_rows;
    uint i = item_number();
    if (i < blocks * VECTORS) {
        uint block = i / VECTORS;
        uint begin = block * block_rows;
        uint end = min(begin + block_rows, rows);
        if (IS_BACKWARD) {
            backward(block, i % VECTORS, begin, end);
        } else {
            forward(block, i % VECTORS, begin, end);
        }
    }
}
