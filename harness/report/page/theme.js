// Light or dark, as the system says or as the reader has chosen; print is light.
const Theme = (() => {
    'use strict';
    const CHOICES = [['auto', 'Auto'], ['light', 'Light'], ['dark', 'Dark']];
    const system = matchMedia('(prefers-color-scheme: dark)');
    const listeners = [];
    let printing = false;

    const chosen = () => {
        const name = State.get('theme', 'auto');
        return CHOICES.some(([known]) => known === name) ? name : 'auto';
    };

    function isDark() { return !printing && (chosen() === 'dark' || (chosen() === 'auto' && system.matches)); }

    function apply() {
        document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
        for (const button of document.querySelectorAll('#theme button')) {
            button.setAttribute('aria-pressed', String(button.value === chosen()));
        }
        listeners.forEach((listener) => listener());
    }

    function print(is) {
        printing = is;
        apply();
    }

    function start() {
        document.getElementById('theme').append(...CHOICES.map(
            ([value, text]) => Dom.button({value, onclick: () => State.set('theme', value === 'auto' ? null : value)}, text)));
        system.addEventListener('change', apply);
        apply();
    }

    return {start, apply, isDark, print, onChange: (listener) => listeners.push(listener)};
})();
