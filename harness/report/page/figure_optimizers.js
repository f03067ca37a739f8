// Optimizers side by side at the end of the training, with intervals over the seeds.
(() => {
    'use strict';
    const SPLITS = [['test', 'test accuracy'], ['validation', 'validation accuracy'], ['train', 'training accuracy']];

    function failures(settings) {
        return settings.flatMap(
            (setting) => setting.verdicts.map((verdict) => `${setting.title}, seed ${verdict.seed}: ${verdict.status}` +
                    `${Format.isNumber(verdict.at_update) ? ` at update ${Format.count(verdict.at_update)}` : ''}${
                        verdict.reason ? `, ${verdict.reason}` : ''}`));
    }

    const COLUMNS = [
        {title: 'Setting', value: (row) => row.title},
        {title: 'Batch', number: true, value: (row) => row.batch, text: Settings.batch},
        {title: 'Rate', number: true, value: (row) => row.rate}, ...SPLITS.map(([split, words]) => ({
            title: words[0].toUpperCase() + words.slice(1),
            csv: split,
            number: true,
            value: (row) => row.final[split]?.mean,
            text: (row) => Format.accuracy(row.final[split])
        })),
        {
            title: 'Updates',
            number: true,
            value: (row) => row.final.updates?.mean,
            text: (row) => Format.count(row.final.updates?.mean)
        },
        {
            title: 'Time',
            csv: 'seconds',
            number: true,
            value: (row) => row.final.seconds?.mean,
            text: (row) => Format.seconds(row.final.seconds?.mean)
        },
        {title: 'Seeds', number: true, value: (row) => row.tried}
    ];

    function build(shared) {
        const offered = SPLITS.filter(([split]) => shared.settings.some((setting) => setting.final[split]));
        if (shared.settings.length < 2 || offered.length === 0) {
            return null;
        }
        const [split, words] = offered.find(([name]) => name === State.get('final')) || offered[0];
        const known =
            shared.settings.filter((setting) => setting.final[split]).sort((a, b) => b.final[split].mean - a.final[split].mean);
        const style = Settings.styles(shared.settings.map((setting) => setting.method));
        const points = known.map((setting, i) => ({
            x: setting.final[split].mean,
            y: i,
            low: setting.final[split].low,
            high: setting.final[split].high,
            style: style(setting.method),
            tell:
                [setting.title, Format.accuracy(setting.final[split]), Settings.seeds(setting.final[split]), `rate ${setting.rate}`]
        }));
        const [best, worst] = [known[0], known[known.length - 1]];
        return {
            id: 'optimizers',
            title: 'Optimizers compared',
            file: `optimizers ${split} ${shared.name}`,
            pictureTitle: `Final ${words}: ${Settings.about(shared.training)}`,
            showLegend: false,
            finding: `${best.title} reaches ${Format.accuracy(best.final[split])}, ${worst.title} ${
                Format.accuracy(worst.final[split])} of final ${words}.`,
            how: 'Mean over the seeds and its 95 % interval, best first. Intervals that overlap are no difference by ' +
                'themselves; the tables below pair the seeds.',
            choices: [Dom.select('final', 'Value', offered, split, (value) => State.set('final', value))],
            plots: [{
                name: 'optimizers',
                title: `Final ${words}`,
                rows: known.map((setting) => ({label: setting.title, right: Format.accuracy(setting.final[split])})),
                room: 122,
                series: [{key: 'final', label: words, style: style(known[0].method), line: false, whiskers: true, points}],
                x: {title: words, log: false, format: Format.percentAxis, ceiling: 1},
                y: {log: false, min: -0.6, max: known.length - 0.4, format: (value) => known[value]?.title ?? ''}
            }],
            missingTitle: 'Trainings that did not go well',
            missing: failures(shared.settings),
            table: {columns: COLUMNS, rows: shared.settings},
            repeat: shared.repeat,
        };
    }

    Report.addFigure('accuracy', build);
})();
