// Where the figures come from: machines, what differs between them, records and plugins.
(() => {
    'use strict';

    // One machine may have several records, under circumstances that differ: a column each kind.
    function flatten(object, prefix, into) {
        for (const [key, value] of Object.entries(object || {})) {
            const path = prefix ? `${prefix} ${key}` : key;
            if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
                flatten(value, path, into);
            } else {
                into.set(path.replace(/_/g, ' '), tell(key, value));
            }
        }
        return into;
    }

    const tell = (key, value) => (value === null ? '–'
            : Array.isArray(value)   ? value.map((one) => (typeof one === 'object' ? JSON.stringify(one) : one)).join(' ')
            : key === 'memory_bytes' ? Format.bytes(value)
                                     : String(value));

    // The load is of the moment, not of the machine.
    function properties(run) {
        const {load, ...host} = run.host || {};
        return flatten(run.build, 'build', flatten(host, '', new Map([['version', run.version], ['revision', run.revision]])));
    }

    function columns() {
        const found = new Map();
        for (const run of Data.runs.filter((one) => one.host)) {
            const own = properties(run);
            const key = run.machine + JSON.stringify([...own].filter(([name]) => name !== 'revision'));
            if (!found.has(key)) {
                found.set(key, {machine: run.machine, own, runs: []});
            }
            found.get(key).runs.push(run);
        }
        return [...found.values()];
    }

    function environment() {
        const machines = columns();
        if (machines.length === 0) {
            return null;
        }
        const counts = new Map();
        const titles = machines.map((one) => {
            counts.set(one.machine, (counts.get(one.machine) || 0) + 1);
            return counts.get(one.machine) > 1 ? `${one.machine} (${counts.get(one.machine)})` : one.machine;
        });
        const names = [...new Set(machines.flatMap((one) => [...one.own.keys()]))];
        const all = names.map((name) => ({name, values: machines.map((one) => one.own.get(name) ?? '–')}));
        const differ = (row) => new Set(row.values).size > 1;
        const only = machines.length > 1 && State.get('environment') !== 'all';
        const rows = only ? all.filter(differ) : all;
        const shown = [
            {title: 'Property', value: (row) => row.name},
            ...(machines.length > 1
                    ? [{title: 'Differs', value: (row) => (differ(row) ? 'yes' : 'no'), text: (row) => (differ(row) ? '≠' : '=')}]
                    : []),
            ...titles.map((title, i) => ({title, wide: true, value: (row) => row.values[i]}))
        ];
        return {
            id: 'environment',
            title: machines.length > 1 ? 'Environment, and what differs' : 'Environment',
            short: 'Environment',
            finding: machines.length > 1 ? `${all.filter(differ).length} of ${all.length} properties differ between ${
                                               Format.plural(machines.length, 'environment')}.`
                                         : null,
            choices: machines.length > 1 ? [Dom.button({
                id: 'environment-only',
                class: 'single',
                'aria-pressed': String(only),
                onclick: () => State.set('environment', only ? 'all' : null)
            },
                                               'Only what differs')]
                                         : [],
            extra: [Table.create('environment-table', 'Environment', shown, rows)],
        };
    }

    const RECORDS = [
        {title: 'Record', value: (run) => run.file}, {title: 'Machine', value: (run) => run.machine},
        {title: 'Kind', value: (run) => run.command_name},
        {title: 'Started (UTC)', csv: 'started', value: (run) => run.started, text: (run) => Format.date(run.started)},
        {title: 'Took', csv: 'seconds', number: true, value: (run) => run.seconds, text: (run) => Format.duration(run.seconds)},
        {title: 'Exit', number: true, value: (run) => run.exit}, {title: 'Seed', number: true, value: (run) => run.seed},
        {title: 'Revision', value: (run) => run.revision}, {
            title: 'State',
            value: (run) => [Data.isUnfinished(run) ? 'unfinished' : '', run.torn ? 'last line cut off' : '',
                                run.in_process ? 'in process' : '', run.resumed ? 'resumed' : '']
                                .filter(Boolean)
                                .join(', ') ||
                'complete'
        },
        {
            title: 'Load',
            value: (run) => (run.host && Array.isArray(run.host.load) ? run.host.load[0] : null),
            number: true,
            text: (run) => (run.host && Array.isArray(run.host.load) ? Format.digits(run.host.load[0]) : '–')
        },
        {title: 'Left out', wide: true, value: (run) => run.left_out || ''},
        {title: 'Command', code: true, value: (run) => run.command || ''}
    ];

    function records() {
        const files = Data.runs.map((run) => run.file);
        const page = `batchmark report ${files.length > 6 ? 'FILES...' : files.join(' ')} -o page.html`;
        return {
            id: 'records',
            title: 'Records and commands',
            short: 'Records',
            how: 'The command of a record measures it anew; each figure above names its own. The last command makes this page ' +
                'of the records.',
            extra: [Table.create('records-table', 'Records', RECORDS, Data.runs)],
            repeat: [...new Set([...Data.commands(Data.runs.map((_, i) => i)), page])]
        };
    }

    // A plugin says of itself what its tuner chose for each cell: told once, with all the values that differ.
    function describe(texts) {
        const found = new Map();
        for (const line of texts.flatMap((text) => (text || '').trim().split('\n')).filter(Boolean)) {
            const [key, ...rest] = line.split('=');
            found.set(key, (found.get(key) || new Set()).add(rest.join('=')));
        }
        return [...found].map(([key, values]) => `${key}=${[...values].join(' | ')}`).join('; ');
    }

    // A tuner may have hundreds of choices: they open when they are asked for.
    const folded = (text) =>
        (text.length < 240 ? text : Dom.el('details', null, Dom.el('summary', null, `${text.slice(0, 160)}…`), text));

    function files() {
        const found = new Map();
        for (const plugin of Data.plugins) {
            const key = `${plugin.name} ${plugin.sha256}`;
            found.set(key, {...plugin, texts: [...(found.has(key) ? found.get(key).texts : []), plugin.describe]});
        }
        return [...found.values()];
    }

    const PLUGINS = [
        {title: 'Plugin', value: (plugin) => plugin.name, text: (plugin) => plugin.name + (plugin.by_trust ? ' (--trust)' : '')},
        {title: 'Version', value: (plugin) => plugin.version}, {
            title: 'SHA-256',
            value: (plugin) => plugin.sha256,
            text: (plugin) => (plugin.sha256 ? `${plugin.sha256.slice(0, 12)}…` : '–')
        },
        {title: 'What ran', wide: true, value: (plugin) => describe(plugin.texts), node: (plugin) => folded(describe(plugin.texts))}
    ];

    const plugins = () => (Data.plugins.length === 0 ? null : {
        id: 'plugins',
        title: 'Plugins',
        how: 'What each plugin says of itself: instruction set, tiles, what its tuner chose.',
        extra: [Table.create('plugins-table', 'Plugins', PLUGINS, files())]
    });

    Report.addPart({id: 'machines', title: 'Machines and records', prepare: () => ({})});
    [environment, records, plugins].forEach((build) => Report.addFigure('machines', build));
})();
