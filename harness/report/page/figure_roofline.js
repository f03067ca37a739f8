// How much of what the machine could do at its best an update reaches.
(() => {
    'use strict';

    function share(line) {
        return Lines.series(line,
            (cell) => (cell.bound && Data.isTimed(cell) ? {
                y: cell.bound.share,
                tell: [
                    `${Format.percent(cell.bound.share)} of the bound: ${Format.ns(cell.bound.ns)} against ${
                        Format.ns(cell.update.median_ns)}`,
                    cell.bound.limit ? `bound by ${cell.bound.limit}${cell.bound.level ? `, data in ${cell.bound.level}` : ''}` : ''
                ].filter(Boolean),
                limit: cell.bound.limit,
                level: cell.bound.level
            }
                                                        : null));
    }

    const COLUMNS = [
        {title: 'Line', value: (row) => row.label},
        {title: 'Batch', number: true, value: (row) => row.x, text: (row) => Format.count(row.x)},
        {title: 'Share of the bound', csv: 'share', number: true, value: (row) => row.y, text: (row) => Format.percent(row.y)},
        {title: 'Bound by', value: (row) => row.limit},
        {title: 'Data in', value: (row) => row.level},
    ];

    function build(shared) {
        const series = shared.lines.map(share).filter((one) => one.points.length > 0);
        if (series.length === 0) {
            return null;
        }
        const rows = series.flatMap((one) => one.points.map((point) => ({...point, label: one.label})));
        const best = rows.reduce((a, b) => (b.y > a.y ? b : a));
        const lines = shared.lines.filter((line) => series.some((one) => one.key === line.key));
        return {
            id: 'roofline',
            title: 'Share of the roofline',
            short: 'Share of the roofline',
            file: `roofline ${shared.name}`,
            pictureTitle: `Share of the roofline: ${shared.name}`,
            finding: `${best.label} reaches ${Format.percent(best.y)} of the machine's bound at batch ${Format.count(best.x)}` +
                `${best.limit ? `, where ${best.limit} is the limit` : ''}.`,
            how: 'The bound is the time that the machine\'s own measured peak and bandwidth would take for the arithmetic and ' +
                'the data of an update: ' +
                'the machine\'s best is 100 %. Above it, data stayed in a nearer cache than was assumed.',
            plots: [{
                name: 'roofline',
                title: 'Share of the bound',
                x: Lines.batchAxis(lines),
                y: {title: 'share of the bound', log: false, canSwitch: true, format: Format.percentShort, air: 0.02, zero: true},
                series,
                levels: [{axis: 'y', value: 1, shown: true}]
            }],
            hidden: Lines.hidden(lines),
            legendId: `roofline ${shared.index}`,
            table: {columns: COLUMNS, rows},
            repeat: Data.commands(Lines.runs(lines)),
        };
    }

    Report.addFigure('time', build);
})();
