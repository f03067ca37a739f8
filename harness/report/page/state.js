// What the reader has chosen, kept in the address's fragment, so that a view can be passed on: #backend=avx2&case=1
const State = (() => {
    'use strict';
    const values = new Map();
    const listeners = [];

    function read() {
        values.clear();
        const text = location.hash.slice(1);
        if (text.includes('=')) {
            for (const [key, value] of new URLSearchParams(text)) {
                values.set(key, value);
            }
        }
    }

    // Of a page opened from disk the address can be replaced too, for only the fragment changes.
    function write() {
        const text = new URLSearchParams([...values]).toString();
        history.replaceState(null, '', text ? `#${text}` : location.pathname + location.search);
    }

    function set(key, value) {
        if (value === null || value === '') {
            values.delete(key);
        } else {
            values.set(key, String(value));
        }
        write();
        listeners.forEach((listener) => listener(key));
    }

    const get = (key, otherwise) => (values.has(key) ? values.get(key) : otherwise);

    // A list is kept as JSON: names may hold commas.
    function list(key) {
        const text = values.get(key);
        if (text === undefined) {
            return [];
        }
        try {
            const found = JSON.parse(text);
            return Array.isArray(found) ? found.map(String) : [];
        } catch (error) {
            if (error instanceof SyntaxError) {  // somebody typed it: a single name
                return [text];
            }
            throw error;
        }
    }

    const setList = (key, names) => set(key, names.length ? JSON.stringify(names) : null);
    const clear = (keys) => {
        keys.forEach((key) => values.delete(key));
        write();
        listeners.forEach((listener) => listener(keys[0]));
    };

    read();
    return {get, set, list, setList, clear, read, onChange: (listener) => listeners.push(listener)};
})();
