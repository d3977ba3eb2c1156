"""Writes a checkpoint of the corner net as ONNX (opset 13) and checks it against PyTorch.

    python export.py CHECKPOINT OUT.onnx

Input  `picture` f32 [n, 3, 256, 256]: RGB / 127.5 - 1 of the picture, letterboxed
       (long side 208 pixels, centred, the rest 128).
Output `maps` f32 [n, 4, 64, 64]: four softmax maps; corners clockwise in the
       picture plane, the first the one with the least x + y.
"""
import hashlib
import sys

import numpy as np
import onnx
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # Its library reports to its maker otherwise.
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from generate import Artist
from model import Net, decode
from train import error, tensor


def graph(net):
    nodes, weights = [], []

    def conv(module, x, name, relu=True):
        for part in ("weight", "bias"):
            weights.append(numpy_helper.from_array(np.ascontiguousarray(getattr(module, part).detach().numpy()), f"{name}.{part}"))
        pad = list(module.padding) * 2
        nodes.append(helper.make_node("Conv", [x, name + ".weight", name + ".bias"], [name], name=name,
                                      kernel_shape=list(module.kernel_size), strides=list(module.stride), pads=pad))
        if relu:
            nodes.append(helper.make_node("Relu", [name], [name + "_relu"], name=name + "_relu"))
            return name + "_relu"
        return name

    def add(a, b, name):
        nodes.append(helper.make_node("Add", [a, b], [name], name=name))
        return name

    def up(x, name):
        nodes.append(helper.make_node("Resize", [x, "", "scales"], [name], name=name, mode="nearest",
                                      coordinate_transformation_mode="asymmetric", nearest_mode="floor"))
        return name

    weights.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    unit = lambda name, x: conv(getattr(net, name).fused(), x, name)
    d2 = unit("d2", unit("d1", "picture"))
    d3 = unit("d3", d2)
    d4 = unit("d4", d3)
    m = unit("d5", d4)
    m = add(m, unit("m1", m), "m1_add")
    m = add(m, unit("m2", m), "m2_add")
    y = add(up(unit("u4", m), "up4"), d4, "join4")
    y = add(up(unit("u3", y), "up3"), d3, "join3")
    y = add(up(unit("u2", y), "up2"), d2, "join2")
    y = conv(net.head, unit("last", y), "head", relu=False)
    weights.append(numpy_helper.from_array(np.array([0, 4, 4096], np.int64), "flat"))
    weights.append(numpy_helper.from_array(np.array([0, 4, 64, 64], np.int64), "square"))
    nodes.append(helper.make_node("Reshape", [y, "flat"], ["scores"], name="flatten"))
    nodes.append(helper.make_node("Softmax", ["scores"], ["shares"], name="softmax", axis=2))
    nodes.append(helper.make_node("Reshape", ["shares", "square"], ["maps"], name="unflatten"))
    return helper.make_graph(
        nodes, "document-corners",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 256, 256])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 4, 64, 64])], weights)


def main():
    checkpoint, path = sys.argv[1:3]
    state = torch.load(checkpoint, weights_only=False)
    net = Net()
    net.load_state_dict(state["mean"])
    net.eval()
    model = helper.make_model(graph(net), opset_imports=[helper.make_opsetid("", 13)], producer_name="bonafide-training-corners")
    model.ir_version = 8
    entry = model.metadata_props.add()
    entry.key, entry.value = "pictures_seen", str(state["pictures"])
    onnx.checker.check_model(model)
    onnx.save(model, path)
    held = Artist(987654321).batch(160)
    session = onnxruntime.InferenceSession(path)
    x = tensor(held[0]).contiguous()
    maps = session.run(None, {"picture": x.numpy()})[0]
    with torch.no_grad():
        wanted = net(x).flatten(2).softmax(2).reshape(-1, 4, 64, 64).numpy()
    print("largest difference from PyTorch", np.abs(maps - wanted).max())
    net.eval()
    print("held-out median error, share below 3 %%: %.4f %.3f" % error(net, *held), "pictures seen", state["pictures"])
    none = [decode(m)[1] for m, q in zip(maps, held[1]) if q is None]
    some = [decode(m)[1] for m, q in zip(maps, held[1]) if q is not None]
    print("confidence without a document, median and largest", np.median(none), max(none), "with one, median", np.median(some))
    data = open(path, "rb").read()
    print("bytes", len(data), "sha256", hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main()
