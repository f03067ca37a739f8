// The loss on the plane through three points, with the trainings' paths projected onto it.
(() => {
    'use strict';
    const STEEP = 30;  // heights that differ by more are drawn on a logarithmic scale

    const nameOf = (plane) => (plane.names || []).join(', ');

    // Logarithmic where that shows more.
    function fieldOf(plane) {
        const known = plane.values.filter(Format.isNumber);
        const [low, high] = [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
        return {x: plane.x, y: plane.y, values: plane.values, log: low > 0 && high > STEEP * low};
    }

    function series(plane) {
        const style = Settings.styles(plane.paths.map((path) => path.name));
        return plane.paths
            .map((path) => ({
                key: path.name || 'path',
                label: path.name || 'path',
                style: style(path.name),
                points: Landscape.sparse(Landscape.zip(path.x, path.y, (i) => ({
                    name: path.name,
                    epoch: path.epochs[i],
                    off: path.off[i],
                    tell: [`epoch ${Landscape.number(path.epochs[i])}`, `distance from the plane ${Landscape.number(path.off[i])}`]
                })))
            }))
            .filter((line) => line.points.length > 0);
    }

    const places = (plane) => plane.points.filter((one) => Format.isNumber(one.x) && Format.isNumber(one.y))
                                  .map((one) => ({x: one.x, y: one.y, text: one.name || '', shape: 0}));

    const COLUMNS = [
        {title: 'Path', value: (row) => row.name}, {title: 'Epoch', number: true, value: (row) => row.epoch},
        {title: 'x', number: true, value: (row) => row.x, text: (row) => Landscape.number(row.x)},
        {title: 'y', number: true, value: (row) => row.y, text: (row) => Landscape.number(row.y)},
        {title: 'Off the plane', csv: 'off', number: true, value: (row) => row.off, text: (row) => Landscape.number(row.off)}
    ];

    function finding(plane) {
        const off = plane.paths.flatMap((path) => path.off).filter(Format.isNumber);
        return off.length ? `Paths lie up to ${Landscape.number(Math.max(...off))} off the plane: what is drawn is their shadow.`
                          : null;
    }

    function build(shared) {
        const planes = shared.of('plane');
        if (planes.length === 0) {
            return null;
        }
        const names = planes.map(nameOf);
        const plane = planes[Math.max(0, names.indexOf(State.get('plane')))];
        const lines = series(plane);
        const axis = (name) => ({log: false, format: Landscape.axis, min: plane[name].low, max: plane[name].high});
        return {
            id: 'plane',
            title: 'A plane through three points',
            short: 'Plane with paths',
            file: `plane ${nameOf(plane)}`,
            pictureTitle: `Training loss on the plane through ${nameOf(plane)}`,
            finding: finding(plane),
            how: `Training loss on the plane through ${
                nameOf(plane)}; contour lines join points of equal loss. Paths are projected. ${Landscape.abouts([plane])}`,
            choices: planes.length > 1 ? [Dom.select('plane-of', 'Plane', names.map((one) => [one, one]), nameOf(plane),
                                             (value) => State.set('plane', value))]
                                       : [],
            plots: [{
                name: 'plane',
                title: `Plane through ${nameOf(plane)}`,
                text: plane.points.map((one) => `${one.name} at ${Landscape.number(one.x)}, ${Landscape.number(one.y)}`).join('. '),
                field: fieldOf(plane),
                places: places(plane),
                x: axis('x'),
                y: axis('y'),
                series: lines
            }],
            legendId: `plane ${nameOf(plane)}`,
            table: {columns: COLUMNS, rows: lines.flatMap((line) => line.points)},
            repeat: shared.repeat('plane'),
        };
    }

    Report.addFigure('landscape', build);
})();
