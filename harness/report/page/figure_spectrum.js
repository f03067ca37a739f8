// Largest and smallest eigenvalues of the Hessian, with what is known of their errors.
(() => {
    'use strict';
    const ENDS = [['largest', 'Largest eigenvalues'], ['smallest', 'Smallest eigenvalues']];

    // A symmetric matrix has an eigenvalue within |Hv - value v| of the value; the differences add theirs.
    function error(one) {
        const parts =
            [one.error, Format.isNumber(one.residual) ? one.residual * Math.abs(one.value) : null].filter(Format.isNumber);
        return parts.length ? parts.reduce((a, b) => a + b, 0) : null;
    }

    function points(spectrum, end, name) {
        return spectrum[end].map((one, i) => ({one, i})).filter(({one}) => Format.isNumber(one.value)).map(({one, i}) => {
            const off = error(one);
            return {
                x: i + 1,
                y: one.value,
                low: off === null ? null : one.value - off,
                high: off === null ? null : one.value + off,
                name,
                end,
                ...{error: one.error, residual: one.residual},
                tell: [
                    `eigenvalue ${i + 1}: ${Landscape.number(one.value)}`,
                    `error ${Landscape.number(one.error)}, residual ${Landscape.number(one.residual)}`
                ]
            };
        });
    }

    function series(spectra, names, end) {
        const style = Settings.styles(names);
        return spectra.map(
            (spectrum, i) => (
                {key: names[i], label: names[i], style: style(names[i]), whiskers: true, points: points(spectrum, end, names[i])}));
    }

    // Whole numbers, every one or every n-th.
    function ranks(lines, room) {
        const most = Math.max(...lines.flatMap((line) => line.points.map((point) => point.x)), 1);
        const step = Math.ceil(most / Math.max(1, room));
        return Array.from({length: Math.ceil(most / step)}, (_, i) => 1 + i * step);
    }

    function finding(spectra, names) {
        return spectra.map((spectrum, i) => {
            const trace = Format.isNumber(spectrum.trace?.value)
                ? `; trace ${Landscape.number(spectrum.trace.value)} ± ${Landscape.number(spectrum.trace.standard_error)}`
                : '';
            return [`${names[i]}: ${spectrum.point_kind || 'unknown'}.`, `${spectrum.evidence || ''}${trace}.`];
        });
    }

    const COLUMNS = [
        {title: 'Point', value: (row) => row.name}, {title: 'End', value: (row) => row.end},
        {title: 'Rank', number: true, value: (row) => row.x},
        {title: 'Eigenvalue', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)},
        {title: 'Error', number: true, value: (row) => row.error, text: (row) => Landscape.number(row.error)},
        {title: 'Residual', number: true, value: (row) => row.residual, text: (row) => Format.percent(row.residual)}
    ];

    function build(shared) {
        const spectra = shared.of('spectrum').filter((one) => ENDS.some(([end]) => one[end].some((v) => Format.isNumber(v.value))));
        if (spectra.length === 0) {
            return null;
        }
        const names = Landscape.names(spectra, (one) => one.point || 'point', ['seed', 'images', 'model', 'dataset', 'backend']);
        const plots = ENDS.map(([end, title]) => {
            const lines = series(spectra, names, end);
            const above = lines.flatMap((line) => line.points).every((point) => point.y > 0 && (point.low ?? 1) > 0);
            return {
                name: `spectrum-${end}`,
                title,
                x: {title: 'rank', log: false, format: Format.countShort, fixed: (room) => ranks(lines, room)},
                y: {log: above && end === 'largest', canSwitch: above && end === 'largest', format: Landscape.axis},
                levels: above ? [] : [{axis: 'y', value: 0, shown: true}],
                series: lines
            };
        });
        return {
            id: 'spectrum',
            title: 'Eigenvalues of the Hessian',
            file: 'eigenvalues',
            finding: finding(spectra, names),
            how: `The bar is what the residual |Hv − λv| and the differences of gradients leave open. ${Landscape.abouts(spectra)}`,
            plots,
            table: {columns: COLUMNS, rows: plots.flatMap((plot) => plot.series.flatMap((line) => line.points))},
            repeat: shared.repeat('spectrum'),
        };
    }

    Report.addFigure('landscape', build);
})();
