// Included behind the push block, whose member `sink` it uses where it lies, for the same reason as weights_few.comp.

void sink_gradient(const bool adds, const bool steps, const uint rule, uint at, vec4 value) {
    if (adds) {
        value += sink.gradient.v[at];
    }
    if (!steps) {
        sink.gradient.v[at] = value;
        return;
    }
    vec4 w = sink.weights.v[at];
    vec4 m = SLOT_COUNT(rule) > 0 ? sink.m.v[at] : vec4(0);
    vec4 v = SLOT_COUNT(rule) > 1 ? sink.v.v[at] : vec4(0);
    step_params(rule, sink.control.current, value, w, m, v);
    sink.weights.v[at] = w;
    if (SLOT_COUNT(rule) > 0) {
        sink.m.v[at] = m;
    }
    if (SLOT_COUNT(rule) > 1) {
        sink.v.v[at] = v;
    }
}
