// How the time of a cell went over the runs of months, with its lasting changes.
(() => {
    'use strict';
    const DAY = 86400000;

    const machine = (trend) => (trend.host && trend.host.machine) || '';
    const name = (trend) => [trend.label, trend.model, trend.dataset, trend.optimizer, `batch ${trend.batch}`,
        Format.plural(trend.threads || 1, 'thread'), trend.precision,
        ...(trend.settings || []).map((one) => `${one.key}=${one.value}`)]
                                .filter(Boolean)
                                .join(', ');
    const last = (trend) => trend.changes[trend.changes.length - 1];
    const whole = (trend) => (trend.points.length ? trend.points[trend.points.length - 1][2] / trend.points[0][2] : null);

    // That with the largest lasting change, then the longest.
    const weight = (trend) =>
        Math.max(0, ...trend.changes.map((change) => Math.abs(Math.log(change.ratio)))) + trend.points.length * 1e-9;

    function prepare(view) {
        const trends = view.trends.filter((trend) => trend.points.length > 0);
        if (trends.length === 0) {
            return null;
        }
        const chosen = trends.find((trend) => String(trend.index) === State.get('trend'));
        return {trends, trend: chosen || trends.reduce((a, b) => (weight(b) > weight(a) ? b : a))};
    }

    function series(trend) {
        const style = () => ({colour: Palette.colour(0), marker: Palette.marker(0), dash: []});
        return [{
            key: 'trend',
            label: name(trend),
            style,
            points: trend.points.map(([started, revision, ns]) => ({
                x: Date.parse(started),
                y: ns,
                low: null,
                high: null,
                size: trend.points.length > 60 ? 0.5 : 0.7,
                tell: [Format.ns(ns), `${Format.date(started)}, ${revision}`]
            }))
        }];
    }

    function marks(trend) {
        return {
            levels: trend.changes.map((change) => ({axis: 'x', value: Date.parse(change.started)})),
            notes: trend.changes.map(
                (change) => ({x: Date.parse(change.started), text: `${Format.change(change.ratio)} ${change.upto || ''}`}))
        };
    }

    function days(trend) {
        const times = trend.points.map((point) => Date.parse(point[0]));
        const [from, to] = [Math.min(...times), Math.max(...times)];
        const air = to === from ? DAY : 0.03 * (to - from);
        const short = to - from < 2 * DAY;
        const fixed = (room) => {
            const steps = to === from ? 0 : Math.max(1, Math.min(5, room));
            return Array.from({length: steps + 1}, (_, i) => from + (steps ? i / steps : 0) * (to - from));
        };
        const text = (value) => new Date(value).toISOString();
        return {
            title: short ? `time of the run on ${text(from).slice(0, 10)}, UTC` : 'day of the run',
            log: false,
            min: from - air,
            max: to + air,
            fixed,
            format: (value) => (short ? text(value).slice(11, 16) : text(value).slice(0, 10))
        };
    }

    function change(trend) {
        const of = last(trend);
        return of ? `${Format.change(of.ratio)} (${Format.change(of.low)} to ${Format.change(of.high)}) between ${of.after} and ${
                        of.upto}`
                  : 'no lasting change';
    }

    const COLUMNS = [
        {title: 'Cell', value: name}, {
            title: 'Chart',
            csv: 'trend',
            value: (trend) => trend.index,
            node: (trend) => Dom.button(
                {class: 'quiet', 'aria-label': `Show the trend of ${name(trend)}`, onclick: () => State.set('trend', trend.index)},
                'Show')
        },
        {title: 'Machine', value: machine}, {title: 'Runs', number: true, value: (trend) => trend.points.length}, {
            title: 'First',
            csv: 'first_ns',
            number: true,
            value: (trend) => trend.points[0][2],
            text: (trend) => Format.ns(trend.points[0][2])
        },
        {
            title: 'Last',
            csv: 'last_ns',
            number: true,
            value: (trend) => trend.points[trend.points.length - 1][2],
            text: (trend) => Format.ns(trend.points[trend.points.length - 1][2])
        },
        {title: 'Last to first', csv: 'ratio', number: true, value: whole, text: (trend) => Format.change(whole(trend))},
        {title: 'Changes', number: true, value: (trend) => trend.changes.length},
        {title: 'Last change', csv: 'last_change', wide: true, value: (trend) => last(trend)?.ratio, text: change},
        {title: 'State', value: (trend) => (trend.lost ? 'LOST' : 'measured'), strong: (trend) => Boolean(trend.lost)}
    ];

    function build(shared) {
        const {trend, trends} = shared;
        const options = trends.map((one) => [one.index, `${name(one)}${machine(one) ? `, ${machine(one)}` : ''}`]);
        const changed = trends.filter((one) => one.changes.length > 0).length;
        const lost = trend.lost ? ` It is LOST: ${trend.lost.status} since ${Format.date(trend.lost.started)}.` : '';
        return {
            id: 'trend',
            title: 'Trend',
            file: `trend ${name(trend)}`,
            pictureTitle: `Trend: ${name(trend)}`,
            showLegend: false,
            finding: [
                `${changed} of ${Format.plural(trends.length, 'cell')} changed lastingly.`,
                [`${name(trend)}${machine(trend) ? ` on ${machine(trend)}` : ''}:`, `${change(trend)}.${lost}`]
            ],
            how: 'Each point is the median of a run. A dashed line is a lasting change, with its size and the revision that ' +
                'first had it: four runs on both sides, ' +
                'and p at most 0.001. One or two odd runs are none.',
            choices: [trends.length > 1 ? Dom.select('trend-of', 'Cell', options, trend.index, (value) => State.set('trend', value))
                                        : null],
            plots: [{
                name: 'trend',
                title: name(trend),
                series: series(trend),
                ...marks(trend),
                x: days(trend),
                y: {title: `time of ${trend.series}`, log: false, canSwitch: true, format: Format.nsShort, air: 0.14}
            }],
            extra: [Table.create('trends-table', 'All trends', COLUMNS, trends)],
            repeat: Data.commands(trend.run === null ? [] : [trend.run]),
        };
    }

    Report.addPart({id: 'trends', title: 'History', prepare});
    Report.addFigure('trends', build);
})();
