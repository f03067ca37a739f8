"""One headless Chromium for all checks, and what they do in it."""
import atexit
import base64
import itertools
import os
import time
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import pages

SIZES = [(1440, 900), (820, 1180), (360, 740)]
THEMES = ["light", "dark"]
WHOLE = bool(os.environ.get("BM_TEST_WHOLE"))
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--window-size=1440,900",
]
started = []

# A page draws its charts when they come near the window. In a script of a check, drawn(name) is a chart that is drawn by now.
DRAWN = """
window.drawn = (name) => {
    const plot = Report.figures().flatMap(({plots}) => plots).find(({spec}) => spec.name === name);
    if (!plot.chart) {
        Lazy.forget(plot.element);
        plot.draw();
    }
    return plot.chart;
};"""

# The page takes on an address as if the reader had typed it, and draws its parts anew, with tables as they were at first; or
# stays as it is where it has that address and no more is asked for.
AGAIN = """
if (arguments[1] && location.hash === arguments[0]) {
    return;
}
document.activeElement.blur();
document.querySelectorAll('details[open]').forEach((one) => { one.open = false; });
scrollTo(0, 0);
history.replaceState(null, '', location.pathname + location.search + arguments[0]);
dispatchEvent(new Event('hashchange'));"""


def driver():
    if not started:
        options = Options()
        for argument in ARGUMENTS:
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        started.append(webdriver.Chrome(service=Service("chromedriver"), options=options))
        atexit.register(started[0].quit)
    return started[0]


def wait_for(condition, what, limit_s=20):
    """Until a condition holds: a guard against a hang, not a measurement."""
    end = time.monotonic() + limit_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit_s} s for {what}")
        time.sleep(0.01)


class PageCase(unittest.TestCase):
    """A test with a page open. A test ends with nothing on the console.

    Loading a page is what takes long. A test that changes no more than view() takes back has a page in common with others; one
    that switches axes or lines, changes the window or the page's functions, or is about loading, has a page of its own."""

    addresses = itertools.count(1)
    viewed = None  # the path of the page that is open, if it is one in common
    emulated = {}  # what the browser was told last, by command: telling it again would lay out and draw the page again

    def setUp(self):
        self.driver = driver()
        self.driver.get_log("browser")
        self.size(*SIZES[0])
        self.media()

    def tearDown(self):
        entries = [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]
        self.assertEqual(entries, [], "the console is not empty")

    def open(self, path, fragment=""):
        """A page of its own, loaded: the query makes each address another, where a new fragment alone would load nothing."""
        PageCase.viewed = None
        self.driver.get(f"file://{path}?{next(self.addresses)}{fragment}")
        self.run_script(DRAWN)

    def view(self, path, fragment="", only_choices=False):
        """A page in common. Taken back are choices, filters and the theme that is chosen; what is unfolded and the tables' rows too,
        unless those matter to no test of a class."""
        is_open = PageCase.viewed == path
        if not is_open:
            self.open(path)
            PageCase.viewed = path
        if is_open or fragment:
            self.run_script(AGAIN, fragment, only_choices)

    def draw_all(self):
        self.run_script("Lazy.drawAll()")

    def unfold_all(self):
        """Opens all details; those of numbers are filled when they are opened."""
        self.run_script("document.querySelectorAll('details.more:not([open]) > summary').forEach((one) => one.click())")
        filled = "return [...document.querySelectorAll('details.more')].every((one) => one.childElementCount > 1)"
        wait_for(lambda: self.run_script(filled), "the tables that were folded away")

    def emulate(self, command, wanted):
        if PageCase.emulated.get(command) != wanted:
            self.driver.execute_cdp_cmd(command, wanted)
            PageCase.emulated[command] = wanted

    def size(self, width, height):
        self.emulate(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        )

    def media(self, scheme="light", media=""):
        self.emulate(
            "Emulation.setEmulatedMedia", {"media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )

    def run_script(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        """What is to be read in each of some elements, in one call."""
        return self.run_script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.innerText.replace(/\\u00a0/g, ' ').trim())",
            selector,
        )

    def press(self, selector):
        element = self.find(selector)
        self.run_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        return element

    def choose(self, selector, value):
        self.run_script(
            "const list = document.querySelector(arguments[0]); list.value = arguments[1];"
            "list.dispatchEvent(new Event('change'))",
            selector,
            value,
        )

    def keys(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self):
        """What has the focus, told by its id or its text."""
        return self.run_script("const at = document.activeElement; return at.id || at.textContent.trim().slice(0, 40)")

    def chart(self, name):
        """The visible lines of a chart: {label: {x: {y, low, high, hollow}}}."""
        return self.run_script(
            """
            const chart = drawn(arguments[0]);
            const found = {};
            chart.data.datasets.forEach((dataset, i) => {
                if (chart.isDatasetVisible(i)) {
                    const points = chart.$spec.series[i].points;
                    found[dataset.label] = Object.fromEntries(dataset.data.map(({x, y}, k) => [x, {y, low: points[k].low ?? null,
                        high: points[k].high ?? null, hollow: Boolean(points[k].hollow)}]));
                }
            });
            return found;""",
            name,
        )

    def axis(self, chart, name):
        return self.run_script("return drawn(arguments[0]).scales[arguments[1]].type", chart, name)

    def picture(self, path, clip=None):
        size = self.run_script("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = clip or {"x": 0, "y": 0, "width": size[0], "height": size[1]}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": {**clip, "scale": 1}})
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def assert_near(self, found, expected, what):
        """Equal to the six digits that a page has of every number."""
        self.assertIsNotNone(found, what)
        self.assertLessEqual(abs(found - expected), 2e-5 * abs(expected) + 1e-12, f"{what}: expected {expected}, found {found}")


__all__ = ["By", "Keys", "PageCase", "SIZES", "THEMES", "WHOLE", "driver", "os", "pages", "wait_for"]
