"""Switches, choices and filters, and that a view can be passed on by its address."""
import json
import urllib.parse

import pages
from browser import PageCase, wait_for


class ControlsCase(PageCase):
    def pressed(self, selector):
        return self.find(selector).get_attribute("aria-pressed")

    def tick(self, key, value):
        self.press(f"#filter-{key}")
        self.press(f"#filters details[open] input[value='{value}']")


class Controls(ControlsCase):
    """On a page in common."""

    def test_legend(self):
        self.view(pages.measured())
        entry = next(button for button in self.find_all("#times .entry") if button.text == "avx2, 8 threads")
        label = "avx2, 8 threads on alpha"
        self.assertIn(label, self.chart("update"))
        self.assertIn(label, self.chart("epoch"))
        entry.click()
        self.assertEqual(entry.get_attribute("aria-pressed"), "false")
        self.assertNotIn(label, self.chart("update"))
        self.assertNotIn(label, self.chart("epoch"))
        self.assertIn(label, self.chart("harness"), "another figure's legend is its own")
        entry.click()
        self.assertIn(label, self.chart("update"))

    def test_highlight(self):
        self.view(pages.measured())
        self.chart("update")
        entry = self.find("#times .entry")
        self.run_script("arguments[0].dispatchEvent(new Event('mouseenter'))", entry)
        colours = self.run_script("return drawn('update').data.datasets.map((one) => one.borderColor)")
        self.assertEqual(sum(len(colour) == 7 for colour in colours), 1, colours)
        self.run_script("arguments[0].dispatchEvent(new Event('mouseleave'))", entry)
        colours = self.run_script("return drawn('update').data.datasets.map((one) => one.borderColor)")
        self.assertTrue(all(len(colour) == 7 for colour in colours), colours)

    def test_filters(self):
        self.view(pages.measured())
        self.tick("backend", "avx2")
        self.assertEqual(set(self.chart("update")), {"avx2, 8 threads"}, "of one machine: its name tells nothing")
        self.assertEqual(self.find("#overview .tile dd").text, "1", "machines")
        self.assertIn("of 47 cells", self.find("#filtered").text)
        self.assertEqual(self.find_all("#accuracy"), [], "what the filters leave empty is not there")
        self.assertEqual({text.split(",")[0] for text in self.texts("#cells tbody th")}, {"avx2"})
        self.draw_all()
        self.press("#filters input[value='neon']")
        self.assertEqual(set(self.chart("update")), {"avx2, 8 threads on alpha", "neon, 4 threads on beta"})
        self.press("#filters-reset")
        self.assertEqual(len(self.chart("update")), 6)
        self.assertEqual(self.find("#filtered").text, "")

    def only(self, key, value):
        """As tick(), by the address."""
        self.view(pages.measured(), "#" + urllib.parse.urlencode({key: json.dumps([value])}))
        boxes = "return [...document.querySelectorAll(arguments[0])].map((one) => one.checked)"
        self.assertEqual(self.run_script(boxes, f"#filter-{key} + * input[value='{value}']"), [True], key)

    def test_every_filter(self):
        for key, value, count in (
            ("machine", "beta", 8),
            ("device", "Example GPU 16", 9),
            ("model", "f1", 9),
            ("batch", "10000", 5),
        ):
            with self.subTest(key):
                self.only(key, value)
                self.assertIn(f"{count} of 47 cells", self.find("#filtered").text)
        self.only("optimizer", "adam")
        self.assertEqual({line.split(",")[0] for line in self.chart("curves")}, {"adam"})
        self.only("dataset", "mnist")
        self.assertEqual(self.find_all("#time"), [])

    def test_nothing_left(self):
        self.view(pages.measured())
        self.tick("backend", "neon")
        self.tick("model", "f1")
        self.assertIn("0 of 47 cells", self.find("#filtered").text)
        self.assertEqual(self.find_all("#time canvas"), [])
        self.draw_all()

    def test_theme(self):
        def background():
            return self.run_script("return getComputedStyle(document.body).backgroundColor")

        def colour():
            return self.run_script("return drawn('update').data.datasets[0].borderColor")

        self.view(pages.measured())
        light, line = background(), colour()
        self.press("#theme button[value='dark']")
        dark = background()
        self.assertNotEqual(dark, light)
        self.assertNotEqual(colour(), line, "the charts take part")
        self.assertEqual(self.pressed("#theme button[value='dark']"), "true")
        self.press("#theme button[value='auto']")
        self.assertEqual(background(), light)
        self.media("dark")
        wait_for(lambda: background() == dark, "the system's choice to count")
        self.press("#theme button[value='light']")
        self.assertEqual(background(), light)

    def test_trend(self):
        self.view(pages.measured())
        trends = pages.record("history.jsonl")
        self.choose("#trend-of", "2")
        self.assertIn("scalar", self.find("#trend .finding strong").text)
        self.press("#trend tbody button[aria-label*='avx512']")
        self.assertIn("LOST", self.find("#trend .finding").text)
        self.assertEqual(len(next(iter(self.chart("trend").values()))), len(trends[3]["points"]))

    def test_two_trainings(self):
        """Two records of trainings: one is shown, the other can be chosen, and the address remembers it."""
        self.view(pages.two_trainings())
        options = self.run_script("return [...document.querySelector('#training').options].map((one) => one.textContent)")
        self.assertEqual(len(options), 2)
        self.draw_all()
        self.choose("#training", "1")
        self.draw_all()
        second = self.chart("budgets-test")
        self.choose("#training", "0")
        self.assertNotEqual(set(self.chart("budgets-test")), set(second))
        self.assertIn("training=0", self.run_script("return location.hash"))
        words = self.find("#overview .finding").text
        for name in ("mnist", "fashion-mnist"):
            self.assertIn(f"Highest validation accuracy of mlp, {name}: ", words)

    def test_contents(self):
        self.view(pages.measured())
        link = next(link for link in self.find_all("#contents a") if link.text == "Trend" or link.text == "History")
        link.click()
        top = self.run_script("return document.getElementById('trends-title').getBoundingClientRect().top")
        self.assertTrue(0 <= top < 200, top)
        self.assertEqual(self.run_script("return location.hash"), "", "the address holds choices only")
        links = self.run_script(
            "return [...document.querySelectorAll('#contents a')].filter((a) => !document.querySelector(a.hash)).length"
        )
        self.assertEqual(links, 0)


class OwnPages(ControlsCase):
    def test_axes(self):
        self.open(pages.measured())
        for name in ("x", "y"):
            self.assertEqual([self.axis(chart, name) for chart in ("update", "epoch")], ["logarithmic", "logarithmic"])
            self.assertEqual(self.pressed(f"#times-log-{name}"), "true")
            self.press(f"#times-log-{name}")
            self.assertEqual([self.axis(chart, name) for chart in ("update", "epoch")], ["linear", "linear"])
            self.assertEqual(self.pressed(f"#times-log-{name}"), "false")
        self.choose("#series", "gradient")  # drawn anew, the choice stays
        self.assertEqual(self.axis("update", "x"), "linear")

    def test_ideal_lines(self):
        self.open(pages.measured())
        self.chart("update")
        self.press("#times-ideal")
        self.assertEqual(self.pressed("#times-ideal"), "true")
        self.assertTrue(self.run_script("return drawn('update').$ideals"))
        lines = self.run_script("return drawn('update').$spec.ideals.map((line) => [line.at(1), line.at(10)])")
        self.assert_near(lines[0][1], lines[0][0], "an update that costs the same")
        self.assert_near(lines[1][1], 10 * lines[1][0], "an image that costs the same")

    def test_address(self):
        self.view(pages.measured())
        self.tick("backend", "avx512")
        self.choose("#case", "1")
        fragment = self.run_script("return location.hash")
        before = self.chart("update")
        self.open(pages.measured(), fragment)
        self.assertEqual(self.chart("update"), before)
        self.assertEqual(self.find("#case").get_attribute("value"), "1")
        self.assertTrue(self.run_script("return document.querySelector(\"#filters input[value='avx512']\").checked"))
        self.assertIn("case=1", fragment)

    def test_bad_address(self):
        for fragment in ("#%%%=1&backend=%5B%22", "#times", "#case=99&series=x&base=nobody&budget=%5B1&theme=pink&trend=-1"):
            with self.subTest(fragment):
                self.open(pages.measured(), fragment)
                self.draw_all()
                self.assertEqual(self.find("h1").text, "Batchmark report")
        self.assertGreater(len(self.chart("update")), 0)
