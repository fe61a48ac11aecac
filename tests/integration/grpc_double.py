"""A gRPC server with known latencies that answers every unary call, run by the interpreter of
load_venv.py as a program of its own:

    grpc_double.py '{"latency": 0.05, "stall": [0.5, 2], "status": "UNAVAILABLE", "key": FILE, …}'

It prints its port. When its standard input ends it prints what it saw: one object a call."""

import asyncio
import json
import sys
import time

import grpc


class AnyMethod(grpc.GenericRpcHandler):
    def __init__(self, options):
        self.latency = options.get("latency", 0)
        self.stall = options.get("stall")
        self.status = options.get("status")
        self.answer = bytes.fromhex(options.get("answer", ""))
        self.first = None
        self.log = []

    def service(self, handler_call_details):
        async def call(request, context):
            came = time.monotonic()
            self.first = self.first or came
            seen = {"method": handler_call_details.method, "peer": context.peer(),
                    "metadata": dict(handler_call_details.invocation_metadata),
                    "deadline": context.time_remaining(), "bytes": request.hex(), "came": came}
            self.log.append(seen)
            await asyncio.sleep(self.latency)
            if self.stall:
                end = self.first + sum(self.stall)
                if self.first + self.stall[0] <= time.monotonic() < end:
                    await asyncio.sleep(end - time.monotonic())
            seen["took"] = time.monotonic() - came
            if self.status:
                await context.abort(getattr(grpc.StatusCode, self.status), "as the test wants it")
            return self.answer

        return grpc.unary_unary_rpc_method_handler(call)


async def main(options):
    handler = AnyMethod(options)
    server = grpc.aio.server(handlers=[handler],
                             options=[("grpc.max_concurrent_streams", options.get("streams", 1000))])
    if "key" in options:
        with open(options["key"], "rb") as key, open(options["certificate"], "rb") as certificate:
            pair = (key.read(), certificate.read())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.stop(0)
    json.dump(handler.log, sys.stdout)


asyncio.run(main(json.loads(sys.argv[1])))
