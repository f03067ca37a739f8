// What the report holds and what stands out in it, before all figures: failures first.
(() => {
    'use strict';
    const MANY = 3;  // sentences of a kind
    const BAD = ['wrong', 'crashed', 'timeout', 'error'];

    const tile = (label, value, note) => Dom.el('div', {class: 'tile'}, Dom.el('dt', null, label), Dom.el('dd', null, value),
        note ? Dom.el('dd', {class: 'tile-note'}, note) : null);

    function tally(cells) {
        const counts = new Map();
        cells.forEach((cell) => counts.set(cell.status, (counts.get(cell.status) || 0) + 1));
        return [...counts].filter(([status]) => status !== 'ok').map(([status, count]) => `${count} ${status}`).join(', ');
    }

    function machinesOf(view) {
        const groups = [...view.trainings, ...view.comparisons, ...view.landscapes].map((one) => Data.machineOf(one.run));
        const trends = view.trends.map((trend) => trend.host.machine);
        return [...new Set([...view.cells.map((cell) => cell.machine), ...groups, ...trends])].filter(Boolean);
    }

    function tiles(view) {
        const machines = machinesOf(view);
        const settings = view.trainings.flatMap((training) => training.settings);
        const compared = view.comparisons.flatMap((comparison) => comparison.cells);
        const timed = view.cells.filter((cell) => cell.status === 'ok').length;
        const objects = view.landscapes.flatMap((one) => Object.values(one.parts).flat()).length;
        return Dom.el('dl', {class: 'tiles'},
            tile(machines.length === 1 ? 'machine' : 'machines', Format.count(machines.length),
                machines.length === 1 ? machines[0] : null),
            view.cells.length
                ? tile(timed === 1 ? 'cell timed' : 'cells timed', Format.count(timed), tally(view.cells) || 'none missing')
                : null,
            settings.length ? tile('training settings', Format.count(settings.length),
                                  Format.plural(settings.reduce((sum, one) => sum + one.tried, 0), 'training'))
                            : null,
            compared.length ? tile('cells compared', Format.count(compared.length), Verdicts.summary(compared)) : null,
            objects ? tile(objects === 1 ? 'landscape object' : 'landscape objects', Format.count(objects),
                          [...new Set(view.landscapes.flatMap((one) => Landscape.analyses(one)))].join(', '))
                    : null,
            view.trends.length ? tile(view.trends.length === 1 ? 'trend' : 'trends', Format.count(view.trends.length),
                                     Format.plural(view.trends.reduce((sum, one) => sum + one.changes.length, 0), 'lasting change'))
                               : null);
    }

    function failures(view) {
        const cells = view.cells.filter((cell) => BAD.includes(cell.status) && !cell.superseded)
                          .map((cell) => [cell.status === 'wrong' ? 'WRONG' : cell.status.toUpperCase(),
                                   `${Lines.name(cell)}, batch ${Format.count(cell.batch)}` +
                                       `${cell.reason ? `: ${cell.reason}` : ''}`,
                                   'time']);
        const compared =
            view.comparisons.flatMap((comparison) => comparison.cells)
                .filter((cell) => Verdicts.isBad(cell.verdict))
                .map((cell) => [cell.verdict,
                         `${cell.backend}, ${cell.cell}${Format.isNumber(cell.ratio) ? `: ${Format.change(cell.ratio)}` : ''}`,
                         'regression']);
        const computed = view.landscapes.flatMap(
            (landscape) => landscape.verdicts.filter((one) => BAD.includes(one.status))
                               .map((one) => [one.status.toUpperCase(), Landscape.verdict(one), 'landscape']));
        const records =
            Data.runs
                .flatMap((run) => [!Data.isUnfinished(run)
                                 ? null
                                 : ['UNFINISHED', `${run.file} has no end: what it holds so far is shown`, 'machines'],
                             run.torn ? ['TORN', `${run.file}: its last line was cut off and is left out`, 'machines'] : null,
                             run.in_process
                                 ? ['IN PROCESS', `${run.file} was measured with --in-process: not to be compared`, 'machines']
                                 : null,
        ]).filter((one) => one !== null);
        return [...compared, ...cells, ...computed, ...records];
    }

    function fastest(view) {
        const busiest = Data.busiest(view.cells);
        const [best] = Lines.byRate(Data.lines(view.cells.filter((cell) => cell.case === busiest)));
        if (!best || Lines.rate(best) === 0) {
            return null;
        }
        const of = Data.cases[best.cells[0].case];
        return `Most images a second: ${Lines.name(best)}, ${Format.count(Lines.rate(best))} (${Data.caseName(of)}).`;
    }

    // Of each model and data set. Chosen on the validation images; what it reaches on the test images is only told.
    function mostAccurate(view) {
        const best = new Map();
        for (const training of view.trainings) {
            for (const setting of training.settings.filter((one) => one.final.validation)) {
                const key = `${training.model}, ${training.dataset}`;
                const other = best.get(key);
                if (!other || setting.final.validation.mean > other.final.validation.mean) {
                    best.set(key, setting);
                }
            }
        }
        return [...best].slice(0, MANY).map(
            ([key, {optimizer, batch, final}]) => `Highest validation accuracy of ${key}: ${optimizer}, ` +
                `batch ${Format.count(batch)}, ${Format.accuracy(final.validation)}${
                    final.test ? `; on the test images ${Format.accuracy(final.test)}` : ''}.`);
    }

    function body(view) {
        const found = failures(view);
        const shown = found.slice(0, 10).map(([word, text, part]) => Dom.el('li', null, Dom.el('strong', {class: 'word'}, word),
                                                 ' ', text, ' ', Contents.link(part, 'see')));
        const more = found.length > 10 ? [Dom.el('li', null, `and ${Format.count(found.length - 10)} more`)] : [];
        const good = [fastest(view), ...mostAccurate(view)].filter(Boolean);
        return Dom.el('div', null, tiles(view), found.length ? Dom.el('ul', {class: 'failures'}, shown, more) : null,
            good.length ? Dom.el('div', {class: 'finding'}, good.map((text) => Dom.el('p', null, text))) : null);
    }

    Report.addPart({id: 'overview', title: 'At a glance', prepare: (view) => view, body});
})();
