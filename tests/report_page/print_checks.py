"""On paper: every chart, light, without controls, and the screen as it was afterwards."""
import base64

import pages
from browser import PageCase, WHOLE


class Print(PageCase):
    def test_print(self):
        self.open(pages.everything() if WHOLE else pages.measured(), "#theme=dark")
        waiting = self.run_script("return Lazy.waiting()")
        self.assertGreater(waiting, 5, "charts far from the window are not drawn at first")
        self.run_script(
            """window.printed = null;
            addEventListener('beforeprint', () => { window.printed = {
                theme: document.documentElement.dataset.theme, waiting: Lazy.waiting(),
                widths: [...document.querySelectorAll('.plots.of-1 canvas')].map((one) => one.clientWidth)}; });"""
        )
        pdf = base64.b64decode(self.driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        self.assertEqual(pdf[:5], b"%PDF-")
        printed = self.run_script("return window.printed")
        self.assertEqual((printed["theme"], printed["waiting"]), ("light", 0))
        self.assertLess(max(printed["widths"]), 700)
        self.assertEqual(self.run_script("return document.documentElement.dataset.theme"), "dark")
        self.media(media="print")
        shown = self.run_script(
            """return [...document.querySelectorAll('select, input, #contents, #filters, .tools, .table-bar')]
            .filter((one) => one.checkVisibility()).length"""
        )
        self.assertEqual(shown, 0)
        charts = self.run_script("return [...document.querySelectorAll('canvas')].every((one) => one.checkVisibility())")
        self.assertTrue(charts)
