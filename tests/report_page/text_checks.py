"""A page is text and numbers: markup in a record stays text, and nothing is loaded."""
import os
import pwd
import socket

import pages
from browser import PageCase


class OwnPages(PageCase):
    def test_markup_stays_text(self):
        self.open(pages.hostile())
        self.run_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        self.draw_all()
        found = self.run_script(
            """return {scripts: document.querySelectorAll('script').length, images: document.querySelectorAll('img').length,
            text: document.body.innerText, options: [...document.querySelectorAll('option')].map((one) => one.textContent),
            handlers: [...document.querySelectorAll('*')]
                .filter((one) => [...one.attributes].some((a) => a.name.startsWith('on'))).length}"""
        )
        self.assertEqual((found["scripts"], found["images"], found["handlers"]), (3, 0, 0))
        for text in (pages.HOSTILE, pages.IMAGE, f"</script>{pages.HOSTILE}"):
            self.assertIn(text, found["text"])
        self.assertTrue(any(pages.HOSTILE in option for option in found["options"]))
        self.assertIn(f"{pages.HOSTILE}, 8 threads", self.chart("update"))

    def test_parts_without_data_are_not_there(self):
        folder = pages.folder_of_all()
        for page, part in (
            (pages.report("train-only", os.path.join(folder, "train.jsonl")), "accuracy"),
            (pages.report("compare-only", os.path.join(folder, "compare.jsonl")), "regression"),
            (pages.report("history-only", os.path.join(folder, "history.jsonl")), "trends"),
        ):
            with self.subTest(part):
                self.open(page)
                self.assertEqual([one.get_attribute("id") for one in self.find_all(".part")], ["overview", part, "machines"])


class Text(PageCase):
    """On a page in common."""

    def test_nothing_is_loaded(self):
        self.view(pages.everything())
        self.assertEqual(
            self.run_script(
                "return performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith('data:'))"
            ),
            [],
        )
        policy = self.run_script("return document.querySelector('meta[http-equiv=\"Content-Security-Policy\"]').content")
        self.assertIn("default-src 'none'", policy)
        self.assertIn("connect-src 'none'", policy)

    def test_no_names_of_people_or_places(self):
        with open(pages.everything(), encoding="utf-8") as file:
            text = file.read()
        for name in (socket.gethostname(), os.path.expanduser("~") + "/", pages.WORK, pages.SOURCE):
            self.assertNotIn(name, text)
        user = pwd.getpwuid(os.getuid()).pw_name
        if user != "root":  # a word of its own in Chart.js
            self.assertNotIn(user, text)

    def test_failures_come_first(self):
        self.view(pages.everything())
        words = [word.text for word in self.find_all("#overview .word")]
        self.assertEqual(words, ["REGRESSION", "LOST", "WRONG", "CRASHED", "TIMEOUT", "UNFINISHED"])

    def test_environment(self):
        self.view(pages.everything())
        rows = {text.split()[0] for text in self.texts("#environment tbody tr")}
        self.assertTrue({"cpu", "cores", "architecture"} <= rows, rows)
        self.assertNotIn("kernel", rows, "the same on both")
        self.press("#environment-only")
        self.assertIn("kernel", {text.split()[0] for text in self.texts("#environment tbody tr")})
