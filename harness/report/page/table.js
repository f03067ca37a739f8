// Tables that are sorted by their headings, copied as CSV, and shown a page at a time, so that thousands of rows stay quick.
const Table = (() => {
    'use strict';
    const PAGE = 25;

    function csvField(value) {
        const text = value === null || value === undefined ? '' : String(value);
        return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    }

    const csv = (columns, rows) => [columns.map((column) => column.csv || column.title),
                                       ...rows.map((row) => columns.map((column) => column.value(row)))]
                                       .map((line) => line.map(csvField).join(','))
                                       .join('\n') +
        '\n';

    // Numbers by size, texts by their letters, what is unknown last in both directions.
    function compare(a, b, direction) {
        const [noA, noB] = [a === null || a === undefined || a === '', b === null || b === undefined || b === ''];
        if (noA || noB) {
            return noA - noB;
        }
        const order =
            typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', {numeric: true});
        return direction * order;
    }

    const classes = (column) => ['number', 'wide', 'code', 'minor'].filter((name) => column[name]).join(' ');

    function heading(column, table) {
        const sorted = table.by === column;
        const arrow = Dom.el('span', {class: 'arrow', 'aria-hidden': 'true'}, sorted ? (table.direction > 0 ? '▲' : '▼') : '↕');
        const button = Dom.button(
            {id: `${table.id}-by-${table.columns.indexOf(column)}`, onclick: () => table.sort(column)}, column.title, arrow);
        return Dom.el('th', {
            scope: 'col',
            class: classes(column) || null,
            'aria-sort': sorted ? (table.direction > 0 ? 'ascending' : 'descending') : 'none'
        },
            button);
    }

    function line(row, columns) {
        return Dom.el('tr', null,
            columns.map((column, i) => Dom.el(i === 0 ? 'th' : 'td', {
                scope: i === 0 ? 'row' : null,
                class: `${classes(column)}${column.strong && column.strong(row) ? ' strong' : ''}`.trim() || null
            },
                            column.node       ? column.node(row)
                                : column.text ? column.text(row)
                                              : String(column.value(row) ?? '–'))));
    }

    function pager(table) {
        const count = table.rows.length;
        const last = Math.min(count, table.from + PAGE);
        const step = (by) => () => {
            table.from += by;
            table.draw();
        };
        return count <= PAGE
            ? []
            : [Dom.el('div', {class: 'pager'},
                  Dom.el('span', {class: 'range'},
                      `${Format.count(table.from + 1)} to ${Format.count(last)} of ${Format.count(count)}`),
                  Dom.button({id: `${table.id}-before`, disabled: table.from === 0, onclick: step(-PAGE)}, 'Previous'),
                  Dom.button({id: `${table.id}-next`, disabled: last === count, onclick: step(PAGE)}, 'Next'))];
    }

    function keepFocus(table, draw) {
        const id = table.element.contains(document.activeElement) ? document.activeElement.id : '';
        draw();
        const found = id && document.getElementById(id);
        if (found && !found.disabled) {
            found.focus({preventScroll: true});
        }
    }

    // columns: [{title, value(row), text(row), number, wide, code, minor (not on paper), csv, node(row), strong(row)}], the first
    // heads the rows; more: {sort: index of a column, csv: the columns of the CSV, if they are others}.
    function create(id, name, columns, rows, more) {
        const table = {id, columns, rows: [...rows], from: 0, by: null, direction: 1, element: Dom.el('div', {class: 'table'})};
        const copy = Dom.button(
            {id: `${id}-copy`, onclick: (event) => Clipboard.copy(csv((more && more.csv) || columns, table.rows), event.target)},
            'Copy as CSV');
        const bar = Dom.el('div', {class: 'table-bar'});
        const head = Dom.el('thead');
        const body = Dom.el('tbody');
        const box = Dom.el('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': name},
            Dom.el('table', null, Dom.el('caption', null, name), head, body));
        table.element.append(box, bar);
        table.draw = () => keepFocus(table, () => {
            head.replaceChildren(Dom.el('tr', null, columns.map((column) => heading(column, table))));
            body.replaceChildren(...table.rows.slice(table.from, table.from + PAGE).map((row) => line(row, columns)));
            bar.replaceChildren(copy, ...pager(table));
        });
        table.sort = (column) => {
            table.direction = table.by === column ? -table.direction : 1;
            table.by = column;
            table.from = 0;
            table.rows.sort((a, b) => compare(column.value(a), column.value(b), table.direction));
            table.draw();
        };
        if (more && more.sort !== undefined) {
            table.sort(columns[more.sort]);
        } else {
            table.draw();
        }
        return table.element;
    }

    return {create, csv, PAGE};
})();
