// How a line looks: colour, marker and dash, so that none is known by its colour alone. The colours keep a contrast of 3 to 1
// to the page and stay apart (ΔE of at least 10 in Oklab × 100) with each of the three kinds of colour blindness.
const Palette = (() => {
    'use strict';
    const COLOURS = {
        light: ['#1261ec', '#ef671f', '#096b59', '#87149b', '#249ae5', '#bf1506', '#ac739a', '#333a44'],
        dark: ['#979bff', '#ff8f2d', '#40a083', '#a568c0', '#70d0ff', '#e34716', '#eda9b8', '#e6e9ee'],
    };
    const DASHES = {processor: [], device: [7, 4], software: [2, 3], nothing: [1, 4]};
    const KINDS = {processor: 'processor: solid line', device: 'GPU or other device: dashes', software: 'software device: dots'};
    // Colour and marker.
    const VERDICTS = {
        REGRESSION: [5, 2],
        WRONG: [5, 4],
        CRASHED: [5, 6],
        TIMEOUT: [5, 6],
        LOST: [5, 1],
        REFUSED: [5, 1],
        ERROR: [5, 6],
        INCONCLUSIVE: [1, 3],
        IMPROVEMENT: [0, 5],
    };

    const colours = () => COLOURS[Theme.isDark() ? 'dark' : 'light'];
    const colour = (index) => (index < 0 ? ink('faint') : colours()[index % 8]);

    // 8 colours and 7 markers have no divisor in common: 56 lines differ.
    const marker = (index) => (index < 0 ? 0 : index % Marker.PATHS.length);
    const dash = (kind) => DASHES[kind] || [];

    function verdict(name) {
        const [index, shape] = VERDICTS[name] || [7, 0];
        return {colour: colours()[index], marker: shape};
    }

    // Colours of the page itself, as its style sheet has them: ink, faint, rule, page.
    const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

    // "#rrggbb" with an opacity.
    const faded = (hex, opacity) => `${hex}${Math.round(255 * opacity).toString(16).padStart(2, '0')}`;

    return {colour, marker, dash, verdict, ink, faded, COLOURS, KINDS};
})();
