// What Chart.js does not draw by itself: bands, intervals, points by shape, knees, wrong cells, levels and ideal lines.
const Marks = (() => {
    'use strict';
    const FONT = 11;

    const visible = (chart) =>
        chart.$spec.series.map((series, index) => ({series, index})).filter(({index}) => chart.isDatasetVisible(index));
    const opacity = (chart, key) => (chart.$legend.hot !== null && chart.$legend.hot !== key ? 0.15 : 1);

    // Inside a logarithmic axis nothing is 0 or less.
    function pixel(scale, value) {
        return scale.getPixelForValue(scale.type === 'logarithmic' ? Math.max(value, scale.min) : value);
    }

    function clipped(chart, draw) {
        const {ctx, chartArea: {left, top, right, bottom}} = chart;
        ctx.save();
        ctx.beginPath();
        ctx.rect(left, top, right - left, bottom - top);
        ctx.clip();
        draw(ctx);
        ctx.restore();
    }

    function band(chart, context, series) {
        const {x, y} = chart.scales;
        const points = series.points.filter((point) => Format.isNumber(point.low) && Format.isNumber(point.high));
        if (points.length < 2) {
            return;
        }
        context.beginPath();
        points.forEach((point) => context.lineTo(pixel(x, point.x), pixel(y, point.high)));
        [...points].reverse().forEach((point) => context.lineTo(pixel(x, point.x), pixel(y, point.low)));
        context.closePath();
        const crowd = chart.$legend.hot === series.key ? 0.25 : visible(chart).length > 4 ? 0.09 : 0.18;
        context.globalAlpha = crowd * opacity(chart, series.key);
        context.fillStyle = series.style().colour;
        context.fill();
    }

    function whisker(chart, context, series, point) {
        const {x, y} = chart.scales;
        const rows = chart.$spec.rows !== undefined;
        const [scale, end] = rows ? [x, 3] : [y, 3];
        const [from, to] = [pixel(scale, point.low), pixel(scale, point.high)];
        const across = rows ? pixel(y, point.y) : pixel(x, point.x);
        const at = (along, side) => (rows ? [along, across + side] : [across + side, along]);
        context.beginPath();
        context.moveTo(...at(from, 0));
        context.lineTo(...at(to, 0));
        for (const along of [from, to]) {
            context.moveTo(...at(along, -end));
            context.lineTo(...at(along, end));
        }
        context.globalAlpha = opacity(chart, series.key);
        context.strokeStyle = (point.style || series.style)().colour;
        context.lineWidth = 1.5;
        context.setLineDash([]);
        context.stroke();
    }

    function ideals(chart, context) {
        const {x, y} = chart.scales;
        context.strokeStyle = Palette.ink('faint');
        context.fillStyle = Palette.ink('faint');
        context.lineWidth = 1;
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        for (const line of chart.$ideals ? chart.$spec.ideals : []) {
            context.beginPath();
            for (let i = 0; i <= 40; i++) {  // a straight line in numbers is a curve on half a logarithmic grid
                const value = x.min * (x.max / x.min) ** (i / 40);
                context.lineTo(pixel(x, value), pixel(y, line.at(value)));
            }
            context.stroke();
            const where = line.from(x, y);
            context.textAlign = where.align;
            context.fillText(line.label, pixel(x, where.x) + (where.align === 'right' ? -6 : 6), pixel(y, line.at(where.x)) - 5);
        }
    }

    function levels(chart, context) {
        const {left, right, top, bottom} = chart.chartArea;
        for (const level of chart.$spec.levels || []) {
            const at = pixel(chart.scales[level.axis], level.value);
            context.beginPath();
            context.moveTo(...(level.axis === 'y' ? [left, at] : [at, top]));
            context.lineTo(...(level.axis === 'y' ? [right, at] : [at, bottom]));
            context.strokeStyle = Palette.ink(level.strong ? 'ink' : 'faint');
            context.lineWidth = 1;
            context.setLineDash(level.strong ? [] : [4, 3]);
            context.stroke();
        }
        context.setLineDash([]);
    }

    function points(chart, context, {series, index}) {
        const size = series.points.length > 60 ? 0.5 : series.points.length > 30 ? 0.75 : 1;
        chart.getDatasetMeta(index).data.forEach((element, i) => {
            const point = series.points[i];
            const style = (point.style || series.style)();
            context.globalAlpha = opacity(chart, series.key);
            Marker.draw(context, style.marker, element.x, element.y, point.size || size, style.colour,
                point.hollow ? Palette.ink('page') : style.colour);
        });
    }

    // Where points stand, no text shall.
    function obstacles(chart, seen) {
        return seen.flatMap(
            ({index}) => chart.getDatasetMeta(index).data.map(({x, y}) => ({x0: x - 5, x1: x + 5, y0: y - 5, y1: y + 5})));
    }

    // Text that stays readable on lines.
    function write(context, text, x, y) {
        context.lineWidth = 3;
        context.lineJoin = 'round';
        context.strokeStyle = Palette.ink('page');
        context.strokeText(text, x, y);
        context.fillText(text, x, y);
    }

    // Text beside a mark, where nothing stands yet; none where there is no room.
    function place(chart, context, text, x, y) {
        const {left, right, top, bottom} = chart.chartArea;
        const width = context.measureText(text).width;
        const tries =
            [[8, -9], [-8 - width, -9], [8, 18], [-8 - width, 18], [-width / 2, -16], [-width / 2, 26], [14, 4], [-14 - width, 4]];
        for (const [dx, dy] of tries) {
            const box = {x0: x + dx, x1: x + dx + width, y0: y + dy - FONT, y1: y + dy + 2};
            const inside = box.x0 > left && box.x1 < right && box.y0 > top && box.y1 < bottom;
            if (inside && chart.$boxes.every((o) => box.x1 < o.x0 || box.x0 > o.x1 || box.y1 < o.y0 || box.y0 > o.y1)) {
                chart.$boxes.push(box);
                write(context, text, x + dx, y + dy);
                return;
            }
        }
    }

    function knee(chart, context, series) {
        const {x, y} = chart.scales;
        const [at, on] = [pixel(x, series.knee.x), pixel(y, series.knee.y)];
        const style = series.style();
        context.globalAlpha = opacity(chart, series.key);
        context.beginPath();
        context.moveTo(at, on - 9);
        context.lineTo(at, on + 9);
        context.strokeStyle = style.colour;
        context.lineWidth = 3;
        context.stroke();
        context.fillStyle = Palette.ink('ink');
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        context.textAlign = 'left';
        place(chart, context, `knee ${Format.count(Math.round(series.knee.x))}`, at, on);
    }

    function wrong(chart, context) {
        const {bottom} = chart.chartArea;
        const stacked = new Map();
        for (const cell of (chart.$spec.wrong || []).filter((one) => !chart.$legend.isHidden(one.key))) {
            const at = pixel(chart.scales.x, cell.x);
            const level = stacked.get(cell.x) || 0;
            stacked.set(cell.x, level + 1);
            const on = bottom - 12 - 18 * level;
            const style = cell.style();
            context.globalAlpha = opacity(chart, cell.key);
            context.strokeStyle = style.colour;
            context.lineWidth = 2.5;
            context.beginPath();
            [[-5, -5, 5, 5], [-5, 5, 5, -5]].forEach(([x0, y0, x1, y1]) => {
                context.moveTo(at + x0, on + y0);
                context.lineTo(at + x1, on + y1);
            });
            context.stroke();
            context.fillStyle = Palette.ink('ink');
            context.font = `600 ${FONT}px ${Chart.defaults.font.family}`;
            const fits = at + 70 < chart.chartArea.right;
            context.textAlign = fits ? 'left' : 'right';
            context.fillText('WRONG', at + (fits ? 9 : -9), on + 4);
        }
    }

    // What stands at the right end of each row; where there is no room, above it, with the row's name.
    function texts(chart, context) {
        const {left, right} = chart.chartArea;
        const narrow = chart.$narrow();
        context.fillStyle = Palette.ink('ink');
        context.font = `${FONT + 1}px ${Chart.defaults.font.family}`;
        context.textBaseline = 'middle';
        chart.$spec.rows.forEach((row, i) => {
            const on = pixel(chart.scales.y, i) - (narrow ? 17 : 0);
            context.textAlign = narrow ? 'right' : 'left';
            write(context, row.right, right + (narrow ? 0 : 10), on);
            if (narrow) {
                context.textAlign = 'left';
                write(context, row.label, left + 2, on);
            }
        });
    }

    function notes(chart, context) {
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        context.fillStyle = Palette.ink('ink');
        context.textAlign = 'left';
        for (const note of chart.$spec.notes || []) {
            place(chart, context, note.text, pixel(chart.scales.x, note.x), chart.chartArea.top + 26);
        }
    }

    function before(chart) {
        clipped(chart, (context) => {
            levels(chart, context);
            ideals(chart, context);
            visible(chart)
                .filter(({series}) => series.band === true || (series.band && chart.$legend.hot === series.key))
                .forEach(({series}) => band(chart, context, series));
        });
    }

    function after(chart) {
        const seen = visible(chart);
        const context = chart.ctx;
        chart.$boxes = obstacles(chart, seen);
        context.save();
        clipped(chart,
            () => seen.filter(({series}) => series.whiskers)
                      .forEach(
                          ({series}) => series.points.filter((point) => Format.isNumber(point.low) && Format.isNumber(point.high))
                                            .forEach((point) => whisker(chart, context, series, point))));
        context.save();
        const {left, top, right, bottom} = chart.chartArea;
        context.beginPath();
        context.rect(left - 7, top - 7, right - left + 14, bottom - top + 14);
        context.clip();
        seen.forEach((one) => points(chart, context, one));
        context.restore();
        seen.filter(({series}) => series.knee).forEach(({series}) => knee(chart, context, series));
        wrong(chart, context);
        notes(chart, context);
        context.globalAlpha = 1;
        if (chart.$spec.rows) {
            texts(chart, context);
        }
        context.restore();
    }

    return {id: 'batchmark', beforeDatasetsDraw: before, afterDatasetsDraw: after};
})();
