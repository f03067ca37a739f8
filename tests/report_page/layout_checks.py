"""Three sizes of window, light and dark: nothing wider than the window, nothing empty."""
import unittest

import pages
from browser import PageCase, SIZES, THEMES, WHOLE, wait_for


class Layout(PageCase):
    @unittest.skipUnless(WHOLE, "the short form has a window that changes")
    def test_sizes(self):
        for width, height in SIZES:
            self.size(width, height)
            self.open(pages.everything())
            self.unfold_all()
            self.draw_all()
            for theme in THEMES:
                with self.subTest(f"{width}x{height} {theme}"):
                    self.turn(theme)
                    self.check_width(width)
                    self.check_charts()

    def turn(self, theme):
        """The system's choice, which the page follows."""
        self.media(theme)
        wait_for(lambda: self.run_script("return document.documentElement.dataset.theme") == theme, f"the {theme} theme")

    def check_width(self, width):
        self.assertEqual(self.run_script("return document.documentElement.scrollWidth"), width)
        wide = self.run_script(
            """return [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility() &&
            !one.closest('.scroll, .unseen, .skip, noscript, script') && one.getBoundingClientRect().right > innerWidth + 0.5)
            .map((one) => one.outerHTML.slice(0, 100))"""
        )
        self.assertEqual(wide, [])
        boxes = self.run_script(
            "return [...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"
        )
        self.assertGreater(boxes, 0, "wide tables scroll in their own box")

    def check_charts(self):
        """Each is as wide as its place, and drawn in more than its background."""
        empty = self.run_script(
            """return [...document.querySelectorAll('canvas')].filter((canvas) => {
            const box = canvas.parentElement.getBoundingClientRect();
            const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
            const context = copy.getContext('2d', {willReadFrequently: true});
            context.drawImage(canvas, 0, 0);
            const pixels = new Uint32Array(context.getImageData(0, 0, copy.width, copy.height).data.buffer);
            const colours = new Set();
            const isDrawn = pixels.some((pixel) => colours.add(pixel).size === 10);
            return Math.abs(canvas.clientWidth - box.width) > 1 || Math.abs(canvas.clientHeight - box.height) > 1 || !isDrawn;
        }).map((canvas) => canvas.id)"""
        )
        self.assertEqual(empty, [])
        self.assertGreater(len(self.find_all("canvas")), 10)

    def test_window_that_changes(self):
        """One that gets narrower and then wide."""
        wide, medium, narrow = SIZES
        self.size(*medium)
        self.open(pages.everything())
        self.unfold_all()
        self.draw_all()
        heights = []
        for width, height in (medium, narrow, wide):
            self.size(width, height)
            self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            self.check_width(width)
            self.check_charts()
            heights.append(self.find("#chart-optimizers").size["height"])
        self.assertGreater(heights[1], 1.3 * heights[2], "in a narrow window the names of rows stand above them")
        self.turn("dark")
        self.check_charts()
