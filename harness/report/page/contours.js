// The heights of a grid, told between 0 and 1, and its contour lines by marching squares.
const Contours = (() => {
    'use strict';
    const MOST = 14;  // lines; more are a grey area
    const made = new WeakMap();

    // log: small heights apart. Heights of 0 and less then are as low as the lowest above 0.
    function scaleOf({values, log}) {
        const found = values.filter(Format.isNumber);
        const known = found.length ? found : [0];
        const above = log ? known.filter((value) => value > 0) : known;
        const isLog = Boolean(log) && above.length > 0;
        const [low, high] =
            [(isLog ? above : known).reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
        const map = isLog ? (value) => Math.log10(Math.max(value, low)) : (value) => value;
        const span = map(high) - map(low) || 1;
        return {low, high, log: isLog, map, share: (value) => (map(value) - map(low)) / span};
    }

    function steps(low, high) {
        const rough = (high - low) / MOST;
        const power = 10 ** Math.floor(Math.log10(rough));
        const step = power * [1, 2, 5, 10].find((one) => one * power >= rough);
        const first = Math.floor(low / step) + 1;
        return Array.from({length: Math.max(0, Math.ceil(high / step) - first)}, (_, i) => (first + i) * step);
    }

    function decades(low, high, factors) {
        const found = [];
        for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
            factors.forEach((factor) => found.push(factor * 10 ** power));
        }
        return found.filter((value) => value > low && value < high);
    }

    // Heights of lines: even steps, or so many a decade as there is room for.
    function heights(scale) {
        if (!(scale.high > scale.low)) {
            return [];
        }
        if (!scale.log) {
            return steps(scale.low, scale.high);
        }
        const offered = [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1, 3], [1]].map((factors) => decades(scale.low, scale.high, factors));
        return offered.find((values) => values.length <= MOST) || offered[3].filter((_, i) => i % 3 === 0);
    }

    // Where a height lies on the sides of a cell: at most four places, of [column, row].
    function crossings(corners, height) {
        const sides = [[0, 1], [1, 2], [2, 3], [3, 0]];
        return sides.filter(([a, b]) => (corners[a][2] > height) !== (corners[b][2] > height)).map(([a, b]) => {
            const share = (height - corners[a][2]) / (corners[b][2] - corners[a][2]);
            return [0, 1].map((k) => corners[a][k] + share * (corners[b][k] - corners[a][k]));
        });
    }

    // Four places belong to two lines; the middle of the cell tells which.
    function pairs(places, corners, height) {
        if (places.length < 4) {
            return places.length === 2 ? [places] : [];
        }
        const middle = corners.reduce((sum, corner) => sum + corner[2], 0) / 4;
        const turned = (middle > height) === (corners[0][2] > height);
        return turned ? [[places[0], places[1]], [places[2], places[3]]] : [[places[3], places[0]], [places[1], places[2]]];
    }

    // Lines of a height as pieces [[column, row], [column, row]].
    function pieces(field, scale, height) {
        const [columns, rows] = [field.x.count, field.y.count];
        const mapped = field.values.map((value) => (Format.isNumber(value) ? scale.map(value) : NaN));
        const at = (column, row) => [column, row, mapped[row * columns + column]];
        const found = [];
        for (let row = 0; row + 1 < rows; row++) {
            for (let column = 0; column + 1 < columns; column++) {
                const corners = [at(column, row), at(column + 1, row), at(column + 1, row + 1), at(column, row + 1)];
                if (corners.every((corner) => Number.isFinite(corner[2]))) {
                    found.push(...pairs(crossings(corners, scale.map(height)), corners, scale.map(height)));
                }
            }
        }
        return found;
    }

    // {scale, lines: [{height, pieces}]}, made once.
    function of (field) {
        if (!made.has(field)) {
            const scale = scaleOf(field);
            made.set(field, {scale, lines: heights(scale).map((height) => ({height, pieces: pieces(field, scale, height)}))});
        }
        return made.get(field);
    }

    return {of};
})();
