// Has a build become slower? Verdicts first, then the ratio with its interval for every cell.
(() => {
    'use strict';
    const ROWS = 40;

    function prepare(view) {
        if (view.comparisons.length === 0) {
            return null;
        }
        const worst = (comparison) => Math.min(...comparison.cells.map((cell) => Verdicts.rank(cell.verdict)));
        const chosen = view.comparisons.find((one) => String(one.index) === State.get('comparison'));
        const comparison = chosen || view.comparisons.reduce((a, b) => (worst(b) < worst(a) ? b : a));
        return {comparison, comparisons: view.comparisons};
    }

    const title = (comparison) => `${comparison.base} → ${comparison.head}`;

    function choices({comparison, comparisons}) {
        return comparisons.length < 2 ? [] : [Dom.select('comparison', 'Comparison',
                                                 comparisons.map((one) => [one.index, `${title(one)}, ${Data.runs[one.run].file}`]),
                                                 comparison.index, (value) => State.set('comparison', value))];
    }

    function chips(cells) {
        return Dom.el('ul', {class: 'chips'},
            Verdicts.counts(cells).map(([verdict, count]) => Dom.el('li', {class: Verdicts.isBad(verdict) ? 'chip bad' : 'chip'},
                                           Dom.el('strong', null, Format.count(count)), ` ${verdict}`)));
    }

    // What all cells share is told once: "mlp, fashion-mnist, momentum, 8 threads, float32".
    function shared(cells) {
        const parts = cells.map((cell) => cell.cell.split(', '));
        return parts[0].filter((part) => parts.every((own) => own.includes(part)));
    }

    function label(cell, common) {
        const own = cell.cell.split(', ').filter((part) => !common.includes(part)).join(', ');
        return [cell.backend, own || `batch ${cell.batch}`].join(', ');
    }

    function point(cell, i, common) {
        const known = [
            Format.isNumber(cell.sensitivity) ? `would have found ${Format.percent(cell.sensitivity)}` : '',
            Format.plural(cell.sets, 'set')
        ];
        return {
            x: cell.ratio,
            y: i,
            low: cell.low,
            high: cell.high,
            style: () => Palette.verdict(cell.verdict),
            hollow: cell.verdict === 'INCONCLUSIVE',
            tell: [
                `${label(cell, common)}: ${cell.verdict}`,
                `${Format.change(cell.ratio)}, 95 % interval ${Format.change(cell.low)} to ${Format.change(cell.high)}`,
                `${Format.ns(cell.base_ns)}, now ${Format.ns(cell.head_ns)}`, known.filter(Boolean).join(', '), cell.reason
            ].filter(Boolean)
        };
    }

    const columns = (common) => [{title: 'Cell', value: (cell) => label(cell, common)},
        {title: 'Verdict', value: (cell) => cell.verdict, strong: (cell) => Verdicts.isBad(cell.verdict)},
        {title: 'Change', csv: 'ratio', number: true, value: (cell) => cell.ratio, text: (cell) => Format.change(cell.ratio)},
        {title: 'From', csv: 'low', number: true, value: (cell) => cell.low, text: (cell) => Format.change(cell.low)},
        {title: 'To', csv: 'high', number: true, value: (cell) => cell.high, text: (cell) => Format.change(cell.high)},
        {title: 'Base', csv: 'base_ns', number: true, value: (cell) => cell.base_ns, text: (cell) => Format.ns(cell.base_ns)},
        {title: 'Head', csv: 'head_ns', number: true, value: (cell) => cell.head_ns, text: (cell) => Format.ns(cell.head_ns)}, {
            title: 'p',
            number: true,
            value: (cell) => cell.p,
            text: (cell) => (Format.isNumber(cell.p) ? cell.p.toPrecision(2) : '–')
        },
        {
            title: 'Would find',
            csv: 'sensitivity',
            number: true,
            value: (cell) => cell.sensitivity,
            text: (cell) => Format.percent(cell.sensitivity)
        },
        {title: 'Sets', number: true, value: (cell) => cell.sets}, {
            title: 'A/A spread',
            csv: 'aa_spread',
            number: true,
            value: (cell) => cell.aa_spread,
            text: (cell) => Format.percent(cell.aa_spread)
        },
        {
            title: 'Instructions',
            csv: 'instructions_ratio',
            number: true,
            value: (cell) => cell.instructions?.ratio,
            text: (cell) => Format.change(cell.instructions?.ratio)
        },
        {title: 'Reason', wide: true, value: (cell) => cell.reason || ''}];

    function differences(comparison) {
        const COLUMNS = [
            {title: 'What differs', value: (row) => row.what}, {title: 'Base', value: (row) => row.base},
            {title: 'Head', value: (row) => row.head}
        ];
        return comparison.differences.length
            ? [Table.create('differences', 'What differs between the two', COLUMNS, comparison.differences)]
            : [];
    }

    function forest(cells, comparison, common) {
        const known = cells.filter((cell) => Format.isNumber(cell.ratio)).slice(0, ROWS);
        if (known.length === 0) {
            return [];
        }
        const series = [{
            key: 'ratio',
            label: 'head against base',
            style: () => ({...Palette.verdict('PASS'), dash: []}),
            line: false,
            whiskers: true,
            points: known.map((cell, i) => point(cell, i, common))
        }];
        return [{
            name: 'forest',
            title: 'Time of head over that of base',
            text: Verdicts.summary(cells),
            series,
            room: 168,
            rows: known.map((cell) => ({label: label(cell, common), right: `${Format.change(cell.ratio)}  ${cell.verdict}`})),
            levels: [{axis: 'x', value: 1, strong: true, shown: true}, {axis: 'x', value: 1 + comparison.threshold, shown: true}],
            x: {title: 'time of head over that of base', log: false, format: Format.change},
            y: {
                log: false,
                min: -0.6,
                max: known.length - 0.4,
                format: (value) => (known[value] ? label(known[value], common) : '')
            }
        }];
    }

    function build({comparison}) {
        const cells = [...comparison.cells].sort(
            (a, b) => Verdicts.rank(a.verdict) - Verdicts.rank(b.verdict) || (b.ratio || 0) - (a.ratio || 0));
        const common = shared(cells);
        const unknown = cells.filter((cell) => !Format.isNumber(cell.ratio))
                            .map((cell) => `${label(cell, common)}: ${cell.verdict}${cell.reason ? `, ${cell.reason}` : ''}`);
        const rest = cells.length - unknown.length - ROWS;
        return {
            id: 'verdicts',
            title: `Verdicts: ${title(comparison)}`,
            short: 'Verdicts',
            file: 'regression',
            pictureTitle: `Head against base: ${title(comparison)}`,
            showLegend: false,
            finding: `${comparison.stored ? 'Two stored records' : 'Measured in pairs'}: ${comparison.series}, ` +
                `${Format.percent(comparison.threshold)} slower is accepted${
                    common.length ? `; all of ${common.join(', ')}` : ''}.`,
            how: 'Each row is a cell: the ratio of its times with the 95 % interval; right of the solid line head is slower, ' +
                'and the dashed line is what is accepted. ' +
                `Hollow: not decided.${rest > 0 ? ` The first ${ROWS} are drawn, the worst first; the table has all.` : ''}`,
            plots: forest(cells, comparison, common),
            missingTitle: 'Without a ratio',
            missing: unknown,
            head: [chips(cells)],
            extra: differences(comparison),
            table: {columns: columns(common), rows: cells},
            repeat: Data.commands([comparison.run]),
        };
    }

    Report.addPart({id: 'regression', title: 'Regression', prepare, choices});
    Report.addFigure('regression', build);
})();
