"""As much of a WebDriver client as the browser test needs, on the standard library alone.

@source W3C WebDriver; ChromeDriver's additions under /goog and /se
"""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--hide-scrollbars", "--lang=en", "--no-proxy-server",
]
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " ", "Right": "\ue014", "End": "\ue010",
        "Home": "\ue011", "Shift": "\ue008"}


class WebDriverError(Exception):
    pass


def _find(*names):
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise WebDriverError(f"none of {', '.join(names)} is installed (apt: chromium chromium-driver)")


class Browser:
    """One headless Chromium. Use as a context manager: it ends what it started."""

    def __enter__(self):
        # Neither program removes all that it puts there.
        self._scratch = tempfile.TemporaryDirectory(prefix="podsense-browser-", ignore_cleanup_errors=True)
        for attempt in range(3):  # a driver that loses a race for its port ends at once
            self._process = subprocess.Popen([_find("chromedriver"), "--port=0"],
                                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                             text=True, env=os.environ | {"TMPDIR": self._scratch.name})
            try:
                self._base = f"http://127.0.0.1:{self._read_port()}"
                self._open_session()
                return self
            except BaseException as error:
                self._process.kill()
                self._process.wait()
                if attempt == 2 or not isinstance(error, WebDriverError):
                    self._scratch.cleanup()
                    raise
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", self._session)
        except (WebDriverError, OSError):
            pass  # it is about to be ended anyway
        self._process.terminate()
        self._process.wait(timeout=20)
        self._scratch.cleanup()

    def _read_port(self):
        said = []
        for line in self._process.stdout:
            said.append(line.strip())
            found = re.search(r"successfully on port (\d+)", line)
            if found:
                return found.group(1)
        raise WebDriverError("chromedriver ended before it listened: " + " / ".join(said))

    def _open_session(self):
        options = {"binary": _find("chromium", "chromium-browser", "google-chrome"),
                   "args": CHROMIUM_FLAGS}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}, "timeouts": {"script": 240_000}}
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{answer['sessionId']}"

    def _call(self, method, path, body=None):
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"},
                                         method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=300) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(f"{value['error']}: {value['message'].splitlines()[0]}") from None

    # ---- what tests use

    def open(self, url):
        self._call("POST", f"{self._session}/url", {"url": url})

    def run(self, script, *args):
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(args)})

    def until(self, condition, what, seconds=20):
        """Waits in the page until the JavaScript expression is true; answers its value."""
        script = f"""
          const done = arguments[arguments.length - 1];
          const end = performance.now() + {seconds * 1000};
          let fault = '';
          const poll = () => {{
            let value = null;
            try {{ value = {condition}; }} catch (error) {{ fault = String(error); }}
            if (value) done({{value}});
            else if (performance.now() > end) done({{fault}});
            else setTimeout(poll, 20);
          }};
          poll();"""
        answer = self._call("POST", f"{self._session}/execute/async", {"script": script, "args": []})
        if "value" not in answer:
            raise AssertionError(f"waited {seconds} s in vain for: {what} {answer['fault']}")
        return answer["value"]

    def find(self, css):
        found = self._call("POST", f"{self._session}/element", {"using": "css selector", "value": css})
        return f"{self._session}/element/{found[ELEMENT]}"

    def click(self, css):
        self._call("POST", self.find(css) + "/click")

    def type(self, css, text, clear=True):
        element = self.find(css)
        if clear:
            self._call("POST", element + "/clear")
        self._call("POST", element + "/value", {"text": text})

    def attach(self, css, path):
        """Puts a file into an <input type=file>, shown or not."""
        self._call("POST", self.find(css) + "/value", {"text": str(pathlib.Path(path).resolve())})

    def press(self, *names, shift=False):
        steps = [{"type": "keyDown", "value": KEYS["Shift"]}] if shift else []
        for name in names:
            key = KEYS.get(name, name)
            steps += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        if shift:
            steps.append({"type": "keyUp", "value": KEYS["Shift"]})
        self._call("POST", f"{self._session}/actions",
                   {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def cdp(self, command, **params):
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": params})

    def look(self, width, height, dark=False, phone=False):
        """Sets viewport and colour scheme; a phone also has touch and a dense screen."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        motion = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme, motion])

    def offline(self, on):
        self._network(offline=on, latency=0)

    def slow(self, latency):
        """Answers take `latency` ms longer, until offline(False)."""
        self._network(offline=False, latency=latency)

    def _network(self, **conditions):
        self.cdp("Network.enable")
        self.cdp("Network.emulateNetworkConditions", downloadThroughput=-1, uploadThroughput=-1, **conditions)

    def screenshot(self, path):
        """The whole page, not the viewport alone."""
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        picture = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                           clip={"x": 0, "y": 0, "width": size["width"],
                                 "height": min(size["height"], 4000), "scale": 1})
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))

    def console(self):
        """Entries since the last call: {level, message, source}."""
        return self._call("POST", f"{self._session}/se/log", {"type": "browser"})
