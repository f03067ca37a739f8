// Where an axis has its numbers. A logarithmic one at powers of ten, with 2 and 5 between them where it is short; or at the
// very values that were measured, where those are few.
const Ticks = (() => {
    'use strict';
    const GAP = 44;  // pixels that a number needs

    function decades(min, max, steps) {
        const found = [];
        for (let power = Math.floor(Math.log10(min)) - 1; power <= Math.ceil(Math.log10(max)); power++) {
            steps.forEach((step) => found.push(step * 10 ** power));
        }
        return found.filter((value) => value >= min * 0.9999 && value <= max * 1.0001);
    }

    function wanted(min, max) {
        const span = Math.log10(max / min);
        if (span < 0.35) {  // far less than a decade: even steps tell more
            const step = 10 ** Math.floor(Math.log10((max - min) / 2));
            return Array.from({length: 40}, (_, i) => (Math.ceil(min / step) + i) * step).filter((value) => value <= max);
        }
        return decades(min, max, span < 1.3 ? [1, 1.5, 2, 3, 5, 7] : span < 3 ? [1, 2, 5] : [1]);
    }

    // Those that have room, the first and the last of the values before the others.
    function spread(values, min, max, length, gap) {
        const at = (value) => length * Math.log(value / min) / Math.log(max / min);
        const kept = [];
        const order = values.length > 2 ? [values[0], values[values.length - 1], ...values.slice(1, -1)] : values;
        for (const value of order) {
            if (kept.every((other) => Math.abs(at(value) - at(other)) >= gap)) {
                kept.push(value);
            }
        }
        return kept.sort((a, b) => a - b);
    }

    // values: those that were measured, or none.
    function log(scale, values, length, gap) {
        const {min, max} = scale;
        const few = values && values.length <= 12 ? values.filter((value) => value >= min && value <= max) : [];
        const chosen = few.length > 1 ? few : wanted(min, max);
        scale.ticks = spread(chosen, min, max, length, gap || GAP).map((value) => ({value, major: true}));
    }

    // Even steps of 1, 2 or 5 times a power of ten, none of them at an end that is no step.
    function linear(scale, count) {
        const {min, max} = scale;
        const rough = (max - min) / count;
        const power = 10 ** Math.floor(Math.log10(rough));
        const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
        const first = Math.ceil(min / step - 1e-9);
        scale.ticks = Array.from({length: Math.floor(max / step + 1e-9) - first + 1}, (_, i) => ({value: (first + i) * step}));
    }

    return {log, linear};
})();
