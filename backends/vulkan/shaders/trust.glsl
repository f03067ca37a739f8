// Lars and lamb, whose rate depends on the norms of a layer's weights and of what they are to be moved by: three kernels for
// each stage with parameters, sums, ratio, step. For biases and batch norm the ratio is 1, and there is no decay.

layout(constant_id = 1) const uint RULE = LARS;
layout(constant_id = 2) const bool TAKES_UPDATE = false; // the first kernel of its program

// (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + e) + wd w
vec4 direction(Update u, float decay, vec4 w, vec4 m, vec4 v) {
    return (m * u.correction1) / (sqrt(v * u.correction2) + u.epsilon) + decay * w;
}
