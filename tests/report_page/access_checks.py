"""Names, headings, contrast, and the page without a mouse."""
import pages
from browser import Keys, PageCase, THEMES

CONTROLS = {"button", "checkbox", "combobox", "link", "textbox", "DisclosureTriangle", "image", "img", "region", "navigation"}

CONTRAST = """
const channel = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const ratio = (a, b) => { const [x, y] = [luminance(a), luminance(b)]; return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05); };
const known = new Map();
function behind(element) {
    if (!element) { return [255, 255, 255]; }
    if (!known.has(element)) {
        const colour = numbers(getComputedStyle(element).backgroundColor);
        if (colour.length === 4 && colour[3] > 0 && colour[3] < 1) { throw new Error('a background that is half seen through'); }
        known.set(element, colour.length < 4 || colour[3] === 1 ? colour.slice(0, 3) : behind(element.parentElement));
    }
    return known.get(element);
}
"""


class Access(PageCase):
    def test_headings(self):
        self.view(pages.everything())
        levels = self.run_script(
            "return [...document.querySelectorAll('h1, h2, h3, h4, h5')].map((one) => [Number(one.tagName[1]), one.textContent])"
        )
        self.assertEqual([level for level, _ in levels].count(1), 1)
        self.assertEqual(levels[0][0], 1)
        for (before, _), (level, text) in zip(levels, levels[1:]):
            self.assertLessEqual(level, before + 1, text)
            self.assertNotEqual(text.strip(), "")
        self.assertEqual(self.run_script("return document.documentElement.lang"), "en")
        self.assertEqual(self.run_script("return document.querySelectorAll('main').length"), 1)
        repeated = self.run_script(
            """const ids = [...document.querySelectorAll('[id]')].map((one) => one.id);
            return ids.filter((id, i) => ids.indexOf(id) !== i)"""
        )
        self.assertEqual(repeated, [])

    def test_names(self):
        """As the browser tells them to a screen reader. Rows that hold cells of text only have none of the CONTROLS; they would be
        most of what it tells."""
        self.view(pages.everything())
        self.unfold_all()
        self.run_script(
            "document.querySelectorAll('tbody tr').forEach((row) => { if (!row.querySelector(':not(th, td)')) { row.remove(); } })"
        )
        nodes = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        nameless = []
        seen = set()
        for node in nodes:
            role = node.get("role", {}).get("value")
            if not node.get("ignored") and role in CONTROLS:
                seen.add(role)
                if not node.get("name", {}).get("value", "").strip():
                    nameless.append((role, node.get("backendDOMNodeId")))
        self.assertEqual(nameless, [])
        self.assertTrue({"button", "combobox", "link", "DisclosureTriangle"} <= seen, seen)
        canvases = self.run_script(
            "return [...document.querySelectorAll('canvas')].every((one) => one.ariaLabel && one.getAttribute('role') === 'img')"
        )
        self.assertTrue(canvases)
        states = self.run_script(
            "return [...document.querySelectorAll('.entry, #theme button, .tools [id*=log]')]"
            ".every((one) => /^(true|false)$/.test(one.ariaPressed))"
        )
        self.assertTrue(states)

    def test_contrast(self):
        for theme in THEMES:
            with self.subTest(theme):
                self.view(pages.everything(), f"#theme={theme}")
                self.press("#filter-backend")
                low = self.run_script(
                    CONTRAST
                    + """
                    const found = new Set();
                    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                    let count = 0;
                    while (walker.nextNode()) {
                        const element = walker.currentNode.parentElement;
                        const style = getComputedStyle(element);
                        const skipped = element.closest('script, .unseen, [disabled], noscript');
                        if (!walker.currentNode.data.trim() || !element.checkVisibility() || skipped) { continue; }
                        const size = parseFloat(style.fontSize);
                        const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
                        const value = ratio(numbers(style.color).slice(0, 3), behind(element));
                        count++;
                        if (value < (large ? 3 : 4.5) && !element.closest('.arrow')) {
                            found.add(`${value.toFixed(2)} ${element.className} ${walker.currentNode.data.trim().slice(0, 30)}`);
                        }
                    }
                    return [count, [...found]]"""
                )
                self.assertGreater(low[0], 300)
                self.assertEqual(low[1], [])
                lines = self.run_script(
                    CONTRAST
                    + """
                    const page = behind(document.body);
                    const hex = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
                    return Palette.COLOURS[arguments[0]].map((colour) => ratio(hex(colour), page))""",
                    theme,
                )
                self.assertEqual(len(lines), 8)
                self.assertGreaterEqual(min(lines), 3)
                edges = self.run_script(
                    CONTRAST
                    + """
                    const button = document.querySelector('#times-png');
                    return ratio(numbers(getComputedStyle(button).borderTopColor).slice(0, 3), behind(button))"""
                )
                self.assertGreaterEqual(edges, 3)

    def test_lines_differ_without_colour(self):
        self.view(pages.everything())
        marks = self.run_script(
            """return Array.from({length: 56}, (_, index) => {
            const style = Lines.style({index, kind: 'processor'})();
            return [style.colour, style.marker];
        })"""
        )
        self.assertEqual(len({tuple(mark) for mark in marks}), len(marks))
        self.assertEqual(len({mark[1] for mark in marks[:7]}), 7)
        dashes = self.run_script(
            "return Object.fromEntries(drawn('update').data.datasets.map((one) => [one.label, one.borderDash.join()]))"
        )
        self.assertNotEqual(dashes["vulkan:1, 8 threads on alpha"], dashes["avx2, 8 threads on alpha"])

    def test_no_motion(self):
        self.view(pages.everything())
        moving = self.run_script(
            """return [Chart.defaults.animation, ...[...document.querySelectorAll('*')].map((one) => getComputedStyle(one))
            .filter((style) => style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0).map(() => 'moves')]"""
        )
        self.assertEqual(moving, [False])


class Keyboard(PageCase):
    def walk(self, wanted, limit=400):
        """Tabs until something has the focus, which must be seen to have it."""
        for _ in range(limit):
            self.keys(Keys.TAB)
            found = self.focused()
            if found == wanted:
                outline = self.run_script(
                    "const style = getComputedStyle(document.activeElement);"
                    "return [style.outlineStyle, parseFloat(style.outlineWidth)]"
                )
                self.assertNotEqual(outline[0], "none", found)
                self.assertGreaterEqual(outline[1], 1, found)
                return
        self.fail(f"the Tab key does not reach {wanted}")

    def test_keyboard(self):
        self.open(pages.measured())
        self.keys(Keys.TAB)
        self.assertEqual(self.focused(), "Skip to the figures")
        self.keys(Keys.ENTER)
        self.assertEqual(self.focused(), "content")
        self.walk("filter-machine")
        self.keys(Keys.ENTER)
        self.assertTrue(self.run_script("return document.activeElement.parentElement.open"))
        self.keys(Keys.TAB, Keys.SPACE)
        self.assertEqual({label.split(", ")[1] for label in self.chart("update")}, {"8 threads"}, "alpha's, not beta's 4")
        self.keys(Keys.ESCAPE)
        self.assertEqual(self.focused(), "filter-machine")
        self.walk("case")
        self.keys(Keys.ARROW_DOWN)
        self.assertIn("avx2, 8 threads", self.chart("update"))
        self.assertIn("case=1", self.run_script("return location.hash"))
        self.assertEqual(self.focused(), "case", "the focus stays where the figures are drawn anew")
        self.walk("avx2, 8 threads")
        self.keys(Keys.SPACE)
        self.assertNotIn("avx2, 8 threads", self.chart("update"))
        self.keys(Keys.ENTER)
        self.assertIn("avx2, 8 threads", self.chart("update"))
        self.walk("times-log-y")
        self.keys(Keys.ENTER)
        self.assertEqual(self.axis("update", "y"), "linear")
        self.keys(Keys.SPACE)
        self.assertEqual(self.axis("update", "y"), "logarithmic")
        self.walk("cells-table-by-1")
        self.keys(Keys.ENTER)
        self.assertEqual(self.focused(), "cells-table-by-1", "the focus stays where the rows are sorted")
        self.assertEqual(self.find_all("#cells th[aria-sort=ascending]")[0].text[:7], "Machine")
