"""ONNX files written by hand: onnx.proto's field numbers over protobuf's wire format, no package needed.

    write(path, model([node("Add", ["x", "x"], ["y"])], inputs=[value("x", FLOAT, [1, 2])],
                      outputs=[value("y", FLOAT, [1, 2])]))
"""

import struct

FLOAT, UINT8, INT64, STRING, BOOL = 1, 2, 7, 8, 9


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out + bytes([number]))


def whole(field, number):
    return varint(field << 3) + varint(number)


def data(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def shape(dims):
    """TensorShapeProto: numbers, or names of open dimensions."""
    return b"".join(data(1, data(2, d) if isinstance(d, str) else whole(1, d)) for d in dims)


def value(name, kind=FLOAT, dims=None):
    """ValueInfoProto; without `dims` of unknown rank."""
    tensor = whole(1, kind) + (b"" if dims is None else data(2, shape(dims)))
    return data(1, name) + data(2, data(1, tensor))


def tensor(name, kind, dims, raw=None, external=None):
    """TensorProto; `external` is a dict such as {"location": "w.bin", "offset": "0", "length": "8"}."""
    out = b"".join(whole(1, d) for d in dims) + whole(2, kind) + data(8, name)
    if external is not None:
        entries = (data(1, key) + data(2, text) for key, text in external.items())
        return out + b"".join(data(13, entry) for entry in entries) + whole(14, 1)
    return out + (b"" if raw is None else data(9, raw))


def floats(name, values, dims=None):
    return tensor(name, FLOAT, [len(values)] if dims is None else dims, struct.pack(f"<{len(values)}f", *values))


def int64s(name, values, dims=None):
    return tensor(name, INT64, [len(values)] if dims is None else dims, struct.pack(f"<{len(values)}q", *values))


def attribute(name, content):
    """AttributeProto of a whole number, a text, or of a graph as bytes."""
    if isinstance(content, str):
        return data(1, name) + data(4, content) + whole(20, 3)
    if isinstance(content, int):
        return data(1, name) + whole(3, content) + whole(20, 2)
    return data(1, name) + data(6, content) + whole(20, 5)


def node(op, inputs, outputs, domain="", **attributes):
    return (b"".join(data(1, n) for n in inputs) + b"".join(data(2, n) for n in outputs) + data(4, op)
            + b"".join(data(5, attribute(*item)) for item in attributes.items())
            + (data(7, domain) if domain else b""))


def graph(nodes, inputs=(), outputs=(), initializers=()):
    return (b"".join(data(1, n) for n in nodes) + data(2, "g") + b"".join(data(5, t) for t in initializers)
            + b"".join(data(11, v) for v in inputs) + b"".join(data(12, v) for v in outputs))


def model(nodes, inputs=None, outputs=None, initializers=(), opset=17, domains=()):
    inputs = [value("x", FLOAT, [1, 2])] if inputs is None else inputs
    outputs = [value("y")] if outputs is None else outputs
    opsets = [data(1, "") + whole(2, opset)] + [data(1, domain) + whole(2, 1) for domain in domains]
    return (whole(1, 8) + data(7, graph(nodes, inputs, outputs, initializers))
            + b"".join(data(8, one) for one in opsets))


def put(root, name, content, version="1", file="model.onnx"):
    """Returns the version's folder."""
    folder = root / name / version
    folder.mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / file).write_bytes(content)
    return folder


def add_one():
    """y = x + 1, one row of two."""
    return model([node("Add", ["x", "one"], ["y"])], initializers=[floats("one", [1.0, 1.0], [1, 2])])
