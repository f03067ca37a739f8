"""usage: pictures.py FOLDER

The pictures of the README and of results/: parts of a page of the records below results/, and that page on a phone."""
import json
import os
import sys
import urllib.parse

import pages
from browser import PageCase

# The lecture's batch sizes on a machine with a GPU, without those that only the checks have.
LECTURE = "#" + urllib.parse.urlencode(
    {"machine": json.dumps(["nvidia-h100-80gb-hbm3"]), "batch": json.dumps(["1", "10", "100", "1000", "10000", "60000"])}
)
LANDSCAPE = "#" + urllib.parse.urlencode({"machine": json.dumps(["amd-epyc-zen4-2-vcpu"])})
# Name, size of the window, theme, selector of what is shown, fragment of the address.
PICTURES = [
    ("report-time", (1280, 900), "light", "#times", LECTURE),
    ("report-time-dark", (1280, 900), "dark", "#times", LECTURE),
    ("report-curves", (1280, 900), "light", "#curves", ""),
    ("report-optimizers", (1280, 900), "light", "#optimizers", ""),
    ("report-crossings", (1280, 900), "light", "#crossings", LANDSCAPE),
    ("report-sharpness", (1280, 900), "light", "#sharpness", LANDSCAPE),
    ("report-phone", (360, 740), "dark", None, LECTURE),
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
            self.draw_all()
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
