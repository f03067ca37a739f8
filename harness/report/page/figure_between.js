// Loss and accuracy on straight and curved lines between two points.
(() => {
    'use strict';
    const SPLITS = [['train', 'training', []], ['test', 'test', [5, 4]]];
    const VALUES = [['loss', 'Loss'], ['accuracy', 'Accuracy']];

    const FEW = 15;  // points that all have markers

    const pairOf = (line) => `${line.from || '?'} to ${line.to || '?'}`;

    function series(lines, value) {
        const style = Settings.styles(lines.map((line) => line.shape || 'line'));
        return lines
            .flatMap((line) => SPLITS.map(([split, words, dash]) => {
                const name = `${line.shape || 'line'}, ${words}`;
                return {
                    key: name,
                    label: name,
                    style: () => ({...style(line.shape || 'line')(), dash}),
                    points: Landscape.zip(line.t, line[split]?.[value] || [], (i) => ({
                        plain: line.t.length > FEW && i % 2 === 1,
                        hollow: split === 'test',
                        tell: [
                            `at ${Landscape.number(line.t[i])}`,
                            value === 'loss' ? `${words} loss ${Landscape.number(line[split].loss[i])}`
                                             : `${words} accuracy ${Format.percent(line[split].accuracy[i], 2)}`
                        ]
                    }))
                };
            }))
            .filter((one) => one.points.length > 0);
    }

    const rowsOf = (lines) => lines.flatMap((line) => line.t.map((t, i) => ({
        pair: pairOf(line),
        shape: line.shape,
        t,
        train_loss: line.train?.loss[i],
        test_loss: line.test?.loss[i],
        train_accuracy: line.train?.accuracy[i],
        test_accuracy: line.test?.accuracy[i]
    })));

    const COLUMNS = [
        {title: 'Line', value: (row) => row.pair}, {title: 'Shape', value: (row) => row.shape}, Landscape.column('At', 't'),
        Landscape.column('Training loss', 'train_loss'), Landscape.column('Test loss', 'test_loss'),
        Landscape.column('Training accuracy', 'train_accuracy', (value) => Format.percent(value, 2)),
        Landscape.column('Test accuracy', 'test_accuracy', (value) => Format.percent(value, 2))
    ];

    function axisOf(value, lines) {
        return value === 'loss' ? Landscape.lossAxis(lines) : {log: false, format: Format.percentAxis, ceiling: 1};
    }

    // Distances from the start stand with the lines: they say how far the two points went.
    function travelled(distances) {
        return distances.filter((one) => Format.isNumber(one.norm))
            .map((one) => [`${one.point || 'A point'}:`,
                     `distance from ${one.from || 'the start'} ${Landscape.number(one.norm)}${
                         Format.isNumber(one.relative) ? `, ${Landscape.number(one.relative)} of the start's norm` : ''}.`]);
    }

    function build(shared) {
        const all = shared.of('line');
        const pairs = [...new Set(all.map(pairOf))];
        if (pairs.length === 0) {
            return null;
        }
        const pair = pairs.includes(State.get('between')) ? State.get('between') : pairs[0];
        const lines = all.filter((line) => pairOf(line) === pair);
        const plots =
            VALUES.map(([value, title]) => ({value, title, lines: series(lines, value)})).filter((one) => one.lines.length > 0);
        return {
            id: 'between',
            title: 'Between two minima',
            file: `line ${pair}`,
            pictureTitle: `Line from ${pair}`,
            finding: [
                ...lines.map(
                    (line) => [`${line.shape || 'line'}:`,
                        `barrier ${Landscape.number(line.barrier)} in training loss over the straight course of the ends'.`]),
                ...travelled(shared.of('distance'))
            ],
            how: `0 is ${lines[0].from || 'the first point'}, 1 is ${lines[0].to || 'the second'}. Hollow and dashed: test images.${
                     lines.some((line) => line.statistics === 'renewed') ? ' Batch-norm statistics are made anew at every place.'
                                                                         : ''} ` +
                Landscape.abouts(lines),
            choices: pairs.length > 1
                ? [Dom.select('between', 'Line', pairs.map((one) => [one, one]), pair, (value) => State.set('between', value))]
                : [],
            plots: plots.map(({value, title, lines: own}) => ({
                name: `between-${value}`,
                title: `${title} from ${pair}`,
                x: {title: 'place on the line', log: false, format: Landscape.axis},
                y: axisOf(value, own),
                levels: [{axis: 'x', value: 0, shown: true}, {axis: 'x', value: 1, shown: true}],
                series: own
            })),
            legendId: `between ${pair}`,
            table: {columns: COLUMNS, rows: rowsOf(all)},
            repeat: shared.repeat('line', 'distance'),
        };
    }

    Report.addFigure('landscape', build);
})();
