"""A page of 5000 cells, 1500 in the short form. How long it takes is told, not judged."""
import os

import pages
from browser import PageCase, WHOLE


class Size(PageCase):
    def test_many_cells(self):
        count = 5000 if WHOLE else 1500
        path = pages.large(count)
        self.open(path)
        # Two frames later what is near the window has been drawn; the clock began with the navigation.
        drawn_ms = self.driver.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](performance.now())))"
        )
        charts = self.run_script("return [...document.querySelectorAll('canvas')].filter((one) => Chart.getChart(one)).length")
        print(
            f"{count} cells: {os.path.getsize(path) / 1e6:.1f} MB, drawn after {drawn_ms / 1000:.2f} s, load {os.getloadavg()[0]:.2f}"
        )
        self.assertGreaterEqual(charts, 2)
        self.assertIn(str(count), self.find("#overview .tiles").text.replace("\u202f", ""))
        self.assertIn(f"1 to 25 of {count}", self.find("#cells .range").text.replace("\u202f", ""))
        self.assertLessEqual(len(self.chart("update")), 12, "no more lines at first than can be told apart")

    def test_500_cells(self):
        self.assertLess(os.path.getsize(pages.large(500)), 2_000_000)
