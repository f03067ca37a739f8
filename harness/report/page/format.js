// Numbers as the program prints them: three digits and a unit.
const Format = (() => {
    'use strict';
    const SPACE = '\u00a0';   // between a number and its unit, which stay on one line
    const NARROW = '\u202f';  // a narrow space that does not break
    const TIMES = [[1, 'ns'], [1e3, 'µs'], [1e6, 'ms'], [1e9, 's']];
    const BYTES = [[1, 'B'], [1024, 'KiB'], [1024 ** 2, 'MiB'], [1024 ** 3, 'GiB']];

    const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

    const raised = (power) => String(power).replace('-', '⁻').replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]);

    // Three digits, but all of the whole part: 1234, 123, 12.3, 1.23, 0.0123, 1.23×10⁻⁷.
    function digits(value) {
        const size = Math.abs(value);
        if (size >= 0.9995 || size === 0) {
            return value.toFixed(size >= 99.95 || size === 0 ? 0 : size >= 9.995 ? 1 : 2);
        }
        const [number, power] = value.toPrecision(3).split('e');
        return power === undefined ? number : `${number}×10${raised(Number(power))}`;
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
        return `${number >= 999.5 ? number.toFixed(0) : digits(number)}${SPACE}${unit}`;
    }

    // For an axis: "1 µs", "200 ms", without zeros behind the point.
    function nsShort(value) {
        const [number, unit] = scaled(value, TIMES);
        return `${parseFloat(number.toPrecision(3))}${SPACE}${unit}`;
    }

    function bytes(value) {
        return isNumber(value) ? scaled(value, BYTES).map((part) => (isNumber(part) ? digits(part) : part)).join(SPACE) : '–';
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
        return `${places === undefined ? digits(value) : value.toFixed(places)}${SPACE}%`;
    }

    // For an axis with even steps: "97.5 %", "20 %".
    const percentAxis = (share) => `${parseFloat((100 * share).toFixed(2))}${SPACE}%`;

    // A number as somebody would type it, small powers of ten as such: 0.02, 10⁻⁵.
    function plain(value) {
        const power = Math.log10(value);
        return power <= -4 && Math.abs(power - Math.round(power)) < 1e-9 ? `10${raised(Math.round(power))}`
                                                                         : String(parseFloat(value.toPrecision(3)));
    }

    // For a logarithmic axis: "20 %", and small ones as "10⁻⁵ %".
    function percentShort(share) {
        if (share === 0) {
            return `0${SPACE}%`;
        }
        const power = Math.round(Math.log10(100 * share));
        return power < -2 ? `10${raised(power)}${SPACE}%` : `${parseFloat((100 * share).toPrecision(2))}${SPACE}%`;
    }

    // "98.13 ± 0.08 %": half the width of the interval.
    function accuracy(mean) {
        if (!mean || !isNumber(mean.mean)) {
            return '–';
        }
        const half = isNumber(mean.low) && isNumber(mean.high) ? ` ± ${(50 * (mean.high - mean.low)).toFixed(2)}` : '';
        return `${(100 * mean.mean).toFixed(2)}${half}${SPACE}%`;
    }

    // A ratio of times as a change: "+8.3 %".
    function change(ratio) {
        if (!isNumber(ratio)) {
            return '–';
        }
        const value = 100 * (ratio - 1);
        const text = value.toFixed(Math.abs(value) < 99.95 ? 1 : 0);
        return `${value > 0 && Number(text) !== 0 ? '+' : ''}${text.replace(/^-(?=0(\.0)?$)/, '').replace('-', '−')}${SPACE}%`;
    }

    // "×3.10"
    const ratio = (value) => (isNumber(value) ? `×${digits(value)}` : '–');

    // "2026-11-27 07:00" of a time in UTC.
    const date = (text) => (typeof text === 'string' ? text.slice(0, 16).replace('T', ' ') : '–');

    const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;

    // What a person waits: "4 min 7 s", "2 h 34 min".
    function duration(value) {
        if (!isNumber(value) || value < 120) {
            return seconds(value);
        }
        const whole = Math.round(value);
        return whole < 7200 ? `${Math.floor(whole / 60)} min ${whole % 60} s`
                            : `${Math.floor(whole / 3600)} h ${Math.round(whole % 3600 / 60)} min`;
    }

    const seconds = (value) => (isNumber(value) ? ns(1e9 * value) : '–');

    return {
        isNumber,
        digits,
        ns,
        nsShort,
        bytes,
        count,
        countShort,
        percent,
        plain,
        percentShort,
        percentAxis,
        accuracy,
        change,
        ratio,
        date,
        plural,
        seconds,
        duration
    };
})();
