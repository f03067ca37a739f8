// Copies text; where the browser does not allow it, the text is shown selected, for the reader to copy.
const Clipboard = (() => {
    'use strict';

    function offer(text) {
        const area = Dom.el('textarea', {readonly: true, rows: 12, 'aria-label': 'Text to copy'});
        area.value = text;
        const dialog = Dom.el('dialog', {class: 'copy', 'aria-label': 'Copy'},
            Dom.el('p', null, 'This browser lets no page copy by itself. The text is selected: copy it with Ctrl+C or ⌘C.'), area,
            Dom.el('form', {method: 'dialog'}, Dom.el('button', null, 'Close')));
        dialog.addEventListener('close', () => dialog.remove());
        document.body.append(dialog);
        dialog.showModal();
        area.focus();
        area.select();
    }

    function confirm(button) {
        const text = button.textContent;
        button.textContent = 'Copied';
        Dom.announce('copied');
        setTimeout(() => {
            button.textContent = text;
        }, 1500);
    }

    // button: the one that was pressed, which then says so.
    function copy(text, button) {
        if (!navigator.clipboard) {
            offer(text);
            return;
        }
        navigator.clipboard.writeText(text).then(() => confirm(button), () => offer(text));
    }

    return {copy};
})();
