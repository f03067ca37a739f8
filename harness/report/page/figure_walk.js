// The loss along the eigenvector of the most negative eigenvalue, next to what the eigenvalue foretells.
(() => {
    'use strict';

    function series(walks) {
        const names = Landscape.names(walks, (one) => one.point || 'point', ['seed', 'eigenvalue']);
        const style = Settings.styles(names);
        return walks
            .flatMap((walk, i) => [['losses', 'computed', false], ['quadratic', 'foretold', true]].map(([key, words, dashed]) => ({
                key: `${names[i]}, ${words}`,
                label: `${names[i]}, ${words}`,
                style: dashed ? () => ({...style(names[i])(), dash: [5, 4]}) : style(names[i]),
                points: Landscape.zip(walk.t, walk[key], (k) => ({
                    name: names[i],
                    line: words,
                    plain: dashed && k % 4 !== 0,
                    hollow: dashed,
                    tell: [`t ${Landscape.number(walk.t[k])}`, `loss ${Landscape.number(walk[key][k])}, ${words}`]
                }))
            })))
            .filter((line) => line.points.length > 0);
    }

    // The parabola soon leaves what the loss does: what is seen is the range of the losses, with some room.
    function range(walks) {
        const losses = walks.flatMap((walk) => walk.losses).filter(Format.isNumber);
        if (losses.length === 0) {
            return {};
        }
        const [low, high] = [Math.min(...losses), Math.max(...losses)];
        const air = 0.4 * (high - low || Math.abs(high) || 1);
        return {min: low - air, max: high + air};
    }

    const COLUMNS = [
        {title: 'Point', value: (row) => row.name}, {title: 'Line', value: (row) => row.line},
        {title: 't', number: true, value: (row) => row.x, text: (row) => Landscape.number(row.x)},
        {title: 'Loss', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)}
    ];

    function build(shared) {
        const walks = shared.of('walk');
        const lines = series(walks);
        if (lines.length === 0) {
            return null;
        }
        return {
            id: 'walk',
            title: 'Walk down from a saddle',
            file: 'walk along an eigenvector',
            finding: walks.map((walk) => [`${walk.point || 'point'}:`,
                                   `eigenvalue ${Landscape.number(walk.eigenvalue)}; the loss is lowest, ${
                                       Landscape.number(walk.lowest?.loss)}, at t = ${Landscape.number(walk.lowest?.t)}.`]),
            how: `Loss at the point plus t times the eigenvector. Dashed: the parabola of loss and eigenvalue. ${
                Landscape.abouts(walks)}`,
            plots: [{
                name: 'walk',
                title: 'Loss along the eigenvector',
                x: {title: 't', log: false, format: Landscape.axis},
                y: Landscape.lossAxis(lines, {log: false, canSwitch: false, ...range(walks)}),
                series: lines
            }],
            table: {columns: COLUMNS, rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat('walk'),
        };
    }

    Report.addFigure('landscape', build);
})();
