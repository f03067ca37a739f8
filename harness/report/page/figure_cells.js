// Every cell of every case in one table.
(() => {
    'use strict';
    const text = (title, value) => ({title, value});
    const time = (title, name, more) => ({
        ...more,
        title,
        csv: `${name}_ns`,
        number: true,
        value: (cell) => cell[name] && cell[name].median_ns,
        text: (cell) => Format.ns(cell[name]?.median_ns)
    });

    const COLUMNS = [
        text('Row', (cell) => cell.row),
        text('Machine', (cell) => cell.machine),
        text('Model', (cell) => cell.model),
        text('Data', (cell) => cell.dataset),
        text('Optimizer', (cell) => cell.optimizer),
        text('Precision', (cell) => cell.precision),
        {title: 'Batch', number: true, value: (cell) => cell.batch, text: (cell) => Lines.batch(cell)},
        {
            title: 'Status',
            value: (cell) => cell.status,
            text: (cell) => (cell.status === 'wrong' ? 'WRONG' : cell.status) + (cell.update?.unsteady ? ', unsteady' : '') +
                (cell.superseded ? ', measured again since' : '')
        },
        time('Update', 'update'),
        {
            title: 'Spread',
            minor: true,
            csv: 'spread',
            number: true,
            value: (cell) => cell.update && cell.update.spread,
            text: (cell) => Format.percent(cell.update?.spread)
        },
        time('Pipelined', 'pipelined', {minor: true}),
        time('In one call', 'updates', {minor: true}),
        time('Gradient', 'gradient', {minor: true}),
        time('Step', 'apply', {minor: true}),
        {
            title: 'Epoch',
            csv: 'epoch_s',
            number: true,
            value: (cell) => cell.epoch && cell.epoch.seconds,
            text: (cell) => (cell.epoch ? `${cell.epoch.measured ? '' : '~'}${Format.seconds(cell.epoch.seconds)}` : '–')
        },
        {
            title: 'Of the bound',
            csv: 'share',
            number: true,
            value: (cell) => cell.bound && cell.bound.share,
            text: (cell) => Format.percent(cell.bound?.share)
        },
        {title: 'Check', minor: true, value: (cell) => cell.check && cell.check.status},
        {
            title: 'Memory',
            minor: true,
            csv: 'memory_bytes',
            number: true,
            value: (cell) => cell.memory_bytes,
            text: (cell) => Format.bytes(cell.memory_bytes)
        },
        {...text('Device', (cell) => cell.device_name), minor: true},
        {title: 'Reason', wide: true, value: (cell) => cell.reason || ''},
        {title: 'Command', code: true, value: (cell) => cell.repro || ''},
    ];

    // What is the same in all cells of the report needs no column; the CSV has it.
    const SEEN = COLUMNS.filter((column, i) => i === 0 || column.number || new Set(Data.cells.map(column.value)).size > 1);

    Report.addFigure('time', (shared) => ({
        id: 'cells',
        title: 'All cells',
        finding: null,
        how: 'Every cell that the filters let through, of all cases. ~ is extrapolated. The last column repeats a single cell.',
        extra: [Table.create('cells-table', 'All cells', SEEN, shared.all, {csv: COLUMNS})],
    }));
})();
