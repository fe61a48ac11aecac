"""What every report that is one page is held to: those of `podsense load`, `simulate` and `plan`.

Every look (wide and phone, light and dark): plots hold finite numbers, nothing runs out of the page, text has contrast,
the console has no error, nothing is fetched.
"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

from webdriver import Browser

HERE = Path(__file__).resolve().parent
IN_PAGE = (HERE / "in_page.js").read_text()
LOOKS = {"wide-light": {"width": 1280, "height": 900}, "wide-dark": {"width": 1280, "height": 900, "dark": True},
         "phone-light": {"width": 360, "height": 740, "phone": True},
         "phone-dark": {"width": 360, "height": 740, "dark": True, "phone": True}}
# Each plot: its name, how many shapes it draws, and those whose numbers are none.
PLOTS = """return [...document.querySelectorAll('svg.plot')].map((svg) => {
  const shapes = [...svg.querySelectorAll('g path, g rect, g circle')];
  const box = svg.getBoundingClientRect();
  return {name: svg.getAttribute('aria-label'), shapes: shapes.length, ticks: svg.querySelectorAll('text').length,
          width: box.width, height: box.height,
          cut: [...svg.querySelectorAll('text')].filter((t) => { const b = t.getBoundingClientRect(); return b.left < box.left - 1 || b.right > box.right + 1; }).map((t) => t.textContent),
          bad: shapes.filter((s) => /NaN|Infinity|undefined/.test(s.outerHTML)).length,
          seen: shapes.some((s) => { const b = s.getBBox(); return b.width > 20 || b.height > 5; })};
});"""

# As axe-core's rules: empty-table-header, scope-attr-valid, td-headers, region, scrollable-region-focusable.
UNREACHABLE = """const faults = [];
const say = (what, node) => faults.push(`${what}: ${node.outerHTML.slice(0, 120)}`);
for (const th of document.querySelectorAll('th')) {
  if (!th.textContent.trim()) say('empty header', th);
  if (!['row', 'col'].includes(th.scope)) say('header of what', th);
}
for (const row of document.querySelectorAll('tbody tr')) if (!row.querySelector('th')) say('row without header', row);
for (const node of document.body.children)
  if (!['HEADER', 'MAIN', 'FOOTER', 'SCRIPT', 'NOSCRIPT'].includes(node.tagName)) say('outside of regions', node);
for (const node of document.querySelectorAll('body *'))
  if (/auto|scroll/.test(getComputedStyle(node).overflowX) && node.tabIndex < 0) say('scroller without focus', node);
for (const region of document.querySelectorAll('[role=region]')) if (!region.getAttribute('aria-label')) say('nameless', region);
return faults;"""
# What names a row leaves room for what it says.
BROAD = """return [...document.querySelectorAll('tbody th')].filter((th) => th.getBoundingClientRect().width > 0.6 * innerWidth)
  .map((th) => th.textContent);"""


class ReportCase(unittest.TestCase):
    """Screenshots go to the folder that the first argument names."""

    KIND = ""  # of their names

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.shots = Path(sys.argv[1])
        cls.shots.mkdir(parents=True, exist_ok=True)
        cls.browser = cls.enterClassContext(Browser())

    def look_at(self, page, plots):
        """Every look; then the page is left open, wide."""
        for look, settings in LOOKS.items():
            with self.subTest(look):
                self.browser.look(**settings)
                self.browser.console()
                self.browser.open(page.as_uri())
                self.browser.until("document.querySelectorAll('svg.plot line.axis').length == "
                                   "document.querySelectorAll('svg.plot').length", "the plots")
                found = {plot["name"]: plot for plot in self.browser.run(PLOTS)}
                self.assertEqual(list(found), plots)
                for plot in found.values():
                    self.assertEqual((plot["bad"], plot["cut"]), (0, []), plot)
                    self.assertTrue(plot["seen"] and plot["shapes"] and plot["ticks"] > 4, plot)
                    self.assertGreater(plot["width"], 250, plot)
                self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"),
                                     settings["width"])
                self.assertEqual(self.browser.run(IN_PAGE + "\nreturn lowContrast();"), [])
                self.assertEqual(self.browser.run(UNREACHABLE), [])
                self.assertEqual(self.browser.run(BROAD), [])
                fetched = "return performance.getEntriesByType('resource').map((e) => e.name);"
                self.assertEqual(self.browser.run(fetched), [])
                self.assertEqual([e for e in self.browser.console() if e["level"] != "INFO"], [])
                self.browser.screenshot(self.shots / f"{self.KIND}-{page.stem}-{look}.png")
        self.browser.look(**LOOKS["wide-light"])
        self.browser.open(page.as_uri())
        self.browser.until("document.querySelector('svg.plot line.axis')", "the plots")

    def text(self, css):
        return self.browser.run(f"return document.querySelector({json.dumps(css)}).textContent")

    def read_out(self, name):
        """What the plot says after a key was pressed on it."""
        return self.browser.run(
            "const svg = document.querySelector(`svg[aria-label='${arguments[0]}']`);"
            "svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft', bubbles: true}));"
            "return svg.nextSibling.textContent;", name)
