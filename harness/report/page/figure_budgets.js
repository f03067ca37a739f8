// Training and validation accuracy against the batch size, under a budget of epochs, of updates or of seconds, or at the end.
(() => {
    'use strict';
    const SPLITS = [['train', 'Training accuracy'], ['validation', 'Validation accuracy'], ['test', 'Test accuracy']];

    function budgets(settings) {
        const found = [['final', 'the whole training']];
        for (const [name, words] of [['epochs', Format.count], ['updates', Format.count], ['seconds', Format.seconds]]) {
            const one = settings.map((setting) => setting.budgets[name]).find(Boolean);
            if (one) {
                found.push([name, name === 'seconds' ? words(one.limit) : `${words(one.limit)} ${name}`]);
            }
        }
        return found;
    }

    const meanOf = (setting, budget, split) => (budget === 'final' ? setting.final : setting.budgets[budget])?.[split] || null;

    const censored = (settings, budget) => settings.filter((setting) => setting.budgets[budget]?.censored)
                                               .map((setting) => `${setting.title}: its accuracies are of where it stopped`);

    function series(settings, budget, split) {
        const methods = [...new Set(settings.map((setting) => setting.method))];
        const style = Settings.styles(methods);
        return methods.map((method) => ({
            key: method,
            label: method,
            style: style(method),
            band: true,
            whiskers: true,
            points: settings.filter((setting) => setting.method === method && meanOf(setting, budget, split))
                        .sort((a, b) => a.batch - b.batch)
                        .map((setting) => {
                            const mean = meanOf(setting, budget, split);
                            return {
                                x: setting.batch,
                                y: mean.mean,
                                low: mean.low,
                                high: mean.high,
                                method,
                                tell: [
                                    `batch ${Settings.batch(setting)}, rate ${setting.rate}`, Format.accuracy(mean),
                                    Settings.seeds(mean)
                                ]
                            };
                        })
        }));
    }

    function finding(settings, budget, words) {
        const split = budget === 'final' && settings.some((setting) => setting.final.test) ? 'test' : 'validation';
        const known = settings.filter((setting) => meanOf(setting, budget, split));
        if (known.length < 2) {
            return null;
        }
        const mean = (setting) => meanOf(setting, budget, split).mean;
        const best = known.reduce((a, b) => (mean(b) > mean(a) ? b : a));
        const worst = known.reduce((a, b) => (mean(b) < mean(a) ? b : a));
        const tell = (setting) =>
            `${setting.method} at batch ${Settings.batch(setting)} with ${Format.accuracy(meanOf(setting, budget, split))}`;
        return `After ${words}, the highest ${split} accuracy has ${tell(best)}, the lowest ${tell(worst)}.`;
    }

    const columns = (splits, budget) => [{title: 'Setting', value: (row) => row.title},
        {title: 'Batch', number: true, value: (row) => row.batch, text: Settings.batch},
        {title: 'Rate', number: true, value: (row) => row.rate},
        ...splits.flatMap(([split, title]) => [{
            title,
            csv: split,
            number: true,
            value: (row) => meanOf(row, budget, split)?.mean,
            text: (row) => Format.accuracy(meanOf(row, budget, split))
        },
                              {
                                  title: 'From',
                                  csv: `${split}_low`,
                                  number: true,
                                  value: (row) => meanOf(row, budget, split)?.low,
                                  text: (row) => Format.percent(meanOf(row, budget, split)?.low, 2)
                              },
                              {
                                  title: 'To',
                                  csv: `${split}_high`,
                                  number: true,
                                  value: (row) => meanOf(row, budget, split)?.high,
                                  text: (row) => Format.percent(meanOf(row, budget, split)?.high, 2)
                              }]),
        {
            title: 'Updates',
            number: true,
            value: (row) => meanOf(row, budget, 'updates')?.mean,
            text: (row) => Format.count(meanOf(row, budget, 'updates')?.mean)
        },
        {
            title: 'Time',
            csv: 'seconds',
            number: true,
            value: (row) => meanOf(row, budget, 'seconds')?.mean,
            text: (row) => Format.seconds(meanOf(row, budget, 'seconds')?.mean)
        }];

    function build(shared) {
        const {settings} = shared;
        const batches = [...new Set(settings.map((setting) => setting.batch))].sort((a, b) => a - b);
        if (batches.length < 2) {
            return null;
        }
        const offered = budgets(settings);
        const [budget, words] = offered.find(([name]) => name === State.get('budget')) || offered[0];
        const splits = SPLITS.filter(([split]) => settings.some((setting) => meanOf(setting, budget, split)));
        const axis = {title: 'batch size', log: true, canSwitch: true, format: Format.countShort, values: batches, room: 34};
        return {
            id: 'budgets',
            title: 'Accuracy against batch size',
            short: 'Against batch size',
            file: `accuracy ${budget} ${shared.name}`,
            pictureTitle: `Accuracy after ${words}: ${Settings.about(shared.training)}`,
            finding: finding(settings, budget, words),
            how: 'Means over the seeds with their 95 % intervals. Under a budget of epochs large batches take fewer updates; ' +
                'under one of updates they see ' +
                'more images; under one of seconds the hardware decides.',
            missingTitle: 'Stopped before the budget was used up',
            missing: censored(settings, budget),
            choices:
                [Dom.select('budget', 'After', offered, budget, (value) => State.set('budget', value === 'final' ? null : value))],
            plots: splits.map(([split, title]) => ({
                name: `budgets-${split}`,
                title,
                x: {...axis},
                y: {log: false, format: Format.percentAxis, ceiling: 1},
                series: series(settings, budget, split)
            })),
            legendId: `budgets ${shared.name}`,
            table: {columns: columns(splits, budget), rows: settings},
            repeat: shared.repeat,
        };
    }

    Report.addFigure('accuracy', build);
})();
