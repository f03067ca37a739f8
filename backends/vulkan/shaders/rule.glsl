// One step of a vector of parameters, for the rules of plugin.h that look at each parameter alone. w: parameter, g: its
// gradient, m and v: the state's slots. update and apply do it through this.

#define SGD 0
#define MOMENTUM 1
#define NESTEROV 2
#define ADAGRAD 3
#define RMSPROP 4
#define ADAM 5
#define ADAMW 6
#define LARS 7
#define LAMB 8

#define SLOT_COUNT(rule) ((rule) == SGD ? 0 : (rule) <= RMSPROP || (rule) == LARS ? 1 : 2)

// x, rounded. Mesa's software device contracts a sum of a product and a sum whatever `precise` says, but does not look
// through this: loss_count is below 2^31.
vec4 rounded(Update u, vec4 x) {
    return uintBitsToFloat(floatBitsToUint(x) ^ (u.loss_count >> 31));
}

// `precise`: not in another order than it is written in.
void step_params(const uint rule, Update u, vec4 g, inout vec4 w, inout vec4 m, inout vec4 v) {
    precise vec4 gradient = g;
    precise vec4 first = m;
    precise vec4 second = v;
    precise vec4 next = w;
    if (rule == ADAMW) {
        next = next - u.rate_decay * next;
    } else {
        gradient = fma(vec4(u.decay), next, gradient);
    }
    precise vec4 way = u.rate * gradient;
    if (rule == SGD) {
        next = next - way;
    } else if (rule == MOMENTUM) {
        first = u.momentum * first - way;
        next = next + first;
    } else if (rule == NESTEROV) {
        first = u.momentum * first - way;
        way = u.momentum * first - way;
        next = next + rounded(u, way);
    } else if (rule == ADAGRAD) {
        first = first + gradient * gradient;
        way = way / (sqrt(first) + u.epsilon);
        next = next - way;
    } else if (rule == RMSPROP) {
        first = u.beta2 * first + u.rest2 * (gradient * gradient);
        way = way / (sqrt(first) + u.epsilon);
        next = next - way;
    } else {
        first = u.beta1 * first + u.rest1 * gradient;
        second = u.beta2 * second + u.rest2 * (gradient * gradient);
        way = u.rate * ((first * u.correction1) / (sqrt(second * u.correction2) + u.epsilon));
        next = next - way;
    }
    w = next;
    m = first;
    v = second;
}
