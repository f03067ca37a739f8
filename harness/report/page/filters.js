// The filters of the whole page: for each property of which there are several, a list of boxes to tick. None ticked: all.
const Filters = (() => {
    'use strict';
    const DIMENSIONS = [
        ['machine', 'Machine'], ['backend', 'Backend'], ['device', 'Device'], ['model', 'Model'], ['dataset', 'Data'],
        ['optimizer', 'Optimizer'], ['batch', 'Batch']
    ];
    const KEYS = DIMENSIONS.map(([key]) => key);

    // What an object of each kind is filtered by; what is not known of it is no reason to leave it out.
    const ofCell = (cell) => ({
        machine: cell.machine,
        backend: cell.backend,
        device: cell.device_name,
        model: cell.model,
        dataset: cell.dataset,
        optimizer: cell.optimizer,
        batch: cell.batch
    });
    const ofTraining = (training) => ({
        machine: Data.machineOf(training.run),
        backend: training.backend,
        device: training.device_name,
        model: training.model,
        dataset: training.dataset
    });
    const ofSetting = (setting) => ({optimizer: setting.optimizer, batch: setting.batch});
    const ofTrend = (trend) => ({
        machine: trend.host ? trend.host.machine : undefined,
        backend: trend.backend,
        device: trend.device_name,
        model: trend.model,
        dataset: trend.dataset,
        optimizer: trend.optimizer,
        batch: trend.batch
    });

    const ofLandscape = (landscape, object) => ({
        machine: Data.machineOf(landscape.run) || undefined,
        backend: object.backend ?? undefined,
        device: object.device_name ?? undefined,
        model: object.model ?? undefined,
        dataset: object.dataset ?? undefined,
        // On a surface these are no settings of a network.
        optimizer: object.backend ? object.optimizer ?? undefined : undefined,
        batch: object.backend ? object.batch ?? undefined : undefined
    });

    // The parts of a landscape record with the objects that pass.
    const seenParts = (landscape) =>
        Object.fromEntries(Object.entries(landscape.parts)
                               .map(([part, objects]) => [part, objects.filter((one) => accepts(ofLandscape(landscape, one)))])
                               .filter(([, objects]) => objects.length > 0));

    function ofCompared(comparison, cell) {
        const [model, dataset, optimizer] = String(cell.cell).split(', ');
        return {
            machine: Data.machineOf(comparison.run) || undefined,
            backend: cell.backend,
            device: cell.device,
            model,
            dataset,
            optimizer,
            batch: cell.batch
        };
    }

    function everything() {
        return [
            ...Data.cells.map(ofCell),
            ...Data.trends.map(ofTrend),
            ...Data.trainings.flatMap(
                (training) => training.settings.map((setting) => ({...ofTraining(training), ...ofSetting(setting)}))),
            ...Data.comparisons.flatMap((comparison) => comparison.cells.map((cell) => ofCompared(comparison, cell))),
            ...Data.landscapes.flatMap(
                (landscape) => Object.values(landscape.parts).flat().map((one) => ofLandscape(landscape, one))),
        ];
    }

    function collect() {
        const found = new Map(KEYS.map((key) => [key, new Set()]));
        for (const item of everything()) {
            for (const key of KEYS) {
                if (item[key] !== undefined && item[key] !== null) {
                    found.get(key).add(item[key]);
                }
            }
        }
        return found;
    }

    function accepts(item) {
        return KEYS.every((key) => {
            const names = State.list(key);
            return names.length === 0 || item[key] === undefined || names.includes(String(item[key]));
        });
    }

    // All that the filters let through.
    function view() {
        const trainings =
            Data.trainings.filter((training) => accepts(ofTraining(training)))
                .map((training) => ({...training, settings: training.settings.filter((setting) => accepts(ofSetting(setting)))}));
        const comparisons = Data.comparisons.map(
            (comparison) => ({...comparison, cells: comparison.cells.filter((cell) => accepts(ofCompared(comparison, cell)))}));
        return {
            cells: Data.cells.filter((cell) => accepts(ofCell(cell))),
            trainings: trainings.filter((training) => training.settings.length > 0),
            comparisons: comparisons.filter((comparison) => comparison.cells.length > 0),
            trends: Data.trends.filter((trend) => accepts(ofTrend(trend))),
            landscapes: Data.landscapes
                            .map((landscape) => ({
                                ...landscape,
                                parts: seenParts(landscape),
                                verdicts: landscape.verdicts.filter((one) => accepts(ofLandscape(landscape, one)))
                            }))
                            .filter(({parts, verdicts}) => Object.keys(parts).length > 0 || verdicts.length > 0),
        };
    }

    // ---- What is seen of them ----

    const isActive = () => KEYS.some((key) => State.list(key).length > 0);

    function summarize(key, label, summary) {
        const names = State.list(key);
        const text = names.length === 0 ? 'all' : names.length === 1 ? names[0] : `${names.length} chosen`;
        summary.replaceChildren(Dom.el('span', {class: 'filter-name'}, label), ' ', Dom.el('span', {class: 'filter-value'}, text));
        summary.parentElement.classList.toggle('active', names.length > 0);
    }

    function box(key, value, tell) {
        const name = String(value);
        const text = key === 'batch' ? Format.count(value) : name;
        const tick = Dom.el('input', {
            type: 'checkbox',
            value: name,
            onchange: () => {
                const names = State.list(key).filter((other) => other !== name);
                State.setList(key, tick.checked ? [...names, name] : names);
                tell();
            }
        });
        tick.checked = State.list(key).includes(name);
        return Dom.el('label', {class: 'box'}, tick, Dom.el('span', null, text));
    }

    function control(key, label, values) {
        const sorted = [...values].sort((a, b) => (key === 'batch' ? a - b : String(a).localeCompare(String(b))));
        const summary = Dom.el('summary', {id: `filter-${key}`});
        const details = Dom.el('details', {class: 'filter', name: 'filters'}, summary);
        const tell = () => summarize(key, label, summary);
        details.append(
            Dom.el('div', {class: 'boxes', role: 'group', 'aria-label': label}, sorted.map((value) => box(key, value, tell))));
        tell();
        return details;
    }

    function closeOthers(container, kept) {
        for (const details of container.querySelectorAll('details[open]')) {
            if (details !== kept) {
                details.open = false;
            }
        }
    }

    function render() {
        const container = document.getElementById('filters');
        const found = collect();
        const several = DIMENSIONS.filter(([key]) => found.get(key).size > 1);
        container.replaceChildren(...several.map(([key, label]) => control(key, label, found.get(key))));
        container.append(Dom.button({
            id: 'filters-reset',
            class: 'quiet',
            hidden: !isActive(),
            onclick: () => {
                State.clear(KEYS);
                render();
                document.getElementById(`filter-${several[0][0]}`).focus();
            }
        },
            'Clear filters'));
    }

    function start() {
        const container = document.getElementById('filters');
        render();
        document.addEventListener('click', (event) => closeOthers(container, event.target.closest('details.filter')));
        container.addEventListener('keydown', (event) => {
            const open = event.target.closest('details[open]');
            if (event.key === 'Escape' && open) {
                open.open = false;
                open.querySelector('summary').focus();
            }
        });
    }

    // How much of the report is seen, told under the filters.
    function tell(seen) {
        document.getElementById('filters-reset').hidden = !isActive();
        const text = `${Format.count(seen.cells.length)} of ${Format.plural(Data.cells.length, 'cell')}`;
        document.getElementById('filtered').textContent = isActive() ? `The filters let ${text} through.` : '';
    }

    return {start, render, view, tell, KEYS, isActive};
})();
