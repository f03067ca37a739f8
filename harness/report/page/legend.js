// The legend of one figure or of several with the same lines: a button a line switches it off and on; what the pointer or the
// keyboard rests on stands out in the charts.
const Legend = (() => {
    'use strict';
    const MANY = 6;
    const hiddenOf = new Map();  // by figure, kept while it is drawn anew

    function swatch(style) {
        const line = Dom.svg('line', {
            x1: 1,
            x2: 31,
            y1: 8,
            y2: 8,
            stroke: style.colour,
            'stroke-width': 2,
            'stroke-dasharray': style.dash.join(' ') || null
        });
        const point = Dom.svg(
            'path', {d: Marker.PATHS[style.marker], transform: 'translate(16 8)', fill: style.colour, stroke: style.colour});
        return Dom.svg('svg', {class: 'swatch', width: 32, height: 16, viewBox: '0 0 32 16', 'aria-hidden': 'true'}, line, point);
    }

    // entries: [{key, label, machine, style()}]; hidden: the keys that are off at first.
    function create(id, entries, hidden) {
        if (!hiddenOf.has(id)) {
            hiddenOf.set(id, new Set(hidden));
        }
        const off = hiddenOf.get(id);
        const listeners = [];
        const legend = {entries, hot: null, isHidden: (key) => off.has(key), onChange: (listener) => listeners.push(listener)};
        const tell = (what) => listeners.forEach((listener) => listener(what));
        const buttons = new Map();

        function show(key, is) {
            (is ? off.delete(key) : off.add(key));
            buttons.get(key).setAttribute('aria-pressed', String(is));
        }

        function heat(key) {
            legend.hot = key !== null && off.has(key) ? null : key;
            tell('hot');
        }

        function toggle(key) {
            show(key, off.has(key));
            legend.hot = null;
            tell('hidden');
        }

        function button(entry) {
            const made = Dom.button({
                class: 'entry',
                'aria-pressed': String(!off.has(entry.key)),
                onclick: () => toggle(entry.key),
                onmouseenter: () => heat(entry.key),
                onmouseleave: () => heat(null),
                onfocus: (event) => event.target.matches(':focus-visible') && heat(entry.key),
                onblur: () => heat(null)
            },
                swatch(entry.style()), Dom.el('span', null, entry.label));
            buttons.set(entry.key, made);
            return made;
        }

        function group(machine, members) {
            const name = machine === null ? null : Dom.el('span', {class: 'legend-machine'}, machine);
            return Dom.el(
                'div', {class: 'legend-group', role: 'group', 'aria-label': machine || 'Lines'}, name, members.map(button));
        }

        function all(is) {
            entries.forEach((entry) => show(entry.key, is));
            tell('hidden');
        }

        legend.render = () => {
            const machines = [...new Set(entries.map((entry) => entry.machine))];
            const groups = machines.map(
                (machine) => group(machines.length > 1 ? machine : null, entries.filter((entry) => entry.machine === machine)));
            const both = entries.length <= MANY
                ? null
                : Dom.el('div', {class: 'legend-group'}, Dom.button({class: 'quiet', onclick: () => all(true)}, 'Show all'),
                      Dom.button({class: 'quiet', onclick: () => all(false)}, 'Hide all'));
            return Dom.el('div', {class: entries.length > 12 ? 'legend long' : 'legend', role: 'group', 'aria-label': 'Legend'},
                groups, both);
        };
        legend.restyle = () => entries.forEach((entry) => buttons.get(entry.key).firstChild.replaceWith(swatch(entry.style())));
        return legend;
    }

    return {create, MANY};
})();
