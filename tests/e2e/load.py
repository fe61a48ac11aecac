"""Open-loop load by `podsense load`, running while something is done to the cluster."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile

from cluster import ROOT, Failure

BINARY = os.environ.get("PODSENSE_BINARY", str(ROOT / "build/release/podsense"))
ROW = json.dumps({"features": [round(0.1 * n - 1, 1) for n in range(20)]})
LONGEST = 900  # seconds; a load is ended when what it was for is over


class Load:
    """One generator process. `finish()` ends it and reads what it counted."""

    def __init__(self, url, rate, *arguments, seconds=LONGEST):
        self.folder = tempfile.TemporaryDirectory()
        self.report = f"{self.folder.name}/report.json"
        words = [BINARY, "load", url, "--qps", str(rate), "--seconds", str(seconds), "--json", self.report, "--quiet",
                 "--i-may-load-this-host"]  # a cluster may have addresses of any range
        self.process = subprocess.Popen(
            [*words, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.result = None

    def finish(self):
        if self.result is None:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
            said, _ = self.process.communicate(timeout=120)
            try:
                with open(self.report, encoding="utf-8") as report:
                    self.result = counts_of(json.load(report))
            except (OSError, ValueError) as error:
                raise Failure(f"podsense load ended with {self.process.returncode}: {error}\n{said[-2000:]}") from error
            self.folder.cleanup()
        return self.result


def counts_of(report):
    """What the tests ask about, from a report of `podsense load --json`."""
    requests = report["requests"]
    return {
        "sent": requests["sent"],
        # What was under way at the end of the load is neither; what was not sent is a failure of the test.
        "failed": requests["failed"],
        "dropped": requests["dropped"],
        "canceled": requests["canceled"],
        "p99": report["latency"].get("percentiles", {}).get("p99", 0.0),
        "errors": report["errors"],
        "status": {code: entry["count"] for code, entry in report["status"].items()},
        "samples": report["samples"],
        "slices": report["timeline"]["slices"],
    }


@contextlib.contextmanager
def load(url, rate, *arguments):
    """with load(URL, 50) as under: …; under.finish() for the counts."""
    under = Load(url, rate, *arguments)
    try:
        yield under
    finally:
        if under.process.poll() is None:
            with contextlib.suppress(Failure, subprocess.TimeoutExpired):
                under.finish()
        if under.process.poll() is None:
            under.process.kill()


def rows(url, rate, *arguments):
    """Rows for the random forest."""
    return load(f"{url}/predict-single", rate, "-m", "POST", "-T", "application/json", "-d", ROW, *arguments)


def photos(url, rate, photo):
    """Photographs for the image model, as their plain bytes."""
    return load(f"{url}/predict", rate, "-m", "POST", "-T", "image/jpeg", "-D", str(photo))


def require_no_failure(what, under, figures):
    """Every request was sent and answered; the figure says how many there were."""
    result = under.finish()
    figures.add(what, f"{result['failed']} failed of {result['sent']}", f"p99 {result['p99'] * 1000:.0f} ms")
    if result["failed"] or result["dropped"] or not result["sent"]:
        raise Failure(f"{what}: {({key: value for key, value in result.items() if key != 'slices'})}")
