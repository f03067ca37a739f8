// A surface behind a chart: its height as shades of one grey, the higher the farther from the page, contour lines with their
// values, and the scale beside it. Paths get a seam, so that they stand out from it. Nothing is told by a shade alone.
const Field = (() => {
    'use strict';
    const ROOM = 74;  // of the scale
    const BAR = 12;
    const FONT = 10;
    const SHADES = {light: [[255, 255, 255], [170, 181, 200]], dark: [[20, 23, 28], [74, 85, 104]]};
    const images = new WeakMap();  // of a field, by theme

    const shades = () => SHADES[Theme.isDark() ? 'dark' : 'light'];
    const shade = (share) => shades()[0].map((from, i) => Math.round(from + share * (shades()[1][i] - from)));
    const number = (value) => String(parseFloat(value.toPrecision(2)));

    function paint(field) {
        const {columns, rows} = {columns: field.x.count, rows: field.y.count};
        const canvas = Object.assign(document.createElement('canvas'), {width: columns, height: rows});
        const context = canvas.getContext('2d');
        const image = context.createImageData(columns, rows);
        const {scale} = Contours.of(field);
        for (let i = 0; i < columns * rows; i++) {
            if (Format.isNumber(field.values[i])) {
                const [row, column] = [Math.floor(i / columns), i % columns];
                image.data.set([...shade(scale.share(field.values[i])), 255], 4 * ((rows - 1 - row) * columns + column));
            }
        }
        context.putImageData(image, 0, 0);
        return canvas;
    }

    function imageOf(field) {
        const theme = Theme.isDark() ? 'dark' : 'light';
        if (!images.has(field)) {
            images.set(field, {});
        }
        const of = images.get(field);
        of[theme] = of[theme] || paint(field);
        return of[theme];
    }

    // A value stands in the middle of its dot, the first and the last at the ends of the axis.
    function shadesOf(chart, context, field) {
        const {x, y} = chart.scales;
        const half = (axis) => (axis.high - axis.low) / (axis.count - 1) / 2;
        const [left, right] = [field.x.low - half(field.x), field.x.high + half(field.x)].map((at) => x.getPixelForValue(at));
        const [top, bottom] = [field.y.high + half(field.y), field.y.low - half(field.y)].map((at) => y.getPixelForValue(at));
        context.imageSmoothingEnabled = true;
        context.drawImage(imageOf(field), left, top, right - left, bottom - top);
    }

    function placer(chart, field) {
        const at = (axis, scale, step) => scale.getPixelForValue(axis.low + step / (axis.count - 1) * (axis.high - axis.low));
        return ([column, row]) => [at(field.x, chart.scales.x, column), at(field.y, chart.scales.y, row)];
    }

    // On a line where nothing is written yet; the first place of a few.
    function label(chart, context, line, toPixel, boxes) {
        const {left, right, top, bottom} = chart.chartArea;
        const text = number(line.height);
        const width = context.measureText(text).width;
        const step = Math.max(1, Math.floor(line.pieces.length / 9));
        for (let i = Math.floor(step / 2); i < line.pieces.length; i += step) {
            const [x, y] = toPixel(line.pieces[i][0]);
            const box = {x0: x - width / 2 - 4, x1: x + width / 2 + 4, y0: y - FONT / 2 - 3, y1: y + FONT / 2 + 3};
            const inside = box.x0 > left && box.x1 < right && box.y0 > top && box.y1 < bottom;
            if (inside && boxes.every((o) => box.x1 < o.x0 || box.x0 > o.x1 || box.y1 < o.y0 || box.y0 > o.y1)) {
                boxes.push(box);
                Annotations.write(context, text, x, y);
                return;
            }
        }
    }

    function linesOf(chart, context, field) {
        const toPixel = placer(chart, field);
        const {lines} = Contours.of(field);
        context.strokeStyle = Palette.ink('faint');
        context.lineWidth = 0.8;
        for (const line of lines) {
            context.beginPath();
            for (const [from, to] of line.pieces) {
                context.moveTo(...toPixel(from));
                context.lineTo(...toPixel(to));
            }
            context.stroke();
        }
        const boxes = [];
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        context.fillStyle = Palette.ink('soft');
        context.textAlign = 'center';
        context.textBaseline = 'middle';
        lines.forEach((line) => label(chart, context, line, toPixel, boxes));
    }

    function seams(chart, context) {
        context.strokeStyle = Palette.ink('page');
        context.lineWidth = 4.5;
        context.lineJoin = 'round';
        context.globalAlpha = 0.85;
        chart.data.datasets.forEach((dataset, i) => {
            if (chart.isDatasetVisible(i) && dataset.showLine) {
                context.beginPath();
                chart.getDatasetMeta(i).data.filter(({x, y}) => Number.isFinite(x) && Number.isFinite(y)).forEach(({x,
                    y}) => context.lineTo(x, y));
                context.stroke();
            }
        });
        context.globalAlpha = 1;
    }

    // Values beside the bar that keep their distance, the ends before the others.
    function scaleTexts({scale, lines}, height) {
        const kept = [];
        for (const value of [scale.low, scale.high, ...lines.map((line) => line.height)]) {
            const at = height * (1 - scale.share(value));
            if (kept.every((other) => Math.abs(other.at - at) >= 18)) {
                kept.push({at, text: number(value)});
            }
        }
        return kept;
    }

    function scaleBar(chart, context, field) {
        const {right, top, bottom} = chart.chartArea;
        const of = Contours.of(field);
        if (!(of.scale.high > of.scale.low)) {
            return;
        }
        const x = right + 14;
        const fill = context.createLinearGradient(0, bottom, 0, top);
        [0, 1].forEach((share) => fill.addColorStop(share, `rgb(${shade(share).join(',')})`));
        context.fillStyle = fill;
        context.fillRect(x, top, BAR, bottom - top);
        context.strokeStyle = Palette.ink('edge');
        context.lineWidth = 1;
        context.strokeRect(x + 0.5, top + 0.5, BAR - 1, bottom - top - 1);
        context.fillStyle = Palette.ink('soft');
        context.font = `${FONT + 1}px ${Chart.defaults.font.family}`;
        context.textAlign = 'left';
        context.textBaseline = 'middle';
        scaleTexts(of, bottom - top).forEach(({at, text}) => context.fillText(text, x + BAR + 5, top + at));
    }

    function before(chart) {
        const {ctx: context, chartArea: {left, top, right, bottom}} = chart;
        const {field} = chart.$spec;
        if (!field) {
            return;
        }
        context.save();
        context.beginPath();
        context.rect(left, top, right - left, bottom - top);
        context.clip();
        shadesOf(chart, context, field);
        linesOf(chart, context, field);
        seams(chart, context);
        context.restore();
        context.save();
        scaleBar(chart, context, field);
        context.restore();
    }

    return {id: 'field', beforeDatasetsDraw: before, ROOM, number};
})();
