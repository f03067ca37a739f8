// Starts the page.
(() => {
    'use strict';
    const made = [
        `Made ${Format.date(Data.made)} UTC by batchmark ${Data.version}`, Data.revision ? `, revision ${Data.revision}` : '',
        '. Nothing on this page is loaded from elsewhere.'
    ];

    // "alpha, beta. 4 records, 2026-11-25 to 2026-11-27."
    function subject() {
        const days = Data.runs.map((run) => run.started).filter(Boolean).map((started) => started.slice(0, 10)).sort();
        const [first, last] = [days[0], days[days.length - 1]];
        const when = days.length === 0 ? '' : first === last ? `, ${first}` : `, ${first} to ${last}`;
        return `${Data.machines.join(', ')}. ${Format.plural(Data.runs.length, 'record')}${when}.`;
    }

    document.getElementById('subject').textContent = subject();
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
