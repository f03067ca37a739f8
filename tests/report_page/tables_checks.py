"""Tables: sorting by value, pages, CSV; and charts as PNG."""
import csv
import io
import os
import struct

import pages
from browser import PageCase, wait_for


class Tables(PageCase):
    def column(self, title):
        return [head.strip(" ↕▲▼\n") for head in self.texts("#cells thead th")].index(title)

    def values(self, title):
        return self.texts(f"#cells tbody tr > :nth-child({self.column(title) + 1})")

    def sort(self, title):
        index = self.column(title)
        head = self.find_all("#cells thead th")[index]
        self.run_script("arguments[0].querySelector('button').click()", head)
        return self.find_all("#cells thead th")[index].get_attribute("aria-sort")

    def test_sort_by_value(self):
        self.view(pages.measured())
        units = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}

        def value(text):
            number, unit = text.split()
            return float(number) * units[unit]

        every = sorted(
            cell["update"]["median_ns"] for cell in pages.cells("alpha-run.jsonl") + pages.cells("beta-run.jsonl") if cell["update"]
        )
        self.assertEqual(self.sort("Update"), "ascending")
        first = [value(text) for text in self.values("Update")]
        self.assertEqual(first, sorted(first))
        self.assertLess(abs(first[0] / every[0] - 1), 0.01)
        self.assertEqual(self.sort("Update"), "descending")
        last = [value(text) for text in self.values("Update")]
        self.assertEqual(last, sorted(last, reverse=True))
        self.assertLess(abs(last[0] / every[-1] - 1), 0.01)
        others = self.run_script("return document.querySelectorAll('#cells th[aria-sort]:not([aria-sort=none])').length")
        self.assertEqual(others, 1)

    def test_small_numbers(self):
        """0.0136 is less than 0.1, though 0136 is more than 1."""
        self.view(pages.measured())
        self.sort("Spread")
        cells = pages.cells("alpha-run.jsonl") + pages.cells("beta-run.jsonl")
        expected = sorted(100 * cell["update"]["spread"] for cell in cells if cell["update"])[:25]
        for found, spread in zip(self.values("Spread"), expected):
            self.assertLess(abs(float(found.split()[0]) / spread - 1), 0.006)

    def test_what_is_unknown_is_last(self):
        self.view(pages.measured())
        for _ in range(2):
            self.sort("Update")
            self.assertNotIn("–", self.values("Update")[:20])

    def test_pages(self):
        self.view(pages.measured())
        self.assertEqual(len(self.find_all("#cells tbody tr")), 25)
        before = self.values("Row")
        self.press("#cells-table-next")
        self.assertEqual(len(self.find_all("#cells tbody tr")), 47 - 25)
        self.assertFalse(self.find("#cells-table-next").is_enabled())
        self.press("#cells-table-before")
        self.assertEqual(self.values("Row"), before)

    def check_csv(self, text):
        rows = list(csv.DictReader(io.StringIO(text)))
        cells = pages.cells("alpha-run.jsonl") + pages.cells("beta-run.jsonl")
        self.assertEqual(len(rows), len(cells))
        for row, cell in zip(rows, cells):
            self.assertEqual(
                (row["Row"].split(",")[0], int(row["Batch"]), row["Status"]), (cell["label"], cell["batch"], cell["status"])
            )
            if cell["update"]:
                self.assert_near(float(row["update_ns"]), cell["update"]["median_ns"], "update_ns")
            self.assertEqual(row["Reason"], cell["reason"])

    def permit(self, setting):
        self.driver.execute_cdp_cmd(
            "Browser.setPermission",
            {"permission": {"name": "clipboard-write", "allowWithoutSanitization": False}, "setting": setting},
        )

    def test_copy(self):
        """By the clipboard where the browser has one; what arrives there is what was asked for."""
        self.open(pages.measured())
        self.run_script(
            """window.copied = null;
            const write = navigator.clipboard.writeText.bind(navigator.clipboard);
            navigator.clipboard.writeText = (text) => { window.copied = text; return write(text); };"""
        )
        self.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]})
        button = self.press("#cells-table-copy")
        wait_for(lambda: button.text == "Copied", "the button to say so")
        self.check_csv(self.run_script("return window.copied"))
        read = self.driver.execute_async_script(
            "navigator.clipboard.readText().then(arguments[0], (error) => arguments[0](String(error)))"
        )
        self.check_csv(read)

    def test_copy_of_markup(self):
        """Quotes, commas and angle brackets come out of the CSV as they were in the record."""
        self.open(pages.hostile())
        self.run_script("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
        self.press("#cells-table-copy")
        rows = list(csv.DictReader(io.StringIO(self.run_script("return window.copied"))))
        devices = {row["Device"] for row in rows}
        self.assertIn(pages.IMAGE, devices)
        self.assertIn(f"{pages.HOSTILE}, 8 threads", {row["Row"] for row in rows})

    def test_copy_refused(self):
        """Where the browser does not allow it, the text is there, selected."""
        self.open(pages.measured())
        self.run_script("navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))")
        self.press("#cells-table-copy")
        area = wait_for(lambda: self.find_all("dialog.copy textarea"), "the text to copy")[0]
        text = self.run_script("return arguments[0].value.slice(arguments[0].selectionStart, arguments[0].selectionEnd)", area)
        self.check_csv(text)
        self.press("dialog.copy button")
        wait_for(lambda: not self.find_all("dialog.copy"), "the dialog to go")

    def test_numbers_of_a_figure(self):
        self.view(pages.measured())
        self.press("#times-numbers > summary")
        rows = wait_for(lambda: self.find_all("#times-numbers tbody tr"), "the numbers")
        self.assertEqual(len(rows), 25)
        self.unfold_all()
        for figure in ("speed", "roofline", "harness", "device", "budgets", "curves", "optimizers", "target", "verdicts"):
            self.assertNotEqual(self.texts(f"#{figure}-numbers tbody tr"), [], figure)

    def test_repeat(self):
        self.view(pages.measured())
        self.press("#times-repeat > summary")
        commands = [code.text for code in self.find_all("#times-repeat code")]
        self.assertEqual(commands, [pages.record(name)[0]["command"] for name in ("alpha-run.jsonl", "beta-run.jsonl")])

    def test_png(self):
        self.view(pages.measured())
        folder = os.path.join(pages.WORK, "downloads")
        self.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": folder})
        self.press("#times-png")
        path = os.path.join(folder, "batchmark-time-mlp-fashion-mnist-momentum-float32.png")
        wait_for(lambda: os.path.exists(path) and os.path.getsize(path) > 0, "the picture")
        with open(path, "rb") as file:
            data = file.read()
        self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", data[16:24])
        self.assertEqual(
            (width, height),
            tuple(
                self.run_script(
                    """
            const {plots, legend} = Report.figures().find((figure) => figure.element.id === 'times');
            const made = Picture.compose('title', plots, legend);
            window.made = made;
            return [made.width, made.height]"""
                )
            ),
        )
        colours = self.run_script(
            """
            const {data} = window.made.getContext('2d').getImageData(0, 0, window.made.width, window.made.height);
            const seen = new Map();
            for (const pixel of new Uint32Array(data.buffer)) {
                seen.set(pixel, (seen.get(pixel) || 0) + 1);
            }
            const bytes = (pixel) => new Uint8Array(Uint32Array.of(pixel).buffer).join();
            const many = [...seen].filter(([, count]) => count > 200);
            return Object.fromEntries(many.map(([pixel, count]) => [bytes(pixel), count]))"""
        )
        self.assertGreater(colours["255,255,255,255"], 0.8 * width * height, "an opaque background")
        for colour in ("18,97,236,255", "239,103,31,255", "9,107,89,255", "135,20,155,255"):
            self.assertIn(colour, colours, "a line's colour")
