// Time of an update and of an epoch against the batch size: the lecture's two figures. The other figures of this part share
// the case, of which one is shown at a time.
(() => {
    'use strict';
    const SERIES = [
        ['update', 'update, waited for'], ['pipelined', 'updates in a row, one wait'], ['updates', 'many updates in one call'],
        ['gradient', 'gradient only'], ['apply', 'optimizer step only']
    ];

    function prepare(view) {
        if (view.cells.length === 0) {
            return null;
        }
        const cases = [...new Set(view.cells.map((cell) => cell.case))].sort((a, b) => a - b);
        const chosen = Number(State.get('case', -1));
        const index = cases.includes(chosen) ? chosen : Data.busiest(view.cells);
        const lines = Data.lines(view.cells.filter((cell) => cell.case === index));
        return {
            cases,
            index,
            name: Data.caseName(Data.cases[index]),
            layers: Data.cases[index].layers,
            all: view.cells,
            nothing: lines.filter((line) => line.kind === 'nothing'),
            lines: lines.filter((line) => line.kind !== 'nothing')
        };
    }

    function choices(shared) {
        if (shared.cases.length < 2) {
            return [];
        }
        return [Dom.select('case', 'Model, data, optimizer, precision',
            shared.cases.map((index) => [index, Data.caseName(Data.cases[index])]), shared.index,
            (value) => State.set('case', value))];
    }

    function update(name, line) {
        return Lines.series(line, (cell) => {
            const of = cell.status === 'ok' ? cell[name] : null;
            return of && {
                y: of.median_ns,
                low: of.q1_ns,
                high: of.q3_ns,
                tell: [
                    `${Format.ns(of.median_ns)}, middle half ${Format.ns(of.q1_ns)} to ${Format.ns(of.q3_ns)}`,
                    `${Format.count(1e9 * cell.batch / of.median_ns)} images/s`,
                    `${Format.plural(of.rounds, 'round')}${of.unsteady ? ', UNSTEADY: more than 10 % between them' : ''}`
                ]
            };
        }, {band: true, knee: name === 'update' ? knee(line) : null});
    }

    // Where an update takes twice as long as at the smallest batch.
    function knee(line) {
        const [first] = Lines.timed(line);
        return line.knee === null || !first ? null : {x: line.knee, y: 2 * first.update.median_ns};
    }

    function epoch(line) {
        return Lines.series(line, (cell) => {
            const of = cell.status === 'ok' ? cell.epoch : null;
            const scaled = (value) => (Format.isNumber(value) ? 1e9 * value : null);
            return of && {
                y: scaled(of.seconds),
                low: scaled(of.low_seconds),
                high: scaled(of.high_seconds),
                hollow: !of.measured,
                tell: [
                    `${Format.seconds(of.seconds)}, ${Format.plural(of.updates, 'update')}`,
                    of.measured ? 'measured whole' : 'extrapolated from the updates'
                ]
            };
        }, {band: true});
    }

    // What the best line would be if only the fixed cost of an update, or only that of an image, were there.
    function ideals(lines, scale) {
        const [best] = Lines.byRate(lines);
        const cells = best ? Lines.timed(best) : [];
        if (cells.length < 2) {
            return [];
        }
        const first = cells[0].update.median_ns;
        const image = 1e9 / Lines.rate(best);
        return [
            {label: 'as if an update cost the same', at: (batch) => first * scale(batch), along: 0.87},
            {label: 'as if an image cost the same', at: (batch) => image * batch * scale(batch), along: 0.12},
        ];
    }

    function cheapest(line) {
        const cells = line.cells.filter((cell) => cell.status === 'ok' && cell.epoch && Format.isNumber(cell.epoch.seconds));
        if (cells.length < 2) {
            return null;
        }
        const best = cells.reduce((a, b) => (b.epoch.seconds < a.epoch.seconds ? b : a));
        return [
            `${Lines.name(line)}:`,
            `an epoch is cheapest at batch ${Lines.batch(best)}, ${Format.seconds(best.epoch.seconds)}, ` +
                `against ${Format.seconds(cells[0].epoch.seconds)} at batch ${Lines.batch(cells[0])}.`
        ];
    }

    const COLUMNS = [
        {title: 'Line', value: ({line}) => Lines.name(line)},
        {title: 'Batch', number: true, value: ({cell}) => cell.batch, text: ({cell}) => Lines.batch(cell)},
        {
            title: 'Update',
            csv: 'update_ns',
            number: true,
            value: ({cell}) => cell.update && cell.update.median_ns,
            text: ({cell}) => (Data.isTimed(cell) ? Format.ns(cell.update.median_ns)
                    : cell.status === 'wrong'     ? 'WRONG'
                                                  : '–')
        },
        {
            title: 'First quartile',
            csv: 'q1_ns',
            number: true,
            value: ({cell}) => cell.update && cell.update.q1_ns,
            text: ({cell}) => Format.ns(cell.update?.q1_ns)
        },
        {
            title: 'Third quartile',
            csv: 'q3_ns',
            number: true,
            value: ({cell}) => cell.update && cell.update.q3_ns,
            text: ({cell}) => Format.ns(cell.update?.q3_ns)
        },
        {
            title: 'Images/s',
            csv: 'images_per_s',
            number: true,
            value: ({cell}) => (Data.isTimed(cell) ? 1e9 * cell.batch / cell.update.median_ns : null),
            text: ({cell}) => (Data.isTimed(cell) ? Format.count(1e9 * cell.batch / cell.update.median_ns) : '–')
        },
        {
            title: 'Epoch',
            csv: 'epoch_s',
            number: true,
            value: ({cell}) => cell.epoch && cell.epoch.seconds,
            text: ({cell}) => (cell.epoch ? `${cell.epoch.measured ? '' : '~'}${Format.seconds(cell.epoch.seconds)}` : '–')
        },
        {
            title: 'Status',
            value: ({cell}) => cell.status,
            text: ({cell}) => `${cell.status}${cell.update?.unsteady ? ', unsteady' : ''}`
        },
    ];

    function times(shared) {
        const {lines} = shared;
        const name = SERIES.some(([key]) => key === State.get('series')) ? State.get('series') : 'update';
        const axis = Lines.batchAxis(lines);
        const time = () => ({log: true, canSwitch: true, format: Format.nsShort});
        const wrong = Lines.wrong(lines);
        const updates = (batch) => Data.cases[shared.index].images / batch;
        const offered = SERIES.filter(([key]) => lines.some((line) => line.cells.some((cell) => cell[key])));
        const epochs = lines.map(epoch);
        const best = Lines.byRate(lines).slice(0, 3);
        const hidden = Lines.hidden(lines);
        const left = {
            name: 'update',
            title: name === 'update' ? 'One update' : SERIES.find(([key]) => key === name)[1],
            x: {...axis},
            y: time(),
            series: lines.map((line) => update(name, line)),
            wrong,
            ideals: ideals(lines, () => 1)
        };
        const right = {
            name: 'epoch',
            title: 'One epoch',
            x: {...axis},
            y: time(),
            series: epochs,
            wrong,
            ideals: Data.cases[shared.index].images ? ideals(lines, updates) : []
        };
        return {
            id: 'times',
            title: 'Update and epoch against batch size',
            short: 'Update and epoch',
            file: `time ${shared.name}`,
            pictureTitle: `Time of an update and of an epoch: ${shared.name}`,
            finding: [Lines.fastest(lines), ...best.map(Lines.growth), best.length ? cheapest(best[0]) : null],
            how: `Lower is faster. The band holds the middle half of the times; a bar across a line is its knee, from where ` +
                `an update takes ` +
                `twice as long as at the smallest batch. Hollow points are extrapolated. Lines: ${Lines.kinds(lines).join('; ')}.` +
                (hidden.length ? ` The ${lines.length - hidden.length} fastest of ${
                                     lines.length} lines are shown; the legend has the others.`
                               : ''),
            choices: offered.length > 1 ? [Dom.select('series', 'Time of', offered, name,
                                              (value) => State.set('series', value === 'update' ? null : value))]
                                        : [],
            plots: epochs.some((series) => series.points.length > 0) ? [left, right] : [left],
            hidden,
            legendId: `times ${shared.index}`,
            missing: Lines.absences(lines),
            table: {columns: COLUMNS, rows: Lines.rows(lines)},
            repeat: Data.commands(Lines.runs(lines)),
        };
    }

    Report.addPart({id: 'time', title: 'Time', prepare, choices});
    Report.addFigure('time',
        (shared) => (shared.lines.some((line) => Lines.timed(line).length > 0 || line.cells.length > 0) ? times(shared) : null));
})();
