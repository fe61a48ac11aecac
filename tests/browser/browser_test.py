#!/usr/bin/env python3
"""Tries the web page of a running server in headless Chromium. Needs Python alone, chromium and
chromium-driver; exits 1 when anything is wrong.

    browser_test.py --base http://127.0.0.1:8080 --image espresso.jpg --expect-label espresso \
                    --screenshots DIR

Every test starts from a freshly loaded page. Whatever the browser writes to its console as an error,
and any violation of the page's Content-Security-Policy, fails the test that caused it.
"""

import argparse
import base64
import json
import mimetypes
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import traceback
import urllib.request

from webdriver import Browser, WebDriverError

IN_PAGE = (pathlib.Path(__file__).parent / "in_page.js").read_text()
POLICY = {"default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
          "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
          "frame-ancestors": "'none'"}
ANSWERED = "document.querySelector('#answer[aria-busy=false] .timing')"
FAILED = "document.querySelector('#answer[aria-busy=false] .error')"
TESTS = []


def test(function):
    TESTS.append(function)
    return function


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Page:
    """The browser, what it is pointed at, and steps that several tests take."""

    def __init__(self, browser, options):
        self.browser = browser
        self.options = options
        self.base = options.base.rstrip("/")
        self.image = pathlib.Path(options.image)

    def fetch(self, path):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.base + path, timeout=20) as answer:
            return answer.headers, answer.read()

    def load(self, path="/", base=None):
        self.browser.open("about:blank")  # so that a change of the fragment alone also loads
        self.browser.open((base or self.base) + path)
        if not path.startswith("/docs"):
            self.browser.until("document.querySelectorAll('#health[data-state=ok], "
                               "#health[data-state=degraded]').length", "the server's state")

    def js(self, expression):
        return self.browser.run(f"return {expression};")

    def in_page(self, call, *args):
        return self.browser.run(f"{IN_PAGE}\nreturn {call};", *args)

    def give_all(self, files):
        """Drops several files, {name: (type, bytes)}, at once."""
        return self.in_page("dropAll(arguments[0])", [
            [name, kind, base64.b64encode(data).decode()] for name, (kind, data) in files.items()])

    def give(self, how, path=None, data=None, name=None):
        data = data if data is not None else path.read_bytes()
        kind = mimetypes.guess_type(name or path.name)[0]
        return self.in_page("transfer(...arguments)", how, name or path.name, kind,
                            base64.b64encode(data).decode())

    def bars(self):
        return self.js("[...document.querySelectorAll('.bars .label')].map((e) => e.textContent)")

    def text(self, css):
        return self.js(f"document.querySelector({json.dumps(css)})?.textContent ?? ''")

    def shot(self, name):
        self.browser.screenshot(pathlib.Path(self.options.screenshots) / f"{name}.png")

    def classify(self):
        self.browser.attach("#file", self.image)
        self.browser.until(ANSWERED, "an answer to the picture")

    def check_label(self):
        wanted = self.options.expect_label.lower()
        check(any(wanted in bar.lower() for bar in self.bars()), f"no {wanted!r} in {self.bars()}")


# ---- documents


@test
def policy_is_strict_and_documents_are_typed(page):
    for path in ("/", "/docs"):
        headers, body = page.fetch(path)
        check(headers["Content-Type"].startswith("text/html"), f"{path}: {headers['Content-Type']}")
        policy = dict(part.strip().partition(" ")[::2]
                      for part in headers.get("Content-Security-Policy", "").split(";"))
        for name, value in POLICY.items():
            check(policy.get(name) == value, f"{path}: {name} is {policy.get(name)!r}, not {value}")
        check(b"<style" not in body and b"style=" not in body, f"{path}: inline style")
        check(re.search(rb"<script(?![^>]*\ssrc=)", body) is None, f"{path}: inline script")


@test
def nothing_comes_from_elsewhere(page):
    for path in ("/", "/docs"):
        page.load(path)
        origins = page.js("[...new Set(performance.getEntriesByType('resource')"
                          ".map((e) => new URL(e.name).origin))]")
        check(origins == [page.js("location.origin")], f"{path}: loaded from {origins}")


# ---- pictures


@test
def upload_shows_picture_bars_timings_and_curl(page):
    page.load()
    page.classify()
    check(len(page.bars()) == 5, f"5 bars expected: {page.bars()}")
    page.check_label()
    page.browser.until("document.querySelector('#previews img').naturalWidth > 0", "the preview")
    page.browser.until("document.querySelector('.asked').naturalWidth > 0", "the picture asked about")
    widths = page.js("[...document.querySelectorAll('.bar .fill')].map((e) => e.getBoundingClientRect().width)")
    check(widths == sorted(widths, reverse=True) and widths[0] > widths[-1], f"bars' widths: {widths}")
    legend = page.js("[...document.querySelectorAll('.timing .legend dt')].map((e) => e.textContent)")
    check({"Queue", "Preprocess", "Compute"} <= set(legend), f"timings: {legend}")
    check(page.js("document.querySelectorAll('.stack .piece').length") == len(legend), "a piece each")
    check(page.text(".facts .mono") != "", "no request id")
    check("%" in page.text("#announce"), f"announced: {page.text('#announce')!r}")
    command = page.text(".command code")
    check("--data-binary @'" in command and "/predict?top_k=5" in command, command)
    if shutil.which("curl"):
        done = subprocess.run([*shlex.split(command), "-sS", "--noproxy", "*"], cwd=page.image.parent,
                              capture_output=True, check=True, timeout=60)
        labels = [one["label"] for one in json.loads(done.stdout)["predictions"]]
        check(len(labels) == 5 and page.bars()[0].startswith(labels[0]), f"curl said {labels}")


@test
def curl_command_can_be_copied(page):
    page.load()
    page.classify()
    page.browser.click(".copy")
    page.browser.until("document.querySelector('.copy').textContent === 'Copied'", "the copy")


@test
def paste_and_drop_work(page):
    for how in ("paste", "drop"):
        page.load("/#numbers")
        check(page.give(how, page.image), f"{how} was not taken")
        page.browser.until(ANSWERED, f"an answer after {how}")
        page.check_label()
        check(page.js("document.querySelector('#panel-image').checkVisibility()"), "the image tab is not shown")


@test
def pasted_address_goes_to_the_url_tab(page):
    page.load()
    page.in_page("pasteText('ask', 'https://example.com/a.jpg')")
    check(page.js("document.querySelector('#url').value") == "https://example.com/a.jpg", "not taken")
    check(page.js("document.querySelector('#panel-url').checkVisibility()"), "the URL tab is not shown")


@test
def number_of_labels_is_asked_for(page):
    page.load()
    page.browser.type("#top-k", "3")
    page.classify()
    check(len(page.bars()) == 3, f"3 bars expected: {page.bars()}")
    page.browser.type("#top-k", "0")
    page.browser.click("#send")
    page.browser.until(FAILED, "the refusal of 0")


@test
def drawn_sample_is_classified(page):
    page.load()
    page.browser.click("#sample")
    page.browser.until(ANSWERED, "an answer to the sample")
    check(any("clock" in bar.lower() for bar in page.bars()), f"the drawn clock is {page.bars()}")


@test
def file_that_is_no_picture_shows_the_servers_error(page):
    page.load()
    page.give("drop", data=b"this is no picture", name="broken.jpg")
    page.browser.until(FAILED, "the error")
    code = page.text(".error .facts .mono")
    check(re.fullmatch(r"4\d\d [A-Z_]+", code), f"code: {code!r}")
    check(len(page.text(".error .message")) > 10, "no message")
    check(page.js("document.querySelectorAll('.error .mono').length") == 2, "no request id")


@test
def version_can_be_picked(page):
    page.load()
    health = json.loads(page.fetch("/health")[1])
    known = [m for m in health["models"] if m["task"] == "image-classification" and m["state"] == "ready"]
    options = page.js("[...document.querySelectorAll('#model option')].map((e) => e.textContent)")
    for model in known:
        wanted = f"{model['name']}, version {model['version']}"
        check(any(option.startswith(wanted) for option in options), f"{wanted} is not in {options}")
    page.browser.run("const s = document.querySelector('#model'); s.selectedIndex = 1;"
                     "s.dispatchEvent(new Event('change', {bubbles: true}));")
    page.classify()
    picked = json.loads(page.js("document.querySelector('#model').value"))
    shown = page.js("[...document.querySelectorAll('.answer .facts dd')].slice(0, 2).map((e) => e.textContent)")
    check(shown == picked, f"picked {picked}, answered by {shown}")


@test
def a_detectors_boxes_are_drawn_on_the_picture(page):
    page.load(base=page.options.detector)
    page.classify()
    page.browser.until("document.querySelector('.asked').naturalWidth > 0", "the picture asked about")
    check(page.text(".verdict .display") == "3 found", page.text(".verdict"))
    check([bar.strip() for bar in page.bars()] == ["dog", "cat", "dog"], f"bars: {page.bars()}")
    titles = page.js("[...document.querySelectorAll('.boxes rect title')].map((e) => e.textContent)")
    check(titles == ["dog, 90 %", "cat, 70 %", "dog, 60 %"], f"titles: {titles}")
    # The first box is from a quarter to a half across, and from an eighth to three eighths down.
    shares = page.js("""(() => {
      const image = document.querySelector('.asked').getBoundingClientRect();
      const box = document.querySelector('.boxes rect').getBoundingClientRect();
      return [(box.left - image.left) / image.width, (box.right - image.left) / image.width,
              (box.top - image.top) / image.height, (box.bottom - image.top) / image.height];
    })()""")
    check(all(abs(share - wanted) < 0.02 for share, wanted in zip(shares, (0.25, 0.5, 0.125, 0.375))),
          f"the first box lies at {shares}")
    names = page.js("""[...document.querySelectorAll('.box-name')].map((e) => {
      const box = e.getBoundingClientRect();
      return [e.textContent, box.left, box.top, box.right, box.bottom];
    })""")
    check([name[0] for name in names] == [title.replace(',', '') for title in titles], f"names: {names}")
    for i, one in enumerate(names):
        for other in names[:i]:
            apart = one[1] >= other[3] or other[1] >= one[3] or one[2] >= other[4] - 0.5 or other[2] >= one[4] - 0.5
            check(apart, f"{one} hides {other}")
    page.shot("detector")


@test
def several_pictures_are_a_request_and_a_row_each(page):
    page.load()
    photo = page.image.read_bytes()
    page.give_all({"one.jpg": ("image/jpeg", photo), "two.jpg": ("image/jpeg", photo),
                   "broken.jpg": ("image/jpeg", photo[:300])})
    page.browser.until("document.querySelectorAll('.one[data-state=answered]').length === 2 && "
                       "document.querySelectorAll('.one[data-state=failed]').length === 1", "three rows")
    page.browser.until("document.querySelector('#answer[aria-busy=false]')", "the end")
    check(page.text(".answer .display") == "2 of 3 answered, 1 failed", page.text(".answer .display"))
    rows = page.js("[...document.querySelectorAll('.one .one-words')].map((e) => e.textContent)")
    check(all(page.options.expect_label in row for row in rows[:2]), f"rows: {rows}")
    check("one.jpg" in rows[0] and "% sure" in rows[0] and "truncated" in rows[2], f"rows: {rows}")
    page.browser.click(".one summary")
    check(page.js("document.querySelector('.one .bars').checkVisibility()"), "no bars in the opened row")
    command = page.text(".command code")
    check(command.count("-F 'file=@") == 3 and "/predict?top_k=5" in command, command)
    check("?" not in page.js("location.hash"), page.js("location.hash"))
    page.shot("several")


@test
def several_pictures_can_be_cancelled(page):
    page.load()
    photo = page.image.read_bytes()
    page.browser.slow(60_000)
    try:
        page.give_all({f"{i}.jpg": ("image/jpeg", photo) for i in range(6)})
        page.browser.until("document.querySelectorAll('.one[data-state=waiting]').length === 6", "six rows")
        page.browser.click("#send")
        page.browser.until("document.querySelectorAll('.one[data-state=left]').length === 6", "the end")
    finally:
        page.browser.offline(False)
    page.browser.until("document.querySelector('#send').textContent === 'Classify'", "the button for the next question")


@test
def what_the_server_refuses_is_drawn_by_the_browser(page):
    """A bitmap: the server answers 415. HEIC goes the same way in a browser that shows it."""
    page.load()
    page.classify()
    bitmap = page.in_page("bitmapOf('.asked')")
    page.load()
    page.in_page("dropAll(arguments[0])", [["photo.bmp", "image/bmp", bitmap]])
    page.browser.until(ANSWERED, "an answer to the bitmap")
    page.check_label()
    check("does not take photo.bmp" in page.text(".verdict"), page.text(".verdict"))
    check("photo.jpg" in page.text(".command code"), page.text(".command code"))


@test
def an_animation_stands_still(page):
    page.load()
    data = (pathlib.Path(__file__).parents[2] / "src/image/testdata/gif_animation.gif").read_bytes()
    page.give("drop", data=data, name="moves.gif")
    page.browser.until("document.querySelector('#answer[aria-busy=false] canvas.asked')", "the first frame")
    check("frames: the first was asked about" in page.text(".verdict"), page.text(".verdict"))


@test
def examples_are_answered_and_linked_to(page):
    page.load()
    seen = {}
    for name in ("cat", "espresso", "rocket"):
        page.browser.click(f"#example-{name}")
        page.browser.until(f"{ANSWERED} && location.hash.includes('example={name}')", f"an answer to the {name}")
        page.browser.until("document.querySelector('#answer[aria-busy=false]')", "the end")
        seen[name] = page.bars()
        page.browser.run("document.querySelector('#answer-body').replaceChildren();")
    check(any("tabby cat" in bar for bar in seen["cat"]), seen["cat"])
    check("espresso" in seen["espresso"][0], seen["espresso"])
    check("missile" in seen["rocket"][0], seen["rocket"])


@test
def a_link_brings_the_question_again_and_asks_nothing(page):
    page.load("/#url")
    page.browser.type("#url", "http://127.0.0.1:1/a picture.jpg?b=c&d#e")
    page.browser.type("#top-k", "7")
    page.browser.run("const s = document.querySelector('#model'); s.selectedIndex = 1;"
                     "s.dispatchEvent(new Event('change', {bubbles: true}));")
    chosen = page.js("document.querySelector('#model').value")
    page.browser.click("#send")
    page.browser.until(FAILED, "the server's refusal")
    link = page.js("location.hash")
    check(link.startswith("#url?"), link)
    page.load("/" + link)
    page.browser.until("document.querySelector('#model').value !== ''", "the link's model")
    check(page.js("document.querySelector('#url').value") == "http://127.0.0.1:1/a picture.jpg?b=c&d#e", "the URL")
    check(page.js("document.querySelector('#top-k').value") == "7", "the number of labels")
    check(page.js("document.querySelector('#model').value") == chosen, "the model")
    check("A question from a link" in page.text("#answer-body"), page.text("#answer-body"))
    check(not page.js("performance.getEntriesByType('resource').some((e) => e.name.includes('predict'))"), "asked")


@test
def links_hold_numbers_simulated_work_and_examples(page):
    page.load("/#numbers")
    page.browser.click("#example")
    values = "[...document.querySelectorAll('#numbers input')].map((e) => e.value)"
    given = page.js(values)
    page.browser.click("#send")
    page.browser.until(ANSWERED, "an answer to the numbers")
    check(page.js("document.querySelector('[aria-label=\"Copy a link to this question\"]') !== null"), "no link")
    page.load("/" + page.js("location.hash"))
    check(page.js(values) == given, page.js(values))
    page.load("/#simulated?cpu_ms=2.5&requests=20")
    check(page.js("[document.querySelector('#cpu').value, document.querySelector('#burst').value]") == ["2.5", "20"],
          "the simulated work")
    page.load("/#image?example=cat&top_k=3")
    page.browser.until("document.querySelector('#previews img')?.naturalWidth > 0", "the example")
    page.browser.click("#send")
    page.browser.until(ANSWERED, "an answer to the example")
    check(len(page.bars()) == 3, page.bars())
    page.load("/#url?url=x&model=gone&version=9")
    page.browser.until("document.querySelector('#answer-body').textContent.includes('gone version 9')", "the model's absence")


@test
def a_links_text_is_text(page):
    page.load("/#url?url=%3Cimg%20src%3Dx%3E&model=%3Cb%3E&top_k=%3Ci%3E")
    page.browser.until("document.querySelector('#answer-body').textContent.includes('<b>')", "the model's absence")
    check(page.js("document.querySelector('#url').value") == "<img src=x>", "the URL")
    check(page.js("document.querySelector('#top-k').value") == "5", "the number of labels")


# ---- the other tabs


@test
def a_urls_picture_is_shown(page):
    """The server fetches it from a host here and sends a small copy back."""
    page.load("/#url", base=page.options.fetching)
    page.browser.type("#url", page.options.picture_url)
    page.browser.click("#send")
    page.browser.until("document.querySelector('#answer[aria-busy=false] .asked')?.naturalWidth > 0", "the picture")
    page.check_label()
    check(page.js("document.querySelector('.asked').src").startswith("data:image/jpeg;base64,"), "another source")
    check(page.text(".asked-url") == page.options.picture_url, page.text(".asked-url"))
    check("thumbnail" not in page.text(".command code"), page.text(".command code"))
    check(len(page.text("#answer-body details code")) < 2000, "the JSON shows the thumbnail's letters")
    page.shot("url")


@test
def url_error_is_shown(page):
    page.load("/#url")
    page.browser.click("#send")
    page.browser.until(FAILED, "the wish for an address")
    page.browser.type("#url", "http://127.0.0.1:1/picture.jpg")
    page.browser.click("#send")
    page.browser.until("/PERMISSION_DENIED|INVALID_ARGUMENT/.test(document.querySelector("
                       "'#answer[aria-busy=false] .error')?.textContent)", "the server's refusal")
    check("predict/url" in page.text(".command code"), "no curl command beside the error")


@test
def numbers_predict(page):
    page.load("/#numbers")
    count = page.js("document.querySelectorAll('#numbers input').length")
    check(count == 20, f"{count} fields")
    page.browser.click("#send")
    page.browser.until(FAILED, "the wish for numbers")
    check(page.js("document.activeElement.id") == "x1", "the first empty field has no focus")
    seen = set()
    for _ in range(2):
        page.browser.click("#example")
        page.browser.click("#send")
        page.browser.until(ANSWERED, "an answer to the numbers")
        check(len(page.bars()) >= 2, f"bars: {page.bars()}")
        seen.add(page.text(".verdict .display"))
        empty = page.js("""document.querySelector('.stack').getBoundingClientRect().right -
                           document.querySelector('.stack .piece:last-child').getBoundingClientRect().right""")
        check(abs(empty) < 1, f"{empty} px of the bar of times are empty")
        page.browser.run("document.querySelector('#answer-body').replaceChildren();")
    check(seen == {"Class 1", "Class 0"}, f"titles: {seen}")


@test
def list_of_numbers_can_be_pasted(page):
    page.load()
    page.browser.run("location.hash = '#numbers';")
    page.browser.until("document.querySelector('#panel-numbers').checkVisibility()", "the tab in the address")
    page.in_page("pasteText('x2', '[-1, 2.5e-3\t+3; 4]')")
    values = page.js("[...document.querySelectorAll('#numbers input')].slice(0, 6).map((e) => e.value)")
    check(values == ["", "-1", "2.5e-3", "+3", "4", ""], f"values: {values}")


@test
def simulated_burst_is_counted(page):
    page.load("/#simulated")
    page.browser.type("#cpu", "2")
    page.browser.run("document.querySelector('#burst').value = '20';")
    page.browser.click("#send")
    page.browser.until(ANSWERED, "the burst's end")
    check("20 answered, 0 failed" in page.text(".verdict"), page.text(".verdict"))


# ---- live


@test
def charts_draw_points(page):
    page.load()
    page.classify()
    page.browser.until("[...document.querySelectorAll('.line:not([data-series^=p])')]"
                       ".every((line) => Number(line.dataset.points) >= 3)", "three points a line")
    page.browser.until("Number(document.querySelector('.line[data-series=p99]').dataset.points) >= 1",
                       "a point of the latency")
    check(page.js("document.querySelectorAll('.plot').length") == 4, "four charts")
    paths = page.js("[...document.querySelectorAll('.line:not([data-series^=p])')].map((e) => e.getAttribute('d'))")
    check(all(re.match(r"M[\d.]+ [\d.]+h0L", path) for path in paths), f"paths: {paths}")
    check(not any("NaN" in path for path in paths), "NaN in a path")
    check(page.js("document.querySelectorAll('#models tr').length") >= 1, "no models in the table")
    check(page.js("document.querySelectorAll('#figures dd').length") == 6, "six figures")


@test
def charts_begin_with_what_the_server_remembers(page):
    """The points of the first answer of /stats are there at once, at the moments they are of."""
    page.load()
    page.browser.until("fetch('stats?history=true').then((r) => r.json()).then((d) => { window.past = d.history.length; })"
                       " && window.past >= 4", "four ticks of the server")
    page.load()
    page.browser.until("Number(document.querySelector('.line[data-series=rate]').dataset.points) >= 1", "points")
    check(page.js("Number(document.querySelector('.line[data-series=rate]').dataset.points)") >= 5, "no past")
    seconds = page.js("document.querySelector('.line[data-series=rate]').getAttribute('d').match(/[\\d.]+(?= [\\d.]+)/g).map(Number)")
    check(seconds == sorted(seconds), f"not in order: {seconds}")


@test
def charts_pause(page):
    """By the button and while the tab is hidden: no request for 2.5 s, then again."""
    page.load()
    polls = ("performance.getEntriesByType('resource')"
             ".filter((e) => /\\/stats(\\?|$)/.test(e.name)).length")
    hide = ("Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
            "document.dispatchEvent(new Event('visibilitychange'));")
    for stop, go in (("document.querySelector('#pause').click();",) * 2, (hide % "true", hide % "false")):
        page.browser.until(f"{polls} >= 1", "a poll")
        page.browser.run(stop)
        page.browser.run("window.pausedAt = performance.now();")
        page.browser.until("performance.now() > window.pausedAt + 200", "answers under way")
        before = page.js(polls)
        page.browser.until("performance.now() > window.pausedAt + 2700", "the pause")
        check(page.js(polls) == before, "polled while paused")
        page.browser.run(go)
        page.browser.until(f"{polls} > {before}", "a poll after the pause")


@test
def lost_connection_is_shown_and_found_again(page):
    page.load()
    try:
        page.browser.offline(True)
        page.browser.until("document.querySelector('#banner').checkVisibility() && "
                           "document.querySelector('#health').dataset.state === 'away'", "no connection")
        check("No connection" in page.text("#banner"), page.text("#banner"))
        page.shot("no-connection")
        page.give("drop", page.image)
        page.browser.until(FAILED, "the error")
    finally:
        page.browser.offline(False)
    page.browser.run("document.querySelector('#retry-now').click();")  # it may be gone already
    page.browser.until("document.querySelector('#health').dataset.state !== 'away'", "the connection")
    page.browser.until("!document.querySelector('#banner[data-kind=away]')?.checkVisibility()", "no banner")


# ---- keyboard, names, looks


def tab_to(page, css, limit=60):
    for _ in range(limit):
        page.browser.press("Tab")
        if page.js(f"document.activeElement.matches({json.dumps(css)})"):
            outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
            check(outline != "none", f"{css}: no focus ring")
            return
    raise AssertionError(f"Tab never reaches {css}")


@test
def keyboard_alone_is_enough(page):
    page.load()
    tab_to(page, ".skip", limit=1)
    page.browser.press("Enter")
    tab_to(page, "#tab-image", limit=1)
    page.browser.press("Right", "Right")
    check(page.js("document.activeElement.id") == "tab-numbers", "arrow keys do not move between tabs")
    check(page.js("document.querySelector('#panel-numbers').checkVisibility()"), "the panel is not shown")
    tab_to(page, "#x1", limit=1)
    tab_to(page, "#example")
    page.browser.press("Space")
    tab_to(page, "#send")
    page.browser.press("Enter")
    page.browser.until(ANSWERED, "an answer")
    tab_to(page, ".copy")
    tab_to(page, "#pause")
    page.browser.press("Enter")
    check(page.js("document.querySelector('#pause').getAttribute('aria-pressed')") == "true", "not paused")


def check_looks(page, where):
    faults = page.in_page("lowContrast()")
    check(not faults, f"{where}: contrast {faults[:8]}")
    faults = page.in_page("nameless()")
    check(not faults, f"{where}: {faults[:8]}")
    wide = page.js("document.scrollingElement.scrollWidth - innerWidth")
    check(wide <= 0, f"{where}: {wide} px wider than the screen")


LOOKS = [("desktop-light", 1280, 900, False, False), ("desktop-dark", 1280, 900, True, False),
         ("tablet-light", 820, 1100, False, True), ("phone-light", 390, 844, False, True),
         ("phone-dark", 390, 844, True, True), ("phone-small", 320, 640, False, True)]


@test
def looks_right_on_every_screen(page):
    for name, width, height, dark, phone in LOOKS:
        page.browser.look(width, height, dark, phone)
        page.load()
        check_looks(page, f"{name}, empty")
        page.classify()
        page.browser.until("Number(document.querySelector('.line').dataset.points) >= 4", "the charts")
        check_looks(page, name)
        page.shot(f"page-{name}")
        for tab in ("url", "numbers", "simulated"):
            page.browser.click(f"#tab-{tab}")
            check_looks(page, f"{name}, {tab}")
            if tab == "numbers":
                page.browser.click("#send")  # shows an error
                page.browser.until(FAILED, "the error")
                check_looks(page, f"{name}, error")
                page.shot(f"numbers-{name}")
        page.load("/docs")
        page.browser.until("document.querySelector('.operation')", "the documentation")
        check_looks(page, f"{name}, docs")
        page.shot(f"docs-{name}")


@test
def docs_list_every_endpoint(page):
    document = json.loads(page.fetch("/openapi.json")[1])
    wanted = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
              if method in ("get", "post", "put", "patch", "delete")}
    page.load("/docs")
    page.browser.until("document.querySelector('.operation')", "the documentation")
    shown = page.js("[...document.querySelectorAll('.operation h2')].map((e) => e.textContent)")
    check(set(shown) == wanted, f"differ: {set(shown) ^ wanted}")
    check(page.js("document.querySelectorAll('#toc a').length") == len(wanted), "not all in the list")
    broken = page.js("[...document.querySelectorAll('.path span')].filter((e) => e.getClientRects().length > 1)"
                     ".map((e) => e.textContent)")
    check(broken == [], f"paths that break inside words: {broken}")
    for card in page.js("[...document.querySelectorAll('.operation')].map((e) => e.textContent)"):
        check("undefined" not in card and "[object" not in card, f"a hole in: {card[:80]}")
    page.browser.type("#search", "top_k")
    left = page.js("[...document.querySelectorAll('.operation')].filter((e) => e.checkVisibility()).length")
    check(0 < left < len(wanted), f"the search leaves {left}")
    page.browser.type("#search", "zzzz")
    check(page.js("document.querySelector('#nothing').checkVisibility()"), "nothing matches, unsaid")
    page.browser.type("#search", "/version")
    page.browser.click("#get-version button:not(.copy)")
    page.browser.until("document.querySelector('#get-version').textContent.includes('200')", "a try")


def ask_by_grpc_web(page, base):
    """ServerReady; the answer's bytes: a message, then trailers as a frame of its own."""
    page.browser.run("""
      window.answered = null;
      fetch(arguments[0] + "/inference.GRPCInferenceService/ServerReady", {
        method: "POST", body: new Uint8Array(5),
        headers: {"Content-Type": "application/grpc-web+proto", "X-Grpc-Web": "1"},
      }).then(async (answer) => {
        window.answered = {type: answer.headers.get("content-type"),
                           bytes: [...new Uint8Array(await answer.arrayBuffer())]};
      }, (error) => { window.answered = {type: String(error), bytes: []}; });""", base)
    answered = page.browser.until("window.answered", "an answer to gRPC-Web")
    check(answered["type"] == "application/grpc-web+proto", answered)
    bytes_ = bytes(answered["bytes"])
    check(bytes_[:8] == bytes([0, 0, 0, 0, 2, 8, 1, 0x80]), bytes_)  # ready: true
    check(bytes_[12:].replace(b" ", b"") == b"grpc-status:0\r\n", bytes_)


@test
def grpc_web_is_answered_on_the_pages_own_port_and_to_another_origin(page):
    page.load()
    ask_by_grpc_web(page, page.base)
    if page.options.other_grpc:
        page.browser.open(page.base + "/livez")  # an origin without the page's policy
        ask_by_grpc_web(page, page.options.other_grpc)
        page.browser.console()  # what is no page has no icon: not looked for


@test
def a_key_is_asked_for_and_kept_for_the_tab(page):
    page.load(base=page.options.keyed)
    check(not page.js("document.querySelector('#key-box').checkVisibility()"), "asked before it is needed")
    page.browser.attach("#file", page.image)
    page.browser.until(FAILED, "the refusal")
    check("credentials are needed" in page.text(".error"), page.text(".error"))
    check(page.js("document.activeElement.id") == "key", "the field for the key has no focus")
    page.browser.type("#key", page.options.key)
    page.browser.click("#send")
    page.browser.until(ANSWERED, "an answer with the key")
    command = page.text(".command code")
    check("Authorization: Bearer $KEY" in command and page.options.key not in command, command)
    page.load(base=page.options.keyed)
    page.classify()
    page.browser.type("#key", "wrong-0123456789abcdef")
    page.browser.click("#send")
    page.browser.until(FAILED, "the refusal of another key")
    page.browser.run("sessionStorage.clear();")


def console_faults(browser):
    """Refused requests are also written to the console; those the tests ask for are no fault, a
    missing file is."""
    entries = [entry for entry in browser.console() if entry["level"] in ("SEVERE", "WARNING")]
    return [entry["message"] for entry in entries
            if entry["source"] != "network" or "status of 404" in entry["message"]
            or "Content Security Policy" in entry["message"]]


def run(page, function):
    browser = page.browser
    try:
        browser.look(1280, 900)
        browser.console()
        function(page)
        faults = console_faults(browser)
        check(not faults, f"console: {faults}")
        return None
    except (AssertionError, WebDriverError, OSError, KeyError, ValueError) as error:
        if not isinstance(error, AssertionError):
            traceback.print_exc()
        try:
            page.shot(f"failed-{function.__name__}")
        except WebDriverError:
            pass  # the first failure is the one to report
        return error


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, help="the server, e.g. http://127.0.0.1:8080")
    parser.add_argument("--keyed", default="", help="a server that asks for keys")
    parser.add_argument("--key", default="", help="one that it takes")
    parser.add_argument("--other-grpc", default="", help="gRPC's port of a server that takes the first one's origin")
    parser.add_argument("--fetching", default="", help="a server that may fetch --picture-url")
    parser.add_argument("--picture-url", default="", help="the photograph's address")
    parser.add_argument("--detector", default="", help="a server with one detector, tiny/detect_yolov8.onnx")
    parser.add_argument("--image", required=True, help="a photograph")
    parser.add_argument("--expect-label", required=True, help="part of a label among its first five")
    parser.add_argument("--screenshots", required=True, help="folder to write PNGs to")
    parser.add_argument("--only", default="", help="run tests whose name contains this")
    options = parser.parse_args()
    pathlib.Path(options.screenshots).mkdir(parents=True, exist_ok=True)
    chosen = [function for function in TESTS if options.only in function.__name__ and
              (options.keyed or function is not a_key_is_asked_for_and_kept_for_the_tab) and
              (options.fetching or function is not a_urls_picture_is_shown) and
              (options.detector or function is not a_detectors_boxes_are_drawn_on_the_picture)]
    failed = 0
    with Browser() as browser:
        page = Page(browser, options)
        for function in chosen:
            error = run(page, function)
            failed += error is not None
            print(f"{'FAIL' if error else 'ok  '} {function.__name__}{f': {error}' if error else ''}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} passed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
