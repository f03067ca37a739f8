// A figure's charts as one PNG, of the same size on every screen, with title and legend drawn in.
const Picture = (() => {
    'use strict';
    const MARGIN = 28;
    const PLOT = {width: 860, height: 520};
    const LINE = 22;

    function font(context, size, weight) { context.font = `${weight || 400} ${size}px ${Chart.defaults.font.family}`; }

    function plotCanvas(plot) {
        const canvas = document.createElement('canvas');
        canvas.width = PLOT.width;
        canvas.height = plot.spec.rows ? Math.max(160, 70 + 26 * plot.spec.rows.length) : PLOT.height;
        return {canvas, height: canvas.height, chart: plot.picture(canvas), title: plot.spec.title};
    }

    function entry(context, one, x, y) {
        const style = one.style();
        context.strokeStyle = style.colour;
        context.lineWidth = 2;
        context.setLineDash(style.dash);
        context.beginPath();
        context.moveTo(x, y);
        context.lineTo(x + 30, y);
        context.stroke();
        context.setLineDash([]);
        Marker.draw(context, style.marker, x + 15, y, 1, style.colour, style.colour);
        context.fillStyle = Palette.ink('ink');
        context.fillText(one.text, x + 38, y + 4);
    }

    // Where each entry of the legend stands, in lines that are filled from the left.
    function flow(context, entries, width) {
        let [x, y] = [0, 0];
        return entries.map((one) => {
            const needs = 38 + context.measureText(one.text).width + 24;
            if (x > 0 && x + needs > width) {
                [x, y] = [0, y + LINE];
            }
            const at = {one, x, y};
            x += needs;
            return at;
        });
    }

    // legend: null where the rows of a chart tell their own names.
    function entriesOf(legend) {
        if (legend === null) {
            return [];
        }
        const several = new Set(legend.entries.map((one) => one.machine)).size > 1;
        return legend.entries.filter((one) => !legend.isHidden(one.key))
            .map((one) => ({...one, text: several ? `${one.label}, ${one.machine}` : one.label}));
    }

    function compose(title, plots, legend) {
        const parts = plots.map(plotCanvas);
        const target = document.createElement('canvas');
        const context = target.getContext('2d');
        const width = PLOT.width * parts.length + MARGIN * (parts.length + 1);
        font(context, 13);
        const places = flow(context, entriesOf(legend), width - 2 * MARGIN);
        const head = 66 + (places.length ? places[places.length - 1].y + LINE : 0);
        const height = head + LINE + Math.max(...parts.map((part) => part.height)) + MARGIN;
        target.width = 2 * width;
        target.height = 2 * height;
        context.scale(2, 2);
        context.fillStyle = Palette.ink('page');
        context.fillRect(0, 0, width, height);
        context.fillStyle = Palette.ink('ink');
        font(context, 18, 600);
        context.fillText(title, MARGIN, 42);
        font(context, 13);
        places.forEach(({one, x, y}) => entry(context, one, MARGIN + x, 70 + y));
        parts.forEach((part, i) => {
            const x = MARGIN + i * (PLOT.width + MARGIN);
            context.fillStyle = Palette.ink('soft');
            font(context, 13);
            context.fillText(parts.length > 1 ? part.title : '', x, head + 8);
            context.drawImage(part.canvas, x, head + LINE, PLOT.width, part.height);
            part.chart.destroy();
        });
        return target;
    }

    const fileName = (name) => `batchmark-${name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '')}.png`;

    function save(name, title, plots, legend) {
        const link = Dom.el('a', {href: compose(title, plots, legend).toDataURL('image/png'), download: fileName(name)});
        link.click();
        Dom.announce(`saved ${link.download}`);
    }

    return {save, compose, fileName};
})();
