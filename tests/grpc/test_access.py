"""Keys, tokens, rates and control over gRPC: exact codes, messages and details."""

import tempfile
import time
import unittest
from pathlib import Path

from clients import OIP, OWN, PROTOS, ROW, channel_to, failure

# isort: split
import grpc
from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, message_factory
from harness import LIMIT, Server, wait_until
from tokens import Issuer

ANA, BOB, OPS = "ana-0123456789abcdef", "bob-0123456789abcdef", "ops-0123456789abcdef"
NO_KEY = "credentials are needed: send 'Authorization: Bearer …' or 'X-Api-Key: …'"
WRONG = "the key is not known here"
C = grpc.StatusCode


def rpc_messages():
    """google.rpc's Status, ErrorInfo and RetryInfo by their published field numbers: as a client has
    them, not as the server's build does."""
    T = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="test/rpc.proto", package="google.rpc", syntax="proto3",
        dependency=["google/protobuf/any.proto", "google/protobuf/duration.proto"])

    def message(name, *fields):
        found = file.message_type.add(name=name)
        for number, (field, kind, label, type_name) in enumerate(fields, 1):
            found.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)

    one, many = T.LABEL_OPTIONAL, T.LABEL_REPEATED
    message("Status", ("code", T.TYPE_INT32, one, None), ("message", T.TYPE_STRING, one, None),
            ("details", T.TYPE_MESSAGE, many, ".google.protobuf.Any"))
    message("ErrorInfo", ("reason", T.TYPE_STRING, one, None), ("domain", T.TYPE_STRING, one, None))
    message("RetryInfo", ("retry_delay", T.TYPE_MESSAGE, one, ".google.protobuf.Duration"))
    pool = message_factory.descriptor_pool.DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"google.rpc.{name}"))
            for name in ("Status", "ErrorInfo", "RetryInfo")}


RPC = rpc_messages()


def details(error):
    """{"ErrorInfo": …, "RetryInfo": …} of an error."""
    trailers = dict(error.trailing_metadata())
    status = RPC["Status"].FromString(trailers["grpc-status-details-bin"])
    assert status.code == error.code().value[0], status
    assert status.message == error.details(), status
    return {detail.type_url.rpartition(".")[2]:
            RPC[detail.type_url.rpartition(".")[2]].FromString(detail.value)
            for detail in status.details}


class Access(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "keys").write_text(f"ana:{ANA}\nbob:{BOB}\n")
        (self.folder / "control").write_text(f"ops:{OPS}\n")

    def serve(self, *flags, keys=True):
        keys = ("--auth-api-keys", str(self.folder / "keys")) if keys else ()
        server = self.enterContext(Server(*keys, *flags))
        channel = self.enterContext(channel_to(server.grpc_port))

        def call(service, method, request=None, **metadata):
            kind = PROTOS.pool.FindServiceByName(service).FindMethodByName(method).input_type
            request = message_factory.GetMessageClass(kind)() if request is None else request
            metadata = [(name.replace("_", "-"), value) for name, value in metadata.items()]
            return PROTOS.call(channel, service, method)(request, timeout=LIMIT, metadata=metadata)

        self.server, self.channel = server, channel
        return call

    def assert_refused(self, call, code, message, reason):
        error = failure(call)
        self.assertEqual((error.code(), error.details()), (code, message))
        found = details(error)
        self.assertEqual((found["ErrorInfo"].reason, found["ErrorInfo"].domain),
                         (reason, "podsense"))
        self.assertEqual(dict(error.trailing_metadata())["x-podsense-code"], reason)
        return error, found

    def oip_request(self):
        request = PROTOS.message("inference.ModelInferRequest")(model_name="random-forest")
        metadata = PROTOS.message("inference.ModelMetadataRequest")(name="random-forest")
        return request, metadata

    def test_every_way_to_infer_asks_for_a_key(self):
        call = self.serve()
        infer, metadata = self.oip_request()
        for service, method, request in ((OWN, "Infer", ROW), (OWN, "ListModels", None),
                                         (OIP, "ModelInfer", infer), (OIP, "ModelMetadata", metadata)):
            for given, message in (({}, NO_KEY), ({"authorization": "Bearer wrong-0123456789"}, WRONG),
                                   ({"authorization": "Basic YTpi"},
                                    "Authorization takes the scheme Bearer"),
                                   ({"x_api_key": OPS}, WRONG)):
                with self.subTest(method=method, given=given):
                    self.assert_refused(
                        lambda m=method, s=service, r=request, g=given: call(s, m, r, **g),
                        C.UNAUTHENTICATED, message, "UNAUTHENTICATED")
        self.assertEqual(call(OWN, "Infer", ROW, authorization=f"Bearer {ANA}").model, "random-forest")
        self.assertEqual(call(OWN, "Infer", ROW, x_api_key=BOB).model, "random-forest")
        self.assertEqual(call(OIP, "ModelMetadata", metadata, x_api_key=BOB).name, "random-forest")
        def clients():  # a line may be written after its answer
            return [line["client"] for line in self.server.log_lines("request")
                    if line["server"] == "grpc" and line["code"] == "OK"]

        wait_until(lambda: len(clients()) >= 3, what="three lines")
        self.assertEqual(set(clients()), {"key:ana", "key:bob"})

    def test_a_stream_is_refused_before_it_begins(self):
        self.serve()
        for service, method in ((OWN, "InferStream"), (OIP, "ModelStreamInfer")):
            error = failure(lambda s=service, m=method: next(iter(
                PROTOS.call(self.channel, s, m)(iter(()), timeout=LIMIT))))
            self.assertEqual((error.code(), error.details()), (C.UNAUTHENTICATED, NO_KEY))

    def test_health_asks_for_nothing(self):
        call = self.serve()
        self.assertTrue(call(OIP, "ServerLive").live)
        self.assertTrue(call(OIP, "ServerReady").ready)
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b"", timeout=LIMIT), b"\x08\x01")  # SERVING

    def test_beyond_its_rate_a_key_is_told_when_to_come_again(self):
        call = self.serve("--auth-rate", "0.01", "--auth-burst", "2")
        for _ in range(2):
            call(OWN, "Infer", ROW, x_api_key=ANA)
        error, found = self.assert_refused(lambda: call(OWN, "Infer", ROW, x_api_key=ANA),
                                           C.RESOURCE_EXHAUSTED, "too many requests with this key",
                                           "RATE_LIMITED")
        delay = found["RetryInfo"].retry_delay
        self.assertTrue(30 < delay.seconds <= 100, delay)  # one in a hundred seconds
        self.assertIn(int(dict(error.trailing_metadata())["retry-after"]),
                      (delay.seconds, delay.seconds + 1))
        self.assertEqual(call(OWN, "Infer", ROW, x_api_key=BOB).model, "random-forest")
        # The rate is the key's, whichever way it comes.
        http = self.server.post("/predict-single", b'{"features":[1]}', "application/json",
                                {"X-Api-Key": ANA})
        self.assertEqual(http.status, 429)

    def test_control_needs_a_token_of_its_own(self):
        call = self.serve("--repository-api", "--auth-control-tokens", str(self.folder / "control"))
        load = PROTOS.message("inference.RepositoryModelLoadRequest")(model_name="random-forest")
        for given, message in (({}, NO_KEY), ({"x_api_key": ANA}, WRONG)):
            for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
                request = PROTOS.message(f"inference.{method}Request")(model_name="random-forest")
                self.assert_refused(lambda m=method, r=request, g=given: call(OIP, m, r, **g),
                                    C.UNAUTHENTICATED, message, "UNAUTHENTICATED")
        call(OIP, "RepositoryModelLoad", load, authorization=f"Bearer {OPS}")
        self.assert_refused(lambda: call(OWN, "Infer", ROW, x_api_key=OPS), C.UNAUTHENTICATED, WRONG,
                            "UNAUTHENTICATED")

    def test_control_is_denied_where_nobody_may(self):
        message = ("models are loaded and unloaded over gRPC only where models.repository_api is on "
                   "and auth.control_tokens says who may")
        load = PROTOS.message("inference.RepositoryModelLoadRequest")(model_name="random-forest")
        for flags in ((), ("--repository-api",)):
            call = self.serve(*flags, keys=False)
            self.assert_refused(lambda c=call: c(OIP, "RepositoryModelLoad", load),
                                C.PERMISSION_DENIED, message, "PERMISSION_DENIED")

    def test_tokens(self):
        issuer, stranger = Issuer(self.folder), Issuer(self.folder, "stranger")
        call = self.serve("--auth-jwks", str(issuer.jwks), "--auth-jwt-issuer", "https://id.example",
                          "--auth-jwt-audience", "podsense", keys=False)
        claims = {"iss": "https://id.example", "aud": "podsense", "sub": "ana",
                  "exp": int(time.time()) + 600}

        def ask(token):
            return call(OWN, "Infer", ROW, authorization=f"Bearer {token}")

        self.assertEqual(ask(issuer.token(**claims)).model, "random-forest")
        wait_until(lambda: [line for line in self.server.log_lines("request")
                            if line.get("client") == "jwt:ana"], what="the name in the log")
        bad = {"expired": issuer.token(**claims | {"exp": int(time.time()) - 600}),
               "issuer": issuer.token(**claims | {"iss": "https://elsewhere.example"}),
               "audience": issuer.token(**claims | {"aud": "other"}),
               "signature": stranger.token(**claims),
               "cut": issuer.token(**claims)[:-20]}
        for name, token in bad.items():
            with self.subTest(name):
                error = failure(lambda t=token: ask(t))
                self.assertEqual(error.code(), C.UNAUTHENTICATED)
                self.assertTrue(error.details().startswith("the token"), error.details())


if __name__ == "__main__":
    unittest.main(verbosity=2)
