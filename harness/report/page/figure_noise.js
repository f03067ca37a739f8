// The gradient noise scale along a training, with its average, the published one, and the batch size where more images stop
// saving updates.
(() => {
    'use strict';
    const AGAINST = [['epoch', 'epochs'], ['update', 'updates']];

    const KNEES = 1;  // more are in their own figure

    const nameOf = (one) => one.point || Landscape.method(one);
    const isKnown = (one) => Format.isNumber(one.scale) && one.scale > 0;

    // A number that is known everywhere: a level with its name in the legend, and its interval.
    function level(key, label, value, low, high, ends, index) {
        const point = (x) => ({
            x,
            y: value,
            low,
            high,
            plain: x !== ends[1],
            tell: [
                `${label}: ${Landscape.number(value)}`,
                Format.isNumber(low) ? `${Landscape.number(low)} to ${Landscape.number(high)}` : ''
            ].filter(Boolean)
        });
        const style = () => ({colour: Palette.colour(index), marker: Palette.marker(index), dash: [7, 4]});
        return {key, label, style, band: Format.isNumber(low) && Format.isNumber(high), points: ends.map(point)};
    }

    function measured(objects, against) {
        const names = [...new Set(objects.map(nameOf))];
        const style = Settings.styles(names);
        return names
            .map((name) => ({
                key: name,
                label: name,
                style: style(name),
                whiskers: true,
                points: objects.filter((one) => nameOf(one) === name && Format.isNumber(one[against]))
                            .sort((a, b) => a[against] - b[against])
                            .map((one) => ({
                                x: one[against],
                                y: one.scale,
                                low: one.low,
                                high: one.high,
                                one,
                                tell: [
                                    `${one.at ? `${one.at}: ` : ''}${Landscape.interval({...one, value: one.scale})}`,
                                    `${Format.count(one.slices)} slices of ${Format.plural(one.slice, 'image')}`
                                ]
                            }))
            }))
            .filter((line) => line.points.length > 0);
    }

    // Of each training its average, in its colour; the published, and the knees.
    function levels(shared, ends, lines) {
        const averages = shared.of('average').filter(isKnown);
        const published = averages.map((one) => one.published).find(Boolean);
        const index = (name) => Math.max(0, lines.findIndex((line) => line.label === name));
        const own = averages.map(
            (one) => level(`average ${nameOf(one)}`, averages.length > 1 ? `average of ${nameOf(one)}` : 'average of the training',
                one.scale, one.low, one.high, ends, index(nameOf(one))));
        const others = [
            ['published average', published?.average, null, null], ['published at the start', published?.start, null, null],
            ...shared.of('knee').slice(0, KNEES).map(
                (knee) => ['knee of updates to target', knee.critical_batch, knee.low, knee.high])
        ].filter(([, value]) => Format.isNumber(value));
        return [
            ...own, ...others.map(([label, value, low, high], i) => level(label, label, value, low, high, ends, lines.length + i))
        ];
    }

    function finding(shared) {
        return shared.of('average').filter(isKnown).map((one) => {
            const other = one.published?.average;
            const words = Format.isNumber(other)
                ? `; published is ${Landscape.number(other)}, a factor of ${
                      Landscape.number(one.within ?? Math.max(one.scale / other, other / one.scale))}`
                : '';
            return [`${nameOf(one)}:`, `average ${Landscape.interval({...one, value: one.scale})}${words}.`];
        });
    }

    const COLUMNS = [
        {title: 'Training', value: nameOf}, {title: 'At', value: (row) => row.at},
        {title: 'Update', number: true, value: (row) => row.update, text: (row) => Format.count(row.update)},
        Landscape.column('Epoch', 'epoch'), Landscape.column('Noise scale', 'scale'), Landscape.column('From', 'low'),
        Landscape.column('To', 'high'), Landscape.column('|G|²', 'gradient_squared'), Landscape.column('tr Σ', 'trace')
    ];

    function build(shared) {
        const objects = shared.of('noise').filter(isKnown);
        const offered = AGAINST.filter(([name]) => objects.some((one) => Format.isNumber(one[name])));
        if (offered.length === 0) {
            return null;
        }
        const [against, words] = offered.find(([name]) => name === State.get('noise-by')) || offered[0];
        const lines = measured(objects, against);
        const all = lines.flatMap((line) => line.points.map((point) => point.x));
        const ends = [Math.min(...all), Math.max(...all)];
        return {
            id: 'noise',
            title: 'Gradient noise scale',
            file: `noise scale by ${words}`,
            finding: finding(shared),
            how: 'tr(Σ)/|G|² with its 95 % interval: the batch size at which noise and gradient are alike (McCandlish et al., ' +
                `arXiv:1812.06162). Dashed: what it is compared with. ${Landscape.abouts(objects)}`,
            choices: offered.length > 1 ? [Dom.select('noise-by', 'By', offered, against, (value) => State.set('noise-by', value))]
                                        : [],
            plots: [{
                name: 'noise',
                title: `Noise scale by ${words}`,
                x: {title: words, log: false, format: Format.countShort},
                y: {title: 'noise scale, images', log: true, canSwitch: true, format: Landscape.axis},
                series: [...lines, ...levels(shared, ends, lines)]
            }],
            table: {columns: COLUMNS, rows: objects},
            repeat: shared.repeat('noise', 'average'),
        };
    }

    Report.addFigure('landscape', build);
})();
