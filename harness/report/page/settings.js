// The settings of a training record as lines of charts.
const Settings = (() => {
    'use strict';
    const batch = (setting) => (setting.full ? `full (${Format.count(setting.batch)})` : Format.count(setting.batch));

    // What a setting is called among the others: its optimizer and schedule, and its rate where only that tells two apart.
    function label(training) {
        const counts = new Map();
        const plain = (setting) => `${setting.name}\n${setting.batch}`;
        training.settings.forEach((setting) => counts.set(plain(setting), (counts.get(plain(setting)) || 0) + 1));
        const twins = new Set(training.settings.filter((one) => counts.get(plain(one)) > 1).map((one) => one.name));
        const batches = new Set(training.settings.map((setting) => setting.batch));
        return training.settings.map((setting) => {
            const method = twins.has(setting.name) ? `${setting.name}, rate ${setting.rate}` : setting.name;
            return {...setting, method, title: batches.size > 1 ? `${method}, batch ${batch(setting)}` : method};
        });
    }

    // Colours and markers go round by what is told apart: methods or whole settings.
    function styles(names) {
        const index = new Map([...new Set(names)].map((name, i) => [name, i]));
        return (name) => () => ({colour: Palette.colour(index.get(name)), marker: Palette.marker(index.get(name)), dash: []});
    }

    const about = (training) => `${training.label}: ${training.model}, ${training.dataset}`;

    // "of 5 seeds, 95 % interval 98.05 to 98.21 %"
    function seeds(mean) {
        const interval = Format.isNumber(mean.low) && Format.isNumber(mean.high) ?
            `, 95 % interval ${(100 * mean.low).toFixed(2)} to ${(100 * mean.high).toFixed(2)} %` : '';
        return `mean of ${Format.plural(mean.count, 'seed')}${interval}`;
    }

    return {batch, label, styles, about, seeds};
})();
