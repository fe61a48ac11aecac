"""Repositories of models that nobody should trust, each a folder of its own, by kind.

Each function writes one or more models below a folder and returns {name: part of the reason why it is not served, or
None where it is}.
"""

import os
import struct

from onnx_writer import (
    BOOL,
    FLOAT,
    INT64,
    add_one,
    data,
    graph,
    int64s,
    model,
    node,
    put,
    tensor,
    value,
    varint,
    whole,
)


def mul_by(weights):
    return model([node("Mul", ["x", "w"], ["y"])], initializers=[weights])


def endless_loop(root):
    body = graph([node("Identity", ["c"], ["c2"]), node("Identity", ["v"], ["v2"])],
                 [value("i", INT64, []), value("c", BOOL, []), value("v")], [value("c2", BOOL, []), value("v2")])
    put(root, "endless-loop", model(
        [node("Loop", ["n", "t", "x"], ["y"], body=body)],
        initializers=[int64s("n", [1 << 62], []), tensor("t", BOOL, [], b"\1")]))
    return {"endless-loop": "did not end within"}


def shapes(root):
    """Inputs and initialisers of sizes that no machine has, or that a pod has not."""
    twice = [node("Add", ["x", "x"], ["y"])]
    put(root, "shape-absurd", model(twice, [value("x", FLOAT, [1 << 40, 1 << 20])]))
    put(root, "shape-overflow", model(twice, [value("x", FLOAT, [1 << 32, 1 << 32])]))
    put(root, "shape-large", model(twice, [value("x", FLOAT, [1, 150_000_000])]))
    put(root, "weights-absurd", mul_by(tensor("w", FLOAT, [1 << 40])))
    put(root, "weights-negative", mul_by(tensor("w", FLOAT, [-5, 1 << 62])))
    put(root, "weights-overflow", mul_by(tensor("w", FLOAT, [1 << 32, 1 << 32])))
    # Folded when it is opened: 8 GiB of zeros of a file of a few bytes.
    put(root, "weights-made", model(
        [node("ConstantOfShape", ["s"], ["c"]), node("ReduceSum", ["c"], ["r"], keepdims=0),
         node("Add", ["x", "r"], ["y"])], initializers=[int64s("s", [1 << 31])]))
    memory = "takes more memory than"
    return {"shape-absurd": memory, "shape-overflow": memory, "shape-large": memory, "weights-absurd": "",
            "weights-negative": "", "weights-overflow": "", "weights-made": memory}


def external_data(root):
    """Weights in files that are elsewhere, odd or too short."""
    def weights(location, offset="0", length="8"):
        return mul_by(tensor("w", FLOAT, [2], external={"location": location, "offset": offset, "length": length}))

    reasons = {}
    for name, location in (("up", "../../../../etc/passwd"), ("absolute", "/etc/passwd"), ("zero", "w\0/../../x"),
                           ("up-inside", "a/../../../x")):
        put(root, "external-" + name, weights(location))
        reasons["external-" + name] = "external data"
    for name, target in (("link", "/etc/passwd"), ("device", "/dev/zero")):
        os.symlink(target, put(root, "external-" + name, weights("w.bin")) / "w.bin")
        reasons["external-" + name] = "link that leaves"
    os.symlink("/etc", put(root, "external-folder", weights("sub/passwd")) / "sub")
    reasons["external-folder"] = "link that leaves"
    os.mkfifo(put(root, "external-pipe", weights("w.bin")) / "w.bin")
    reasons["external-pipe"] = "not a regular file"
    for name, offset in (("far", str((1 << 64) - 8)), ("negative", "-8"), ("short", "60")):
        (put(root, "external-" + name, weights("w.bin", offset)) / "w.bin").write_bytes(bytes(64))
        reasons["external-" + name] = ""
    return reasons


def files(root):
    """What lies where a model's file should be."""
    os.mkfifo(put(root, "file-pipe", None) / "model.onnx")
    os.symlink("/dev/zero", put(root, "file-device", None) / "model.onnx")
    os.symlink("/etc/passwd", put(root, "file-outside", None) / "model.onnx")
    os.symlink("model.onnx", put(root, "file-loop", None) / "model.onnx")
    (put(root, "file-folder", None) / "model.onnx").mkdir()
    with open(put(root, "file-sparse", None) / "model.onnx", "wb") as sparse:
        sparse.truncate(200 << 30)
    put(root, "file-empty", b"")
    put(root, "file-text", b"hello")
    put(root, "file-random", bytes((i * i * 31 + i) % 251 for i in range(100_000)))
    put(root, "file-varints", b"\xff" * 5_000_000)
    return {"file-pipe": "not a regular file", "file-device": "leaves the repository",
            "file-outside": "leaves the repository", "file-loop": "not a regular file",
            "file-folder": "not a regular file", "file-sparse": "max_bytes", "file-empty": "empty", "file-text": "",
            "file-random": "", "file-varints": ""}


def graphs(root):
    """Operators that do not exist, circles, depth, length and names."""
    put(root, "graph-operator", model([node("Evil", ["x"], ["y"], domain="evil.ops")], domains=["evil.ops"]))
    put(root, "graph-circle", model([node("Add", ["x", "b"], ["a"]), node("Add", ["a", "x"], ["b"]),
                                     node("Identity", ["b"], ["y"])]))
    chain = [node("Identity", [f"a{i - 1}" if i else "x"], [f"a{i}" if i < 19_999 else "y"]) for i in range(20_000)]
    put(root, "graph-long", model(chain))
    name = 'x\n\x1b[31m"'
    put(root, "graph-name", model([node("Add", [name, name], ["y"])], [value(name, FLOAT, [1, 2])]))
    put(root, "graph-deep", nested_ifs(30))
    put(root, "graph-deeper", nested_ifs(3000))
    return {"graph-operator": "not a registered", "graph-circle": "acyclic", "graph-long": None, "graph-name": None,
            "graph-deep": None, "graph-deeper": "nested too deeply"}


def nested_ifs(depth):
    inner = graph([node("Identity", ["x"], ["y0"])], [], [value("y0")])
    for i in range(1, depth + 1):
        other = graph([node("Identity", ["x"], [f"e{i}"])], [], [value(f"e{i}")])
        inner = graph([node("If", ["t"], [f"y{i}"], then_branch=inner, else_branch=other)], [], [value(f"y{i}")])
    return model([node("If", ["t"], ["y"], then_branch=inner, else_branch=graph(
        [node("Identity", ["x"], ["e"])], [], [value("e")]))], initializers=[tensor("t", BOOL, [], b"\1")])


def deep_tree(root):
    """A tree of 200,000 levels, which the engine reads by recursion."""
    count = 200_000
    leaf = count - 1
    inner = range(count - 2)  # then two leaves

    def attribute(name, kind, values):
        return data(1, name) + values + whole(20, kind)

    def numbers(name, values):
        return attribute(name, 7, data(8, b"".join(varint(v) for v in values)))

    def reals(name, values):
        return attribute(name, 6, data(7, struct.pack(f"<{len(values)}f", *values)))

    attributes = [
        numbers("nodes_treeids", [0] * count), numbers("nodes_nodeids", range(count)),
        numbers("nodes_featureids", [0] * count), reals("nodes_values", [0.5] * count),
        attribute("nodes_modes", 8, b"".join(data(9, m) for m in ["BRANCH_LEQ"] * (count - 2) + ["LEAF"] * 2)),
        numbers("nodes_truenodeids", [*(leaf for _ in inner), 0, 0]),
        numbers("nodes_falsenodeids", [*(i + 1 for i in inner), 0, 0]),
        numbers("target_treeids", [0]), numbers("target_nodeids", [leaf]), numbers("target_ids", [0]),
        reals("target_weights", [1.0]), attribute("n_targets", 2, whole(3, 1))]
    tree = (data(1, "x") + data(2, "y") + data(4, "TreeEnsembleRegressor")
            + b"".join(data(5, one) for one in attributes) + data(7, "ai.onnx.ml"))
    put(root, "tree-deep", model([tree], domains=["ai.onnx.ml"]))
    return {"tree-deep": "the process"}  # by a signal, or as a sanitizer ends it


def manifests(root):
    """Manifests that are no manifests, beside a model without fault."""
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True))
    texts = {"bomb": bomb, "deep": "task: " + "[" * 200_000, "deep-maps": "{" * 50_000, "large": "# " + "x" * (5 << 20),
             "deep-lines": "\n".join(" " * i + "a:" for i in range(300)), "zero": "task: tensor\0\n",
             "itself": "&a [*a]\n", "tag": '!!python/object/apply:os.system ["id"]\n',
             "digest": "sha256: " + "0" * 64 + "\n", "labels": "labels: ../../../../etc/passwd\n"}
    for name, text in texts.items():
        put(root, "manifest-" + name, add_one())
        (root / ("manifest-" + name) / "model.yaml").write_text(text)
    return {"manifest-" + name: "" for name in texts}


def versions(root):
    """Folders that are not quite versions."""
    for name in ("0", "18446744073709551616", "9007199254740993", "-1", "1 ", "1.0", "\u0661"):
        put(root, "versions", add_one(), name)
    (root / "..evil").mkdir()
    return {"versions": "not a positive whole number"}
