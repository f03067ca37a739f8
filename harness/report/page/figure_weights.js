// Momentum is a weighted sum of all past gradients: the weights.
(() => {
    'use strict';

    function series(objects) {
        const names = Landscape.names(objects, (one) => `momentum ${one.momentum}`, ['rate', 'updates']);
        const style = Settings.styles(names);
        return objects.map((one, i) => ({
            key: names[i],
            label: names[i],
            style: style(names[i]),
            points: one.coefficients
                        .map((value, k) => ({
                            x: one.coefficients.length - 1 - k,
                            y: value,
                            name: names[i],
                            tell: [`the gradient ${k + 1} of ${one.coefficients.length}`, `weight ${Landscape.number(value)}`]
                        }))
                        .filter((point) => Format.isNumber(point.y))
        }));
    }

    const COLUMNS = [
        {title: 'Momentum', value: (row) => row.name}, {title: 'Updates ago', number: true, value: (row) => row.x},
        {title: 'Weight', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)}
    ];

    function build(shared) {
        const objects = shared.of('weights').filter((one) => one.coefficients.some(Format.isNumber));
        if (objects.length === 0) {
            return null;
        }
        const lines = series(objects);
        return {
            id: 'weights',
            title: 'Momentum is a weighted sum of all past gradients',
            short: 'Momentum as a sum',
            file: 'momentum weights',
            finding: objects.map((one, i) => [`${lines[i].label}:`,
                                     `after ${Format.plural(one.updates ?? 0, 'update')} recursion and sum differ by ${
                                         Landscape.number(one.difference)}.`]),
            how: 'How much a gradient of so many updates ago counts in m.',
            plots: [{
                name: 'weights',
                title: 'Weight of a past gradient',
                x: {title: 'updates ago', log: false, format: Format.countShort},
                y: {title: 'weight in m', log: false, format: Landscape.axis},
                series: lines
            }],
            table: {columns: COLUMNS, rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat('weights'),
        };
    }

    Report.addFigure('landscape', build);
})();
