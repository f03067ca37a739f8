// A figure: what it shows in a sentence, its choices and switches, legend and charts, and below them the numbers and the
// commands that repeat it.
const Figure = (() => {
    'use strict';
    const switched = new Map();  // "figure x", "figure y", "figure ideals": kept while the figure is drawn anew

    function axisSwitch(id, name, label, plots) {
        const key = `${id} ${name}`;
        const able = plots.filter((plot) => plot.spec[name].canSwitch);
        const button = Dom.button({
            id: `${id}-log-${name}`,
            'aria-pressed': String(able[0].spec[name].log),
            onclick: () => {
                const is = !able[0].spec[name].log;
                switched.set(key, is);
                able.forEach((plot) => plot.setLog(name, is));
                button.setAttribute('aria-pressed', String(is));
            }
        },
            label);
        return button;
    }

    function idealSwitch(id, plots) {
        const button = Dom.button({
            id: `${id}-ideal`,
            'aria-pressed': String(plots[0].ideals),
            onclick: () => {
                const is = !plots[0].ideals;
                switched.set(`${id} ideals`, is);
                plots.forEach((plot) => plot.setIdeals(is));
                button.setAttribute('aria-pressed', String(is));
            }
        },
            'Ideal lines');
        return button;
    }

    function toolbar(figure, plots, legend) {
        const can = (name) => plots.some((plot) => plot.spec[name].canSwitch);
        return Dom.el('div', {class: 'tools', role: 'group', 'aria-label': `Tools of: ${figure.title}`},
            can('x') ? axisSwitch(figure.id, 'x', 'Log x', plots) : null,
            can('y') ? axisSwitch(figure.id, 'y', 'Log y', plots) : null,
            plots.some((plot) => plot.spec.ideals) ? idealSwitch(figure.id, plots) : null,
            Dom.button({
                id: `${figure.id}-png`,
                onclick: () => Picture.save(figure.file || figure.id, figure.pictureTitle || figure.title, plots,
                    figure.showLegend === false ? null : legend)
            },
                'Save as PNG'));
    }

    function details(id, summary, content) {
        return Dom.el('details', {class: 'more', id}, Dom.el('summary', null, summary), content);
    }

    // The numbers are made when they are asked for.
    function numbers(figure) {
        const made = details(`${figure.id}-numbers`, 'The numbers');
        made.addEventListener('toggle', () => {
            if (made.open && made.childElementCount === 1) {
                made.append(
                    Table.create(`${figure.id}-table`, figure.title, figure.table.columns, figure.table.rows, figure.table));
            }
        });
        return made;
    }

    function repeat(figure) {
        return details(`${figure.id}-repeat`, 'Repeat it',
            Dom.el('ul', {class: 'commands'},
                figure.repeat.map(
                    (command) => Dom.el('li', null, Dom.el('code', null, command),
                        Dom.button({class: 'quiet', onclick: (event) => Clipboard.copy(`${command}\n`, event.target)}, 'Copy')))));
    }

    function missing(figure) {
        return Dom.el('div', {class: 'missing'}, Dom.el('p', null, figure.missingTitle || 'Not in the chart'),
            Dom.el('ul', null, figure.missing.slice(0, 8).map((text) => Dom.el('li', null, text)),
                figure.missing.length > 8 ? Dom.el('li', null, `and ${figure.missing.length - 8} more, in the numbers below`)
                                          : null));
    }

    function plotOf(spec, legend) {
        const plot = Plot.create(spec, legend);
        const several = Dom.el('p', {class: 'plot-title'}, spec.title);
        return {plot, element: Dom.el('div', {class: 'plot-box'}, several, plot.element)};
    }

    function charts(figure) {
        const series = new Map();
        figure.plots.forEach((spec) => [...spec.series, ...(spec.wrong || [])].forEach((one) => {
            if (!series.has(one.key)) {
                series.set(one.key, {key: one.key, label: one.name || one.label, machine: one.machine || null, style: one.style});
            }
        }));
        const off = new Set(figure.hidden);  // those come last in the legend
        const entries = [...series.values()].sort((a, b) => off.has(a.key) - off.has(b.key));
        const legend = Legend.create(figure.legendId || figure.id, entries, off);
        for (const spec of figure.plots) {
            for (const name of ['x', 'y']) {
                const key = `${figure.id} ${name}`;
                if (switched.has(key) && spec[name].canSwitch) {
                    spec[name].log = switched.get(key);
                }
            }
        }
        const made = figure.plots.map((spec) => plotOf(spec, legend));
        made.forEach(({plot}) => plot.setIdeals(switched.get(`${figure.id} ideals`) || false));
        return {
            legend,
            plots: made.map((one) => one.plot),
            element: Dom.el('div', {class: `plots of-${made.length}`}, made.map((one) => one.element))
        };
    }

    const list = (texts) => (Array.isArray(texts) ? texts : [texts]).filter(Boolean);

    // A sentence, or a name and what is said of it.
    const said = (text) =>
        (Array.isArray(text) ? Dom.el('p', null, Dom.el('strong', null, text[0]), ` ${text[1]}`) : Dom.el('p', null, text));

    // figure: {id, title, finding: [sentences or [name, words]], how, head: [elements], choices: [elements], plots:
    // [specifications], hidden, showLegend, missing: [texts], extra: [elements], table: {columns, rows, sort}, repeat: [commands],
    // file, pictureTitle}
    function create(figure) {
        const drawn = figure.plots && figure.plots.length ? charts(figure) : null;
        const element = Dom.el('section', {class: 'figure', id: figure.id, 'aria-labelledby': `${figure.id}-title`},
            Dom.el('h3', {id: `${figure.id}-title`, tabindex: -1}, figure.title),
            list(figure.finding).length ? Dom.el('div', {class: 'finding'}, list(figure.finding).map(said)) : null,
            figure.how ? Dom.el('p', {class: 'how'}, figure.how) : null, figure.head || null,
            Dom.el('div', {class: 'bar'}, figure.choices || [], drawn && figure.showLegend !== false ? drawn.legend.render() : null,
                drawn ? toolbar(figure, drawn.plots, drawn.legend) : null),
            drawn ? drawn.element : null, figure.missing && figure.missing.length ? missing(figure) : null, figure.extra || null,
            figure.table ? numbers(figure) : null, figure.repeat && figure.repeat.length ? repeat(figure) : null);
        return {
            element,
            plots: drawn ? drawn.plots : [],
            legend: drawn ? drawn.legend : null,
            shown: figure.showLegend !== false,
            destroy: () => drawn && drawn.plots.forEach((plot) => plot.destroy())
        };
    }

    return {create, details};
})();
