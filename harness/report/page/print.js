// On paper everything is there: all charts are drawn, light, and as wide as the sheet.
const Print = (() => {
    'use strict';

    const WIDTH = 660;  // of A4 and of Letter between the margins of the style sheet, in CSS pixels

    function before() {
        Lazy.drawAll();
        Theme.print(true);
        Plot.toSheet(WIDTH);
    }

    function after() {
        Theme.print(false);
        Plot.toWindow();
    }

    function start() {
        addEventListener('beforeprint', before);
        addEventListener('afterprint', after);
    }

    return {start, before};
})();
