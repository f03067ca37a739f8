// The parts of the report and their figures. A new figure is a file that adds itself here, and a line in order.txt.
const Report = (() => {
    'use strict';
    const parts = [];
    let drawn = [];  // figures on the page

    // part: {id, title, lead, prepare(view) → what its figures share, or null if there is nothing; choices(shared) → [elements];
    // body(shared) → an element, of a part without figures}
    const addPart = (part) => parts.push({...part, figures: []});

    // build(shared, view) → a figure as figure.js wants it, or null if there is nothing to show.
    const addFigure = (id, build) => parts.find((part) => part.id === id).figures.push(build);

    function section(part, content) {
        return Dom.el('section', {class: 'part', id: part.id, 'aria-labelledby': `${part.id}-title`},
            Dom.el('h2', {id: `${part.id}-title`, tabindex: -1}, part.title),
            part.lead ? Dom.el('p', {class: 'lead'}, part.lead) : null, content);
    }

    function drawPart(part, view) {
        const shared = part.prepare(view);
        if (shared !== null && part.body) {
            return {element: section(part, [part.body(shared)]), part, specs: []};
        }
        const specs = shared === null ? [] : part.figures.map((build) => build(shared, view)).filter((spec) => spec !== null);
        if (specs.length === 0) {
            return null;
        }
        const figures = specs.map(Figure.create);
        drawn.push(...figures);
        const choices = part.choices ? part.choices(shared) : [];
        const bar = choices.length ? Dom.el('div', {class: 'bar'}, choices) : null;
        return {element: section(part, [bar, ...figures.map((figure) => figure.element)]), part, specs};
    }

    function keep(redraw) {
        const id = document.activeElement && document.activeElement.id;
        const open = [...document.querySelectorAll('#parts details[open]')].map((details) => details.id).filter(Boolean);
        redraw();
        open.map((name) => document.getElementById(name)).filter(Boolean).forEach((details) => {
            details.open = true;
        });
        const found = id && document.getElementById(id);
        if (found && found !== document.activeElement) {
            found.focus({preventScroll: true});
        }
    }

    function draw() {
        keep(() => {
            drawn.forEach((figure) => figure.destroy());
            drawn = [];
            const view = Filters.view();
            Lines.begin(view.cells);
            const made = parts.map((part) => drawPart(part, view)).filter((one) => one !== null);
            const nothing = Dom.el('p', {class: 'lead'}, 'The filters let nothing through.');
            document.getElementById('parts').replaceChildren(...(made.length ? made.map((one) => one.element) : [nothing]));
            Contents.draw(made);
            Filters.tell(view);
        });
    }

    function restyle() {
        drawn.filter((figure) => figure.shown && figure.legend).forEach((figure) => figure.legend.restyle());
        Plot.refreshAll();
    }

    return {addPart, addFigure, draw, restyle, figures: () => drawn};
})();
