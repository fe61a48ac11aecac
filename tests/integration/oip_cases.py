"""Bad requests to the Open Inference Protocol over REST, each with its exact answer."""

import json
import struct

LENGTH = "Inference-Header-Content-Length"
INFER = "/v2/models/add-one/infer"
GOOD = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
EXAMPLE = ('{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 1]}]}')
SYNTAX = "the body is not valid JSON at byte "
NESTING = "data must be flat, or nested as the shape "
FP32 = "it must be a number within ±3.4028235e+38 (FP32)"
COUNT = "it must be an integer, 0 or more"
NO_HEADER = ("has binary_data_size, but the request has no Inference-Header-Content-Length, which "
             "says where its JSON ends and binary data begins")
TYPES = "BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64, BYTES"


def case(what, body, status, message, path=INFER, headers=()):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (what, "POST", path, list(headers), body, status, message)


def with_input(what, message, status=400, path=INFER, drop=(), **changes):
    """The good request with some fields of its input changed or dropped."""
    entry = {k: v for k, v in (GOOD | changes).items() if k not in drop}
    return case(what, {"inputs": [entry]}, status, message, path)


def data_of(what, datatype, value, message, shape=(1,)):
    """`value` is JSON text."""
    text = (f'{{"inputs":[{{"name":"x","shape":{json.dumps(list(shape))},'
            f'"datatype":"{datatype}","data":{value}}}]}}')
    return case(f"{what} ({datatype})", text.encode(), 400, message)


def element(what, datatype, value, rule):
    return data_of(what, datatype, f"[{value}]", f"inputs[0].data[0] is {value}; {rule}")


def integer_rule(name):
    bits = int(name.lstrip("UINT"))
    low, high = (0, 2**bits - 1) if name[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return low, high, f"it must be an integer from {low} to {high} ({name})"


def integers():
    for name in ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"):
        low, high, rule = integer_rule(name)
        yield element("one above its range", name, high + 1, rule)
        yield element("one below its range", name, low - 1, rule)
        yield element("a fraction", name, "1.5", rule)
        yield element("an exponent", name, "1e2", rule)


def binary(what, inputs, blob, status, message, path=INFER, size=None, extra=()):
    """`inputs` with binary data behind the JSON; `size` lies about where it ends."""
    head = json.dumps({"inputs": inputs}).encode()
    headers = [(LENGTH, str(len(head) if size is None else size)), *extra]
    return case(what, head + blob, status, message, path, headers)


def tensor(size, name="x", shape=(1, 4), datatype="FP32", **more):
    return {"name": name, "shape": list(shape), "datatype": datatype,
            "parameters": {"binary_data_size": size} | more}


def parameter(what, name, value, message, status=400):
    return case(what, {"inputs": [GOOD], "parameters": {name: value}}, status, message)


def output(what, entry, message, status=400):
    return case(what, {"inputs": [GOOD], "outputs": [entry]}, status, message)


def raw(what, blob, message, path, status=400):
    return case(what, blob, status, message, path, [(LENGTH, "0")])


NONE = ("no model 'none' is served; there are: add-one, bools, busy, classes, fixed, identity, longs, "
        "pick, pixels, rows, sum, texts")
HUGE = 1 << 41
OIP_CASES = [
    # --- the body
    case("no body", b"", 400, f"the body is empty; it must be a JSON object such as {EXAMPLE}"),
    case("not JSON", b"inputs=1", 400, SYNTAX + "0: 'inputs=1' is not a JSON value"),
    case("an array", b"[]", 400, f"the body is not a JSON object; it must be one such as {EXAMPLE}"),
    case("cut off", b'{"inputs": [', 400, SYNTAX + "12: expected a value, found the end of the body"),
    case("text behind", json.dumps({"inputs": [GOOD]}).encode() + b" x", 400,
         SYNTAX + "87: expected the end of the body, found 'x'"),
    case("a byte order mark", b"\xef\xbb\xbf{}", 400,
         f"the field 'inputs' is missing; send {EXAMPLE}"),
    case("no UTF-8", b'{"id": "\xff"}', 400, SYNTAX + "8: 0xFF is not UTF-8"),
    case("no inputs", {}, 400, f"the field 'inputs' is missing; send {EXAMPLE}"),
    case("misspelt inputs", {"input": [GOOD]}, 400,
         "unknown field 'input'; did you mean 'inputs'?"),
    case("an unknown field", {"inputs": [GOOD], "instances": []}, 400,
         "unknown field 'instances'; accepted are: id, inputs, outputs, parameters, model_name, "
         "model_version"),
    case("inputs twice", b'{"inputs": [], "inputs": []}', 400, "the field 'inputs' is given twice"),
    case("an id that is no string", {"id": 7, "inputs": [GOOD]}, 400, "id is 7; it must be a string"),
    case("an id of 1025 bytes", {"id": "i" * 1025, "inputs": [GOOD]}, 400,
         "id is 1025 bytes long; at most 1024 are accepted"),
    case("inputs of null", {"inputs": None}, 400, "inputs is null; it must be an array of objects"),
    case("inputs of an object", {"inputs": GOOD}, 400,
         "inputs is an object; it must be an array of objects"),
    case("an input of a number", {"inputs": [1]}, 400, "inputs[0] is 1; it must be an object"),
    case("257 inputs", {"inputs": [GOOD] * 257}, 400, "inputs holds more than 256 tensors"),
    case("outputs of a string", {"inputs": [GOOD], "outputs": "y"}, 400,
         "outputs is a string; it must be an array of objects"),
    case("parameters of an array", {"inputs": [GOOD], "parameters": []}, 400,
         "parameters is an array; it must be an object"),
    case("a wrong Content-Type", {"inputs": [GOOD]}, 415,
         "Content-Type is 'image/jpeg'; accepted: application/json, and application/octet-stream "
         "with binary data", headers=[("Content-Type", "image/jpeg")]),
    case("JSON over its limit", b" " * 100_001, 413,
         "the JSON has 100001 bytes; accepted are up to 100000 "
         "(limits.max_json_bytes); send tensors as binary data"),
    case("a body over its limit", b" " * 300_001, 413,
         "the body has 300001 bytes; accepted are up to 300000 (limits.max_tensor_bytes)"),
    case("deflate that is none", b"{}", 400,
         "Content-Encoding is deflate, but the body is not: it is corrupt or cut off",
         headers=[("Content-Encoding", "deflate")]),
    case("brotli", b"{}", 415, "Content-Encoding may be gzip, deflate or identity",
         headers=[("Content-Encoding", "br")]),
    # --- an input's fields
    with_input("no name", f"inputs[0] has no name; send {EXAMPLE}", drop=["name"]),
    with_input("an empty name", f"inputs[0] has no name; send {EXAMPLE}", name=""),
    with_input("a name that is a number", "inputs[0].name is 5; it must be a string", name=5),
    with_input("a name of 513 bytes", "inputs[0].name is 513 bytes long; at most 512 are accepted",
               name="n" * 513),
    with_input("no shape", f"inputs[0] has no shape; send {EXAMPLE}", drop=["shape"]),
    with_input("no datatype", f"inputs[0] has no datatype; send {EXAMPLE}", drop=["datatype"]),
    with_input("no data", "inputs[0] has no data; it needs 'data' or the parameter 'binary_data_size'",
               drop=["data"]),
    with_input("a misspelt field", "unknown field in inputs[0] 'dtype'; accepted are: name, shape, "
               "datatype, parameters, data", dtype="FP32"),
    with_input("an unknown datatype", f"inputs[0].datatype is 'FLOAT'; accepted are: {TYPES}",
               datatype="FLOAT"),
    with_input("a datatype in lower case", f"inputs[0].datatype is 'fp32'; accepted are: {TYPES}",
               datatype="fp32"),
    with_input("a datatype that is no string", "inputs[0].datatype is 1; it must be a string",
               datatype=1),
    with_input("a shape that is a number", "inputs[0].shape is 4; it must be an array of integers",
               shape=4),
    with_input("a negative dimension", f"inputs[0].shape[0] is -1; {COUNT}", shape=[-1, 4]),
    with_input("a fraction as dimension", f"inputs[0].shape[1] is 4.5; {COUNT}", shape=[1, 4.5]),
    with_input("a string as dimension", f"inputs[0].shape[1] is a string; {COUNT}", shape=[1, "4"]),
    with_input("null as dimension", f"inputs[0].shape[0] is null; {COUNT}", shape=[None, 4]),
    with_input("a dimension beyond 64 bits", f"inputs[0].shape[0] is 9223372036854775808; {COUNT}",
               shape=[2**63, 4]),
    with_input("13 dimensions", "inputs[0].shape has more than 12 dimensions", shape=[1] * 13),
    with_input("more than 2^40 elements", f"inputs[0].shape is [{HUGE}], more than 2^40 elements",
               shape=[HUGE]),
    with_input("a product that overflows",
               "inputs[0].shape is [4294967296,4294967296], more than 2^40 elements",
               shape=[2**32, 2**32]),
    with_input("a giant shape with little data",
               "inputs[0].data holds 4 elements; the shape [1099511627776] asks for 1099511627776",
               shape=[2**40]),
    # --- data against shape
    with_input("too few elements", "inputs[0].data holds 3 elements; the shape [1,4] asks for 4",
               data=[1, 2, 3]),
    with_input("too many elements",
               "inputs[0].data holds more than 4 elements; the shape [1,4] asks for 4",
               data=[1, 2, 3, 4, 5]),
    with_input("one value for three, as the specification's example has it",
               "inputs[0].data holds 1 element; the shape [3] asks for 3", shape=[3], data=[1]),
    with_input("no elements", "inputs[0].data holds 0 elements; the shape [1,4] asks for 4", data=[]),
    with_input("elements for none",
               "inputs[0].data holds more than 0 elements; the shape [0,4] asks for 0",
               shape=[0, 4]),
    with_input("a short row", "inputs[0].data[1] holds 3 elements; the shape [2,4] asks for 4",
               shape=[2, 4], data=[[1, 2, 3, 4], [5, 6, 7]]),
    with_input("a row too many", "inputs[0].data holds more than 1 element; the shape [1,4] asks for 1",
               data=[[1, 2, 3, 4], [5, 6, 7, 8]]),
    with_input("transposed", "inputs[0].data[0] holds 1 element; the shape [2,2] asks for 2",
               shape=[2, 2], data=[[1], [2, 3, 4]]),
    with_input("nested too deep", f"inputs[0].data[0][0] is an array; {NESTING}[1,4] says",
               data=[[[1], [2], [3], [4]]]),
    with_input("a number between rows", f"inputs[0].data[1] is 5; {NESTING}[2,4] says",
               shape=[2, 4], data=[[1, 2, 3, 4], 5]),
    with_input("a row between numbers", f"inputs[0].data[1] is an array; {FP32}", data=[1, [2, 3, 4]]),
    with_input("a scalar as data", "inputs[0].data is 1; it must be an array", data=1),
    with_input("null as data", "inputs[0].data is null; it must be an array", data=None),
    with_input("a string as data", "inputs[0].data is a string; it must be an array", data="AAAA"),
    with_input("an object as data", "inputs[0].data is an object; it must be an array", data={}),
    with_input("an object inside data", f"inputs[0].data[1] is an object; {FP32}",
               data=[1, {"a": 1}, 2, 3]),
    # --- elements against datatype
    *integers(),
    data_of("a string", "FP32", '["1"]', f"inputs[0].data[0] is a string; {FP32}"),
    element("true", "FP32", "true", FP32),
    element("infinity", "FP32", "Infinity", FP32),
    element("minus infinity", "FP32", "-Infinity", FP32),
    element("beyond a float", "FP32", "3.5e38", FP32),
    element("beyond a float", "FP32", "-1e100", FP32),
    element("beyond a double", "FP64", "1e309",
            "it must be a number within ±1.7976931348623157e+308 (FP64)"),
    element("a number", "BOOL", "1", "it must be true or false (BOOL)"),
    element("null", "BOOL", "null", "it must be true or false (BOOL)"),
    element("a number", "BYTES", "65", "it must be a string (BYTES)"),
    element("true", "BYTES", "true", "it must be a string (BYTES)"),
    data_of("in JSON", "FP16", "[1]", "inputs[0]: FP16 has no JSON form; send and ask for it as "
            "binary data (binary_data_size, binary_data)"),
    data_of("in JSON", "BF16", "[1]", "inputs[0]: BF16 has no JSON form; send and ask for it as "
            "binary data (binary_data_size, binary_data)"),
    data_of("a leading zero", "FP32", "[01]", SYNTAX + "61: '01' is not a JSON value"),
    data_of("a plus", "FP32", "[+1]", SYNTAX + "61: '+1' is not a JSON value"),
    data_of("no digits behind the point", "FP32", "[1.]", SYNTAX + "61: '1.' is not a JSON value"),
    data_of("no digit before the point", "FP32", "[.5]", SYNTAX + "61: '.5' is not a JSON value"),
    data_of("hexadecimal", "INT32", "[0x1]", SYNTAX + "62: '0x1' is not a JSON value"),
    data_of("an exponent without digits", "FP32", "[1e]", SYNTAX + "61: '1e' is not a JSON value"),
    data_of("no comma", "FP32", "[1 2]",
            SYNTAX + "63: expected ',' or ']' after an element, found '2'"),
    data_of("a trailing comma", "FP32", "[1,]", SYNTAX + "63: expected a value, found ']'"),
    data_of("a bad escape", "BYTES", '["\\x"]', SYNTAX + "63: an unknown escape in a string"),
    data_of("a lone surrogate", "BYTES", '["\\ud800"]', SYNTAX + "63: a lone surrogate; characters "
            "above U+FFFF are written as a pair"),
    # --- against the model
    with_input("another name", "model 'add-one' has no input 'z'; inputs: x", name="z"),
    with_input("another type", "input 'x' must be FP32, not FP64", datatype="FP64"),
    with_input("another shape", "input 'x' must have shape [N, 4] (N: any length), not [4]", shape=[4], data=[1, 2, 3, 4]),
    with_input("another width", "input 'x' must have shape [N, 4] (N: any length), not [1, 3]", shape=[1, 3], data=[1, 2, 3]),
    case("an input twice", {"inputs": [GOOD, GOOD]}, 400, "input 'x' is given twice"),
    case("an input missing", {"inputs": []}, 400, "input 'x' is missing; model 'add-one' takes: x"),
    case("values that the model refuses", {"inputs": [
        {"name": "idx", "shape": [1], "datatype": "INT64", "data": [99]}]}, 400,
         "the model cannot take these values: indices element out of data bounds, idx=99 must be "
         "within the inclusive range [-4,3]",
        "/v2/models/pick/infer"),
    case("a simulated model, given another's input", {"inputs": [GOOD]}, 400,
         "model 'busy' has no input 'x'; inputs: cpu_ms", "/v2/models/busy/infer"),
    case("a simulated model, asked for less than nothing", {"inputs": [
        {"name": "cpu_ms", "shape": [1], "datatype": "FP64", "data": [-1]}]}, 400,
         "input 'cpu_ms' must be a number from 0 to 60000, not -1.000000", "/v2/models/busy/infer"),
    case("an unknown model", {"inputs": [GOOD]}, 404,
         NONE, "/v2/models/none/infer"),
    case("an unknown version", {"inputs": [GOOD]}, 404,
         "model 'add-one' has no version '9' that is served; there are: 1",
         "/v2/models/add-one/versions/9/infer"),
    # --- outputs
    output("an unknown output", {"name": "z"}, "model 'add-one' has no output 'z'; outputs: y"),
    output("an output without a name", {}, "outputs[0] has no name"),
    output("an output's name that is null", {"name": None},
           "outputs[0].name is null; it must be a string"),
    output("an output's unknown field", {"name": "y", "shape": [1]},
           "unknown field in outputs[0] 'shape'; accepted are: name, parameters"),
    output("binary_data of a number", {"name": "y", "parameters": {"binary_data": 1}},
           "outputs[0].parameters.binary_data is 1; it must be true or false"),
    output("a negative classification", {"name": "y", "parameters": {"classification": -1}},
           f"outputs[0].parameters.classification is -1; {COUNT}"),
    output("a classification of a string", {"name": "y", "parameters": {"classification": "5"}},
           f"outputs[0].parameters.classification is a string; {COUNT}"),
    output("an output in shared memory", {"name": "y", "parameters": {"shared_memory_region": "r"}},
           "outputs[0].parameters names a shared memory region, which is not offered; send the data "
           "itself", 501),
    case("an output twice", {"inputs": [GOOD], "outputs": [{"name": "y"}, {"name": "y"}]}, 400,
         "output 'y' is asked for twice"),
    case("classification of integers", {"inputs": [
        {"name": "x", "shape": [1, 2], "datatype": "INT64", "data": [1, 2]}],
        "outputs": [{"name": "y", "parameters": {"classification": 1}}]}, 400,
        "output 'y' is INT64; classification takes FP32 and FP64", "/v2/models/longs/infer"),
    # --- parameters
    parameter("a timeout of a string", "timeout", "5", f"parameters.timeout is a string; {COUNT}"),
    parameter("a negative timeout", "timeout", -1, f"parameters.timeout is -1; {COUNT}"),
    parameter("a fraction of a priority", "priority", 0.5, f"parameters.priority is 0.5; {COUNT}"),
    parameter("binary_data_output of a string", "binary_data_output", "true",
              "parameters.binary_data_output is a string; it must be true or false"),
    parameter("sequence_start of a number", "sequence_start", 1,
              "parameters.sequence_start is 1; it must be true or false"),
    parameter("a reserved name", "triton_x", 1,
              "parameters.triton_x is reserved; parameter names must not start with 'triton_'"),
    parameter("a parameter of null", "a", None,
              "parameters.a is null; it must be a string, a number or a boolean"),
    parameter("a parameter of an array", "a", [1],
              "parameters.a is an array; it must be a string, a number or a boolean"),
    parameter("a parameter of an object", "a", {},
              "parameters.a is an object; it must be a string, a number or a boolean"),
    with_input("an input's parameters of a string",
               "inputs[0].parameters is a string; it must be an object", parameters="a"),
    with_input("an input in shared memory",
               "inputs[0].parameters names a shared memory region, which is not offered; send the "
               "data itself", 501, drop=["data"], parameters={"shared_memory_region": "r"}),
    # --- binary data
    with_input("binary data without its header", f"inputs[0] {NO_HEADER}", drop=["data"],
               parameters={"binary_data_size": 16}),
    binary("data and binary data", [GOOD | {"parameters": {"binary_data_size": 16}}], bytes(16), 400,
           "inputs[0] has both data and binary_data_size; send one"),
    binary("a size beyond the body", [tensor(17)], bytes(16), 400,
           "inputs[0].parameters.binary_data_size is 17, but only 16 bytes of binary data are left"),
    binary("a giant size", [tensor(2**63)], bytes(16), 400,
           "inputs[0].parameters.binary_data_size is 9223372036854775808, but only 16 bytes of "
           "binary data are left"),
    binary("a size that is too small", [tensor(12)], bytes(16), 400,
           "the binary data of inputs[0] has 12 bytes; its shape asks for 4 x 4"),
    binary("bytes left over", [tensor(16)], bytes(20), 400,
           "the body has 4 bytes more than its JSON and the binary_data_size of its inputs"),
    binary("a size that is negative", [tensor(-16)], bytes(16), 400,
           f"inputs[0].parameters.binary_data_size is -16; {COUNT}"),
    binary("a size that is a string", [tensor("16")], bytes(16), 400,
           f"inputs[0].parameters.binary_data_size is a string; {COUNT}"),
    binary("the second input beyond the body",
           [tensor(12, "a", (1, 3)), tensor(12, "b", (1, 3))], bytes(20), 400,
           "inputs[1].parameters.binary_data_size is 12, but only 8 bytes of binary data are left",
           "/v2/models/sum/infer"),
    binary("a giant shape in binary", [tensor(16, shape=(2**40,))], bytes(16), 400,
           "the binary data of inputs[0] has 16 bytes; its shape asks for 1099511627776 x 4"),
    binary("a BOOL that is 2", [tensor(2, shape=(2,), datatype="BOOL")], b"\1\2", 400,
           "the binary data of inputs[0] has the byte 2 at 1; BOOL is 0 or 1",
           "/v2/models/bools/infer"),
    binary("a text cut off", [tensor(6, shape=(1,), datatype="BYTES")], b"\3\0\0\0ab", 400,
           "the binary data of inputs[0] ends inside its text 0; each is 4 bytes of length, "
           "little-endian, and its bytes", "/v2/models/texts/infer"),
    binary("a text's length cut off", [tensor(9, shape=(2,), datatype="BYTES")],
           b"\2\0\0\0ab\1\0\0", 400,
           "the binary data of inputs[0] ends inside its text 1; each is 4 bytes of length, "
           "little-endian, and its bytes", "/v2/models/texts/infer"),
    binary("a text of 4 GiB", [tensor(6, shape=(1,), datatype="BYTES")], b"\xff\xff\xff\xffab", 400,
           "the binary data of inputs[0] ends inside its text 0; each is 4 bytes of length, "
           "little-endian, and its bytes", "/v2/models/texts/infer"),
    binary("a text too many", [tensor(12, shape=(1,), datatype="BYTES")],
           b"\2\0\0\0ab\2\0\0\0cd", 400,
           "the binary data of inputs[0] holds 2 texts; its shape asks for 1",
           "/v2/models/texts/infer"),
    binary("a size of the JSON beyond the body", [tensor(16)], bytes(16), 400,
           "Inference-Header-Content-Length is 5000, but the body has only 120 bytes", size=5000),
    binary("a size of the JSON that ends inside it", [tensor(16)], bytes(16), 400,
           SYNTAX + "10: expected a value, found the end of the body", size=10),
    binary("a size of the JSON that reaches into the data", [tensor(16)], bytes(16), 400,
           SYNTAX + "104: expected the end of the body, found 0x00", size=116),
    binary("a negative size of the JSON", [tensor(16)], bytes(16), 400,
           "Inference-Header-Content-Length is '-1'; it must be the number of bytes of the JSON",
           size=-1),
    binary("a size of the JSON in words", [tensor(16)], bytes(16), 400,
           "Inference-Header-Content-Length is 'all'; it must be the number of bytes of the JSON",
           size="all"),
    binary("a size of the JSON twice", [tensor(16)], bytes(16), 400,
           "Inference-Header-Content-Length is given twice", extra=[(LENGTH, "1")]),
    # --- the raw form
    raw("raw, too short", struct.pack("<3f", 1, 2, 3),
        "the body, which is the input 'x' of shape [-1,4] and nothing else, has 12 bytes; its shape "
        "asks for 4 x 4", INFER),
    raw("raw, two rows", bytes(32),
        "the body, which is the input 'x' of shape [-1,4] and nothing else, has 32 bytes; its shape "
        "asks for 4 x 4", INFER),
    raw("raw, nothing", b"", "the body, which is the input 'x' of shape [-1,4] and nothing else, has "
        "0 bytes; its shape asks for 4 x 4", INFER),
    raw("raw, two inputs", bytes(12),
        "a body without JSON is for models with one input; this one has 2", "/v2/models/sum/infer"),
    raw("raw, a ragged end", bytes(10),
        "the body, which is the input 'x' of shape [-1,-1] and nothing else, has 10 bytes; its shape "
        "asks for 2 x 4", "/v2/models/identity/infer"),
    raw("raw, an unknown model", bytes(12), NONE,
        "/v2/models/none/infer", 404),
    # --- paths and methods
    ("a wrong method", "GET", INFER, [], None, 405,
     "/v2/models/{model}/infer does not take GET; accepted: POST, OPTIONS"),
    ("DELETE of a model", "DELETE", "/v2/models/add-one", [], None, 405,
     "/v2/models/{model} does not take DELETE; accepted: GET, HEAD, OPTIONS"),
    ("POST to health", "POST", "/v2/health/live", [], b"", 405,
     "/v2/health/live does not take POST; accepted: GET, HEAD, OPTIONS"),
    ("an unknown path", "GET", "/v2/model", [], None, 404, "there is no /v2/model; did you mean /v2/models?"),
    ("a misspelt action", "POST", "/v2/models/add-one/infr", [], b"{}", 404,
     "there is no /v2/models/add-one/infr; GET /openapi.json lists what there is"),
    ("an empty model", "GET", "/v2/models//ready", [], None, 404,
     "there is no /v2/models//ready; did you mean /v2/models/stats?"),
    ("metadata of none", "GET", "/v2/models/none", [], None, 404, NONE),
    ("config of none", "GET", "/v2/models/none/config", [], None, 404, NONE),
    ("statistics of none", "GET", "/v2/models/none/stats", [], None, 404, NONE),
    ("readiness of none", "GET", "/v2/models/none/ready", [], None, 404, NONE),
    ("a version of none", "GET", "/v2/models/add-one/versions/7", [], None, 404,
     "model 'add-one' has no version '7' that is served; there are: 1"),
    ("an escaped name", "GET", "/v2/models/a%20b", [], None, 404, NONE.replace("none", "a b")),
    ("no length", "POST", INFER, [], None, 411,
     "a body is needed: send Content-Length or Transfer-Encoding: chunked"),
    ("the repository on the main port", "POST", "/v2/repository/index", [], b"", 404,
     "there is no /v2/repository/index; GET /openapi.json lists what there is"),
]
