// A network at a saddle: the loss of every seeded run that starts beside it.
(() => {
    'use strict';

    // Without a perturbation the copies stay equal: a control.
    const isControl = (leave) => leave.perturbation === 0;

    // What a run is called: its method, its rate where the method has several.
    function namer(leaves) {
        const rates = new Map();
        for (const leave of leaves) {
            const method = Landscape.method(leave);
            rates.set(method, (rates.get(method) || new Set()).add(leave.rate));
        }
        return (leave) => Landscape.method(leave) + (rates.get(Landscape.method(leave)).size > 1 ? `, rate ${leave.rate}` : '') +
            (isControl(leave) ? ', not perturbed' : '');
    }

    // A line a run; those of one method share its legend.
    function series(leaves, name) {
        const style = Settings.styles(leaves.map(name));
        const first = new Set();
        return leaves.map((leave) => {
            const points = Landscape.zip(leave.curve?.updates || [], leave.curve?.losses || [], (i) => ({
                tell: [
                    `seed ${leave.seed}, update ${Format.count(leave.curve.updates[i])}`,
                    `loss ${Landscape.number(leave.curve.losses[i])}`
                ]
            }));
            const marked = !first.has(name(leave));
            first.add(name(leave));
            return {
                key: name(leave),
                label: name(leave),
                style: style(name(leave)),
                points: points.map((point, i) => ({...point, plain: i < points.length - 1 && !(marked && i % 6 === 0), size: 0.7}))
            };
        });
    }

    function eigenvalue(words, of) {
        return of && Format.isNumber(of.value) ? `${words} eigenvalue ${Landscape.number(of.value)} (error ${
                                                     Landscape.number(of.error)}, residual ${Landscape.number(of.residual)})`
                                               : null;
    }

    function evidence(saddle) {
        const facts = [
            `loss ${Landscape.number(saddle.loss)}`, `gradient ${Landscape.number(saddle.gradient_norm)}`,
            eigenvalue('smallest', saddle.smallest), eigenvalue('largest', saddle.largest),
            Format.isNumber(saddle.check?.loss_difference)
                ? `the wide network's loss differs from the narrow one's by ${Landscape.number(saddle.check.loss_difference)}`
                : null
        ].filter(Boolean);
        return [`The plateau is a ${saddle.point_kind || 'point of unknown kind'}:`, `${facts.join('; ')}.`];
    }

    function tally(leaves, name) {
        const perturbed = leaves.filter((leave) => !isControl(leave));
        const controls = leaves.filter(isControl);
        const told = [...new Set(perturbed.map(name))].map((one) => {
            const own = perturbed.filter((leave) => name(leave) === one);
            const left = own.map((leave) => leave.updates).filter(Format.isNumber).sort((a, b) => a - b);
            const median =
                left.length > 0 ? `, half of those within ${Format.plural(left[Math.floor((left.length - 1) / 2)], 'update')}` : '';
            return [`${one}:`, `${left.length} of ${own.length} left within ${Format.count(own[0].limit)} updates${median}.`];
        });
        const left = controls.filter((leave) => Format.isNumber(leave.updates)).length;
        return controls.length === 0 ? told : [...told, ['Without a perturbation:', `${left} of ${controls.length} left.`]];
    }

    // Around the plateau: what is far above it has only been thrown about.
    function heights(saddle, lines) {
        const all = lines.flatMap((line) => line.points.map((point) => point.y));
        if (!saddle || !Format.isNumber(saddle.loss) || !(saddle.loss > 0) || all.length === 0) {
            return {};
        }
        const low = all.reduce((a, b) => Math.min(a, b), saddle.loss);
        const air = 0.1 * (saddle.loss - low) + 0.01 * saddle.loss;
        return {min: Math.max(0, low - air), max: saddle.loss + 4 * air};
    }

    const COLUMNS = [
        {title: 'Method', value: (row) => Landscape.method(row)}, {title: 'Seed', number: true, value: (row) => row.seed},
        Landscape.column('Rate', 'rate'), Landscape.column('Perturbation', 'perturbation'), {
            title: 'Updates to leave',
            csv: 'updates',
            number: true,
            value: (row) => row.updates,
            text: (row) => (Format.isNumber(row.updates) ? Format.count(row.updates) : 'never')
        },
        Landscape.column('Limit', 'limit', Format.count)
    ];

    function build(shared) {
        const leaves = shared.of('leave');
        const [saddle] = shared.of('saddle');
        const name = namer(leaves);
        const lines = series(leaves, name).filter((line) => line.points.length > 0);
        if (!saddle && leaves.length === 0) {
            return null;
        }
        const plateau = saddle && Format.isNumber(saddle.loss)
            ? [{axis: 'y', value: saddle.loss, strong: true, shown: true}, {axis: 'y', value: 0.9 * saddle.loss, shown: true}]
            : [];
        return {
            id: 'network-saddle',
            title: 'A network leaves a saddle',
            file: 'network saddle',
            finding: [...(saddle ? [evidence(saddle)] : []), ...tally(leaves, name)],
            how: `${
                     saddle?.method ? `${saddle.method}. `
                                    : ''}A line is a seed. The solid level is the loss of the plateau, the dashed ` +
                `one 10 % below it, where a run has left; what is thrown far above is outside. ${
                    Landscape.abouts([...(saddle ? [saddle] : []), ...leaves])}`,
            plots: lines.length === 0 ? [] : [{
                name: 'network-saddle',
                title: 'Loss of runs from the saddle',
                x: {title: 'updates', log: false, canSwitch: true, format: Format.countShort},
                y: Landscape.lossAxis(lines, {log: false, canSwitch: false, ...heights(saddle, lines)}),
                levels: plateau,
                series: lines
            }],
            hidden: leaves.filter(isControl).map(name),
            table: {columns: COLUMNS, rows: leaves},
            repeat: shared.repeat('leave', 'saddle'),
        };
    }

    Report.addFigure('landscape', build);
})();
