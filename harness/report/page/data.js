// The report's data, with what every figure asks of it: the machine of a cell, and the lines of a chart.
const Data = (() => {
    'use strict';
    const raw = JSON.parse(document.getElementById('data').textContent);
    if (raw.schema !== 1) {
        throw new Error(`report data: expected schema 1, found ${raw.schema}`);
    }
    const machineOf = (run) => (run === null || run === undefined ? null : raw.runs[run].machine);
    const machines =
        [...new Set([...raw.runs.map((run) => run.machine), ...raw.trends.map((trend) => trend.host.machine)])].filter(Boolean);

    // processor, device (a GPU or another accelerator), software (a device that is emulated), nothing
    function kindOf(cell) {
        if (cell.computes_nothing) {
            return 'nothing';
        }
        if (cell.software) {
            return 'software';
        }
        const host = raw.runs[cell.run].host;
        return host && host.cpu === cell.device_name ? 'processor' : 'device';
    }

    for (const cell of raw.cells) {
        cell.machine = machineOf(cell.run);
        cell.kind = kindOf(cell);
    }

    // Cells of one line share a key: what a machine has measured again is superseded and in no line.
    for (const cell of raw.cells) {
        cell.line = `${cell.machine}\n${cell.row}`;
    }

    const lineIndex = new Map();
    for (const cell of raw.cells) {
        if (!cell.computes_nothing && !lineIndex.has(cell.line)) {
            lineIndex.set(cell.line, lineIndex.size);
        }
    }

    // By which a choice is remembered, whatever the filters leave.
    for (const list of [raw.trainings, raw.comparisons, raw.trends, raw.landscapes]) {
        list.forEach((one, index) => {
            one.index = index;
        });
    }

    const knees = new Map(raw.knees.map((knee) => [`${knee.run}\n${knee.case}\n${knee.row}`, knee.batch]));

    // The lines of cells of one case: {key, label, machine, kind, index, cells, knee}. A knee is told of a run: it counts where
    // the line begins with that run's cell.
    function lines(cells) {
        const found = new Map();
        for (const cell of cells.filter((one) => !one.superseded)) {
            if (!found.has(cell.line)) {
                found.set(cell.line, {
                    key: cell.line,
                    label: cell.row,
                    machine: cell.machine,
                    kind: cell.kind,
                    row: cell.row,
                    index: lineIndex.has(cell.line) ? lineIndex.get(cell.line) : -1,
                    cells: []
                });
            }
            found.get(cell.line).cells.push(cell);
        }
        for (const line of found.values()) {
            line.cells.sort((a, b) => a.batch - b.batch);
            const first = line.cells[0];
            const known = knees.get(`${first.run}\n${first.case}\n${first.row}`);
            line.knee = known === undefined ? null : known;
        }
        return [...found.values()];
    }

    function caseName(of) {
        const parts = [of.model === 'custom' ? `custom (${of.layers})` : of.model, of.dataset, of.optimizer, of.precision];
        if (of.micro_batch > 0) {
            parts.push(`slices of ${of.micro_batch}`);
        }
        if (of.data_parallel > 1) {
            parts.push(`over ${of.data_parallel} devices`);
        }
        const alike = raw.cases.filter((one) => one.model === of.model && one.dataset === of.dataset);
        if (new Set(alike.map((one) => one.images)).size > 1) {
            parts.push(Format.plural(of.images, 'image'));
        }
        return parts.join(', ');
    }

    // Pairs measured in the same rounds, by run, case, batch, row and base; a pair is told once and found both ways.
    const pairs = new Map();
    for (const pair of raw.ratios) {
        pairs.set([pair.run, pair.case, pair.batch, pair.row, pair.base].join('\n'), pair);
    }

    function paired(cell, base) {
        if (cell.run !== base.run) {
            return null;
        }
        const names = [cell.run, cell.case, cell.batch];
        const straight = pairs.get([...names, cell.row, base.row].join('\n'));
        if (straight) {
            return straight;
        }
        const turned = pairs.get([...names, base.row, cell.row].join('\n'));
        if (!turned) {
            return null;
        }
        const inverse = (value) => (value === null ? null : 1 / value);
        return {...turned, ratio: 1 / turned.ratio, low: inverse(turned.high), high: inverse(turned.low)};
    }

    // The case with most lines, then with most cells.
    function busiest(cells) {
        const found = new Map();
        for (const cell of cells) {
            const of = found.get(cell.case) || {lines: new Set(), cells: 0};
            found.set(cell.case, of);
            of.cells++;
            if (!cell.computes_nothing) {
                of.lines.add(cell.line);
            }
        }
        const order = [...found].sort(([a, x], [b, y]) => y.lines.size - x.lines.size || y.cells - x.cells || a - b);
        return order.length ? order[0][0] : null;
    }

    // A mean over no seed is unknown.
    function forgetEmpty(object) {
        for (const [name, value] of Object.entries(object || {})) {
            if (value !== null && typeof value === 'object' && 'mean' in value && !Format.isNumber(value.mean)) {
                object[name] = null;
            }
        }
    }

    for (const setting of raw.trainings.flatMap((training) => training.settings)) {
        [setting.final, ...Object.values(setting.budgets), ...setting.curve].forEach(forgetEmpty);
    }

    // A record that was broken off. What `history` writes has no end.
    const isUnfinished = (run) => !run.finished && run.command_name !== 'history';
    const isTimed = (cell) => cell.status === 'ok' && cell.update !== null;
    const commands = (runs) => [...new Set(runs)].map((run) => raw.runs[run].command).filter(Boolean);

    return {...raw, machines, machineOf, isUnfinished, lines, busiest, caseName, paired, isTimed, commands};
})();
