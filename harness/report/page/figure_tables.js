// The tables that `batchmark train` prints: that of the small against the large batch by itself, all of them below.
(() => {
    'use strict';
    const isLecture = (block) => block.grid && /^small \(/.test(block.grid[0][1] || '') && /^large \(/.test(block.grid[0][2] || '');

    // "98.13 ± 0.08" sorts as a number.
    function value(text) {
        const number = /^[+−-]?\d[\d  ]*(\.\d+)?(?=$|[ %])/.exec(text);
        return number ? Number(number[0].replace(/[^\d.-]/g, '')) : text;
    }

    function grid(id, rows, name) {
        const columns =
            rows[0].map((title, i) => ({title, number: i > 0, value: (row) => value(row[i] ?? ''), text: (row) => row[i] ?? ''}));
        return Table.create(id, name, columns, rows.slice(1));
    }

    function lecture(shared) {
        const blocks = shared.training.blocks.filter(isLecture);
        if (blocks.length === 0) {
            return null;
        }
        return {
            id: 'small-large',
            title: 'Small against large batch',
            how: 'The lecture\'s table, each line measured: what the two batch sizes cost, how noisy their gradients are, and ' +
                'what they reach. ' +
                'In the last column the better of the two, where they can be told apart.',
            extra: blocks.map((block, i) => grid(`small-large-${i}`, block.grid, `${block.grid[0][0]}: small against large`)),
            repeat: shared.repeat,
        };
    }

    function printed(shared) {
        const {blocks} = shared.training;
        if (blocks.length === 0) {
            return null;
        }
        const content =
            blocks.map((block, i) => (block.grid ? grid(`printed-${i}`, block.grid, block.grid[0][0])
                                                 : Dom.el('p', {class: block.note ? 'note' : 'lead'}, block.note || block.text)));
        return {
            id: 'printed',
            title: 'All that the training printed',
            short: 'All tables',
            how: 'The tables of batchmark train for this record, pairs of settings among them, seed by seed.',
            extra: [Figure.details('printed-all', 'Show the tables', content)]
        };
    }

    Report.addFigure('accuracy', lecture);
    Report.addFigure('accuracy', printed);
})();
