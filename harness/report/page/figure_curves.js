// Accuracy and loss during the training, by epoch, by update or by second.
(() => {
    'use strict';
    const AGAINST = [['epoch', 'epochs'], ['updates', 'updates'], ['seconds', 'seconds']];
    const VALUES = [
        ['validation', 'Validation accuracy'], ['train', 'Training accuracy'], ['validation_loss', 'Validation loss'],
        ['train_loss', 'Training loss']
    ];
    const MANY = 10;
    const CROWD = 5;  // more bands than these hide each other

    const isLoss = (name) => name.endsWith('_loss');

    function point(setting, at, against, value) {
        const mean = at[value];
        const told = isLoss(value) ? `loss ${Format.digits(mean.mean)}` : Format.accuracy(mean);
        const [updates, seconds] = [at.updates.mean, at.seconds.mean];
        return {
            x: {epoch: at.epoch, updates, seconds}[against],
            y: mean.mean,
            low: mean.low,
            high: mean.high,
            title: setting.title,
            epoch: at.epoch,
            updates,
            seconds,
            count: mean.count,
            tell: [
                told, `epoch ${Format.digits(at.epoch)}, ${Format.count(updates)} updates, ${Format.seconds(seconds)}`,
                isLoss(value) ? `mean of ${Format.plural(mean.count, 'seed')}` : Settings.seeds(mean)
            ]
        };
    }

    function series(settings, against, value) {
        const style = Settings.styles(settings.map((setting) => setting.title));
        return settings.map((setting) => ({
            key: setting.title,
            label: setting.title,
            style: style(setting.title),
            band: settings.length > CROWD ? 'hot' : true,
            points:
                setting.curve.filter((at) => at[value] && at.updates && at.seconds).map((at) => point(setting, at, against, value))
        }));
    }

    function batches(settings) {
        const counts = new Map();
        settings.forEach((setting) => counts.set(setting.batch, (counts.get(setting.batch) || 0) + 1));
        return [...counts].sort((a, b) => a[0] - b[0]);
    }

    function finding(lines, value) {
        const ends = lines.filter((line) => line.points.length > 0).map((line) => line.points[line.points.length - 1]);
        if (isLoss(value) || ends.length === 0) {
            return null;
        }
        const best = ends.reduce((a, b) => (b.y > a.y ? b : a));
        return `At the end ${best.title} is highest: ${Format.percent(best.y, 2)} after ${
                   Format.plural(Math.round(best.updates), 'update')} and ` +
            `${Format.seconds(best.seconds)}.`;
    }

    const columns =
        (value) => [{title: 'Setting', value: (row) => row.title}, {title: 'Epoch', number: true, value: (row) => row.epoch},
            {title: 'Updates', number: true, value: (row) => row.updates, text: (row) => Format.count(row.updates)},
            {title: 'Time', csv: 'seconds', number: true, value: (row) => row.seconds, text: (row) => Format.seconds(row.seconds)},
            {title: 'Mean', csv: value, number: true, value: (row) => row.y, text: (row) => show(value, row.y)},
            {title: 'From', csv: 'low', number: true, value: (row) => row.low, text: (row) => show(value, row.low)},
            {title: 'To', csv: 'high', number: true, value: (row) => row.high, text: (row) => show(value, row.high)},
            {title: 'Seeds', number: true, value: (row) => row.count}];

    const show = (value, number) => (!Format.isNumber(number) ? '–'
            : isLoss(value)                                   ? Format.digits(number)
                                                              : Format.percent(number, 2));

    function axis(value, lines) {
        if (isLoss(value)) {
            return {log: true, canSwitch: true, format: (number) => String(parseFloat(number.toPrecision(2)))};
        }
        const whole = State.get('whole') === '1';
        const least = whole ? 0 : Settings.floor(lines.flatMap((line) => line.points.map((one) => one.y)));
        const ends = lines.flatMap((line) => line.points).filter((one) => one.y >= least).map((one) => one.high ?? one.y);
        return {
            log: false,
            format: Format.percentAxis,
            min: least,
            max: Math.min(1, Math.max(...ends) + 0.05 * (Math.max(...ends) - least))
        };
    }

    function whole() {
        const is = State.get('whole') === '1';
        return Dom.button(
            {id: 'curves-whole', class: 'single', 'aria-pressed': String(is), onclick: () => State.set('whole', is ? null : '1')},
            'From 0 %');
    }

    const chosenOf = (list, key) => (list.some(([name]) => name === State.get(key)) ? State.get(key) : list[0][0]);

    function build(shared) {
        const drawn = shared.settings.filter((setting) => setting.curve.length > 1);
        if (drawn.length === 0) {
            return null;
        }
        const sizes = batches(drawn);
        const offered = [
            ...(drawn.length <= MANY || sizes.length > 6 ? [['all', 'all']] : []),
            ...sizes.map(([batch]) => [String(batch), Format.count(batch)])
        ];
        const batch = sizes.length > 1 ? chosenOf(offered, 'curve-batch') : 'all';
        const settings = drawn.filter((setting) => batch === 'all' || String(setting.batch) === batch);
        const [against, value] = [chosenOf(AGAINST, 'against'), chosenOf(VALUES, 'value')];
        const lines = series(settings, against, value);
        const words = VALUES.find(([name]) => name === value)[1];
        return {
            id: 'curves',
            title: 'During the training',
            file: `curves ${value} by ${against} ${shared.name}`,
            pictureTitle: `${words} by ${against}: ${Settings.about(shared.training)}`,
            finding: finding(lines, value),
            how: `Means over the seeds; the band is the 95 % interval${
                     lines.length > CROWD ? ' of the line that the pointer rests on in the legend' : ''}. ` +
                'The same training looks otherwise by epoch, by update and by second: the first hides what ' +
                'an epoch costs, the second what an update costs.',
            choices: [
                Dom.select('value', 'Value', VALUES, value, (name) => State.set('value', name)),
                Dom.select('against', 'Against', AGAINST, against, (name) => State.set('against', name)),
                sizes.length > 1 ? Dom.select('curve-batch', 'Batch', offered, batch, (name) => State.set('curve-batch', name))
                                 : null,
                isLoss(value) ? null : whole()
            ],
            plots: [{
                name: 'curves',
                title: `${words} by ${against}`,
                y: {title: words.toLowerCase(), ...axis(value, lines)},
                series: lines,
                x: {
                    title: against,
                    log: false,
                    format: against === 'seconds' ? (number) => Format.seconds(number) : Format.countShort,
                    min: 0
                }
            }],
            legendId: `curves ${shared.name} ${batch}`,
            table: {columns: columns(value), rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat,
        };
    }

    Report.addFigure('accuracy', build);
})();
