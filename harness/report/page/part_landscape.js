// Why noise and momentum help: what `batchmark landscape` computed. Of each part the newest record that has it, or the one that
// is chosen.
(() => {
    'use strict';
    const when = (landscape) => Data.runs[landscape.run].started || '';

    function newest(landscapes) {
        const found = {};
        for (const landscape of [...landscapes].sort((a, b) => when(a).localeCompare(when(b)))) {
            for (const [part, objects] of Object.entries(landscape.parts)) {
                found[part] = {objects, run: landscape.run};
            }
        }
        return found;
    }

    function prepare(view) {
        if (view.landscapes.length === 0) {
            return null;
        }
        const chosen = view.landscapes.filter((one) => String(one.index) === State.get('landscape'));
        const landscapes = chosen.length ? chosen : view.landscapes;
        const parts = newest(landscapes);
        return {
            landscapes,
            all: view.landscapes,
            chosen: chosen.length ? chosen[0].index : '',
            of: (part) => (parts[part] ? parts[part].objects : []),
            repeat: (...names) => Data.commands(names.filter((name) => parts[name]).map((name) => parts[name].run)),
        };
    }

    const title = (landscape) => `${Data.runs[landscape.run].file}: ${Landscape.analyses(landscape).join(', ') || 'nothing'}`;

    function choices(shared) {
        if (shared.all.length < 2) {
            return [];
        }
        return [Dom.select('landscape-record', 'Record',
            [['', 'of each part the newest'], ...shared.all.map((one) => [one.index, title(one)])], shared.chosen,
            (value) => State.set('landscape', value))];
    }

    Report.addPart({
        id: 'landscape',
        title: 'Landscape',
        lead:
            'What the loss looks like around the points that a training passes and reaches, and what that says of noise, momentum ' +
            'and batch size.',
        prepare,
        choices
    });
})();
