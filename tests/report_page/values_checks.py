"""The charts have the values of the records, computed here from the records once more."""
import statistics

import pages
from browser import PageCase

ALPHA = "{}, 8 threads on alpha"


class Diverged(PageCase):
    def test_no_seed_that_went_well(self):
        self.view(pages.diverged())
        self.draw_all()
        self.assertEqual(set(self.chart("budgets-validation")["momentum"]), {"32"})
        self.assertEqual(set(self.chart("budgets-validation")["adam"]), {"32", "1000"})
        rows = self.run_script("return drawn('optimizers').$spec.rows.map((row) => row.label)")
        self.assertNotIn("momentum, batch 1000", rows)
        self.assertEqual(len(rows), 5)
        self.assertIn(
            "momentum, batch 1000, seed 3: diverged at update 77, the loss is not finite", self.find("#optimizers .missing").text
        )


class Values(PageCase):
    def setUp(self):
        super().setUp()
        self.view(pages.measured(), only_choices=True)
        self.alpha = [cell for cell in pages.cells("alpha-run.jsonl") if cell["model"] == "mlp"]
        self.ok = [cell for cell in self.alpha if cell["status"] == "ok" and not cell["computes_nothing"]]

    def compare(self, found, expected, what):
        """found: a chart; expected: {(label, x): y}."""
        points = {(label, float(x)): point["y"] for label, line in found.items() for x, point in line.items()}
        self.assertEqual(set(points), set(expected), what)
        for key, y in expected.items():
            self.assert_near(points[key], y, f"{what} {key}")

    def test_update_and_epoch(self):
        beta = [(cell, f"{cell['label']}, 4 threads on beta") for cell in pages.cells("beta-run.jsonl")]
        both = [(cell, ALPHA.format(cell["label"])) for cell in self.ok] + beta
        update = self.chart("update")
        self.compare(update, {(label, cell["batch"]): cell["update"]["median_ns"] for cell, label in both}, "update")
        for cell, label in both:
            point = update[label][str(cell["batch"])]
            self.assert_near(point["low"], cell["update"]["q1_ns"], "first quartile")
            self.assert_near(point["high"], cell["update"]["q3_ns"], "third quartile")
        epoch = self.chart("epoch")
        self.compare(epoch, {(label, cell["batch"]): 1e9 * cell["epoch"]["seconds"] for cell, label in both}, "epoch")
        hollow = {(label, cell["batch"]) for cell, label in both if not cell["epoch"]["measured"]}
        found = {(label, int(x)) for label, line in epoch.items() for x, point in line.items() if point["hollow"]}
        self.assertEqual(found, hollow)
        self.assertGreater(len(hollow), 0)

    def test_other_series(self):
        self.choose("#series", "pipelined")
        found = self.chart("update")
        for cell in self.ok:
            self.assert_near(
                found[ALPHA.format(cell["label"])][str(cell["batch"])]["y"], cell["pipelined"]["median_ns"], "pipelined"
            )

    def test_what_is_not_there(self):
        wrong = self.run_script(
            "return drawn('update').$spec.wrong.map((one) => [one.label, one.x])"
        )
        self.assertEqual(wrong, [[ALPHA.format("avx512"), 10000]])
        missing = self.find("#times .missing").text
        for cell in self.alpha:
            if cell["status"] != "ok":
                word = "WRONG" if cell["status"] == "wrong" else cell["status"]
                self.assertIn(f"{word}, {cell['reason']}", missing)
        self.assertNotIn("null", "".join(self.chart("update")))

    def test_knee(self):
        """Where an update takes twice as long as at batch 1, on log-log between two measured sizes."""
        import math

        times = {cell["batch"]: cell["update"]["median_ns"] for cell in self.ok if cell["label"] == "avx512"}
        double = 2 * times[1]
        below = max(batch for batch, time in times.items() if time < double)
        above = min(batch for batch, time in times.items() if time >= double)
        share = math.log(double / times[below]) / math.log(times[above] / times[below])
        knees = self.run_script(
            "return Object.fromEntries(drawn('update').$spec.series.map((series) => [series.label, series.knee]))"
        )
        found = knees[ALPHA.format("avx512")]
        self.assert_near(found["x"], below * (above / below) ** share, "knee")
        self.assert_near(found["y"], double, "time at the knee")
        self.assertIn(f"knee at {round(found['x'])}", self.find("#times .finding").text)

    def test_speed(self):
        base = {cell["batch"]: cell["update"]["median_ns"] for cell in self.ok if cell["label"] == "scalar"}
        found = self.chart("speed")
        for cell in pages.cells("beta-run.jsonl"):  # another machine: the ratio of the medians
            point = found[f"{cell['label']}, 4 threads on beta"][str(cell["batch"])]
            self.assert_near(point["y"], base[cell["batch"]] / cell["update"]["median_ns"], "ratio of medians")
            self.assertTrue(point["hollow"])
        for cell in self.ok:  # paired: near the ratio of the medians, inside its interval
            if cell["label"] not in ("scalar",) and cell["batch"] in base:
                point = found[ALPHA.format(cell["label"])][str(cell["batch"])]
                self.assertFalse(point["hollow"])
                self.assertTrue(point["low"] <= point["y"] <= point["high"], point)
                ratio = base[cell["batch"]] / cell["update"]["median_ns"]
                self.assertLess(abs(point["y"] / ratio - 1), 0.5, point)
        self.choose("#base", "alpha\navx2, 8 threads")
        self.assertNotIn(ALPHA.format("avx2"), self.chart("speed"))
        turned = self.chart("speed")[ALPHA.format("scalar")]["100"]["y"]
        self.assert_near(turned, 1 / found[ALPHA.format("avx2")]["100"]["y"], "the other way round")

    def test_roofline_harness_device(self):
        self.compare(
            self.chart("roofline"),
            {
                **{
                    (ALPHA.format(cell["label"]), cell["batch"]): cell["bound"]["share"]
                    for cell in self.ok
                    if cell["bound"]["share"]
                },
                **{
                    (f"{cell['label']}, 4 threads on beta", cell["batch"]): cell["bound"]["share"]
                    for cell in pages.cells("beta-run.jsonl")
                },
            },
            "share of the bound",
        )
        nothing = {cell["batch"]: cell["update"]["median_ns"] for cell in self.alpha if cell["computes_nothing"]}
        self.compare(
            self.chart("harness"),
            {
                (ALPHA.format(cell["label"]), cell["batch"]): nothing[cell["batch"]] / cell["update"]["median_ns"]
                for cell in self.ok
            },
            "cost of the harness",
        )
        device = self.chart("device")
        for cell in (cell for cell in self.ok if cell["device_update"]):
            line = device[f"{ALPHA.format('vulkan:1')}, on the device"]
            self.assert_near(line[str(cell["batch"])]["y"], cell["device_update"]["median_ns"], "device time")

    def test_accuracy(self):
        trained = [item for item in pages.record("train.jsonl") if item["kind"] == "training" and item["status"] == "ok"]
        settings = {(item["optimizer"], item["batch"]) for item in trained}

        def mean(optimizer, batch, value):
            return statistics.mean(value(item) for item in trained if (item["optimizer"], item["batch"]) == (optimizer, batch))

        for split in ("train", "validation", "test"):
            self.compare(
                self.chart(f"budgets-{split}"),
                {(optimizer, batch): mean(optimizer, batch, lambda item: item[split]["accuracy"]) for optimizer, batch in settings},
                split,
            )
        self.choose("#budget", "epochs")
        self.compare(
            self.chart("budgets-validation"),
            {
                (optimizer, batch): mean(optimizer, batch, lambda item: item["budgets"][0]["validation"]["accuracy"])
                for optimizer, batch in settings
            },
            "after 10 epochs",
        )
        rows = self.run_script("return drawn('optimizers').$spec.rows.map((row) => row.label)")
        best = sorted(settings, key=lambda key: -mean(*key, lambda item: item["test"]["accuracy"]))
        self.assertEqual(rows, [f"{optimizer}, batch {batch}" for optimizer, batch in best])

    def test_curves(self):
        epochs = [
            item
            for item in pages.record("train.jsonl")
            if item["kind"] == "epoch" and item["optimizer"] == "adam" and item["batch"] == 32
        ]
        for against, value in (("epoch", "validation"), ("updates", "train"), ("seconds", "validation_loss")):
            self.choose("#against", against)
            self.choose("#value", value)
            split, what = value.split("_")[0], "loss" if value.endswith("_loss") else "accuracy"
            line = sorted((float(x), point["y"]) for x, point in self.chart("curves")["adam, batch 32"].items())
            numbers = sorted({item["epoch"] for item in epochs})
            self.assertEqual(len(line), len(numbers))
            for (x, y), number in zip(line, numbers):
                same = [item for item in epochs if item["epoch"] == number]
                self.assert_near(x, statistics.mean(item[against] for item in same), against)
                self.assert_near(y, statistics.mean(item[split][what] for item in same), value)

    def test_target(self):
        trained = [item for item in pages.record("train.jsonl") if item["kind"] == "training"]
        found = self.chart("target")
        for optimizer, batch in {(item["optimizer"], item["batch"]) for item in trained}:
            reached = [
                item["targets"][0]["updates"]
                for item in trained
                if (item["optimizer"], item["batch"]) == (optimizer, batch) and item["targets"][0]["reached"]
            ]
            if len(reached) >= 3:
                self.assert_near(found[optimizer][str(batch)]["y"], statistics.median(reached), "updates to the target")
            else:
                self.assertNotIn(str(batch), found.get(optimizer, {}))
                self.assertIn(f"{optimizer}, batch {batch}: {len(reached)} of 5 seeds", self.find("#target .missing").text)

    def test_tuning(self):
        tuned = [item for item in pages.record("train.jsonl") if item["kind"] == "tuned"]
        self.assertGreater(len(tuned), 0)
        expected = {
            (f"{item['optimizer']}, batch {item['batch']}", trial["rate"]): trial["accuracy"]
            for item in tuned
            for trial in item["trials"]
            if trial["accuracy"] is not None
        }
        found = self.chart("tuning")
        points = sorted((label, float(x), point["y"]) for label, line in found.items() for x, point in line.items())
        self.assertEqual(len(points), len(expected))
        for (label, x, y), ((name, rate), accuracy) in zip(points, sorted(expected.items())):
            self.assertEqual(label, name)
            self.assert_near(x, rate, "rate")
            self.assert_near(y, accuracy, "accuracy of a trial")
        least = self.run_script("return drawn('tuning').scales.y.min")
        trials = [trial for item in tuned for trial in item["trials"]]
        seen = [trial for trial in trials if trial["status"] == "ok" and trial["accuracy"] >= least]
        self.assertEqual(len(self.find_all("#tuning .missing li")), len(trials) - len(seen))
        self.assertGreater(len(seen), len(trials) / 2)

    def test_fastest(self):
        best = {}
        for cell in self.ok:
            best.setdefault(cell["batch"], []).append((cell["update"]["median_ns"], cell["label"]))
        winners = [(batch, min(found)[1]) for batch, found in sorted(best.items())]
        self.assertEqual({label for _, label in winners[:-1]}, {"avx512", "vulkan:1"})
        words = self.find("#times .finding p").text
        for (batch, label), (_, before) in zip(winners, [(0, None)] + winners):
            if label != before:
                self.assertIn(f"{label}, 8 threads on alpha at batch {batch if batch < 10000 else ''}", words)

    def test_regression_and_trend(self):
        compared = [item for item in pages.record("compare.jsonl") if item["kind"] == "compare"]
        rows = self.run_script(
            """const {rows, series} = drawn('forest').$spec;
            const {points} = series[0];
            return rows.map((row, i) => [row.label, row.right, points[i].x, points[i].low, points[i].high])"""
        )
        known = {(cell["backend"], cell["batch"]): cell for cell in compared if cell["ratio"] is not None}
        self.assertEqual(len(rows), len(known))
        self.assertIn("REGRESSION", rows[0][1])
        for label, right, ratio, low, high in rows:
            backend, batch = label.split(", batch ")
            cell = known[backend, int(batch)]
            self.assertTrue(right.endswith(cell["verdict"]), right)
            for found, name in ((ratio, "ratio"), (low, "low"), (high, "high")):
                self.assert_near(found, cell[name], name)
        chips = [chip.text for chip in self.find_all("#verdicts .chip")]
        self.assertEqual(chips[:2], ["1 REGRESSION", "1 LOST"])
        trend = next(item for item in pages.record("history.jsonl") if item["changes"])
        points = self.run_script("return drawn('trend').data.datasets[0].data.map((point) => point.y)")
        self.assertEqual(len(points), len(trend["points"]))
        for found, point in zip(points, trend["points"]):
            self.assert_near(found, point[2], "point of a trend")
        marks = self.run_script("return drawn('trend').$spec.levels.length")
        self.assertEqual(marks, len(trend["changes"]))
