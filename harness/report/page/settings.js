// The settings of a training record as lines of charts.
const Settings = (() => {
    'use strict';
    const batch = (setting) => (setting.full ? `full (${Format.count(setting.batch)})` : Format.count(setting.batch));

    // What a setting is called among the others: its optimizer, its schedule where there are several, and its rate or form of
    // momentum where only that tells two apart.
    function label(training) {
        const {settings} = training;
        const several = (key) => new Set(settings.map((setting) => setting[key])).size > 1;
        const plain = (setting) => (several('schedule') ? `${setting.optimizer}, ${setting.schedule}` : setting.optimizer);
        const twins = new Set(settings
                                  .filter((one) => settings.some(
                                              (other) => other !== one && other.batch === one.batch && plain(other) === plain(one)))
                                  .map(plain));
        const more = (setting) => ['rate', 'momentum', 'momentum_form', 'weight_decay']
                                      .filter(several)
                                      .map((key) => `, ${key.replace('_', ' ')} ${setting[key]}`)
                                      .join('');
        return settings.map((setting) => {
            const method = plain(setting) + (twins.has(plain(setting)) ? more(setting) : '');
            return {...setting, method, title: several('batch') ? `${method}, batch ${batch(setting)}` : method};
        });
    }

    // Colours and markers go round by what is told apart: methods or whole settings. The second time round, lines are dashed.
    function styles(names) {
        const index = new Map([...new Set(names)].map((name, i) => [name, i]));
        return (name) => () => ({
            colour: Palette.colour(index.get(name)),
            marker: Palette.marker(index.get(name)),
            dash: index.get(name) < 8 ? [] : [7, 4]
        });
    }

    // Where an axis of accuracies begins: the first epochs, or rates that do not work, would press all else into its top. What
    // lies far below four fifths of the values is outside.
    function floor(accuracies) {
        const values = [...accuracies].sort((a, b) => a - b);
        const low = values[Math.floor(values.length / 5)];
        const high = values[values.length - 1];
        return Math.max(0, low - 0.25 * (high - low));
    }

    const about = (training) => `${training.label}: ${training.model}, ${training.dataset}`;

    // "of 5 seeds, 95 % interval 98.05 to 98.21 %"
    function seeds(mean) {
        const interval = Format.isNumber(mean.low) && Format.isNumber(mean.high)
            ? `, 95 % interval ${(100 * mean.low).toFixed(2)} to ${(100 * mean.high).toFixed(2)} %`
            : '';
        return `mean of ${Format.plural(mean.count, 'seed')}${interval}`;
    }

    return {batch, label, styles, floor, about, seeds};
})();
