// Numbers as the program prints them: three digits and a unit.
const Format = (() => {
    'use strict';
    const NARROW = '\u202f'; // a narrow space that does not break
    const TIMES = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's']];
    const BYTES = [[1, 'B'], [1024, 'KiB'], [1024 ** 2, 'MiB'], [1024 ** 3, 'GiB']];

    const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

    // Three digits, but all of the whole part.
    function digits(value) {
        const size = Math.abs(value);
        return value.toFixed(size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : size >= 0.9995 ? 2 : 3);
    }

    function scaled(value, units) {
        let unit = 0;
        while (unit + 1 < units.length && Math.abs(value) >= 0.9995 * units[unit + 1][0]) {
            unit++;
        }
        return [value / units[unit][0], units[unit][1]];
    }

    function ns(value) {
        if (!isNumber(value)) {
            return '–';
        }
        const [number, unit] = scaled(value, TIMES);
        return `${number >= 999.5 ? number.toFixed(0) : digits(number)} ${unit}`;
    }

    // For an axis: "1 µs", "200 ms", without zeros behind the point.
    function nsShort(value) {
        const [number, unit] = scaled(value, TIMES);
        return `${parseFloat(number.toPrecision(3))} ${unit}`;
    }

    function bytes(value) {
        return isNumber(value) ? scaled(value, BYTES).map((part) => (isNumber(part) ? digits(part) : part)).join(' ') : '–';
    }

    // Whole numbers with their thousands apart: 60 000.
    function count(value) {
        if (!isNumber(value)) {
            return '–';
        }
        const text = Math.abs(value) < 1000 && value % 1 !== 0 ? digits(value) : String(Math.round(value));
        return text.length < 5 ? text : text.replace(/\B(?=(\d{3})+$)/g, NARROW);
    }

    // For an axis: 1, 100, 1k, 60k, 1M.
    function countShort(value) {
        const [number, unit] = scaled(value, [[1, ''], [1e3, 'k'], [1e6, 'M'], [1e9, 'G']]);
        return `${parseFloat(number.toPrecision(3))}${unit}`;
    }

    function percent(share, places) {
        if (!isNumber(share)) {
            return '–';
        }
        const value = 100 * share;
        return `${places === undefined ? digits(value) : value.toFixed(places)} %`;
    }

    // "98.13 ± 0.08 %": half the width of the interval.
    function accuracy(mean) {
        if (!mean || !isNumber(mean.mean)) {
            return '–';
        }
        const half = isNumber(mean.low) && isNumber(mean.high) ? ` ± ${(50 * (mean.high - mean.low)).toFixed(2)}` : '';
        return `${(100 * mean.mean).toFixed(2)}${half} %`;
    }

    // A ratio of times as a change: "+8.3 %".
    function change(ratio) {
        if (!isNumber(ratio)) {
            return '–';
        }
        const value = 100 * (ratio - 1);
        const text = value.toFixed(Math.abs(value) < 9.95 ? 1 : 0);
        return `${value > 0 && Number(text) !== 0 ? '+' : ''}${text.replace(/^-(?=0(\.0)?$)/, '').replace('-', '−')} %`;
    }

    // "×3.10"
    const ratio = (value) => (isNumber(value) ? `×${digits(value)}` : '–');

    // "2026-11-27 07:00" of a time in UTC.
    const date = (text) => (typeof text === 'string' ? text.slice(0, 16).replace('T', ' ') : '–');

    const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

    const seconds = (value) => (isNumber(value) ? ns(1e9 * value) : '–');

    return {isNumber, digits, ns, nsShort, bytes, count, countShort, percent, accuracy, change, ratio, date, plural, seconds};
})();
