"""usage: pictures.py FOLDER

The pictures of the README and of results/: parts of a page of the records below results/, and that page on a phone."""
import os
import sys

import pages
from browser import PageCase

PICTURES = [  # name, size of the window, theme, selector of what is shown, fragment of the address
    ("report-time", (1280, 900), "light", "#times", ""),
    ("report-time-dark", (1280, 900), "dark", "#times", ""),
    ("report-curves", (1280, 900), "light", "#curves", ""),
    ("report-optimizers", (1280, 900), "light", "#optimizers", ""),
    ("report-phone", (360, 740), "dark", None, ""),
]


class Pictures(PageCase):
    def runTest(self):
        folder = sys.argv[1]
        os.makedirs(folder, exist_ok=True)
        for name, size, theme, selector, fragment in PICTURES:
            self.setUp()
            self.size(*size)
            self.media(theme)
            self.open(pages.of_results(), fragment)
            self.picture(os.path.join(folder, name + ".png"), self.clip(selector, size))
            print(f"picture: {name}.png")

    def clip(self, selector, size):
        if selector is None:
            return {"x": 0, "y": 0, "width": size[0], "height": 2 * size[1]}
        box = self.run_script(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height}",
            selector,
        )
        return {"x": max(0, box["x"] - 16), "y": box["y"] - 16, "width": box["width"] + 32, "height": box["height"] + 24}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: pictures.py FOLDER")
    Pictures().debug()
