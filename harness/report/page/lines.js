// The lines of cells as series of a chart, and what is said of them in words.
const Lines = (() => {
    'use strict';
    const MANY = 12;
    const SHOWN = 8;

    const style = (line) => () =>
        ({colour: Palette.colour(line.index), marker: Palette.marker(line.index), dash: Palette.dash(line.kind)});

    let severalMachines = false;  // among the cells that the filters let through

    const begin = (cells) => {
        severalMachines = new Set(cells.map((cell) => cell.machine)).size > 1;
    };

    // What is said of a line or a cell, with its machine where there are several: "avx2, 2 threads on alpha".
    const name = (line) => (severalMachines ? `${line.row} on ${line.machine}` : line.row);

    // value(cell) → {y, low, high, hollow, tell} or null
    function series(line, value, more) {
        const points = line.cells
                           .map((cell) => {
                               const found = value(cell);
                               return found && Format.isNumber(found.y)
                                   ? {x: cell.batch, ...found, tell: [`batch ${batch(cell)}`, ...found.tell]}
                                   : null;
                           })
                           .filter((point) => point !== null);
        return {key: line.key, label: name(line), name: line.label, machine: line.machine, style: style(line), points, ...more};
    }

    const batch = (cell) => (cell.full ? `full (${Format.count(cell.batch)})` : Format.count(cell.batch));
    const timed = (line) => line.cells.filter(Data.isTimed);
    const batches = (lines) => [...new Set(lines.flatMap((line) => line.cells.map((cell) => cell.batch)))].sort((a, b) => a - b);
    const batchAxis = (lines) =>
        ({title: 'batch size', log: true, canSwitch: true, format: Format.countShort, values: batches(lines), room: 34});

    // Images a second at the batch where they are most.
    const rate = (line) => Math.max(0, ...timed(line).map((cell) => 1e9 * cell.batch / cell.update.median_ns));
    const byRate = (lines) => [...lines].filter((line) => line.kind !== 'nothing').sort((a, b) => rate(b) - rate(a));

    // Keys of the lines that are off at first: all but the fastest, where there are too many to be told apart.
    function hidden(lines) {
        const sorted = byRate(lines);
        return sorted.length > MANY ? sorted.slice(SHOWN).map((line) => line.key) : [];
    }

    // "avx2:", "an update at batch 100 costs 3.1 times one at batch 1, for 100 times the images; knee at 38."
    function growth(line) {
        const cells = timed(line);
        if (cells.length < 2) {
            return null;
        }
        const first = cells[0];
        const far = cells.slice(1).reduce((best, cell) => {
            const off = (one) => Math.abs(Math.log(one.batch / first.batch / 100));
            return off(cell) < off(best) ? cell : best;
        });
        const times = Format.digits(far.update.median_ns / first.update.median_ns);
        const knee = line.knee === null ? `no knee up to batch ${batch(cells[cells.length - 1])}`
                                        : `knee at ${Format.count(Math.round(line.knee))}`;
        return [
            `${name(line)}:`,
            `an update at batch ${batch(far)} costs ${times} times one at batch ${batch(first)}, ` +
                `for ${Format.digits(far.batch / first.batch)} times the images; ${knee}.`
        ];
    }

    // "Fastest:", "scalar at batch 1; avx2 from batch 10 on."
    function fastest(lines) {
        const spans = [];  // {line, from, to}
        for (const size of batches(lines)) {
            const known = lines.flatMap((line) => timed(line).filter((cell) => cell.batch === size).map((cell) => ({line, cell})));
            const best =
                known.length > 1 ? known.reduce((a, b) => (b.cell.update.median_ns < a.cell.update.median_ns ? b : a)) : null;
            const last = spans[spans.length - 1];
            if (best && last && last.line === best.line) {
                last.to = best.cell;
            } else if (best) {
                spans.push({line: best.line, from: best.cell, to: best.cell});
            }
        }
        const told =
            spans.map(({line, from, to}) => `${name(line)} at batch ${batch(from)}${from === to ? '' : ` to ${batch(to)}`}`);
        return told.length === 0 || told.length > 4 ? null : ['Fastest:', `${told.join('; ')}.`];
    }

    // Why a cell is not in a chart: "avx2 at batch 1000: WRONG, ...".
    function absence(line, cell) {
        const status = cell.status === 'ok' ? 'no time' : cell.status === 'wrong' ? 'WRONG' : cell.status;
        return `${name(line)} at batch ${batch(cell)}: ${status}${cell.reason ? `, ${cell.reason}` : ''}`;
    }

    // Of a line with many such cells one entry a status.
    function absencesOf(line) {
        const found = new Map();
        line.cells.filter((cell) => !Data.isTimed(cell)).forEach((cell) => found.set(cell.status, [
            ...(found.get(cell.status) || []), cell
        ]));
        return [...found.values()].flatMap((cells) => (cells.length < 4 ? cells.map((cell) => absence(line, cell)) : [
            `${name(line)} at batches ${cells.map((cell) => Format.count(cell.batch)).join(', ')}: ${cells[0].status}, the first: ${
                cells[0].reason}`
        ]));
    }

    const absences = (lines) => lines.flatMap(absencesOf);
    const wrong = (lines) => lines.flatMap((line) => line.cells.filter((cell) => cell.status === 'wrong').map((cell) => ({
        key: line.key,
        label: name(line),
        name: line.label,
        machine: line.machine,
        x: cell.batch,
        style: style(line)
    })));
    const kinds = (lines) => [...new Set(lines.map((line) => line.kind))].map((kind) => Palette.KINDS[kind]).filter(Boolean);
    const runs = (lines) => lines.flatMap((line) => line.cells.map((cell) => cell.run));
    const rows = (lines) => lines.flatMap((line) => line.cells.map((cell) => ({line, cell})));

    return {
        begin,
        style,
        name,
        series,
        batch,
        timed,
        batches,
        batchAxis,
        rate,
        byRate,
        hidden,
        growth,
        fastest,
        absence,
        absences,
        wrong,
        kinds,
        runs,
        rows
    };
})();
