// How many times as fast as a baseline of the reader's choice.
(() => {
    'use strict';

    // Of the machine with most lines, for those are paired: plain C if it is there, else what is slowest.
    function baseline(lines) {
        const chosen = lines.find((line) => line.key === State.get('base'));
        const beside = (line) => lines.filter((other) => other.machine === line.machine).length;
        const slow = [...lines].sort((a, b) => beside(b) - beside(a) || Lines.rate(a) - Lines.rate(b));
        return chosen || slow.find((line) => line.cells[0].backend === 'scalar') || slow[0];
    }

    function compare(line, base) {
        return Lines.series(line, (cell) => {
            const other = base.cells.find((one) => one.batch === cell.batch && Data.isTimed(one));
            if (!other || !Data.isTimed(cell)) {
                return null;
            }
            const pair = Data.paired(cell, other);
            const y = pair ? pair.ratio : other.update.median_ns / cell.update.median_ns;
            const how = !pair ? 'of the medians: not measured in the same rounds'
                : pair.low === null
                ? `paired by round, of ${Format.count(pair.rounds)}: too few for an interval`
                : `95 % interval ${Format.ratio(pair.low)} to ${Format.ratio(pair.high)}${pair.tie ? ', a tie: it holds 1' : ''}`;
            return {
                y,
                low: pair ? pair.low : null,
                high: pair ? pair.high : null,
                hollow: !pair,
                tie: pair ? pair.tie : null,
                tell: [`${Format.ratio(y)} as fast as ${Lines.name(base)}`, how]
            };
        }, {whiskers: true});
    }

    function finding(series, base) {
        const points = series.flatMap((one) => one.points.map((point) => ({...point, label: one.label})));
        const best = points.reduce((a, b) => (b.y > a.y ? b : a));
        const worst = points.reduce((a, b) => (b.y < a.y ? b : a));
        const tell = (point, more) => [point.label,
            `at batch ${Format.count(point.x)} is ${Format.digits(point.y)} times as fast as ${Lines.name(base)}${more}.`];
        return best === worst ? [tell(best, '')] : [tell(best, ', the most here'), tell(worst, ', the least')];
    }

    const COLUMNS = [
        {title: 'Line', value: (row) => row.label},
        {title: 'Batch', number: true, value: (row) => row.x, text: (row) => Format.count(row.x)},
        {title: 'Times as fast', csv: 'ratio', number: true, value: (row) => row.y, text: (row) => Format.ratio(row.y)},
        {title: 'From', csv: 'low', number: true, value: (row) => row.low, text: (row) => Format.ratio(row.low)},
        {title: 'To', csv: 'high', number: true, value: (row) => row.high, text: (row) => Format.ratio(row.high)},
        {
            title: 'Paired by round',
            value: (row) => (row.hollow ? 'no'
                    : row.low === null  ? 'yes, in too few rounds for an interval'
                    : row.tie           ? 'yes, a tie'
                                        : 'yes')
        },
    ];

    function build(shared) {
        const lines = shared.lines.filter((line) => Lines.timed(line).length > 0);
        if (lines.length < 2) {
            return null;
        }
        const base = baseline(lines);
        const series =
            lines.filter((line) => line !== base).map((line) => compare(line, base)).filter((one) => one.points.length > 0);
        const choice = Dom.select(
            'base', 'Baseline', lines.map((line) => [line.key, Lines.name(line)]), base.key, (value) => State.set('base', value));
        const plots = [{
            name: 'speed',
            title: `Times as fast as ${Lines.name(base)}`,
            x: Lines.batchAxis(lines),
            y: {log: true, canSwitch: true, format: (value) => `×${Format.countShort(value)}`, title: 'times as fast'},
            series,
            levels: [{axis: 'y', value: 1, strong: true, shown: true}]
        }];
        return {
            id: 'speed',
            title: 'Speed against a baseline',
            short: 'Against a baseline',
            file: `speed ${shared.name}`,
            pictureTitle: `Times as fast as ${Lines.name(base)}: ${shared.name}`,
            finding: series.length ? finding(series, base) : `Nothing else was measured at a batch size of ${Lines.name(base)}.`,
            how: 'Higher is faster; the line at 1 is the baseline. Bars are 95 % intervals of the ratio, paired by round; ' +
                'hollow points were not measured in the same rounds, and their ratio is that of the medians.',
            choices: [choice],
            plots: series.length ? plots : [],
            hidden: Lines.hidden(lines),
            legendId: `speed ${shared.index}`,
            table: {columns: COLUMNS, rows: series.flatMap((one) => one.points.map((point) => ({...point, label: one.label})))},
            repeat: Data.commands(Lines.runs(lines)),
        };
    }

    Report.addFigure('time', build);
})();
