// The objects of landscape records as lines of charts: their names, their looks, and fewer markers than points.
const Landscape = (() => {
    'use strict';
    const ANALYSES = {
        points: ['training'],
        escape: ['contour', 'path', 'count', 'saddle', 'leave', 'weights'],
        hessian: ['spectrum', 'walk'],
        sharpness: ['sharpness', 'comparison', 'filter_line'],
        line: ['line', 'distance', 'plane'],
        noise: ['noise', 'average', 'knee'],
    };
    const SHAPES = {minimum: 5, maximum: 2, saddle: 3};

    const analyses = (landscape) =>
        Object.keys(ANALYSES).filter((name) => ANALYSES[name].some((part) => landscape.parts[part]?.length > 0));

    // "spectrum of batch 256: unsupported, ..."
    function verdict(one) {
        const of = one.point || one.surface;
        return `${one.part || one.analysis}${of ? ` of ${of}` : ''}: ${one.status}${one.reason ? `, ${one.reason}` : ''}`;
    }

    // ---- Numbers ----

    const number = (value) => (Format.isNumber(value) ? Format.digits(value).replace(/^-/, '−') : '–');
    const axis = (value) => String(parseFloat(value.toPrecision(3))).replace(/^-/, '−');
    const last = (list) => list[list.length - 1];

    // "34 (21 to 50)" of {value or median, low, high}
    function interval(of) {
        const middle = of?.value ?? of?.median;
        const ends = Format.isNumber(of?.low)
            ? ` (${number(of.low)} ${Format.isNumber(of.high) ? `to ${number(of.high)}` : 'or more'})`
                                                              : '';
        return Format.isNumber(middle) ? `${number(middle)}${ends}` : '–';
    }

    // ---- Names ----

    const batch = (one) => (Format.isNumber(one.batch) ? `batch ${Format.count(one.batch)}` : 'full batch');

    // "momentum, batch 4": what a path or a run is called; noise only where a batch does not tell it.
    const method = (one) => `${one.optimizer || 'descent'}, ${batch(one)}`;

    // Of each object its name, and what else tells it from those that would be called alike.
    function names(objects, base, more) {
        const plain = objects.map(base);
        const twins = plain.map((name) => plain.filter((other) => other === name).length > 1);
        const several = (i, key) =>
            new Set(objects.filter((_, k) => plain[k] === plain[i]).map((one) => JSON.stringify(one[key] ?? null))).size > 1;
        return objects.map((one, i) => {
            const keys = twins[i] ? more.filter((key) => several(i, key)) : [];
            return [plain[i], ...keys.map((key) => `${key.replace('_', ' ')} ${one[key] ?? '–'}`)].join(', ');
        });
    }

    // ---- Looks ----

    // A marker at the ends of a path and a few between them.
    function sparse(points, few = 6) {
        const step = Math.max(1, Math.floor(points.length / (few + 1)));
        return points.map((point, i) => {
            const isEnd = i === 0 || i === points.length - 1;
            return {
                ...point,
                plain: !isEnd && (i % step !== 0 || points.length - i <= step / 2),
                hollow: i === 0,
                size: i === points.length - 1 ? 1.3
                    : i === 0                 ? 1
                                              : 0.7
            };
        });
    }

    // An axis of losses: logarithmic where all are above 0.
    function lossAxis(series, more) {
        const all = series.flatMap((one) => one.points.map((point) => point.y)).filter(Format.isNumber);
        const above = all.length > 0 && all.every((value) => value > 0);
        return {title: 'loss', log: above, canSwitch: above, format: axis, ...more};
    }

    // Points where both are numbers: x and y are lists; more(i) is asked for those only.
    const zip = (x, y, more) => x.map((value, i) => ({x: value, y: y[i], i}))
                                    .filter((point) => Format.isNumber(point.x) && Format.isNumber(point.y))
                                    .map(({x: at, y: on, i}) => ({x: at, y: on, ...(more ? more(i) : {})}));

    // "f1 on mnist (60000 images, batch norm: ghost-6000)"
    function about(one) {
        const details =
            [one.images ? `${Format.count(one.images)} images` : '', one.batch_norm ? `batch norm: ${one.batch_norm}` : ''].filter(
                Boolean);
        return one.model ? `${one.model} on ${one.dataset}${details.length ? ` (${details.join(', ')})` : ''}` : '';
    }

    // The kinds of networks of some objects, in words, for a figure's how.
    const abouts = (objects) => [...new Set(objects.map(about))].filter(Boolean).join('; ');

    const column = (title, key, text) => ({
        title,
        csv: key.replace(/\./g, '_'),
        number: true,
        value: (row) => key.split('.').reduce((at, name) => at?.[name], row),
        text: (row) => (text || number)(key.split('.').reduce((at, name) => at?.[name], row))
    });

    return {
        ANALYSES,
        SHAPES,
        analyses,
        verdict,
        number,
        axis,
        last,
        interval,
        batch,
        method,
        names,
        sparse,
        lossAxis,
        zip,
        about,
        abouts,
        column
    };
})();
