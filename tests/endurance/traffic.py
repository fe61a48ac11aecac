"""Mixed requests, good and bad, over HTTP, the Open Inference Protocol and gRPC, each with the answer
that it must get: what the long run and the drain test send.

Every client holds connections of its own and is used by one thread.
"""

import base64
import http.client
import json
import struct

import grpc
from harness import LIMIT, TESTDATA, RawClient, photo, post
from protos import Protos, channel_to

ROW = [round(0.37 * i - 3, 2) for i in range(20)]
ROW_JSON = json.dumps({"features": ROW}).encode()
OIP_JSON = json.dumps({"inputs": [{"name": "features", "shape": [1, 20], "datatype": "FP32",
                                   "data": ROW}]}).encode()
PHOTO = photo()
PNG = (TESTDATA / "png_2_8.png").read_bytes()
WEBP = (TESTDATA / "webp_lossy.webp").read_bytes()


class Unexpected(AssertionError):
    """An answer that is not the one this request must get."""


def expect(what, got, wanted):
    if got != wanted:
        raise Unexpected(f"{what}: {got!r} instead of {wanted!r}")


class HttpClient:
    """One kept-alive connection that is opened again whenever the server has closed it."""

    def __init__(self, port):
        self.port = port
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def ask(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT)
        try:
            self.connection.request(method, path, body=body, headers=headers or {})
            response = self.connection.getresponse()
            data = response.read()
        except BaseException:
            self.close()
            raise
        if response.will_close:
            self.close()
        return response.status, data

    def check(self, what, method, path, body, content_type, status):
        headers = {"Content-Type": content_type} if content_type else {}
        got, data = self.ask(method, path, body, headers)
        if got != status:
            raise Unexpected(f"{what}: {got} {data[:300]!r} instead of {status}")
        return data

    # --- good
    def row(self):
        data = self.check("row", "POST", "/predict-single", ROW_JSON, "application/json", 200)
        expect("row", json.loads(data)["prediction"] in (0, 1), True)

    def rows(self):
        body = json.dumps({"instances": [ROW] * 50}).encode()
        data = self.check("rows", "POST", "/predict-batch", body, "application/json", 200)
        expect("rows", len(json.loads(data)["predictions"]), 50)

    def picture(self):
        data = self.check("picture", "POST", "/predict", PHOTO, "image/jpeg", 200)
        expect("picture", json.loads(data)["predictions"][0]["class"], 967)

    def small_pictures(self):
        for name, body in (("png", PNG), ("webp", WEBP)):
            self.check(name, "POST", "/predict", body, "application/octet-stream", 200)

    def picture_in_json(self):
        body = json.dumps({"image": base64.b64encode(PNG).decode()}).encode()
        self.check("base64", "POST", "/v1/infer", body, "application/json", 200)

    def tensor(self):
        data = self.check("OIP", "POST", "/v2/models/random-forest/infer", OIP_JSON,
                          "application/json", 200)
        expect("OIP", json.loads(data)["model_name"], "random-forest")

    def binary_tensor(self):
        head = json.dumps({"inputs": [{"name": "features", "shape": [1, 20], "datatype": "FP32",
                                       "parameters": {"binary_data_size": 80}}]}).encode()
        status, data = self.ask("POST", "/v2/models/random-forest/infer",
                                head + struct.pack("<20f", *ROW),
                                {"Inference-Header-Content-Length": str(len(head))})
        if status != 200:
            raise Unexpected(f"binary OIP: {status} {data[:300]!r}")

    def simulated(self):
        self.check("simulated", "POST", "/infer?cpu_ms=2", b"", None, 200)

    def documents(self):
        for path in ("/health", "/stats", "/v2/models/random-forest", "/v1/models", "/"):
            self.check(path, "GET", path, None, None, 200)

    # --- bad
    def no_json(self):
        self.check("no JSON", "POST", "/predict-single", b'{"features":[1,', "application/json", 400)

    def wrong_count(self):
        self.check("3 features", "POST", "/predict-single", b'{"features":[1,2,3]}',
                   "application/json", 400)

    def no_path(self):
        self.check("no path", "POST", "/nowhere", b"x", None, 404)

    def no_model(self):
        self.check("no model", "POST", "/v2/models/nobody/infer", OIP_JSON, "application/json", 404)

    def wrong_method(self):
        self.check("method", "DELETE", "/predict", None, None, 405)

    def damaged_picture(self):
        self.check("cut JPEG", "POST", "/predict", PHOTO[:len(PHOTO) // 2], "image/jpeg", 422)
        self.check("cut PNG", "POST", "/predict", PNG[:-40], "image/png", 422)

    def no_picture(self):
        self.check("no picture", "POST", "/predict", b"%PDF-1.7 ...", "image/jpeg", 415)

    def wrong_shape(self):
        body = OIP_JSON.replace(b"[1, 20]", b"[1, 19]")
        self.check("shape", "POST", "/v2/models/random-forest/infer", body, "application/json", 400)

    def too_large(self):
        with RawClient(self.port) as client:
            client.send(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
            expect("too large", client.read().status, 413)

    def broken_head(self):
        with RawClient(self.port) as client:
            client.send(b"GET \x00\x01 HTTP/1.1\r\n\r\n")
            expect("broken head", client.read().status, 400)

    def gone_in_the_body(self):
        with RawClient(self.port) as client:
            client.send(post("/predict", PHOTO)[:20_000])

    def gone_before_the_answer(self):
        with RawClient(self.port) as client:
            client.send(post("/infer?cpu_ms=20", b""))
            client.reset()

    GOOD = (row, rows, picture, small_pictures, picture_in_json, tensor, binary_tensor, simulated,
            documents)
    BAD = (no_json, wrong_count, no_path, no_model, wrong_method, damaged_picture, no_picture,
           wrong_shape, too_large, broken_head, gone_in_the_body, gone_before_the_answer)


class GrpcClient:
    """podsense.v1 and the Open Inference Protocol on one channel."""

    def __init__(self, port, descriptors):
        protos = Protos(descriptors)
        self.channel = channel_to(port)
        self.request = protos.message("podsense.v1.InferRequest")
        self.oip_request = protos.message("inference.ModelInferRequest")
        service = "podsense.v1.InferenceService"
        self.infer = protos.call(self.channel, service, "Infer")
        self.stream = protos.call(self.channel, service, "InferStream")
        self.model_infer = protos.call(self.channel, "inference.GRPCInferenceService", "ModelInfer")

    def close(self):
        self.channel.close()

    def fails(self, what, call, request, *codes, timeout=LIMIT):
        try:
            call(request, timeout=timeout)
        except grpc.RpcError as error:
            if error.code() not in codes:
                raise Unexpected(f"{what}: {error.code()} {error.details()}") from None
        else:
            if grpc.StatusCode.OK not in codes:
                raise Unexpected(f"{what}: OK instead of {codes}")

    # --- good
    def row(self):
        answer = self.infer(self.request(features=ROW), timeout=LIMIT)
        expect("gRPC row", answer.model, "random-forest")

    def picture(self):
        answer = self.infer(self.request(image=PHOTO), timeout=LIMIT)
        expect("gRPC picture", getattr(answer.predictions[0], "class"), 967)

    def tensors_for(self, model):
        request = self.oip_request(model_name=model)
        tensor = request.inputs.add(name="features", datatype="FP32", shape=[1, 20])
        tensor.contents.fp32_contents.extend(ROW)
        return request

    def tensor(self):
        answer = self.model_infer(self.tensors_for("random-forest"), timeout=LIMIT)
        expect("gRPC OIP", answer.model_name, "random-forest")

    def stream_of_good_and_bad(self):
        asked = [self.request(features=ROW), self.request(features=[1, 2]),
                 self.request(image=PNG), self.request(image=PHOTO[:9000])]
        answers = list(self.stream(iter(asked), timeout=LIMIT))
        expect("gRPC stream", [answer.WhichOneof("result") for answer in answers],
               ["response", "error", "response", "error"])

    # --- bad
    def no_input(self):
        self.fails("gRPC no input", self.infer, self.request(), grpc.StatusCode.INVALID_ARGUMENT)

    def damaged_picture(self):
        self.fails("gRPC damaged", self.infer, self.request(image=PHOTO[:len(PHOTO) // 2]),
                   grpc.StatusCode.INVALID_ARGUMENT)

    def no_model(self):
        self.fails("gRPC no model", self.model_infer, self.tensors_for("nobody"),
                   grpc.StatusCode.NOT_FOUND)

    def no_time(self):
        self.fails("gRPC no time", self.infer, self.request(image=PHOTO), grpc.StatusCode.OK,
                   grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, timeout=0.004)

    def cancelled(self):
        self.infer.future(self.request(image=PHOTO), timeout=LIMIT).cancel()

    def cancelled_stream(self):
        calls = self.stream(iter([self.request(features=ROW)] * 20), timeout=LIMIT)
        next(calls)
        calls.cancel()

    GOOD = (row, picture, tensor, stream_of_good_and_bad)
    BAD = (no_input, damaged_picture, no_model, no_time, cancelled, cancelled_stream)
