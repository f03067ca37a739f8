// Starts the page.
(() => {
    'use strict';
    const made = [`Made ${Format.date(Data.made)} UTC by batchmark ${Data.version}`, Data.revision ? `, revision ${Data.revision}` : '',
        '. Nothing on this page is loaded from elsewhere.'];

    document.getElementById('subject').textContent = `${Data.machines.join(', ')}. ${Format.plural(Data.runs.length, 'record')}, ` +
        `${Format.date(Data.runs.map((run) => run.started).filter(Boolean).sort()[0]).slice(0, 10)} to ` +
        `${Format.date(Data.runs.map((run) => run.started).filter(Boolean).sort().pop()).slice(0, 10)}.`;
    document.getElementById('made').textContent = made.join('');
    Theme.start();
    Filters.start();
    Report.draw();
    Print.start();
    Contents.start();
    Theme.onChange(Report.restyle);
    State.onChange((key) => (key === 'theme' ? Theme.apply() : Report.draw()));
    addEventListener('hashchange', () => {
        State.read();
        Filters.render();
        Theme.apply();
        Report.draw();
    });
})();
