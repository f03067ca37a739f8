// The shapes of points, the same path on a canvas, in a legend and in a saved picture. Each can be filled or hollow.
const Marker = (() => {
    'use strict';
    const PATHS = [
        // within -5 .. 5
        'M4.5 0A4.5 4.5 0 1 1 -4.5 0A4.5 4.5 0 1 1 4.5 0Z',
        'M-4 -4H4V4H-4Z',
        'M0 -5L5 4H-5Z',
        'M0 -5.5L5.5 0L0 5.5L-5.5 0Z',
        'M-1.8 -5H1.8V-1.8H5V1.8H1.8V5H-1.8V1.8H-5V-1.8H-1.8Z',
        'M0 5L5 -4H-5Z',
        'M0 -5.5L1.6 -1.8L5.4 -1.7L2.4 .8L3.4 4.6L0 2.5L-3.4 4.6L-2.4 .8L-5.4 -1.7L-1.6 -1.8Z',
    ];

    function draw(context, shape, x, y, size, colour, fill) {
        context.save();
        context.translate(x, y);
        context.scale(size, size);
        const path = new Path2D(PATHS[shape]);
        context.fillStyle = fill;
        context.fill(path);
        context.strokeStyle = colour;
        context.lineWidth = 1.6 / size;
        context.stroke(path);
        context.restore();
    }

    return {PATHS, draw};
})();
