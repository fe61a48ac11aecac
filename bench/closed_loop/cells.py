"""What is run: a cell is one kind of run, its runs differ by their seeds.

    loop:SIGNAL:SHAPE   an autoscaler on SIGNAL, load of SHAPE
    fixed:RHO           two pods behind the Service, offered RHO of what they can do
    limit:CPU_MS        one pod with a CPU limit, requests of CPU_MS, half of what it can do
    start:PODS          so many pods more, at once, without load
"""

import dataclasses
import hashlib

MAX_PODS = 6
CPU = "250m"  # request and limit of a pod
CORES = 0.25
CPU_MS = 25
OBJECTIVE = 0.25  # seconds
SECONDS = 120  # of load
WINDOW = 30  # seconds of the stabilization window on the way down: within a run it is to be seen
SEEDS_APART = 1000  # the simulation of a run has its seed and the next ones

# Values of the chart; metric of the server that an External one of KEDA is made of.
SIGNALS = {
    "cpu": {"values": {"targetCPUUtilizationPercentage": "70"}},
    "saturation": {"values": {"targetSaturation": "700m", "targetCPUUtilizationPercentage": "null"}},
    "several": {"values": {"targetSaturation": "700m", "targetCPUUtilizationPercentage": "70"}},
    "keda-queue": {"metric": "podsense_queue_depth", "threshold": "2"},
    "keda-in-flight": {"metric": "podsense_requests_in_flight", "threshold": "3"},
}
# As `podsense load --shape`, and its arrivals. A pod does 9 requests of 25 ms a second.
SHAPES = {
    "step": ("constant:16", "poisson"),
    "ramp": ("ramp:1..24", "poisson"),
    "burst": ("burst:80,30s", "even"),
    "sine": ("sine:12,10,60s", "poisson"),
}
LOADS = ("0.3", "0.5", "0.7", "0.8", "0.9", "1.1", "1.2")
LIMITS = ("5", "20", "25", "30", "60")
STARTS = ("1", "3")
LIMIT_LOAD = 0.5
FIXED_PODS = 2

CELLS = tuple(
    [f"loop:{signal}:{shape}" for signal in ("cpu", "saturation", "several", "keda-queue") for shape in SHAPES]
    + [f"fixed:{load}" for load in LOADS]
    + [f"limit:{cpu_ms}" for cpu_ms in LIMITS]
    + [f"start:{pods}" for pods in STARTS]
)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a cell; `number` from 1 on."""

    cell: str
    number: int

    @property
    def key(self):
        return f"{self.cell}#{self.number}"

    @property
    def kind(self):
        return self.cell.split(":")[0]

    @property
    def words(self):
        return self.cell.split(":")[1:]

    @property
    def seed(self):
        return self.number * SEEDS_APART

    @property
    def half(self):
        """fit or judge. Of the runs 2n-1 and 2n of a cell one is of each; a hash decides which."""
        pair = (self.number - 1) // 2
        even_is_fit = hashlib.sha256(f"{self.cell}#{pair}".encode()).digest()[0] % 2 == 0
        return "fit" if (self.number % 2 == 0) == even_is_fit else "judge"


def run_of(key):
    cell, number = key.rsplit("#", 1)
    return Run(cell, int(number))


def check(cell):
    """Nothing for a cell that can be run. @raises ValueError: what is wrong, and what is accepted"""
    kind, *words = cell.split(":")
    if kind == "loop" and len(words) == 2 and words[0] in SIGNALS and words[1] in SHAPES:
        return
    if kind in ("fixed", "limit", "start") and len(words) == 1:
        try:
            if 0 < float(words[0]) <= 1000 and (kind != "start" or 1 <= int(words[0]) < MAX_PODS):
                return
        except ValueError:
            pass
    raise ValueError(f"{cell} is no cell: accepted are loop:{{{','.join(SIGNALS)}}}:{{{','.join(SHAPES)}}}, fixed:RHO, "
                     f"limit:CPU_MS, start:1 to start:{MAX_PODS - 1}")


def matching(texts):
    """Cells that are named, or whose names begin with one of the texts and a colon. @raises ValueError"""
    found = []
    for text in texts:
        chosen = [cell for cell in CELLS if cell == text or cell.startswith(text + ":")]
        if not chosen:
            check(text)
            chosen = [text]
        found += [cell for cell in chosen if cell not in found]
    return found


def missing(cells, runs, done, random):
    """Runs that are not in `done` (keys), in an order drawn anew: all first runs, then all second ones, so that a benchmark
    which is ended early has something of each cell."""
    for number in range(1, runs + 1):
        turn = [run for run in (Run(cell, number) for cell in cells) if run.key not in done]
        random.shuffle(turn)
        yield from turn
