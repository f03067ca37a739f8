// What Chart.js does not draw by itself: bands, intervals, levels and points by shape. What has a text: annotations.js.
const Marks = (() => {
    'use strict';
    const {opacity, pixel} = Annotations;
    const visible = (chart) =>
        chart.$spec.series.map((series, index) => ({series, index})).filter(({index}) => chart.isDatasetVisible(index));

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
            if (point.plain) {
                return;
            }
            const style = (point.style || series.style)();
            context.globalAlpha = opacity(chart, series.key);
            Marker.draw(context, style.marker, element.x, element.y, point.size || size, style.colour,
                point.hollow ? Palette.ink('page') : style.colour);
        });
    }

    function before(chart) {
        clipped(chart, (context) => {
            levels(chart, context);
            Annotations.ideals(chart, context);
            visible(chart)
                .filter(({series}) => series.band === true || (series.band && chart.$legend.hot === series.key))
                .forEach(({series}) => band(chart, context, series));
        });
    }

    function after(chart) {
        const seen = visible(chart);
        const context = chart.ctx;
        Annotations.begin(chart, seen);
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
        Annotations.draw(chart, context, seen);
        context.restore();
    }

    return {id: 'batchmark', beforeDatasetsDraw: before, afterDatasetsDraw: after};
})();
