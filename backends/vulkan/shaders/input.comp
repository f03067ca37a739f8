#version 460
// The images of a slice as the network's input, [image][position][channel], channels padded with zeros to whole vectors;
// takes the update from the ring.
#extension GL_GOOGLE_include_directive : require
#include "arrays.glsl"
#include "update.glsl"

layout(constant_id = 1) const uint CHANNELS = 1;
layout(constant_id = 2) const uint POSITIONS = 1;
layout(constant_id = 3) const bool HAS_BYTES = true; // value = scale byte + shift
layout(constant_id = 4) const bool HAS_ORDER = true; // image number = order[first + i], otherwise first + i
layout(constant_id = 5) const uint PLANE = 1;         // values of an image with the same scale

layout(push_constant, std430) uniform Push {
    Words images; // [image][channel][position]: bytes, four in a word, or float32
    Words order;
    Floats scales; // scale, then shift of each plane
    Vectors x;
    Ring ring;
    Control control;
    uint count; // images
};

// Value number `at` of an image.
float value_of(uint image, uint at) {
    uint place = image * CHANNELS * POSITIONS + at;
    if (HAS_BYTES) {
        uint byte = bitfieldExtract(images.v[place / 4], int(place % 4) * 8, 8);
        // Two roundings, as the host's float32 has it.
        precise float scaled = scales.v[at / PLANE] * float(byte);
        precise float value = scaled + scales.v[(CHANNELS * POSITIONS + at) / PLANE];
        return value;
    }
    return uintBitsToFloat(images.v[place]);
}

void main() {
    Update update = take_update(control, ring);
    const uint vectors = (CHANNELS + 3) / 4;
    uint total = count * POSITIONS * vectors;
    uint i = item_number();
    if (i < total) {
        uint row = i / vectors;
        uint position = row % POSITIONS;
        uint number = update.first + row / POSITIONS;
        uint image = HAS_ORDER ? order.v[number] : number;
        uint channel = i % vectors * 4;
        vec4 value = vec4(0);
        [[unroll]] for (uint j = 0; j < 4; j++) {
            if (channel + j < CHANNELS) {
                value[j] = value_of(image, (channel + j) * POSITIONS + position);
            }
        }
        x.v[i] = value;
    }
    leave_update(control, update);
}
