// The lecture's picture: the loss of a few examples by update, by example that was seen, and by second.
(() => {
    'use strict';
    const AGAINST = [['updates', 'update'], ['examples', 'example seen'], ['seconds', 'second']];

    const known = (paths, against) => paths.filter((path) => (path[against] || []).some(Format.isNumber));

    function series(paths, against) {
        const names = Landscape.names(paths, Landscape.method, ['momentum', 'rate', 'seed']);
        const style = Settings.styles(names);
        return paths.map((path, i) => ({
            key: names[i],
            label: names[i],
            style: style(names[i]),
            path,
            points: Landscape.sparse(Landscape.zip(path[against], path.losses, (k) => ({
                update: path.updates[k],
                example: path.examples[k],
                second: path.seconds?.[k],
                name: names[i],
                tell: [
                    `loss ${Landscape.number(path.losses[k])}`,
                    `${Format.plural(path.updates[k], 'update')}, ` +
                        `${Format.plural(path.examples[k] ?? 0, 'example')}, ` + Format.seconds(path.seconds?.[k])
                ]
            })))
        }));
    }

    const COLUMNS = [
        {title: 'Path', value: (row) => row.name}, {title: 'Update', number: true, value: (row) => row.update},
        {title: 'Examples', number: true, value: (row) => row.example, text: (row) => Format.count(row.example)},
        {title: 'Time', csv: 'seconds', number: true, value: (row) => row.second, text: (row) => Format.seconds(row.second)},
        {title: 'Loss', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)}
    ];

    const finding = (lines) => lines.filter((line) => line.points.length > 0).map((line) => {
        const end = Landscape.last(line.points);
        return [
            `${line.label}:`,
            `loss ${Landscape.number(end.y)} after ${Format.plural(end.update, 'update')}, ${
                Format.plural(end.example ?? 0, 'example')} and ${Format.seconds(end.second)}.`
        ];
    });

    function build(shared) {
        const paths = shared.of('path').filter((path) => path.surface === 'examples');
        const offered = AGAINST.filter(([name]) => known(paths, name).length > 0);
        if (offered.length === 0) {
            return null;
        }
        const [against, words] = offered.find(([name]) => name === State.get('examples-by')) || offered[0];
        const lines = series(known(paths, against), against);
        return {
            id: 'examples',
            title: 'Full batch against batch 1 on a few examples',
            short: 'Loss of a few examples',
            file: `examples by ${words}`,
            pictureTitle: `Loss by ${words}`,
            finding: finding(lines),
            how:
                'Of one epoch full batch makes one update, batch 1 one for every example. By update the full batch looks better, by ' +
                'example that was seen batch 1 does; seconds are measured here.',
            choices: [Dom.select('examples-by', 'By', offered, against, (value) => State.set('examples-by', value))],
            plots: [{
                name: 'examples',
                title: `Loss by ${words}`,
                x: {
                    title: `${words}s`,
                    log: false,
                    canSwitch: true,
                    min: 0,
                    format: against === 'seconds' ? (value) => Format.seconds(value) : Format.countShort
                },
                y: Landscape.lossAxis(lines),
                series: lines
            }],
            legendId: 'examples',
            table: {columns: COLUMNS, rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat('path'),
        };
    }

    Report.addFigure('landscape', build);
})();
