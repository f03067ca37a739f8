// On paper everything is there: all charts are drawn, light, and as wide as the sheet.
const Print = (() => {
    'use strict';

    function before() {
        Lazy.drawAll();
        Theme.print(true);
    }

    function start() {
        addEventListener('beforeprint', before);
        addEventListener('afterprint', () => Theme.print(false));
    }

    return {start, before};
})();
