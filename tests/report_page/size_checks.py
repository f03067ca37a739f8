"""A page of 5000 cells. How long it takes is told, not judged."""
import os

import pages
from browser import PageCase


class Size(PageCase):
    def test_5000_cells(self):
        path = pages.large(5000)
        self.open(path)
        # Two frames later what is near the window has been drawn; the clock began with the navigation.
        drawn_ms = self.driver.execute_async_script(
            "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0](performance.now())))"
        )
        charts = self.run_script("return [...document.querySelectorAll('canvas')].filter((one) => Chart.getChart(one)).length")
        print(
            f"5000 cells: {os.path.getsize(path) / 1e6:.1f} MB, drawn after {drawn_ms / 1000:.2f} s, load {os.getloadavg()[0]:.2f}"
        )
        self.assertGreaterEqual(charts, 2)
        self.assertIn("5000", self.find("#overview .tiles").text.replace("\u202f", ""))
        self.assertIn("1 to 25 of 5000", self.find("#cells .range").text.replace("\u202f", ""))
        self.assertLessEqual(len(self.chart("update")), 12, "no more lines at first than can be told apart")

    def test_500_cells(self):
        self.assertLess(os.path.getsize(pages.large(500)), 2_000_000)
        self.open(pages.large(500))
        self.draw_all()
        self.assertIn("500", self.find("#overview .tiles").text)
