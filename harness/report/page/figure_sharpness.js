// Keskar's sharpness of small- and large-batch points next to the paper's, with the control that keeps it from being over-read.
(() => {
    'use strict';

    const isScaled = (one) => Format.isNumber(one.scaled) && one.scaled !== 1;
    const nameOf = (one) => one.point || Landscape.batch(one);

    // Of all methods, with what its method says: each found a lower limit of the maximum.
    const highest = (one) => one.beside.filter((other) => Format.isNumber(other.value))
                                 .reduce((best, other) => (other.value > best.value ? {...one, ...other} : best), one);

    // Over points of one batch size and over the draws of a subspace: mean, smallest and largest.
    function grouped(objects) {
        const groups = new Map();
        for (const one of objects.filter((each) => Format.isNumber(each.value))) {
            const key = JSON.stringify(
                [one.batch ?? one.point, one.optimizer, one.epsilon, one.scaled, one.backend, one.model, one.dataset]);
            groups.set(key, [...(groups.get(key) || []), one]);
        }
        return [...groups.values()].map((own) => {
            const values = own.map((one) => one.value);
            return {
                ...own[0],
                name: new Set(own.map(nameOf)).size > 1 ? Landscape.batch(own[0]) : nameOf(own[0]),
                draws: own.length,
                value: values.reduce((a, b) => a + b, 0) / own.length,
                low: own.length > 1 ? Math.min(...values) : null,
                high: own.length > 1 ? Math.max(...values) : null
            };
        });
    }

    const ofSpace = (objects, space) => objects.filter((one) => (one.space || 'full') === space);
    const epsilon = (one) => `ε ${Format.isNumber(one.epsilon) && one.epsilon > 0 ? Format.plain(one.epsilon) : '–'}`;

    // Ours, by epsilon and batch, first by the paper's method, the paper's beside them, and the re-scaled last.
    function rowsOf(objects, comparisons) {
        const own = grouped(objects).map((one) => ({
            ...one,
            who: isScaled(one) ? 'scaled' : 'own',
            label: `${epsilon(one)}: ${one.name}${isScaled(one) ? `, re-scaled ×${Landscape.axis(one.scaled)}` : ''}`
        }));
        const most =
            grouped(objects.filter((one) => !isScaled(one) && one.beside.length > 0 && Format.isNumber(one.value)).map(highest))
                .map((one) => ({...one, who: 'highest', label: `${epsilon(one)}: ${one.name}, highest of all methods`}));
        const once = comparisons.filter((one, i) => comparisons.findIndex((other) => other.epsilon === one.epsilon &&
                                                            Boolean(other.paper) === Boolean(one.paper)) === i);
        const paper = once.flatMap((one) => ['small', 'large'].filter((size) => Format.isNumber(one.paper?.[size])).map((size) => ({
            epsilon: one.epsilon,
            space: one.space,
            value: one.paper[size],
            low: null,
            high: null,
            who: 'paper',
            batch: size === 'small' ? -2 : -1,
            label: `${epsilon(one)}: the paper's ${size} batch`
        })));
        const rank = {own: 0, highest: 1, paper: 2, scaled: 3};
        const known = [...own, ...most, ...paper].filter((one) => one.value > 0);
        return known.sort((a, b) => (a.who === 'scaled') - (b.who === 'scaled') || b.epsilon - a.epsilon ||
                rank[a.who] - rank[b.who] || (a.batch ?? 0) - (b.batch ?? 0) || (a.scaled ?? 1) - (b.scaled ?? 1));
    }

    const text = (one) => `${Landscape.number(one.value)} %${one.draws > 1 ? ` (of ${one.draws})` : ''}`;

    function points(rows) {
        const style = Settings.styles(['own', 'highest', 'paper', 'scaled']);
        return rows.map((one, i) => ({
            x: one.value,
            y: i,
            low: one.low,
            high: one.high,
            hollow: one.who === 'paper' || one.who === 'scaled',
            style: style(one.who),
            tell: [
                `phi ${text(one)}`,
                one.who === 'paper' ? 'Keskar et al., arXiv:1609.04836'
                                    : `${Format.count(one.steps)} steps, ${Format.count(one.evaluations)} evaluations, ` +
                        `loss ${Landscape.number(one.loss)} to ${Landscape.number(one.highest)}`
            ]
        }));
    }

    function finding(comparisons) {
        return comparisons.map((one) => {
            const told = one.verdict ? `, ${one.verdict}`
                : one.agrees === true  ? ', as in the paper'
                : one.agrees === false ? ', against the paper'
                                       : '';
            const paper =
                one.paper?.small > 0 ? `; the paper's ratio is ${Landscape.number(one.paper.large / one.paper.small)}` : '';
            return [
                `${one.space || ''}, ${epsilon(one)}${one.method ? `, phi by ${one.method}` : ''}:`,
                `large over small batch ${Landscape.interval(one.ratio)} of ${Format.plural(one.pairs ?? 0, 'pair')}${told}${
                    paper}.`
            ];
        });
    }

    // What other methods found, a row each: a maximum that another passes was none.
    const besides = (objects) => objects.flatMap((one) => one.beside.map((other) => ({
        ...one,
        ...other,
        label: `${epsilon(one)}: ${nameOf(one)}${isScaled(one) ? `, re-scaled ×${Landscape.axis(one.scaled)}` : ''}`,
        function_change: null,
        draws: null
    })));

    const COLUMNS = [
        {title: 'Row', value: (row) => row.label}, {title: 'Space', value: (row) => row.space},
        Landscape.column('Epsilon', 'epsilon'), Landscape.column('Sharpness, %', 'value'), Landscape.column('Least', 'low'),
        Landscape.column('Most', 'high'), {title: 'Of', number: true, value: (row) => row.draws}, Landscape.column('Loss', 'loss'),
        Landscape.column('Highest', 'highest'), {title: 'Method', value: (row) => row.method},
        {title: 'Steps', number: true, value: (row) => row.steps},
        {title: 'Evaluations', number: true, value: (row) => row.evaluations}, Landscape.column('Scaled', 'scaled'),
        Landscape.column('Loss changed', 'function_change'), {title: 'Ended', wide: true, value: (row) => row.reason || row.ended}
    ];

    function build(shared) {
        const objects = shared.of('sharpness');
        const spaces = [...new Set(objects.map((one) => one.space || 'full'))];
        if (objects.length === 0) {
            return null;
        }
        const space = spaces.includes(State.get('space')) ? State.get('space') : spaces[0];
        const comparisons = shared.of('comparison');
        const rows = rowsOf(ofSpace(objects, space), ofSpace(comparisons, space));
        return {
            id: 'sharpness',
            title: 'Sharpness, small against large batch',
            short: 'Sharpness',
            file: `sharpness ${space}`,
            pictureTitle: `Sharpness, ${space} space`,
            showLegend: false,
            finding: [
                ...finding(ofSpace(comparisons, space)),
                'A re-scaled network computes the same function: sharpness alone proves nothing.'
            ],
            how:
                'Keskar\'s φ: how much the loss rises in a small box, as percent of 1 + loss. Hollow: what is in the paper, and the ' +
                `re-scaling control. Bars: least and most of several points or draws. ${Landscape.abouts(objects)}`,
            choices: spaces.length > 1
                ? [Dom.select('space', 'Space', spaces.map((one) => [one, one]), space, (value) => State.set('space', value))]
                : [],
            plots: rows.length === 0 ? [] : [{
                name: 'sharpness',
                title: `Sharpness, ${space} space`,
                text: rows.map((one) => `${one.label}: ${text(one)}`).join('. '),
                rows: rows.map((one) => ({label: one.label, right: text(one)})),
                room: 132,
                series: [{
                    key: 'phi',
                    label: 'sharpness',
                    style: points(rows)[0].style,
                    line: false,
                    whiskers: true,
                    points: points(rows)
                }],
                x: {title: 'sharpness φ, %', log: true, canSwitch: true, format: Landscape.axis},
                y: {log: false, min: -0.6, max: rows.length - 0.4, format: (value) => rows[value]?.label ?? ''}
            }],
            table: {
                columns: COLUMNS,
                rows: [...spaces.flatMap((one) => rowsOf(ofSpace(objects, one), ofSpace(comparisons, one))), ...besides(objects)]
            },
            repeat: shared.repeat('sharpness'),
        };
    }

    Report.addFigure('landscape', build);
})();
