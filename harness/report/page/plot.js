// A chart of lines, or of rows with intervals, made of a specification that knows nothing of Chart.js:
//   name       for a file; title: told above the chart and read aloud; text: what it shows, in words
//   x, y       {title, log, format(value), min, max, zero, ceiling, air, values, room, fixed(count) → values}
//   series     [{key, label, style(), points: [{x, y, low, high, hollow, plain, size, style(), tell: [lines]}], band, whiskers,
//              knee: {x, y}}]; plain: without a marker
//   field      {x: {low, high, count}, y, values, log}: a surface behind the lines, see field.js
//   places     [{x, y, text, shape}] known points of it
//   rows       [{label, right}] of a chart whose y is the number of a row
//   wrong [{key, x, style()}], levels [{axis, value, strong, shown}], ideals [{label, at(x), along}], notes [{x, text}]
const Plot = (() => {
    'use strict';
    const all = new Set();                                      // those that are drawn
    const phone = matchMedia('screen and (max-width: 760px)');  // names of rows then stand above them, not beside them

    Chart.defaults.animation = false;
    Chart.defaults.font.size = 12;
    Chart.defaults.font.family = getComputedStyle(document.documentElement).getPropertyValue('--font').trim();
    Chart.register(Field, Marks);

    function dataset(series, legend) {
        const style = series.style();
        const faint = legend.hot !== null && legend.hot !== series.key;
        return {
            label: series.label,
            data: series.points.map(({x, y}) => ({x, y})),
            hidden: legend.isHidden(series.key),
            borderColor: faint ? Palette.faded(style.colour, 0.15) : style.colour,
            borderDash: series.dash || style.dash,
            borderWidth: legend.hot === series.key ? 3 : 2,
            showLine: series.line !== false,
            pointRadius: 0,
            pointHoverRadius: 0,
            pointHitRadius: 0,
            tension: 0,
        };
    }

    // The range of what is seen, with a little air, on a logarithmic axis in proportion.
    function range(values, axis) {
        const known = values.filter((value) => Format.isNumber(value) && (!axis.log || value > 0));
        if (known.length === 0) {
            return {min: axis.log ? 1 : 0, max: axis.log ? 10 : 1};
        }
        const [low, high] = [axis.zero && !axis.log ? 0 : Math.min(...known), Math.max(...known)];
        if (axis.log) {
            const air = Math.max(1.12, (high / low) ** 0.06);
            return {min: low / air, max: high * air};
        }
        const air = (high - low || Math.abs(high) || 1) * (axis.air || 0.06);
        return {
            min: low >= 0 ? Math.max(0, low - air) : low - air,
            max: Math.min(high + air, Math.max(high, axis.ceiling ?? Infinity))
        };
    }

    function extent(spec, legend, name, axis) {
        const seen = spec.series.filter((series) => !legend.isHidden(series.key));
        const points = seen.flatMap((series) => series.points);
        const own = name === 'x' ? points.map((point) => point.x) : points.map((point) => point.y);
        const ends = (spec.rows !== undefined) === (name === 'x') ? points.flatMap((point) => [point.low, point.high]) : [];
        const levels = (spec.levels || []).filter((level) => level.axis === name && level.shown).map((level) => level.value);
        const wrong = name === 'x' ? (spec.wrong || []).map((cell) => cell.x) : [];
        const found = range([...own, ...ends.filter((end) => Format.isNumber(end)), ...levels, ...wrong], axis);
        if (name === 'y' && (spec.wrong || []).length > 0 && axis.log) {  // room for the crosses at the foot
            found.min /= (found.max / found.min) ** 0.12;
        }
        return {min: axis.min === undefined ? found.min : axis.min, max: axis.max === undefined ? found.max : axis.max};
    }

    function ticks(spec, name, axis, narrow) {
        return {
            color: Palette.ink('soft'),
            autoSkip: false,
            maxRotation: 0,
            padding: 6,
            stepSize: spec.rows && name === 'y' ? 1 : undefined,
            callback: (value) => axis.format(value),
            font: {size: 12},
            display: !(narrow && name === 'y'),
        };
    }

    function scale(spec, legend, name, length, narrow) {
        const axis = spec[name];
        const made = {
            type: axis.log ? 'logarithmic' : 'linear',
            ...extent(spec, legend, name, axis),
            reverse: spec.rows && name === 'y',
            title: {display: Boolean(axis.title), text: axis.title, color: Palette.ink('soft'), font: {size: 12}},
            grid: {
                color: Palette.ink('rule'),
                borderColor: Palette.ink('rule'),
                drawTicks: false,
                display: !(spec.rows && name === 'y')
            },
            ticks: ticks(spec, name, axis, narrow),
        };
        if (axis.log) {
            made.afterBuildTicks = (built) => Ticks.log(built, axis.values, length(name), name === 'y' ? 22 : axis.room);
        } else if (axis.fixed) {
            made.afterBuildTicks = (built) => {
                built.ticks = axis.fixed(Math.floor(length(name) / 90)).map((value) => ({value}));
            };
        } else if (!(spec.rows && name === 'y')) {
            made.afterBuildTicks = (built) =>
                Ticks.linear(built, Math.max(2, Math.min(6, Math.floor(length(name) / (name === 'y' ? 40 : 70)))));
        }
        return made;
    }

    function tooltip(spec) {
        return {
            displayColors: false,
            backgroundColor: Palette.ink('ink'),
            titleColor: Palette.ink('page'),
            bodyColor: Palette.ink('page'),
            padding: 10,
            cornerRadius: 4,
            caretSize: 5,
            bodySpacing: 3,
            titleFont: {size: 13, weight: '600'},
            bodyFont: {size: 12},
            callbacks: {
                title: (items) => items.slice(0, 1).map((item) => spec.series[item.datasetIndex].label),
                label: (item) => spec.series[item.datasetIndex].points[item.dataIndex].tell,
            },
            filter: (item, i) => i === 0,
        };
    }

    const isNarrow = (spec, more) => Boolean(spec.rows && !more && phone.matches);

    function options(spec, legend, length, more) {
        const narrow = isNarrow(spec, more);
        return {
            responsive: true,
            maintainAspectRatio: false,
            parsing: false,
            interaction: {mode: 'nearest', intersect: false, axis: 'xy'},
            layout: {padding: {top: 8,
                right: spec.rows && !narrow ? spec.room
                    : spec.field            ? Field.ROOM
                                            : 12}},
            scales: {x: scale(spec, legend, 'x', length, narrow), y: scale(spec, legend, 'y', length, narrow)},
            plugins: {legend: {display: false}, tooltip: tooltip(spec)},
            ...more,
        };
    }

    // A chart on a canvas. more: options of Chart.js.
    function draw(canvas, spec, legend, ideals, more) {
        const length = (name) => {
            const box = more ? canvas : canvas.parentElement.getBoundingClientRect();
            return Math.max(100, name === 'x' ? box.width - 80 : box.height - 70);
        };
        const made = new Chart(canvas, {
            type: 'scatter',
            data: {datasets: spec.series.map((series) => dataset(series, legend))},
            options: options(spec, legend, length, more),
            plugins: [{
                id: 'own',
                beforeInit: (chart) => Object.assign(
                    chart, {$spec: spec, $legend: legend, $ideals: ideals, $boxes: [], $narrow: () => isNarrow(spec, more)})
            }],
        });
        made.$length = length;
        return made;
    }

    function create(spec, legend) {
        const canvas = Dom.el('canvas', {role: 'img', 'aria-label': `${spec.title}. ${spec.text || ''}`, id: `chart-${spec.name}`});
        const box = Dom.el('div', {class: 'plot'}, canvas);
        const fit = () => {
            if (spec.rows) {
                box.style.height = `${Math.max(120, 62 + (isNarrow(spec) ? 46 : 26) * spec.rows.length)}px`;
            }
        };
        fit();
        const plot = {element: box, spec, legend, chart: null, ideals: false};

        plot.draw = () => {
            plot.chart = draw(canvas, spec, legend, plot.ideals);
            all.add(plot);
        };
        plot.refresh = () => {
            fit();
            if (plot.chart) {
                plot.chart.$ideals = plot.ideals;
                plot.chart.data.datasets.forEach((one, i) => Object.assign(one, dataset(spec.series[i], legend)));
                spec.series.forEach((series, i) => plot.chart.setDatasetVisibility(i, !legend.isHidden(series.key)));
                plot.chart.options = options(spec, legend, plot.chart.$length);
                plot.chart.update('none');
            }
        };
        plot.setIdeals = (is) => {
            plot.ideals = is;
            plot.refresh();
        };
        plot.setLog = (name, is) => {
            spec[name].log = is;
            plot.refresh();
        };
        plot.picture = (target) => draw(target, spec, legend, plot.ideals, {responsive: false, devicePixelRatio: 2});
        plot.destroy = () => {
            Lazy.forget(box);
            all.delete(plot);
            if (plot.chart) {
                plot.chart.destroy();
            }
        };
        legend.onChange(plot.refresh);
        Lazy.watch(box, plot.draw);
        return plot;
    }

    // The width of a sheet, shared by the charts of a figure; rows keep the height that their number needs.
    function sheet(plot, width) {
        const beside = plot.element.closest('.plots').childElementCount;
        const height = plot.spec.rows ? plot.element.clientHeight : beside > 1 ? 270 : 300;
        plot.chart.resize(Math.floor((width - 20 * (beside - 1)) / beside), height);
    }

    const toSheet = (width) => all.forEach((plot) => sheet(plot, width));
    const toWindow = () => all.forEach((plot) => plot.chart.resize());
    const refreshAll = () => all.forEach((plot) => plot.refresh());
    phone.addEventListener('change', refreshAll);

    return {create, refreshAll, toSheet, toWindow};
})();
