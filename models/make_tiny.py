#!/usr/bin/env python3
"""Writes the unit tests' models, a few hundred bytes each, deterministic:

    python3 models/make_tiny.py src/model/testdata/tiny

Needs the Python packages onnx and numpy. The results are committed; run it again only to change them.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32, I32, I64, U8 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8
STRING = TensorProto.STRING
RNG = np.random.default_rng(0)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs, outputs, **attributes)


def const(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def external(name, shape, location):
    """A float initializer whose bytes lie in another file."""
    tensor = TensorProto(name=name, data_type=F32, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(4 * int(np.prod(shape))))):
        tensor.external_data.add(key=key, value=value)
    return tensor


class Writer:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def save(self, name, nodes, inputs, outputs, initializers=(), metadata=None, check=True,
             opset=17):
        graph = helper.make_graph(
            nodes, name,
            [helper.make_tensor_value_info(*i) for i in inputs],
            [helper.make_tensor_value_info(*o) for o in outputs],
            list(initializers))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 9,
                                  producer_name="make_tiny")
        if metadata:
            helper.set_model_props(model, metadata)
        if check:
            onnx.checker.check_model(model, full_check=True)
        (self.folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def plain(w):
    w.save("add_one", [node("Add", ["x", "one"], ["y"])],
           [("x", F32, ["N", 4])], [("y", F32, ["N", 4])], [const("one", np.float32(1))])
    w.save("identity_dyn", [node("Identity", ["x"], ["y"])],
           [("x", F32, ["N", "M"])], [("y", F32, ["N", "M"])])
    w.save("sum_two_inputs", [node("Add", ["a", "b"], ["sum"]), node("Mul", ["a", "b"], ["product"])],
           [("a", F32, ["N", 3]), ("b", F32, ["N", 3])],
           [("sum", F32, ["N", 3]), ("product", F32, ["N", 3])])
    w.save("fixed_batch2", [node("Neg", ["x"], ["y"])], [("x", F32, [2, 3])], [("y", F32, [2, 3])])
    w.save("int64_double", [node("Add", ["x", "x"], ["y"])],
           [("x", I64, ["N", 2])], [("y", I64, ["N", 2])])
    w.save("divide_int32", [node("Div", ["a", "b"], ["y"])], [("a", I32, ["N"]), ("b", I32, ["N"])], [("y", I32, ["N"])])
    w.save("any_rank", [node("Neg", ["x"], ["y"])], [("x", F32, None)], [("y", F32, None)], check=False)
    w.save("not_bool", [node("Not", ["x"], ["y"])],
           [("x", TensorProto.BOOL, ["N"])], [("y", TensorProto.BOOL, ["N"])])
    w.save("strings", [node("Identity", ["x"], ["y"])], [("x", STRING, ["N"])], [("y", STRING, ["N"])])
    w.save("passthrough", [node("Neg", ["x"], ["y"])], [("x", F32, ["N", 4])],
           [("y", F32, ["N", 4]), ("x", F32, ["N", 4])], check=False)  # an output that is an input
    w.save("no_batch", [node("ReduceSum", ["x"], ["y"], keepdims=0)], [("x", F32, ["N", 2])], [("y", F32, [])])
    w.save("many_inputs", [node("Sum", [f"x{i}" for i in range(12)], ["y"])],
           [(f"x{i}", F32, ["N", 2]) for i in range(12)], [("y", F32, ["N", 2])])
    w.save("float8", [node("Identity", ["x"], ["y"])],
           [("x", TensorProto.FLOAT8E4M3FN, ["N"])], [("y", TensorProto.FLOAT8E4M3FN, ["N"])], opset=19)


def failing(w):
    # An index out of bounds fails while running, for some values only.
    w.save("gather_fail", [node("Gather", ["table", "idx"], ["y"])],
           [("idx", I64, ["N"])], [("y", F32, ["N"])], [const("table", np.arange(4, dtype="f4"))])
    # As much memory as its few bytes of input say.
    w.save("fill", [node("ConstantOfShape", ["shape"], ["y"])], [("shape", I64, ["N"])], [("y", F32, None)], check=False)
    # The trip count is an input: as slow as a test wants.
    body = helper.make_graph(
        [node("Identity", ["c"], ["c2"]), node("MatMul", ["s", "W"], ["s2"])], "body",
        [helper.make_tensor_value_info("i", I64, []), helper.make_tensor_value_info("c", TensorProto.BOOL, []),
         helper.make_tensor_value_info("s", F32, ["N", 16])],
        [helper.make_tensor_value_info("c2", TensorProto.BOOL, []), helper.make_tensor_value_info("s2", F32, ["N", 16])])
    w.save("slow_loop", [node("Loop", ["steps", "yes", "x"], ["y"], body=body)],
           [("x", F32, ["N", 16]), ("steps", I64, [])], [("y", F32, ["N", 16])],
           [const("yes", np.array(True)), const("W", np.eye(16, dtype="f4"))])


def classifier(image, weights, channels=3):
    """Convolution, pooling, softmax over four classes, from an NCHW float tensor."""
    return [node("Conv", [image, "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"]),
            node("GlobalAveragePool", ["r"], ["p"]),
            node("Flatten", ["p"], ["f"]),
            node("Softmax", ["f"], ["probabilities"], axis=1)], \
           [const("w", weights[:, :channels]), const("b", np.zeros(4, "f4"))]


def images(w):
    weights = RNG.standard_normal((4, 3, 3, 3)).astype("f4")
    out = [("probabilities", F32, ["N", 4])]
    labels = {"labels": json.dumps(["a", "b", "c", "d"])}
    nodes, weights_in = classifier("image", weights)
    w.save("conv_softmax", nodes, [("image", F32, ["N", 3, 8, 8])], out, weights_in, labels)
    w.save("conv_preprocess", nodes, [("image", F32, ["N", 3, 8, 8])], out, weights_in,
           {**labels, "preprocess": json.dumps({
               "width": 8, "height": 8, "resize": "squash", "filter": "bilinear", "channels": "bgr",
               "layout": "nchw", "scale": 0.5, "mean": [1, 2, 3], "std": [4, 5, 6]})})
    w.save("conv_open_size", nodes, [("image", F32, ["N", 3, "H", "W"])], out, weights_in, labels)
    nodes, weights_in = classifier("image", weights, channels=1)
    w.save("conv_gray", nodes, [("image", F32, ["N", 1, 8, 8])], out, weights_in, labels)
    nodes, weights_in = classifier("nchw", weights)
    w.save("image_u8_nhwc",
           [node("Cast", ["image"], ["f32"], to=F32), node("Transpose", ["f32"], ["nchw"], perm=[0, 3, 1, 2])] + nodes,
           [("image", U8, ["N", 8, 8, 3])], out, weights_in,
           {**labels, "preprocess": json.dumps({
               "size": 8, "crop": "center", "crop_fraction": 0.875, "resize": "bicubic", "channels": "RGB",
               "mean": 127.0, "std": 128.0, "layout": "NHWC u8"})})


def tables(w):
    weights = [const("W", RNG.standard_normal((20, 2)).astype("f4")), const("B", np.array([0.1, -0.1], "f4"))]
    nodes = [node("Gemm", ["features", "W", "B"], ["logits"]),
             node("Softmax", ["logits"], ["probabilities"], axis=1),
             node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0)]
    features = [("features", F32, ["N", 20])]
    w.save("tabular", nodes, features, [("label", I64, ["N"]), ("probabilities", F32, ["N", 2])], weights,
           {"labels": json.dumps(["no", "yes"]), "feature_count": "20"})
    w.save("tabular_no_label", nodes[:2], features, [("probabilities", F32, ["N", 2])], weights)
    w.save("tabular_label_only", nodes, features, [("label", I64, ["N"])], weights)
    w.save("tabular_texts", [*nodes[:2], node("ArgMax", ["probabilities"], ["i"], axis=1, keepdims=0), node("Gather", ["names", "i"], ["label"])],
           features, [("label", STRING, ["N"]), ("probabilities", F32, ["N", 2])], [*weights, helper.make_tensor("names", STRING, [2], [b"no", "j\u00e4".encode()])])
    w.save("regressor", [node("ReduceMean", ["features"], ["y"], axes=[1])], features, [("y", F32, ["N", 1])])
    # The first three numbers of a row are its scores, whatever they are; the first alone; a label that counts from 5.
    cut = lambda end: [const("from", np.array([0], np.int64)), const("to", np.array([end], np.int64)),  # noqa: E731
                       const("along", np.array([1], np.int64))]
    slices = [node("Slice", ["features", "from", "to", "along"], ["scores"])]
    w.save("tabular_logits", slices, features, [("scores", F32, ["N", 3])], cut(3))
    w.save("tabular_one_score", slices, features, [("scores", F32, ["N", 1])], cut(1))
    w.save("tabular_from_five",
           [*slices, node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0), node("Add", ["best", "five"], ["label"])],
           features, [("label", I64, ["N"]), ("scores", F32, ["N", 3])], [*cut(3), const("five", np.int64(5))])
    w.save("picture_means", [node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0)],
           [("image", F32, ["N", 3, 8, 8])], [("means", F32, ["N", 3])])
    # 0.1 and its neighbours in FP64; a number, a text and a boolean as inputs of a column each.
    double = TensorProto.DOUBLE
    w.save("tabular_double",
           [node("Greater", ["features", "tenth"], ["above"]), node("Cast", ["above"], ["ones"], to=double),
            node("ReduceMean", ["ones"], ["yes"], axes=[1], keepdims=1), node("Sub", ["one", "yes"], ["no"]),
            node("Concat", ["no", "yes"], ["probabilities"], axis=1),
            node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0)],
           [("features", double, ["N", 2])], [("label", I64, ["N"]), ("probabilities", double, ["N", 2])],
           [const("tenth", np.array([0.1], np.float64)), const("one", np.array([1.0], np.float64))])
    w.save("tabular_columns",
           [node("Equal", ["city", "home"], ["lives_there"]), node("Or", ["lives_there", "member"], ["known"]),
            node("Cast", ["known"], ["known_as_number"], to=F32), node("Mul", ["age", "known_as_number"], ["counted"]),
            node("Greater", ["counted", "grown"], ["yes_or_no"]), node("Cast", ["yes_or_no"], ["yes"], to=F32),
            node("Sub", ["one", "yes"], ["no"]), node("Concat", ["no", "yes"], ["probabilities"], axis=1),
            node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0)],
           [("age", F32, ["N", 1]), ("city", STRING, ["N", 1]), ("member", TensorProto.BOOL, ["N", 1])],
           [("label", I64, ["N"]), ("probabilities", F32, ["N", 2])],
           [helper.make_tensor("home", STRING, [1], [b"Berlin"]), const("grown", np.array([17.5], np.float32)),
            const("one", np.array([1.0], np.float32))], opset=19)
    # Whether the first is one less than the second, whatever their size; whether two texts are one; the largest of any
    # number of columns.
    i64 = lambda *values: np.array(values, np.int64)  # noqa: E731
    def yes_and_no(found):
        return [node("Cast", [found], ["yes"], to=F32), node("Sub", ["one", "yes"], ["no"]),
                node("Concat", ["no", "yes"], ["probabilities"], axis=1),
                node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0)]
    labelled = [("label", I64, ["N"]), ("probabilities", F32, ["N", 2])]
    one = const("one", np.array([1.0], np.float32))
    halves = [node("Slice", ["features", "from", "to", "axis"], ["first"]), node("Slice", ["features", "to", "end", "axis"], ["second"])]
    cuts = [const("from", i64(0)), const("to", i64(1)), const("end", i64(2)), const("axis", i64(1))]
    w.save("tabular_longs", [*halves, node("Sub", ["second", "first"], ["difference"]), node("Equal", ["difference", "to"], ["found"]),
                             *yes_and_no("found")],
           [("features", I64, ["N", 2])], labelled, [*cuts, one])
    w.save("tabular_words", [*halves, node("Equal", ["first", "second"], ["found"]), *yes_and_no("found")],
           [("features", STRING, ["N", 2])], labelled, [*cuts, one], opset=19)
    w.save("tabular_open", [node("ArgMax", ["features"], ["label"], axis=1, keepdims=0), node("Softmax", ["features"], ["scores"], axis=1)],
           [("features", F32, ["N", "columns"])], [("label", I64, ["N"]), ("scores", F32, ["N", "columns"])])
    # Two numbers and one in FP64: the least, the largest, the sum.
    w.save("regressor_several",
           [node("ReduceMin", ["features"], ["least"], axes=[1]), node("ReduceMax", ["features"], ["most"], axes=[1]),
            node("Concat", ["least", "most"], ["range"], axis=1), node("Cast", ["features"], ["exact"], to=TensorProto.DOUBLE),
            node("ReduceSum", ["exact", "axis"], ["sum"], keepdims=0)],
           features, [("range", F32, ["N", 2]), ("sum", TensorProto.DOUBLE, ["N"])], [const("axis", np.array([1], np.int64))])


def detectors(w):
    """One picture of 32 x 32 in, boxes out, whatever the picture shows: what they find is written here, in every
    form. Two boxes of class 1 overlap by much, one of class 0 lies on them, one is far away and one is unsure."""
    finds = [  # x_min, y_min, x_max, y_max, score, class
        (8, 4, 16, 12, 0.9, 1), (8, 5, 16, 12, 0.8, 1), (8, 4, 16, 12, 0.7, 0), (20, 20, 28, 28, 0.6, 1), (1, 1, 2, 2, 0.1, 0)]
    places = 32 // 8 * 32 // 8 + 4 + 1  # cells of 8, 16 and 32 pixels

    def heads(certain):
        table = np.zeros((places, 6 + certain), np.float32)
        for i, (a, b, c, d, score, index) in enumerate(finds):
            table[i, :4] = (a + c) / 2, (b + d) / 2, c - a, d - b
            table[i, 4 if certain else 4 + index] = score
            if certain:
                table[i, 5 + index] = 1
        return table

    def grid(table):
        cells = [(x, y, size) for size in (8, 16, 32) for y in range(32 // size) for x in range(32 // size)]
        out = table.copy()
        for row, (x, y, size) in zip(out, cells):
            row[:2] = row[:2] / size - (x, y)
            row[2:4] = np.log(np.maximum(row[2:4], 1e-3) / size)
        return out

    def save(name, *outputs, rows=True):
        """Each output is a constant, repeated for each picture where `rows`; the picture has no say but its number."""
        nodes, constants, infos = [], [const("first", np.array([0], np.int64)), const("one", np.array([1], np.int64))], []
        nodes += [node("Shape", ["image"], ["shape"]), node("Slice", ["shape", "first", "one"], ["count"])]
        for key, values in outputs:
            values = np.asarray(values)
            kind = {"float32": F32, "int64": I64}[str(values.dtype)]
            constants.append(const(key + "_all", values[None] if rows else values))
            if rows:
                ones = const(key + "_ones", np.ones(values.ndim, np.int64))
                constants.append(ones)
                nodes += [node("Concat", ["count", key + "_ones"], [key + "_times"], axis=0),
                          node("Tile", [key + "_all", key + "_times"], [key])]
                infos.append((key, kind, ["N", *values.shape]))
            else:
                zeros = node("Mul", ["count", "first"], [key + "_zero"])
                nodes += [zeros, node("Cast", [key + "_zero"], [key + "_cast"], to=kind),
                          node("Add", [key + "_all", key + "_cast"], [key])]
                infos.append((key, kind, list(values.shape)))
        w.save(name, nodes, [("image", F32, ["N", 3, 32, 32])], infos, constants)

    found = np.array(finds, np.float32)
    save("detect_yolov5", ("output0", heads(1)))
    save("detect_yolov8", ("output0", heads(0).T.copy()))
    save("detect_yolox", ("output", grid(heads(1))))
    save("detect_nms", ("output0", found))
    save("detect_nms_numbered", ("output", np.concatenate(
        [np.zeros((len(finds), 1)), found[:, :4], found[:, 5:], found[:, 4:5]], axis=1).astype(np.float32)), rows=False)
    scores = np.zeros((len(finds), 3), np.float32)
    scores[:, 0] = 0.95  # the background
    scores[range(len(finds)), 1 + found[:, 5].astype(int)] = found[:, 4]
    save("detect_boxes_scores", ("boxes", found[:, :4] / 32), ("scores", scores))
    save("detect_ssd", ("detection_boxes", found[:, [1, 0, 3, 2]] / 32), ("detection_scores", found[:, 4]),
         ("detection_classes", found[:, 5] + 1), ("num_detections", np.array([4], np.float32)))
    save("detect_torchvision", ("boxes", found[:, :4]), ("labels", found[:, 5].astype(np.int64) + 1),
         ("scores", found[:, 4]), rows=False)


def rows(w):
    """Whether rows of different requests may share a run: apart_* yes, mixes_* no."""
    x = [("x", F32, ["N", 4])]
    y = [("y", F32, ["N", 4])]
    i64 = lambda *values: np.array(values, np.int64)  # noqa: E731

    def mixes(name, nodes, constants=(), inputs=x, outputs=y, **more):
        w.save("mixes_" + name, nodes, inputs, outputs, constants, **more)

    def apart(name, nodes, constants=(), inputs=x, outputs=y, **more):
        w.save("apart_" + name, nodes, inputs, outputs, constants, **more)

    mixes("softmax", [node("Softmax", ["x"], ["y"], axis=0)])
    mixes("softmax_negative_axis", [node("Softmax", ["x"], ["y"], axis=-2)])
    mixes("softmax_11", [node("Softmax", ["x"], ["y"], axis=0)], opset=11)
    mixes("centred", [node("ReduceMean", ["x"], ["m"], axes=[0]), node("Sub", ["x", "m"], ["y"])])
    mixes("largest_decides",  # only where a value is above 1000: no random row shows it
          [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Greater", ["m", "limit"], ["over"]),
           node("Where", ["over", "zero", "x"], ["y"])], [const("limit", np.float32(1000)), const("zero", np.float32(0))])
    mixes("count_of_rows", [node("Shape", ["x"], ["s"]), node("Gather", ["s", "first"], ["n"]),
                            node("Cast", ["n"], ["f"], to=F32), node("Mul", ["x", "f"], ["y"])], [const("first", np.int64(0))])
    mixes("positions", [node("Shape", ["x"], ["s"]), node("Gather", ["s", "first"], ["n"]),
                        node("Range", ["first", "n", "one"], ["r"]), node("Cast", ["r"], ["f"], to=F32),
                        node("Unsqueeze", ["f", "last"], ["c"]), node("Add", ["x", "c"], ["y"])],
          [const("first", np.int64(0)), const("one", np.int64(1)), const("last", i64(1))])
    mixes("reversed", [node("Slice", ["x", "from", "to", "axes", "steps"], ["y"])],
          [const("from", i64(-1)), const("to", i64(-2**31)), const("axes", i64(0)), const("steps", i64(-1))])
    mixes("running_sum", [node("CumSum", ["x", "axis"], ["y"])], [const("axis", np.int64(0))])
    mixes("top", [node("TopK", ["x", "one"], ["v", "i"], axis=0), node("Sub", ["x", "v"], ["y"])], [const("one", i64(1))])
    mixes("similarity", [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("MatMul", ["x", "t"], ["g"]),
                         node("MatMul", ["g", "x"], ["y"])])
    mixes("flattened", [node("Reshape", ["x", "one_row"], ["r"]), node("Softmax", ["r"], ["p"], axis=1),
                        node("Reshape", ["p", "back"], ["y"])], [const("one_row", i64(1, -1)), const("back", i64(-1, 4))])
    mixes("straddling", [node("Reshape", ["x", "eight"], ["r"]), node("Softmax", ["r"], ["p"]),
                         node("Reshape", ["p", "back"], ["y"])], [const("eight", i64(-1, 8)), const("back", i64(-1, 4))])
    mixes("quantised", [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])])
    mixes("batch_statistics", [node("MeanVarianceNormalization", ["x"], ["y"])],
          inputs=[("x", F32, ["N", 2, 2, 2])], outputs=[("y", F32, ["N", 2, 2, 2])], check=False)
    mixes("random", [node("RandomNormalLike", ["x"], ["r"], seed=1.0), node("Add", ["x", "r"], ["y"])])
    mixes("nonzero", [node("NonZero", ["x"], ["i"]), node("Transpose", ["i"], ["t"]), node("Cast", ["t"], ["y"], to=F32)],
          outputs=[("y", F32, [None, 2])])
    mixes("by_column", [node("Transpose", ["x"], ["t"]), node("Softmax", ["t"], ["p"], axis=-1), node("Transpose", ["p"], ["y"])])
    mixes("twice_the_rows", [node("Concat", ["x", "x"], ["y"], axis=0)], outputs=[("y", F32, [None, 4])])

    weights = const("w", RNG.normal(size=(4, 4)).astype(np.float32))
    apart("mlp", [node("Gemm", ["x", "w", "b"], ["h"]), node("Relu", ["h"], ["r"]), node("MatMul", ["r", "w"], ["l"]),
                  node("Softmax", ["l"], ["y"], axis=-1)], [weights, const("b", np.ones(4, np.float32))])
    apart("normalised", [node("ReduceMean", ["x"], ["m"], axes=[-1]), node("Sub", ["x", "m"], ["d"]), node("Mul", ["d", "d"], ["q"]),
                         node("ReduceMean", ["q"], ["v"], axes=[1]), node("Sqrt", ["v"], ["s"]), node("Div", ["d", "s"], ["y"])])
    sequence, hidden = [("x", F32, ["N", "S", 4])], [("y", F32, ["N", "S", 4])]
    apart("attention",  # two heads, with the shape arithmetic that exporters write
          [node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "zero"], ["n"]), node("Gather", ["shape", "one"], ["s"]),
           node("Unsqueeze", ["n", "at0"], ["n1"]), node("Unsqueeze", ["s", "at0"], ["s1"]),
           node("Concat", ["n1", "s1", "heads", "width"], ["split"], axis=0),
           node("MatMul", ["x", "w"], ["q"]), node("Reshape", ["q", "split"], ["qs"]), node("Transpose", ["qs"], ["qh"], perm=[0, 2, 1, 3]),
           node("Transpose", ["qs"], ["kh"], perm=[0, 2, 3, 1]), node("MatMul", ["qh", "kh"], ["scores"]),
           node("Softmax", ["scores"], ["p"], axis=-1), node("MatMul", ["p", "qh"], ["c"]), node("Transpose", ["c"], ["cs"], perm=[0, 2, 1, 3]),
           node("Concat", ["n1", "s1", "all"], ["join"], axis=0), node("Reshape", ["cs", "join"], ["o"]), node("Add", ["o", "x"], ["y"])],
          [weights, const("zero", np.int64(0)), const("one", np.int64(1)), const("at0", i64(0)), const("heads", i64(2)), const("width", i64(2)),
           const("all", i64(-1))], inputs=sequence, outputs=hidden)
    apart("embedding", [node("Gather", ["table", "ids"], ["e"]), node("Shape", ["ids"], ["s"]), node("Slice", ["s", "one", "two"], ["len"]),
                        node("Slice", ["places", "zero", "len"], ["p"]), node("Add", ["e", "p"], ["y"])],
          [const("table", RNG.normal(size=(3, 4)).astype(np.float32)), const("places", RNG.normal(size=(300, 4)).astype(np.float32)),
           const("zero", i64(0)), const("one", i64(1)), const("two", i64(2))], inputs=[("ids", I64, ["N", "S"])], outputs=hidden)
    apart("convolution", [node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]), node("Relu", ["c"], ["r"]), node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                          node("Reshape", ["p", "flat"], ["f"]), node("Gemm", ["f", "w"], ["y"])],
          [const("k", RNG.normal(size=(2, 3, 3, 3)).astype(np.float32)), const("flat", i64(-1, 8)),
           const("w", RNG.normal(size=(8, 4)).astype(np.float32))], inputs=[("x", F32, ["N", 3, 4, 4])])
    apart("recurrent", [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("GRU", ["t", "w", "r"], ["", "h"], hidden_size=4),
                        node("Squeeze", ["h", "at0"], ["y"])],
          [const("w", RNG.normal(size=(1, 12, 4)).astype(np.float32)), const("r", RNG.normal(size=(1, 12, 4)).astype(np.float32)),
           const("at0", i64(0))], inputs=[("x", F32, ["N", 3, 4])])
    apart("mask", [node("Shape", ["x"], ["s"]), node("Expand", ["row", "s"], ["m"]), node("Mul", ["x", "m"], ["y"])],
          [const("row", np.ones((1, 4), np.float32))])
    apart("two_inputs", [node("Concat", ["a", "b"], ["y"], axis=1)], inputs=[("a", F32, ["N", 1]), ("b", F32, ["N", 3])])


def outside(w):
    """Weights in other files: beside the model, above it, anywhere, and inside a nested graph."""
    io = [("x", F32, ["N", 4])], [("y", F32, ["N", 4])]
    add = [node("Add", ["x", "w"], ["y"])]
    for name, location in (("external_inside", "weights.bin"), ("external_escaping", "../../etc/passwd"),
                           ("external_absolute", "/etc/passwd"), ("external_hidden_dots", "a/../../weights.bin")):
        w.save(name, add, *io, [external("w", [4], location)], check=False)
    (w.folder / "weights.bin").write_bytes(np.arange(4, dtype="<f4").tobytes())
    constant = node("Constant", [], ["k"])
    constant.attribute.append(onnx.AttributeProto(
        name="value", type=onnx.AttributeProto.TENSOR, t=external("k", [4], "../secret.bin")))
    branch = helper.make_graph([constant, node("Add", ["x", "k"], ["y2"])], "then", [],
                               [helper.make_tensor_value_info("y2", F32, ["N", 4])])
    w.save("external_nested", [node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)], *io,
           [const("yes", np.array(True))], check=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    writer = Writer(parser.parse_args().folder)
    for part in (plain, failing, images, tables, detectors, outside, rows):
        part(writer)


if __name__ == "__main__":
    main()
