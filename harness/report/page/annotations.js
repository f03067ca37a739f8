// What a chart says in its own area: knees, wrong cells, ideal lines, changes, and the texts of rows.
const Annotations = (() => {
    'use strict';
    const FONT = 11;
    const STEPS = 60;  // of a line that is straight in numbers and a curve on half a logarithmic grid

    const opacity = (chart, key) => (chart.$legend.hot !== null && chart.$legend.hot !== key ? 0.15 : 1);

    // A logarithmic axis has no place for 0 and less.
    const pixel = (scale, value) => scale.getPixelForValue(scale.type === 'logarithmic' && value <= 0 ? scale.min : value);

    function begin(chart, seen) { chart.$boxes = obstacles(chart, seen); }

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
            chart.$boxes.push({x0: at + (fits ? -6 : -60), x1: at + (fits ? 60 : 6), y0: on - 8, y1: on + 8});
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

    function idealPoints(chart, line) {
        const {left, right} = chart.chartArea;
        return Array.from({length: STEPS + 1}, (_, i) => left + i / STEPS * (right - left))
            .map((at) => [at, chart.scales.x.getValueForPixel(at)])
            .filter(([, value]) => value > 0)
            .map(([at, value]) => [at, pixel(chart.scales.y, line.at(value))]);
    }

    function ideals(chart, context) {
        for (const line of chart.$ideals ? chart.$spec.ideals : []) {
            context.beginPath();
            idealPoints(chart, line).forEach(([at, on]) => context.lineTo(at, on));
            context.strokeStyle = Palette.ink('faint');
            context.lineWidth = 1;
            context.stroke();
        }
    }

    // Beside the part of the line that is seen, an eighth from its end.
    function idealTexts(chart, context) {
        const {top, bottom} = chart.chartArea;
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        context.fillStyle = Palette.ink('soft');
        context.textAlign = 'left';
        for (const line of chart.$ideals ? chart.$spec.ideals : []) {
            const seen = idealPoints(chart, line).filter(([, on]) => on > top && on < bottom);
            if (seen.length > 0) {
                place(chart, context, line.label, ...seen[Math.floor(seen.length * line.along)]);
            }
        }
    }

    // Known points of a surface: their shape, and their kind where there is room.
    function places(chart, context) {
        const {x, y} = chart.scales;
        const {left, right, top, bottom} = chart.chartArea;
        context.font = `${FONT}px ${Chart.defaults.font.family}`;
        for (const one of chart.$spec.places || []) {
            const [at, on] = [pixel(x, one.x), pixel(y, one.y)];
            if (at < left || at > right || on < top || on > bottom) {
                continue;
            }
            Marker.draw(context, one.shape, at, on, 1.1, Palette.ink('ink'), Palette.ink('page'));
            context.fillStyle = Palette.ink('ink');
            context.textAlign = 'left';
            place(chart, context, one.text, at, on);
        }
    }

    function draw(chart, context, seen) {
        wrong(chart, context);
        seen.filter(({series}) => series.knee).forEach(({series}) => knee(chart, context, series));
        context.globalAlpha = 1;
        idealTexts(chart, context);
        notes(chart, context);
        places(chart, context);
        if (chart.$spec.rows) {
            texts(chart, context);
        }
    }

    return {begin, draw, ideals, opacity, pixel, write};
})();
