// Elements, made by calls only: no text of a record is ever read as markup.
const Dom = (() => {
    'use strict';
    const SVG = 'http://www.w3.org/2000/svg';

    function fill(element, attributes, children) {
        for (const [name, value] of Object.entries(attributes || {})) {
            if (name.startsWith('on')) {
                element.addEventListener(name.slice(2), value);
            } else if (value !== null && value !== undefined && value !== false) {
                element.setAttribute(name, value === true ? '' : value);
            }
        }
        for (const child of children.flat()) {
            if (child !== null && child !== undefined) {
                element.append(child);
            }
        }
        return element;
    }

    // el('p', {class: 'note', onclick: f}, 'text', element, [elements])
    const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
    const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

    const button = (attributes, ...children) => el('button', {type: 'button', ...attributes}, ...children);

    // A select with its label. options: [[value, text]]
    function select(id, label, options, chosen, onchange) {
        const list = el('select', {id, onchange: (event) => onchange(event.target.value)},
            options.map(([value, text]) => el('option', {value, selected: String(value) === String(chosen)}, text)));
        return el('div', {class: 'choice'}, el('label', {for: id
        }, label), list);
    }

    // Told to a screen reader.
    function announce(text) { document.getElementById('announcement').textContent = text; }

    return {el, svg, button, select, announce};
})();
