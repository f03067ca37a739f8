#version 460
// Softmax cross entropy of each image: its loss over the divisor, whether it is right, and the gradient of its logits.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"
#include "exponential.glsl"

layout(constant_id = 1) const uint CLASSES = 2;
layout(constant_id = 2) const bool HAS_ORDER = true;
layout(constant_id = 3) const bool HAS_GRADIENT = true;
layout(constant_id = 4) const bool HAS_RELU = false; // the logits are its outputs

layout(push_constant, std430) uniform Push {
    Floats logits; // [image][class], rows of whole vectors, as is the gradient
    Floats gradient;
    Words labels;
    Words order;
    Floats losses; // [image]
    Words right;   // [image]
    Control control;
    uint count;
};

const uint STEP = (CLASSES + 3) / 4 * 4;

void main() {
    Update update = control.current;
    uint i = item_number();
    if (i < count) {
        uint image = HAS_ORDER ? order.v[update.first + i] : update.first + i;
        uint label = labels.v[image];
        uint row = i * STEP;
        uint best = 0;
        for (uint c = 1; c < CLASSES; c++) {
            best = logits.v[row + c] > logits.v[row + best] ? c : best;
        }
        float most = logits.v[row + best];
        float sum = 0;
        for (uint c = 0; c < CLASSES; c++) {
            sum += exponential(logits.v[row + c] - most);
        }
        float loss = (logarithm(sum) - (logits.v[row + label] - most)) / update.divisor;
        losses.v[i] = i < update.loss_count ? losses.v[i] + loss : loss;
        right.v[i] = uint(best == label);
        if (HAS_GRADIENT) {
            for (uint c = 0; c < STEP; c++) {
                float p = c < CLASSES ? exponential(logits.v[row + c] - most) / sum : 0;
                bool passes = !HAS_RELU || logits.v[row + c] > 0;
                gradient.v[row + c] = passes ? (c == label ? p - 1 : p) / update.divisor : 0;
            }
        }
    }
}
