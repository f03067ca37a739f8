// An error surface with the paths of the optimizers on it: contours of two parameters, the curve of one.
(() => {
    'use strict';
    const MANY = 8;    // paths that are shown at once, if they can be shown by batch
    const SHOWN = 12;  // more are off at first

    const isNoisy = (path) => Format.isNumber(path.batch) || path.noise > 0;
    const isPlane = (contour) => contour.y !== null;

    // Paths that begin at the same place.
    const where = (path) => `${path.surface}\n${path.from || ''}`;

    // Of an optimizer with several rates each has its own looks.
    function ranks(paths) {
        const found = new Map();
        return paths.map((path) => {
            const key = JSON.stringify([where(path), path.optimizer, path.batch, path.noise]);
            found.set(key, (found.get(key) ?? -1) + 1);
            return `${path.optimizer} ${found.get(key)}`;
        });
    }

    // Looks go by the optimizer, on all surfaces the same, and where there is one optimizer by the batch; a noisy gradient is
    // dashed.
    function looks(all, own) {
        const single = new Set(own.map((path) => path.optimizer)).size === 1;
        const rank = ranks(all);
        const keys = single ? all.map((path, i) => `${Landscape.method(path)} ${rank[i]}`) : rank;
        const names = [...new Set(keys.filter((_, i) => !single || own.includes(all[i])))];
        return (path) => () => {
            const index = names.indexOf(keys[all.indexOf(path)]);
            return {colour: Palette.colour(index), marker: Palette.marker(index), dash: isNoisy(path) ? [6, 3] : []};
        };
    }

    function points(path, plane) {
        const x = path.points.map((point) => point[0]);
        const y = plane ? path.points.map((point) => point[1]) : path.losses;
        return Landscape.sparse(Landscape.zip(
            x, y, (i) => ({tell: [`update ${Format.count(path.updates[i])}`, `loss ${Landscape.number(path.losses[i])}`]})));
    }

    function series(paths, plane, style) {
        const names = Landscape.names(paths, Landscape.method, ['from', 'noise', 'momentum', 'rate', 'seed']);
        return paths.map((path, i) => ({key: names[i], label: names[i], style: style(path), points: points(path, plane), path}));
    }

    // The curve itself, of a surface of one parameter.
    function curve(contour) {
        const step = (contour.x.high - contour.x.low) / (contour.x.count - 1);
        const x = contour.values.map((_, i) => contour.x.low + i * step);
        return {
            key: 'surface',
            label: 'the surface',
            style: () => ({colour: Palette.ink('faint'), marker: 0, dash: []}),
            points: Landscape.zip(x, contour.values, () => ({plain: true, tell: ['the surface']})),
        };
    }

    const places = (contour) => (contour.critical || []).filter((one) => Format.isNumber(one.x)).map((one) => ({
        x: one.x,
        y: isPlane(contour) ? one.y : one.value,
        text: one.kind || '',
        shape: Landscape.SHAPES[one.kind] ?? 0
    }));

    // Of the curve, whatever a path does that runs away.
    function heights(contour) {
        const known = contour.values.filter(Format.isNumber);
        const [low, high] = known.length ? [Math.min(...known), Math.max(...known)] : [0, 1];
        const air = 0.06 * (high - low || 1);
        return {min: low - air, max: high + air};
    }

    const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}`;

    function plot(contour, lines) {
        const axis = (name) => ({title: name, log: false, format: Landscape.axis, min: contour[name].low, max: contour[name].high});
        const words =
            `${contour.about || contour.surface}. ${lines.map((line) => `${line.label}: ${line.path.why || ''}`).join('. ')}`;
        const base = {name: 'surface', title: `Surface ${contour.surface}`, text: words, places: places(contour)};
        return isPlane(contour) ? {...base, field: contour, x: axis('x'), y: axis('y'), series: lines} : {
            ...base,
            x: axis('x'),
            y: {title: 'loss', log: false, format: Landscape.axis, ...heights(contour)},
            series: [curve(contour), ...lines]
        };
    }

    // "Crosses the hill:", "momentum, full batch; ...", by the question that the counts ask of these paths.
    function finding(lines, counts) {
        const asked = counts.find((count) => lines.some((line) => where(line.path) === where(count)))?.question || 'gets there';
        const told = (is, words) => {
            const found = lines.filter((line) => line.path.crossed === is).map((line) => line.label);
            return found.length ? [words, `${found.join('; ')}.`] : null;
        };
        return [told(true, `${sentence(asked)}:`), told(false, 'Does not:')].filter(Boolean);
    }

    const COLUMNS = [
        {title: 'Path', value: (row) => row.label}, Landscape.column('Rate', 'path.rate'), {
            title: 'Updates',
            number: true,
            value: (row) => Landscape.last(row.path.updates),
            text: (row) => Format.count(Landscape.last(row.path.updates))
        },
        Landscape.column('Loss', 'path.end.loss'), Landscape.column('Gradient', 'path.end.gradient_norm'), {
            title: 'Eigenvalues',
            number: true,
            value: (row) => (row.path.end?.eigenvalues || []).join(' '),
            text: (row) => (row.path.end?.eigenvalues || []).map(Landscape.number).join(', ') || '–'
        },
        {title: 'End', value: (row) => row.path.end?.kind},
        {title: 'Crossed', value: (row) => ({true: 'yes', false: 'no'}[String(row.path.crossed)] ?? null)},
        {title: 'Why', wide: true, value: (row) => row.path.why}
    ];

    // Each surface, and where paths begin at several places of one, each of those: [value, words].
    function cases(contours, paths) {
        return contours.flatMap(({surface}) => {
            const starts = [...new Set(paths.filter((path) => path.surface === surface).map((path) => path.from || ''))];
            return starts.length < 2 ? [[surface, surface]] : starts.map((from) => [`${surface}\n${from}`, `${surface}, ${from}`]);
        });
    }

    const batches = (paths) => [...new Set(paths.map(Landscape.batch))];
    const chosenOf = (list, key, otherwise) => (list.some(([name]) => name === State.get(key)) ? State.get(key) : otherwise);

    function build(shared) {
        const contours = shared.of('contour');
        if (contours.length === 0) {
            return null;
        }
        const all = shared.of('path');
        const offered = cases(contours, all);
        const chosen = chosenOf(offered, 'surface', offered[0][0]);
        const [surface, from] = chosen.split('\n');
        const contour = contours.find((one) => one.surface === surface);
        const own = all.filter((path) => path.surface === surface && (from === undefined || (path.from || '') === from));
        const sizes = [['all', 'all'], ...batches(own).map((one) => [one, one])];
        const batch = chosenOf(sizes, 'paths', own.length > MANY && sizes.length > 2 ? sizes[1][0] : 'all');
        const paths = own.filter((path) => batch === 'all' || Landscape.batch(path) === batch);
        const lines = series(paths, isPlane(contour), looks(all, own));
        return {
            id: 'surface',
            title: 'Error surfaces and paths',
            short: 'Surfaces and paths',
            file: `surface ${contour.surface}`,
            pictureTitle: `Surface ${contour.surface}: ${contour.about || ''}`,
            finding: finding(lines, shared.of('count')),
            how: `${contour.about ? `${sentence(contour.about)}${contour.formula ? `: ${contour.formula}` : ''}. ` : ''}${
                     isPlane(contour) ? 'Contour lines join points of equal loss, darker on white and brighter on black is higher. '
                                      : ''}` +
                'A path begins at its hollow point and ends at its largest; dashed: a noisy gradient.',
            choices: [
                Dom.select('surface-of', 'Surface', offered, chosen, (value) => State.set('surface', value)),
                sizes.length > 2 ? Dom.select('surface-batch', 'Paths', sizes, batch, (value) => State.set('paths', value)) : null
            ],
            plots: [plot(contour, lines)],
            hidden: lines.slice(SHOWN).map((line) => line.key),
            legendId: `surface ${chosen} ${batch}`,
            table: {columns: COLUMNS, rows: lines},
            repeat: shared.repeat('contour', 'path'),
        };
    }

    Report.addFigure('landscape', build);
})();
