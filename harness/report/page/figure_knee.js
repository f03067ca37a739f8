// Updates and examples to a target against the batch size, and the hyperbola through them.
(() => {
    'use strict';
    const nameOf = (knee) => `${knee.optimizer || 'training'}, target ${Format.percent(knee.target, 1)}`;

    // (S/S_min - 1)(E/E_min - 1) = 1 with E = B S: S = S_min + E_min / B (McCandlish et al., arXiv:1812.06162, eq. 2.11).
    function fitted(knee, name, style) {
        if (!Format.isNumber(knee.smallest_updates) || !Format.isNumber(knee.smallest_examples)) {
            return null;
        }
        const [low, high] = [Math.min(...knee.batches), Math.max(...knee.batches)];
        const batches = Array.from({length: 41}, (_, i) => low * (high / low) ** (i / 40));
        return {
            key: `${name}, hyperbola`,
            label: `${name}, hyperbola`,
            style: () => ({...style(name)(), dash: [5, 4]}),
            knee: Format.isNumber(knee.critical_batch) && knee.critical_batch > low && knee.critical_batch < high
                ? {x: knee.critical_batch, y: knee.smallest_updates + knee.smallest_examples / knee.critical_batch}
                : undefined,
            points: batches.map((batch, i) => ({
                x: batch,
                y: knee.smallest_updates + knee.smallest_examples / batch,
                plain: i % 10 !== 5,
                hollow: true,
                tell: [`batch ${Format.count(Math.round(batch))}`, 'hyperbola']
            }))
        };
    }

    function measured(knee, name, style) {
        return {
            key: name,
            label: name,
            style: style(name),
            line: false,
            points: Landscape.zip(knee.batches, knee.updates, (i) => ({
                name,
                examples: knee.examples[i],
                tell: [
                    `batch ${Format.count(knee.batches[i])}`,
                    `${Format.plural(knee.updates[i], 'update')}, ${Format.count(knee.examples[i])} images`
                ]
            }))
        };
    }

    const COLUMNS = [
        {title: 'Training', value: (row) => row.name},
        {title: 'Batch', number: true, value: (row) => row.x, text: (row) => Format.count(row.x)},
        {title: 'Updates', number: true, value: (row) => row.y, text: (row) => Format.count(row.y)},
        {title: 'Images', csv: 'examples', number: true, value: (row) => row.examples, text: (row) => Format.count(row.examples)}
    ];

    function build(shared) {
        const knees = shared.of('knee').filter(
            (knee) => Landscape.zip(knee.batches, knee.updates).length > 1 && Math.min(...knee.batches) > 0);
        if (knees.length === 0) {
            return null;
        }
        const names = Landscape.names(knees, nameOf, ['record']);
        const style = Settings.styles(names);
        const points = knees.map((knee, i) => measured(knee, names[i], style));
        const batches = [...new Set(knees.flatMap((knee) => knee.batches))].sort((a, b) => a - b);
        return {
            id: 'critical-batch',
            title: 'Updates to the target, and the critical batch size',
            short: 'Critical batch size',
            file: 'critical batch size',
            finding:
                knees.map((knee, i) => [`${names[i]}:`,
                              `critical batch ${Landscape.interval({...knee, value: knee.critical_batch})}: there, updates and ` +
                                  'images are each twice the least.']),
            how:
                'Below the knee twice the batch saves half of the updates, above it nearly none. Dashed: (S/S_min − 1)(E/E_min − 1) = 1.',
            plots: [{
                name: 'critical-batch',
                title: 'Updates to the target',
                x: {title: 'batch size', log: true, canSwitch: true, format: Format.countShort, values: batches, room: 34},
                y: {title: 'updates', log: true, canSwitch: true, format: Format.countShort},
                series: [...points, ...knees.map((knee, i) => fitted(knee, names[i], style)).filter(Boolean)]
            }],
            table: {columns: COLUMNS, rows: points.flatMap((line) => line.points)},
            repeat: shared.repeat('knee'),
        };
    }

    Report.addFigure('landscape', build);
})();
