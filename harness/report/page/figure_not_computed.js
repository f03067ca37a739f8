// What of the landscape is not there, and why.
(() => {
    'use strict';
    const COLUMNS = [
        {title: 'Analysis', value: (row) => row.analysis}, {title: 'Part', value: (row) => row.part},
        {title: 'Of', value: (row) => row.point || row.surface}, {title: 'Status', value: (row) => row.status},
        {title: 'Reason', wide: true, value: (row) => row.reason}
    ];

    function build(shared) {
        const verdicts = shared.landscapes.flatMap((landscape) => landscape.verdicts);
        if (verdicts.length === 0) {
            return null;
        }
        return {
            id: 'not-computed',
            title: 'What was not computed',
            short: 'Not computed',
            missing: verdicts.map(Landscape.verdict),
            missingTitle: `${Format.plural(verdicts.length, 'object')} of the landscape`,
            table: {columns: COLUMNS, rows: verdicts},
            repeat: Data.commands(shared.landscapes.map((landscape) => landscape.run)),
        };
    }

    Report.addFigure('landscape', build);
})();
