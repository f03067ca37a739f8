// The learning rates that were tried for each setting, each the same number, and what they reached on the validation images.
(() => {
    'use strict';

    const trialsOf = (settings) => settings.flatMap((setting) => setting.trials.map((trial) => ({...trial, setting})));
    const isKnown = (trial) => trial.status === 'ok' && Format.isNumber(trial.validation);

    // The rate that was trained with has the larger point.
    function point(trial) {
        const chosen = trial.rate === trial.setting.rate;
        return {
            x: trial.rate,
            y: trial.validation,
            size: chosen ? 1.5 : 1,
            tell: [`rate ${Format.plain(trial.rate)}${chosen ? ', chosen' : ''}`, Format.percent(trial.validation, 2)],
        };
    }

    function series(settings) {
        const style = Settings.styles(settings.map((setting) => setting.title));
        return settings.map((setting) => ({
            key: setting.title,
            label: setting.title,
            style: style(setting.title),
            points: trialsOf([setting]).filter(isKnown).sort((a, b) => a.rate - b.rate).map(point),
        }));
    }

    // An optimum at the end of what was tried may lie beyond it.
    function finding(settings) {
        const edges = settings.filter((setting) => {
            const known = trialsOf([setting]).filter(isKnown).map((trial) => trial.rate);
            return setting.rate <= Math.min(...known) || setting.rate >= Math.max(...known);
        });
        return edges.length === 0 ? 'No chosen rate is the first or the last that worked.'
                                  : `At the end of the rates that worked: ${edges.map((setting) => setting.title).join('; ')}.`;
    }

    // Below most others, and so below the chart.
    const isLow = (trial, least) => isKnown(trial) && trial.validation < least;

    const COLUMNS = [
        {title: 'Setting', value: (trial) => trial.setting.title},
        {title: 'Rate', number: true, value: (trial) => trial.rate, text: (trial) => Format.plain(trial.rate)},
        {
            title: 'Validation accuracy',
            csv: 'validation',
            number: true,
            value: (trial) => trial.validation,
            text: (trial) => Format.percent(trial.validation, 2),
        },
        {title: 'Status', value: (trial) => trial.status},
        {title: 'Chosen', value: (trial) => (trial.rate === trial.setting.rate ? 'yes' : 'no')},
    ];

    function build(shared) {
        const settings = shared.settings.filter((setting) => trialsOf([setting]).some(isKnown));
        if (settings.length === 0) {
            return null;
        }
        const reached = trialsOf(settings).filter(isKnown).map((trial) => trial.validation);
        const [least, most] = [Settings.floor(reached), Math.max(...reached)];
        const failed = trialsOf(shared.settings).filter((trial) => !isKnown(trial) || isLow(trial, least));
        return {
            id: 'tuning',
            title: 'Tuning of the rate',
            file: `tuning ${shared.name}`,
            pictureTitle: `Tuning of the rate: ${Settings.about(shared.training)}`,
            finding: finding(settings),
            how: 'Validation accuracy of the trials, all with the same budget. The larger point is the rate that was trained with.',
            plots: [{
                name: 'tuning',
                title: 'Validation accuracy against the rate',
                series: series(settings),
                x: {title: 'learning rate', log: true, canSwitch: true, format: Format.plain},
                y: {
                    title: 'validation accuracy',
                    log: false,
                    format: Format.percentAxis,
                    min: least,
                    max: Math.min(1, most + 0.1 * (most - least))
                },
            }],
            missingTitle: 'Rates that did not work, or hardly',
            missing: failed.map((trial) => `${trial.setting.title}, rate ${Format.plain(trial.rate)}: ${
                                    isKnown(trial) ? `${Format.percent(trial.validation, 1)}, below the chart` : trial.status}`),
            table: {columns: COLUMNS, rows: trialsOf(shared.settings)},
            repeat: shared.repeat,
        };
    }

    Report.addFigure('accuracy', build);
})();
