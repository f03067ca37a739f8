// The verdicts of a comparison, the worst first.
const Verdicts = (() => {
    'use strict';
    const ORDER = [
        'REGRESSION', 'WRONG', 'CRASHED', 'TIMEOUT', 'REFUSED', 'LOST', 'ERROR', 'INCONCLUSIVE', 'NO BASE', 'IMPROVEMENT', 'PASS',
        'IDENTICAL', 'ADDED', 'SKIPPED'
    ];
    const LAST_BAD = ORDER.indexOf('ERROR');

    const rank = (verdict) => (ORDER.includes(verdict) ? ORDER.indexOf(verdict) : ORDER.length);
    const isBad = (verdict) => rank(verdict) <= LAST_BAD;

    function counts(cells) {
        const found = new Map();
        cells.forEach((cell) => found.set(cell.verdict, (found.get(cell.verdict) || 0) + 1));
        return [...found].sort((a, b) => rank(a[0]) - rank(b[0]));
    }

    const summary = (cells) => counts(cells).map(([verdict, count]) => `${count} ${verdict}`).join(', ');

    return {rank, isBad, counts, summary};
})();
