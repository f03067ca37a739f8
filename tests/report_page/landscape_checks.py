"""The landscape's part: charts have the values of the record, surfaces and paths are really drawn, switches choose."""
import statistics

import pages
from browser import PageCase, SIZES, THEMES, WHOLE

FIGURES = ["surface", "examples", "crossings", "network-saddle", "weights", "spectrum", "walk", "sharpness", "filter-lines",
           "between", "plane", "noise", "critical-batch", "points", "not-computed"]


def method(item):
    return f"{item['optimizer']}, {'full batch' if item['batch'] is None else 'batch ' + str(item['batch'])}"


class LandscapeCase(PageCase):
    """What the tests of a landscape ask of a chart."""

    def points(self, name):
        """The points of a chart in their order: {label: [[x, y, low, high]]}."""
        return self.run_script(
            """const {series} = drawn(arguments[0]).$spec;
            const found = {};
            for (const {label, points} of series) {
                found[label] = [...(found[label] || []), ...points.map(({x, y, low, high}) => [x, y, low ?? null, high ?? null])];
            }
            return found;""",
            name,
        )

    def rows(self, name):
        return self.run_script(
            """const {rows, series} = drawn(arguments[0]).$spec;
            return rows.map((row, i) => [row.label, row.right, series[0].points[i].x, series[0].points[i].low ?? null])""",
            name,
        )


class Figures(LandscapeCase):
    def setUp(self):
        super().setUp()
        self.view(pages.landscape_only(), only_choices=True)

    def compare(self, found, expected, what):
        """found: points of a line; expected: [(x, y)]."""
        self.assertEqual(len(found), len(expected), what)
        for point, (x, y) in zip(found, expected):
            self.assert_near(point[0], x, f"{what}: x")
            self.assert_near(point[1], y, f"{what}: y")

    def test_all_figures(self):
        self.assertEqual([one.get_attribute("id") for one in self.find_all("#landscape .figure")], FIGURES)
        parts = [one.get_attribute("id") for one in self.find_all(".part")]
        self.assertEqual(parts, ["overview", "landscape", "machines"], "parts without data are not there")
        self.assertEqual(self.find_all("#landscape-record"), [], "one record needs no choice")

    # ---- Surfaces ----

    def test_surface_and_paths(self):
        for name in ("examples", "saddle", "rosenbrock"):
            self.choose("#surface-of", name)
            contour = next(item for item in pages.landscape("contour") if item["surface"] == name)
            field = self.run_script("return drawn('surface').$spec.field")
            self.assertEqual((field["x"], field["y"]), (contour["x"], contour["y"]))
            for found, expected in zip(field["values"], contour["values"]):
                self.assert_near(found, expected, "height")
            paths = [item for item in pages.landscape("path") if item["surface"] == name]
            found = self.points("surface")
            self.assertEqual(set(found), {method(item) for item in paths})
            for item in paths:
                self.compare(found[method(item)], item["points"], f"{name}, {method(item)}")

    def test_surface_of_one_parameter(self):
        self.choose("#surface-of", "hill")
        contour = next(item for item in pages.landscape("contour") if item["surface"] == "hill")
        found = self.points("surface")
        step = (contour["x"]["high"] - contour["x"]["low"]) / (contour["x"]["count"] - 1)
        curve = [(contour["x"]["low"] + i * step, value) for i, value in enumerate(contour["values"])]
        for point, (x, y) in zip(found.pop("the surface"), curve):
            self.assertLess(abs(point[0] - x), 1e-5)
            self.assert_near(point[1], y, "height")
        for item in (item for item in pages.landscape("path") if item["surface"] == "hill"):
            self.compare(found[method(item)], [(p[0], loss) for p, loss in zip(item["points"], item["losses"])], method(item))
        crossed = [method(item) for item in pages.landscape("path") if item["surface"] == "hill" and item["crossed"]]
        self.assertIn(crossed[0], self.find("#surface .finding").text)

    def test_paths_with_and_without_noise(self):
        self.choose("#surface-of", "saddle")
        self.assertEqual(len(self.points("surface")), 8)
        self.choose("#surface-batch", "batch 4")
        self.assertEqual({name.split(", ")[1] for name in self.points("surface")}, {"batch 4"})
        self.choose("#surface-batch", "full batch")
        self.assertEqual({name.split(", ")[1] for name in self.points("surface")}, {"full batch"})
        self.choose("#surface-of", "rosenbrock")
        self.assertEqual(len(self.points("surface")), 4, "the choice stays")

    def test_two_starts_and_two_rates(self):
        """Each start of a surface is a choice of its own; two rates of one optimizer are told by name and by looks."""
        values = self.run_script("return [...document.querySelector('#surface-of').options].map((one) => one.value)")
        self.assertEqual([value for value in values if "valley" in value], ["valley\nthe usual start", "valley\nthe other end"])
        self.choose("#surface-of", "valley\nthe usual start")
        self.assertEqual(len(self.points("surface")), 8)
        self.choose("#surface-of", "valley\nthe other end")
        self.assertEqual(set(self.points("surface")), {"sgd, full batch, rate 0.1", "sgd, full batch, rate 0.4"})
        looks = self.run_script("return drawn('surface').$spec.series.map(({style}) => [style().colour, style().marker])")
        self.assertEqual(len({look[0] for look in looks}), 2, looks)
        self.assertEqual(len({look[1] for look in looks}), 2, looks)

    def test_contour_lines(self):
        """Every end of every piece lies on a side of a cell, where the height between its corners is that of the line."""
        for name in ("saddle", "rosenbrock"):
            self.choose("#surface-of", name)
            worst = self.run_script(
                """const {field} = drawn('surface').$spec;
                const {lines, scale} = Contours.of(field);
                const at = (column, row) => scale.map(field.values[row * field.x.count + column]);
                let [worst, count] = [0, 0];
                for (const {height, pieces} of lines) {
                    for (const [column, row] of pieces.flat()) {
                        const [c, r] = [Math.floor(column), Math.floor(row)];
                        const [fc, fr] = [column - c, row - r];
                        const next = at(fc > 0 ? c + 1 : c, fr > 0 ? r + 1 : r);
                        const share = Math.max(fc, fr);
                        const found = (1 - share) * at(c, r) + share * next;
                        worst = Math.max(worst, Math.min(fc, fr), Math.abs(found - scale.map(height)));
                        count++;
                    }
                }
                return {worst, count, lines: lines.filter((line) => line.pieces.length > 0).length};"""
            )
            self.assertGreater(worst["lines"], 5, name)
            self.assertGreater(worst["count"], 500, name)
            self.assertLess(worst["worst"], 1e-6, name)

    def test_scale_of_a_picture(self):
        """The saved picture has the surface too."""
        found = self.run_script(
            """const [figure] = Report.figures().filter(({element}) => element.id === 'surface');
            const canvas = Picture.compose('title', figure.plots, figure.legend);
            const context = canvas.getContext('2d', {willReadFrequently: true});
            const pixels = new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
            return new Set(pixels).size;"""
        )
        self.assertGreater(found, 100)

    # ---- The other figures ----

    def test_examples(self):
        for against in ("updates", "examples", "seconds"):
            self.choose("#examples-by", against)
            found = self.points("examples")
            for item in (item for item in pages.landscape("path") if item["surface"] == "examples"):
                self.compare(found[method(item)], list(zip(item[against], item["losses"])), f"{against}, {method(item)}")

    def test_crossings(self):
        counts = pages.landscape("count")
        for chosen in ("hill: crosses the hill", "network: leaves the saddle"):
            self.choose("#crossing", chosen)
            own = [item for item in counts if f"{item['surface']}: {item['question']}" == chosen]
            found = self.rows("crossings")
            self.assertEqual([row[0] for row in found], [method(item) for item in own])
            for row, item in zip(found, own):
                self.assert_near(row[2], item["share"]["value"], "share")
                self.assert_near(row[3], item["share"]["low"], "low")
                self.assertIn(f"{item['yes']} of 20", row[1])
        words = self.find("#crossings .finding").text
        self.assertIn("Always: sgd, batch 20; momentum, full batch.", words)
        self.assertIn("Sometimes: sgd, full batch.", words)

    def test_network_at_a_saddle(self):
        found = self.points("network-saddle")
        for name in ("sgd, full batch", "sgd, batch 20", "momentum, full batch"):
            runs = [item for item in pages.landscape("leave") if method(item) == name]
            expected = [pair for item in runs for pair in zip(item["curve"]["updates"], item["curve"]["losses"])]
            self.compare(found[name], expected, name)
        words = self.find("#network-saddle .finding").text
        self.assertIn("smallest eigenvalue −0.0213 (error 0.000210, residual 0.0120)", words)
        self.assertIn("sgd, full batch: 3 of 20 left within 2000 updates", words)

    def test_spectrum(self):
        for end in ("largest", "smallest"):
            found = self.points(f"spectrum-{end}")
            for item in pages.landscape("spectrum"):
                for point, one in zip(found[item["point"]], item[end]):
                    off = one["error"] + one["residual"] * abs(one["value"])
                    self.assert_near(point[1], one["value"], end)
                    self.assertLess(abs(point[2] - (one["value"] - off)), 1e-4 * abs(one["value"]))
                    self.assertLess(abs(point[3] - (one["value"] + off)), 1e-4 * abs(one["value"]))
        self.assertIn("batch 6000: saddle.", self.find("#spectrum .finding").text)

    def test_walk(self):
        found = self.points("walk")
        item = pages.landscape("walk")[0]
        self.compare(found["batch 6000, computed"], list(zip(item["t"], item["losses"])), "walk")
        self.compare(found["batch 6000, foretold"], list(zip(item["t"], item["quadratic"])), "parabola")

    def test_sharpness(self):
        for space in ("subspace", "full"):
            self.choose("#space", space)
            found = {row[0]: row for row in self.rows("sharpness")}
            objects = [item for item in pages.landscape("sharpness") if item["space"] == space and item["scaled"] == 1]
            for epsilon in (1e-3, 5e-4):
                for point in ("batch 256", "batch 6000"):
                    values = [item["value"] for item in objects if (item["epsilon"], item["point"]) == (epsilon, point)]
                    row = found[f"ε {epsilon:g}: {point}"]
                    self.assert_near(row[2], statistics.mean(values), "phi")
                    most = [max([item["value"]] + [other["value"] for other in item["beside"] if other["value"]]) for item in objects
                            if (item["epsilon"], item["point"]) == (epsilon, point)]
                    self.assert_near(found[f"ε {epsilon:g}: {point}, highest of all methods"][2], statistics.mean(most), "the highest")
                paper = next(item["paper"] for item in pages.landscape("comparison")
                             if (item["space"], item["epsilon"]) == (space, epsilon))
                self.assert_near(found[f"ε {epsilon:g}: the paper's large batch"][2], paper["large"], "the paper's")
        labels = [row[0] for row in self.rows("sharpness")]
        self.assertEqual(labels.count("ε 0.001: the paper's large batch"), 1, "the paper's, once")
        self.assertIn("ε 0.001: batch 256, re-scaled ×10", found)
        self.assertEqual(self.axis("sharpness", "x"), "logarithmic")
        self.assertIn("sharpness alone proves nothing", self.find("#sharpness .finding").text)

    def test_lines_between(self):
        for value in ("loss", "accuracy"):
            found = self.points(f"between-{value}")
            for item in pages.landscape("line"):
                for split, words in (("train", "training"), ("test", "test")):
                    self.compare(found[f"{item['shape']}, {words}"], list(zip(item["t"], item[split][value])), f"{value} {words}")
        self.assertIn("distance from start 41.2", self.find("#between .finding").text)

    def test_plane(self):
        plane = pages.landscape("plane")[0]
        found = self.points("plane")
        for path in plane["paths"]:
            self.compare(found[path["name"]], list(zip(path["x"], path["y"])), path["name"])
        places = self.run_script("return drawn('plane').$spec.places")
        self.assertEqual([one["text"] for one in places], plane["names"])
        scale = self.run_script("return Contours.of(drawn('plane').$spec.field).scale")
        self.assert_near(scale["low"], min(plane["values"]), "lowest")
        self.assert_near(scale["high"], max(plane["values"]), "highest")

    def test_noise(self):
        noise = pages.landscape("noise")
        average = pages.landscape("average")[0]
        for against in ("update", "epoch"):
            self.choose("#noise-by", against)
            found = self.points("noise")
            self.compare(found["batch 256"], [(item[against], item["scale"]) for item in noise], against)
            for point, item in zip(found["batch 256"], noise):
                self.assert_near(point[2], item["low"], "low")
            self.assertIsNone(found["batch 256"][-1][3], "no upper end")
            for name, value in (("published average", 900), ("published at the start", 50),
                                ("average of the training", average["scale"]), ("knee of updates to target", 335)):
                self.assertEqual([point[1] for point in found[name]], [value, value], name)

    def test_knee(self):
        knee = pages.landscape("knee")[0]
        found = self.points("critical-batch")
        self.compare(found["sgd, target 97.0\u00a0%"], list(zip(knee["batches"], knee["updates"])), "knee")
        for batch, updates, _, _ in found["sgd, target 97.0\u00a0%, hyperbola"]:
            product = (updates / knee["smallest_updates"] - 1) * (batch * updates / knee["smallest_examples"] - 1)
            self.assertLess(abs(product - 1), 1e-6)

    def test_not_computed(self):
        words = self.find("#not-computed .missing").text
        self.assertIn("sharpness of batch 6000: unsupported, NLopt is not there: libnlopt-dev", words)
        self.assertIn("noise of batch 6000: timeout, the worker was silent for 60 s", words)
        self.assertIn("TIMEOUT noise of batch 6000", self.find("#overview .failures").text)


class Pages(LandscapeCase):
    """Of other records, filtered, in other themes and windows."""

    def pixels(self, chart, places):
        """The colours of a canvas at places of its chart, as [r, g, b]."""
        return self.run_script(
            """const chart = drawn(arguments[0]);
            const {canvas} = chart;
            const copy = Object.assign(document.createElement('canvas'), {width: canvas.width, height: canvas.height});
            const context = copy.getContext('2d', {willReadFrequently: true});
            context.drawImage(canvas, 0, 0);
            const ratio = canvas.width / canvas.clientWidth;
            return arguments[1].map(([x, y]) => [...context.getImageData(Math.round(ratio * chart.scales.x.getPixelForValue(x)),
                Math.round(ratio * chart.scales.y.getPixelForValue(y)), 1, 1).data].slice(0, 3));""",
            chart,
            places,
        )

    def test_drawn(self):
        """A path has its colour where it passes, and the surface its shades, in both themes."""
        for theme in THEMES:
            with self.subTest(theme):
                self.media(theme)
                self.view(pages.landscape_only(), "#surface=saddle&paths=full+batch")
                item = next(one for one in pages.landscape("path") if one["surface"] == "saddle" and one["optimizer"] == "sgd")
                a, b = item["points"][1:3]
                middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]
                on_path, low, high = self.pixels("surface", [middle, [-0.13, 1.37], [1.93, 0.17]])
                # Several paths lie on the ridge, the last of them above the others.
                colours = self.run_script(
                    """return drawn('surface').data.datasets
                        .map((one) => [1, 3, 5].map((at) => parseInt(one.borderColor.slice(at, at + 2), 16)))"""
                )
                near = min(sum(abs(p - q) for p, q in zip(on_path, colour)) for colour in colours)
                self.assertLess(near, 60, f"{on_path} is none of {colours}")
                differs = sum(high) - sum(low)
                self.assertGreater(-differs if theme == "light" else differs, 60, f"{low} {high}")

    def test_two_records(self):
        """Of each part the newest, or all of a chosen record."""
        self.view(pages.two_landscapes())
        self.draw_all()
        scale = pages.landscape("noise")[0]["scale"]
        self.assertEqual(self.points("noise")["batch 256"][0][1], 2 * scale)
        self.assertEqual(len(self.find_all("#landscape .figure")), len(FIGURES))
        self.choose("#landscape-record", "1")
        self.assertEqual(self.points("noise")["batch 256"][0][1], scale)
        self.choose("#landscape-record", "0")
        self.draw_all()
        self.assertEqual([one.get_attribute("id") for one in self.find_all("#landscape .figure")], ["noise"])
        self.assertIn("landscape=0", self.run_script("return location.hash"))

    def test_filters(self):
        self.view(pages.everything(), "#" + "batch=%5B%226000%22%5D")
        self.assertEqual({row[0] for row in self.rows("sharpness") if "paper" not in row[0]},
                         {f"ε {epsilon}: batch 6000{by}" for epsilon in ("0.001", "0.0005") for by in ("", ", highest of all methods")})
        self.assertEqual(len(self.find_all("#surface")), 1, "a surface has no batch of a network")
        self.view(pages.everything(), "#" + "machine=%5B%22beta%22%5D")
        self.assertEqual(self.find_all("#landscape"), [])

    def test_strange_values(self):
        self.view(pages.strange_landscape())
        self.draw_all()
        for selector in ("#surface-of", "#crossing", "#space"):
            options = self.run_script(
                "return [...document.querySelector(arguments[0]).options].map((one) => one.value)", selector
            )
            options = list(dict.fromkeys(options))
            self.assertGreater(len(options), 2, selector)
            for value in options if WHOLE else options[:4]:  # one of them is bare, one is named, one is empty
                self.choose(selector, value)
                self.run_script(
                    """const list = document.querySelector(arguments[0]);
                    Report.figures().find(({element}) => element.contains(list)).plots.forEach(({spec}) => drawn(spec.name))""",
                    selector,
                )
        self.unfold_all()
        self.assertEqual(self.find_all("img"), [])
        [text] = self.texts("#landscape")
        self.assertIn(pages.IMAGE, text)
        for word in ("undefined", "NaN", "[object"):
            self.assertNotIn(word, text)

    def test_area(self):
        for width, height in SIZES:
            self.size(width, height)
            self.view(pages.landscape_only())
            box = self.run_script(
                """const {chartArea: {left, right, top, bottom}, width, height} = drawn('plane');
                return [(right - left) / width, (bottom - top) / height];"""
            )
            self.assertGreater(box[0], 0.55, f"the plane's share of {width} pixels")
            self.assertGreater(box[1], 0.7)
