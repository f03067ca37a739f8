// Batch norm of a matrix [row][channel], each row a position of an image; normal = (x - mean) inverse with
// inverse = 1 / sqrt(variance + epsilon). Three kernels, forward and back: sums of blocks of rows, what follows from them for
// each channel, and the rows. Statistics of blocks: each with its own mean, so that sum (x - mean)^2 = sum over blocks of
// (M2 + n (block mean - mean)^2); Chan, Golub and LeVeque 1983, equation 2.1.

layout(constant_id = 1) const bool IS_BACKWARD = false;
layout(constant_id = 2) const uint VECTORS = 1;          // of a row
layout(constant_id = 3) const bool USES_RUNNING = false; // the running statistics, which are constants

// Facts of the channels, [NORM_*][vector].
#define NORM_MEAN 0
#define NORM_INVERSE 1
#define NORM_FACTOR 2 // gain inverse
#define NORM_SHARE 3  // sum dy / n
#define NORM_SLOPE 4  // sum (dy normal) / n

vec4 normal_of(Vectors facts, vec4 x, uint column) {
    return (x - facts.v[NORM_MEAN * VECTORS + column]) * facts.v[NORM_INVERSE * VECTORS + column];
}
