// The networks that were trained for the landscape.
(() => {
    'use strict';
    const COLUMNS = [
        {title: 'Point', value: (row) => row.point}, {title: 'Network', value: (row) => Landscape.about(row)},
        {title: 'Backend', value: (row) => row.backend}, {title: 'Optimizer', value: (row) => row.optimizer},
        Landscape.column('Batch', 'batch', Format.count), Landscape.column('Epochs', 'epochs', Format.count),
        Landscape.column('Updates', 'updates', Format.count), Landscape.column('Time', 'seconds', Format.seconds),
        Landscape.column('Training loss', 'train.loss'),
        Landscape.column('Training accuracy', 'train.accuracy', (value) => Format.percent(value, 2)),
        Landscape.column('Test loss', 'test.loss'),
        Landscape.column('Test accuracy', 'test.accuracy', (value) => Format.percent(value, 2))
    ];

    function build(shared) {
        const trainings = shared.of('training');
        if (trainings.length === 0) {
            return null;
        }
        return {
            id: 'points',
            title: 'Networks that were trained for it',
            short: 'Networks',
            finding: trainings.slice(0, 4).map(
                (one) => [`${one.point || 'A network'}:`,
                    `test accuracy ${Format.percent(one.test?.accuracy, 2)}, training accuracy ${
                        Format.percent(one.train?.accuracy, 2)}, training loss ${Landscape.number(one.train?.loss)}.`]),
            table: {columns: COLUMNS, rows: trainings},
            repeat: shared.repeat('training'),
        };
    }

    Report.addFigure('landscape', build);
})();
