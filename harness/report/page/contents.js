// The list of parts and figures beside the page.
const Contents = (() => {
    'use strict';

    // The address's fragment holds the reader's choices, so a link moves there without changing it.
    function go(event, id) {
        event.preventDefault();
        const title = document.getElementById(`${id}-title`);
        title.scrollIntoView();
        title.focus({preventScroll: true});
    }

    const link = (id, title) => Dom.el('a', {href: `#${id}`, onclick: (event) => go(event, id)}, title);

    function draw(made) {
        const items =
            made.map(({part, specs}) => Dom.el('li', null, link(part.id, part.title),
                         specs.length > 1
                             ? Dom.el('ul', null, specs.map((spec) => Dom.el('li', null, link(spec.id, spec.short || spec.title))))
                             : null));
        document.getElementById('contents').replaceChildren(Dom.el('ul', null, items));
    }

    // A link that was passed on may name a figure.
    function start() {
        const id = location.hash.slice(1);
        const title = /^[a-z-]+$/.test(id) && document.getElementById(`${id}-title`);
        if (title) {
            title.scrollIntoView();
        }
        const skip = document.querySelector('a.skip');
        skip.addEventListener('click', (event) => {
            event.preventDefault();
            document.getElementById('content').focus();
        });
    }

    return {draw, start, link};
})();
