// Charts are drawn when they come near the window, and all of them before the page is printed.
const Lazy = (() => {
    'use strict';
    const waiting = new Map();  // element: what draws it

    function draw(element) {
        const how = waiting.get(element);
        if (how) {
            waiting.delete(element);
            observer.unobserve(element);
            how();
        }
    }

    const observer = new IntersectionObserver(
        (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)), {rootMargin: '300px'});

    function watch(element, how) {
        waiting.set(element, how);
        observer.observe(element);
    }

    function forget(element) {
        waiting.delete(element);
        observer.unobserve(element);
    }

    const drawAll = () => [...waiting.keys()].forEach(draw);

    return {watch, forget, drawAll, waiting: () => waiting.size};
})();
