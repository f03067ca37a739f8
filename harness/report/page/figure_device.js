// The host's clock against the device's own: what of an update the device works, and what it costs to ask for it.
(() => {
    'use strict';
    const PARTS = [
        ['update', 'whole, by the host\'s clock', []], ['device_update', 'on the device', [6, 4]],
        ['submission', 'asking for it, on the host', [2, 3]]
    ];

    function part(line, [name, words, dash]) {
        const made = Lines.series(line, (cell) => {
            const of = cell.status === 'ok' ? cell[name] : null;
            return of && {
                y: of.median_ns,
                low: of.low_ns,
                high: of.high_ns,
                part: words,
                tell: [
                    `${words}: ${Format.ns(of.median_ns)}`,
                    cell.update ? `${Format.percent(of.median_ns / cell.update.median_ns)} of the update` : ''
                ].filter(Boolean)
            };
        }, {band: true});
        const style = () => ({...made.style(), dash});
        return {...made, label: `${made.label}, ${words}`, style};
    }

    const COLUMNS = [
        {title: 'Line', value: ({line}) => Lines.name(line)},
        {title: 'Batch', number: true, value: ({cell}) => cell.batch, text: ({cell}) => Lines.batch(cell)},
        ...[['update', 'Update'], ['device_update', 'On the device'], ['device_gradient', 'Gradient on it'],
            ['device_apply', 'Step on it'], ['submission', 'Asking']]
            .map(([name, title]) => ({
                title,
                csv: `${name}_ns`,
                number: true,
                value: ({cell}) => cell[name] && cell[name].median_ns,
                text: ({cell}) => Format.ns(cell[name]?.median_ns)
            })),
        {
            title: 'Device share',
            csv: 'device_share',
            number: true,
            value: ({cell}) => share(cell),
            text: ({cell}) => Format.percent(share(cell))
        },
    ];

    const share = (cell) => (cell.device_update && cell.update ? cell.device_update.median_ns / cell.update.median_ns : null);

    function finding(lines) {
        const cells = lines.flatMap((line) => line.cells.filter((cell) => share(cell) !== null).map((cell) => ({line, cell})));
        const [least, most] =
            [[1, 0], [0, 1]].map(([a]) => cells.reduce((x, y) => ((share(y.cell) < share(x.cell)) === Boolean(a) ? y : x)));
        const tell = ({line, cell}) =>
            `${Format.percent(share(cell))} of an update at batch ${Lines.batch(cell)} (${Lines.name(line)})`;
        return `The device works ${tell(least)}${least === most ? '' : `, and ${tell(most)}`}.`;
    }

    function build(shared) {
        const lines = shared.lines.filter((line) => line.cells.some((cell) => cell.status === 'ok' && cell.device_update));
        if (lines.length === 0) {
            return null;
        }
        const series = lines.flatMap((line) => PARTS.map((one) => part(line, one))).filter((one) => one.points.length > 0);
        return {
            id: 'device',
            title: 'Host against device time',
            short: 'Host against device',
            file: `device ${shared.name}`,
            pictureTitle: `Host against device time: ${shared.name}`,
            finding: finding(lines),
            how: 'Solid: an update by the host\'s clock. Dashes: the part that the device\'s own timestamps tell. Dots: what ' +
                'the host spends on asking for it. ' +
                'Where solid and dashes meet, the device is busy all the time.',
            plots: [{
                name: 'device',
                title: 'Host and device time of an update',
                x: Lines.batchAxis(lines),
                y: {title: 'time of an update', log: true, canSwitch: true, format: Format.nsShort},
                series
            }],
            legendId: `device ${shared.index}`,
            table: {columns: COLUMNS, rows: Lines.rows(lines)},
            repeat: Data.commands(Lines.runs(lines)),
        };
    }

    Report.addFigure('time', build);
})();
