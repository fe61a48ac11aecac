"""What the tests of this folder share: paths, calls, and clients that keep calling."""

import os
import sys
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "envoy"), str(HERE.parent / "integration")]

import grpc  # noqa: E402  the path has to be set first
from harness import BINARY, LIMIT  # noqa: E402
from protos import Protos  # noqa: E402

DESCRIPTORS = Path(os.environ.get("PODSENSE_DESCRIPTORS", BINARY.parent / "podsense.pb"))
PROTOS = Protos(DESCRIPTORS)
OWN = "podsense.v1.InferenceService"
OIP = "inference.GRPCInferenceService"
ROW = PROTOS.message("podsense.v1.InferRequest")(features=[0.5] * 20)


def channel_to(port, credentials=None, **options):
    """A channel with a connection of its own; option names take _ for the dots after grpc."""
    options = [("grpc.use_local_subchannel_pool", 1),
               *((f"grpc.{name}", value) for name, value in options.items())]
    if credentials is None:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options=options)
    return grpc.secure_channel(f"localhost:{port}", credentials, options=options)


def infer(channel, timeout=LIMIT, **options):
    return PROTOS.call(channel, OWN, "Infer")(ROW, timeout=timeout, **options)


def failure(call):
    """The RpcError of call()."""
    try:
        answer = call()
    except grpc.RpcError as error:
        return error
    raise AssertionError(f"answered: {answer}")


class Caller(threading.Thread):
    """Calls one after the other until told to stop."""

    def __init__(self, channel):
        super().__init__()
        self.channel = channel
        self.done = threading.Event()
        self.first = threading.Event()
        self.answered = 0
        self.failures = []

    def run(self):
        while not self.done.is_set():
            try:
                infer(self.channel)
                self.answered += 1
                self.first.set()
            except grpc.RpcError as error:
                self.failures.append((error.code().name, error.details()))
                if len(self.failures) > 20:
                    return
