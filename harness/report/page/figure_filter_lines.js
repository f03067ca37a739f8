// Loss along random directions with the length of each filter: widths that re-scaling does not change.
(() => {
    'use strict';

    const nameOf = (one) => one.point || Landscape.batch(one);

    // A line a seed; those of one point share its legend.
    function series(objects) {
        const style = Settings.styles(objects.map(nameOf));
        return objects.map((one) => ({
            key: nameOf(one),
            label: nameOf(one),
            style: style(nameOf(one)),
            points: Landscape
                        .sparse(Landscape.zip(one.t, one.losses, (i) => ({
                            name: nameOf(one),
                            seed: one.seed,
                            tell: [`t ${Landscape.number(one.t[i])}, seed ${one.seed}`, `loss ${Landscape.number(one.losses[i])}`]
                        })))
                        .map((point) => ({...point, hollow: false, size: 0.8}))
        }));
    }

    function finding(objects) {
        return [...new Set(objects.map(nameOf))].map((name) => {
            const own = objects.filter((one) => nameOf(one) === name && Format.isNumber(one.width));
            const widths = own.map((one) => one.width);
            const range = widths.length > 1 ? `${Landscape.number(Math.min(...widths))} to ${Landscape.number(Math.max(...widths))}`
                                            : Landscape.number(widths[0]);
            const more = own.some((one) => one.at_least) ? ', or more: the line ends before' : '';
            return [`${name}:`, `width ${range} of ${Format.plural(widths.length, 'direction')}${more}.`];
        });
    }

    const COLUMNS = [
        {title: 'Point', value: (row) => row.name}, {title: 'Seed', number: true, value: (row) => row.seed},
        {title: 't', number: true, value: (row) => row.x, text: (row) => Landscape.number(row.x)},
        {title: 'Loss', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)}
    ];

    function build(shared) {
        const objects = shared.of('filter_line');
        const lines = series(objects).filter((line) => line.points.length > 0);
        if (lines.length === 0) {
            return null;
        }
        return {
            id: 'filter-lines',
            title: 'Filter-normalized lines',
            file: 'filter-normalized lines',
            finding: finding(objects),
            how:
                'Loss along random directions, each filter of which has the length of the network\'s own (Li et al., arXiv:1712.09913). ' +
                `Width: where the loss stays below twice that at 0 plus 0.1. ${Landscape.abouts(objects)}`,
            plots: [{
                name: 'filter-lines',
                title: 'Loss along filter-normalized directions',
                x: {title: 't', log: false, format: Landscape.axis},
                y: Landscape.lossAxis(lines),
                series: lines
            }],
            table: {columns: COLUMNS, rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat('filter_line'),
        };
    }

    Report.addFigure('landscape', build);
})();
