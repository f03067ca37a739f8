// Updates and time to a validation accuracy.
(() => {
    'use strict';
    const UNITS = [['updates', 'updates'], ['seconds', 'time']];

    const tell = (unit, value) => (unit === 'seconds' ? Format.seconds(value) : Format.count(value));

    function reached(settings, target) {
        return settings.map((setting) => ({setting, of: setting.targets.find((one) => one.target === target)}))
            .filter(({of}) => of);
    }

    // Several batch sizes: lines against them.
    function lines(found, unit) {
        const methods = [...new Set(found.map(({setting}) => setting.method))];
        const style = Settings.styles(methods);
        const batches = [...new Set(found.map(({setting}) => setting.batch))].sort((a, b) => a - b);
        const series = methods.map((method) => ({
            key: method,
            label: method,
            style: style(method),
            points: found.filter(({setting}) => setting.method === method).sort((a, b) => a.setting.batch - b.setting.batch).map(({
                setting,
                of
            }) => ({
                x: setting.batch,
                y: unit === 'seconds' ? 1e9 * of.seconds : of.updates,
                low: null,
                high: null,
                tell: [
                    `batch ${Settings.batch(setting)}`, `${Format.count(of.updates)} updates, ${Format.seconds(of.seconds)}`,
                    `${of.reached} of ${Format.plural(of.of, 'seed')}`
                ]
            }))
        }));
        return {
            series,
            x: {title: 'batch size', log: true, canSwitch: true, format: Format.countShort, values: batches, room: 34},
            y: {
                title: unit === 'seconds' ? 'time' : 'updates',
                log: true,
                canSwitch: true,
                format: unit === 'seconds' ? Format.nsShort : Format.countShort
            }
        };
    }

    // One batch size: a row a setting, the quickest first.
    function rows(found, unit) {
        const sorted = [...found].sort((a, b) => a.of[unit] - b.of[unit]);
        const style = Settings.styles(found.map(({setting}) => setting.method));
        const points = sorted.map(({setting, of}, i) => ({
            x: of[unit],
            y: i,
            low: null,
            high: null,
            style: style(setting.method),
            tell: [
                setting.title, `${Format.count(of.updates)} updates, ${Format.seconds(of.seconds)}`,
                `${of.reached} of ${Format.plural(of.of, 'seed')}`
            ]
        }));
        return {
            room: 122,
            rows: sorted.map(({setting, of}) => ({label: setting.title, right: tell(unit, of[unit])})),
            series: [{key: 'target', label: 'to the target', style: style(sorted[0].setting.method), line: false, points}],
            x: {
                title: unit === 'seconds' ? 'time' : 'updates',
                log: false,
                canSwitch: true,
                min: 0,
                format: unit === 'seconds' ? Format.seconds : Format.countShort
            },
            y: {log: false, min: -0.6, max: sorted.length - 0.4, format: (value) => sorted[value]?.setting.title ?? ''}
        };
    }

    function first(found, unit) {
        const least = Math.min(...found.map(({of}) => of[unit]));
        const best = found.filter(({of}) => of[unit] === least);
        const {of} = best[0];
        const after = `after ${Format.count(of.updates)} updates and ${Format.seconds(of.seconds)}`;
        return best.length === 1
            ? `${best[0].setting.title} is there first, ${after}.`
            : `${best.length} settings are there first, each after ${tell(unit, least)}${unit === 'updates' ? ' updates' : ''}: ` +
                `${best.map(({setting}) => setting.title).join('; ')}.`;
    }

    const COLUMNS = [
        {title: 'Setting', value: ({setting}) => setting.title},
        {title: 'Batch', number: true, value: ({setting}) => setting.batch, text: ({setting}) => Settings.batch(setting)},
        {title: 'Updates', number: true, value: ({of}) => of.updates, text: ({of}) => Format.count(of.updates)},
        {title: 'Time', csv: 'seconds', number: true, value: ({of}) => of.seconds, text: ({of}) => Format.seconds(of.seconds)},
        {title: 'Reached', csv: 'reached', number: true, value: ({of}) => of.reached, text: ({of}) => `${of.reached} of ${of.of}`}
    ];

    function build(shared) {
        const targets =
            [...new Set(shared.settings.flatMap((setting) => setting.targets.map((one) => one.target)))].sort((a, b) => a - b);
        if (targets.length === 0) {
            return null;
        }
        const target = targets.find((one) => String(one) === State.get('target')) ?? targets[targets.length - 1];
        const unit = State.get('to') === 'seconds' ? 'seconds' : 'updates';
        const all = reached(shared.settings, target);
        const found = all.filter(({of}) => Format.isNumber(of[unit]));
        const words = Format.percent(target, 1).replace('.0', '');
        const missing = all.filter(({of}) => !Format.isNumber(of[unit])).map(({setting,
            of}) => `${setting.title}: ${of.reached} of ${Format.plural(of.of, 'seed')} reached it`);
        const plot = found.length === 0                               ? null
            : new Set(all.map(({setting}) => setting.batch)).size > 1 ? lines(found, unit)
                                                                      : rows(found, unit);
        return {
            id: 'target',
            title: `To ${words} validation accuracy`,
            short: 'To a target',
            file: `to ${words} ${unit} ${shared.name}`,
            pictureTitle:
                `${unit === 'seconds' ? 'Time' : 'Updates'} to ${words} validation accuracy: ${Settings.about(shared.training)}`,
            finding: found.length > 0 ? first(found, unit) : 'No setting reached it with half of its seeds.',
            how: 'Medians over the seeds that reached it; a setting of which fewer than half did has none.',
            showLegend: Boolean(plot && !plot.rows),
            choices: [
                targets.length > 1 ? Dom.select('target', 'Target', targets.map((one) => [one, Format.percent(one)]), target,
                                         (value) => State.set('target', value))
                                   : null,
                Dom.select('to', 'Count', UNITS, unit, (value) => State.set('to', value === 'updates' ? null : value))
            ],
            plots: plot ? [{name: 'target', title: `To ${words} validation accuracy`, ...plot}] : [],
            missingTitle: 'Not reached by half of the seeds',
            missing,
            table: {columns: COLUMNS, rows: all},
            repeat: shared.repeat,
            legendId: `target ${shared.name} ${unit}`,
        };
    }

    Report.addFigure('accuracy', build);
})();
