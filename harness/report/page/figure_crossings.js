// How many of the seeded runs crossed the hill or left the saddle, by optimizer and what its gradient was made of.
(() => {
    'use strict';
    const question = (count) => `${count.surface}: ${count.question || ''}`;
    const tally = (count) => `${Format.count(count.yes)} of ${Format.count(count.runs)}`;

    function right(count) {
        const updates = count.updates?.median ?? count.updates?.value;
        return Format.isNumber(updates) ? `${tally(count)}, ${Format.plural(Math.round(updates), 'update')}` : tally(count);
    }

    const noisy = (count) => Format.isNumber(count.batch) || count.noise > 0;

    function points(counts) {
        const style = Settings.styles(counts.map((count) => count.optimizer));
        return counts.map((count, i) => ({
            x: count.share?.value,
            y: i,
            low: count.share?.low,
            high: count.share?.high,
            hollow: !noisy(count),
            style: style(count.optimizer),
            tell: [
                tally(count), `95 % interval ${Format.percent(count.share?.low, 0)} to ${Format.percent(count.share?.high, 0)}`,
                `updates ${Landscape.interval(count.updates)}, limit ${Format.count(count.limit)}`
            ]
        }));
    }

    function finding(counts) {
        const by = (is) => counts.filter((count) => Format.isNumber(count.runs) && is(count)).map((count) => count.label);
        const told = (words, names) => (names.length ? [words, `${names.join('; ')}.`] : null);
        return [
            told('Always:', by((count) => count.yes === count.runs)),
            told('Sometimes:', by((count) => count.yes > 0 && count.yes < count.runs)),
            told('Never:', by((count) => count.yes === 0))
        ].filter(Boolean);
    }

    const COLUMNS = [
        {title: 'Surface', value: (row) => row.surface}, {title: 'Question', value: (row) => row.question},
        {title: 'From', value: (row) => row.from}, {title: 'Method', value: (row) => row.label}, Landscape.column('Rate', 'rate'),
        {title: 'Noise', number: true, value: (row) => row.noise}, {title: 'Yes', number: true, value: (row) => row.yes},
        {title: 'Runs', number: true, value: (row) => row.runs},
        Landscape.column('Share', 'share.value', (value) => Format.percent(value, 0)),
        Landscape.column('From', 'share.low', (value) => Format.percent(value, 0)),
        Landscape.column('To', 'share.high', (value) => Format.percent(value, 0)),
        {title: 'Updates', number: true, value: (row) => row.updates?.median, text: (row) => Landscape.interval(row.updates)},
        Landscape.column('Limit', 'limit', Format.count)
    ];

    const labelled = (counts) => {
        const names = Landscape.names(counts, Landscape.method, ['from', 'noise', 'momentum', 'rate']);
        return counts.map((count, i) => ({...count, label: names[i]}));
    };

    function build(shared) {
        const all = shared.of('count');
        const questions = [...new Set(all.map(question))];
        if (questions.length === 0) {
            return null;
        }
        const chosen = questions.includes(State.get('crossing')) ? State.get('crossing') : questions[0];
        const counts = labelled(all.filter((count) => question(count) === chosen));
        const known = counts.filter((count) => Format.isNumber(count.share?.value));
        const rows = questions.flatMap((one) => labelled(all.filter((count) => question(count) === one)));
        return {
            id: 'crossings',
            title: 'Who crosses the hill, who leaves the saddle',
            short: 'Crossed and left',
            file: `crossings ${chosen}`,
            pictureTitle: chosen,
            showLegend: false,
            finding: finding(counts),
            how: `Share of the seeded runs with its 95 % interval (Wilson); never is a result. Hollow: a gradient without noise. ${
                Landscape.abouts(counts)}`,
            choices: questions.length > 1 ? [Dom.select('crossing', 'Question', questions.map((one) => [one, one]), chosen,
                                                (value) => State.set('crossing', value))]
                                          : [],
            plots: known.length === 0 ? [] : [{
                name: 'crossings',
                title: chosen,
                text: known.map((count) => `${count.label}: ${right(count)}`).join('. '),
                rows: known.map((count) => ({label: count.label, right: right(count)})),
                room: 150,
                series: [
                    {key: 'share', label: chosen, style: points(known)[0].style, line: false, whiskers: true, points: points(known)}
                ],
                x: {title: 'share of the runs', log: false, format: Format.percentAxis, min: 0, max: 1},
                y: {log: false, min: -0.6, max: known.length - 0.4, format: (value) => known[value]?.label ?? ''}
            }],
            table: {columns: COLUMNS, rows},
            repeat: shared.repeat('count'),
        };
    }

    Report.addFigure('landscape', build);
})();
