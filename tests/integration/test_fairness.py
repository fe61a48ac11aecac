"""Several models share the cores by weight, and a flood of one does not starve another.

Counted in runs, not in seconds: a busy machine slows all models down alike.
"""

import shutil
import tempfile
import threading
import unittest
from pathlib import Path

from harness import RawClient, Server, wait_until

CPU_MS = 4
CLIENTS = 12  # of a flood: far more than there are executors


def ask(model):
    return f"GET /infer?model={model}&cpu_ms={CPU_MS} HTTP/1.1\r\nHost: a\r\n\r\n"


class Flood:
    """Closed loops on connections of their own: each asks again as soon as it is answered."""

    def __init__(self, port, model, clients=CLIENTS):
        self.port, self.model = port, model
        self.stop = threading.Event()
        self.failures = []
        self.threads = [threading.Thread(target=self.run) for _ in range(clients)]

    def run(self):
        try:
            with RawClient(self.port) as client:
                while not self.stop.is_set():
                    client.send(ask(self.model))
                    answer = client.read()
                    if answer.status != 200:
                        self.failures.append(repr(answer))
        except Exception as error:  # must reach the test
            self.failures.append(repr(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Fairness(unittest.TestCase):
    def start(self, **weights):
        root = Path(tempfile.mkdtemp(prefix="podsense-models-"))
        self.addCleanup(shutil.rmtree, root)
        for name, weight in weights.items():
            (root / name / "1").mkdir(parents=True)
            (root / name / "model.yaml").write_text(f"task: simulated\nweight: {weight}\n")
        self.server = self.enterContext(Server("--executors", "2", models=root))

    def runs(self, model):
        return self.server.metric("podsense_compute_seconds_count", model=model)

    def settled(self, *floods):
        """Until every flood's clients wait in the queue."""
        for flood in floods:
            wait_until(lambda f=flood: self.server.metric(
                "podsense_queue_depth", model=f.model) >= CLIENTS - 4 or f.failures,
                what="a full queue")

    def test_one_models_flood_does_not_starve_another(self):
        self.start(flood=1, other=1)
        wanted = 40
        with Flood(self.server.http_port, "flood") as flood:
            self.settled(flood)
            before = self.runs("flood")
            with self.server.raw() as client:
                for _ in range(wanted):
                    client.send(ask("other"))
                    self.assertEqual(client.read().status, 200)
            during = self.runs("flood") - before
        self.assertEqual(flood.failures, [])
        # First come, first served would run the whole queue of the flood before each one.
        self.assertGreater(during, 0)
        self.assertLess(during, wanted * (CLIENTS - 4),
                        "runs of the flood while the other model had its few")

    def test_weights_share_the_cores(self):
        self.start(heavy=3, light=1)
        port = self.server.http_port
        with Flood(port, "heavy") as heavy, Flood(port, "light") as light:
            self.settled(heavy, light)
            before = [self.runs("heavy"), self.runs("light")]
            wait_until(lambda: self.runs("light") - before[1] >= 60, what="sixty runs")
            share = (self.runs("heavy") - before[0]) / (self.runs("light") - before[1])
        self.assertEqual(heavy.failures + light.failures, [])
        self.assertGreater(share, 2)
        self.assertLess(share, 4)


if __name__ == "__main__":
    unittest.main()
