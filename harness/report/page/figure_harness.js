// What the harness itself costs: the update of the backend that computes nothing, as a share of each other update.
(() => {
    'use strict';

    function cost(line, nothing) {
        return Lines.series(line, (cell) => {
            const own = nothing.flatMap((one) => one.cells)
                            .find((one) => one.machine === cell.machine && one.batch === cell.batch && Data.isTimed(one));
            return own && Data.isTimed(cell) ? {
                y: own.update.median_ns / cell.update.median_ns,
                own: own.update.median_ns,
                tell: [
                    `the harness: ${Format.ns(own.update.median_ns)} of ${Format.ns(cell.update.median_ns)}`,
                    Format.percent(own.update.median_ns / cell.update.median_ns)
                ]
            }
                                             : null;
        });
    }

    const COLUMNS = [
        {title: 'Line', value: (row) => row.label},
        {title: 'Batch', number: true, value: (row) => row.x, text: (row) => Format.count(row.x)},
        {title: 'Harness', csv: 'harness_ns', number: true, value: (row) => row.own, text: (row) => Format.ns(row.own)},
        {title: 'Share of the update', csv: 'share', number: true, value: (row) => row.y, text: (row) => Format.percent(row.y)},
    ];

    function build(shared) {
        const series = shared.lines.map((line) => cost(line, shared.nothing)).filter((one) => one.points.length > 0);
        if (series.length === 0) {
            return null;
        }
        const rows = series.flatMap((one) => one.points.map((point) => ({...point, label: one.label})));
        const most = rows.reduce((a, b) => (b.y > a.y ? b : a));
        const own = rows.map((row) => row.own);
        const lines = shared.lines.filter((line) => series.some((one) => one.key === line.key));
        return {
            id: 'harness',
            title: 'Cost of the harness',
            short: 'Cost of the harness',
            file: `harness ${shared.name}`,
            pictureTitle: `Share of an update that is the harness: ${shared.name}`,
            finding: `An update that computes nothing takes ${Format.ns(Math.min(...own))}${
                Math.max(...own) > 1.05 * Math.min(...own)
                    ? ` to ${Format.ns(Math.max(...own))}`
                    : ''}: at most ${Format.percent(most.y)} of another, that of ${most.label} at batch ${Format.count(most.x)}.`,
            how: 'The time of an update of the null backend, which computes nothing, as a share of each update. What is small ' +
                'here is not in the other figures.',
            plots: [{
                name: 'harness',
                title: 'Share of an update that is the harness',
                x: Lines.batchAxis(lines),
                y: {title: 'share of an update', log: true, canSwitch: true, format: Format.percentShort},
                series
            }],
            hidden: Lines.hidden(lines),
            legendId: `harness ${shared.index}`,
            table: {columns: COLUMNS, rows},
            repeat: Data.commands(Lines.runs([...shared.nothing, ...lines])),
        };
    }

    Report.addFigure('time', build);
})();
