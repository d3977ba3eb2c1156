"""Writes a checkpoint as ONNX (opset 13) and checks it against PyTorch.

    python export.py CHECKPOINT OUT.onnx

Input  `line`  f32 [n, 1, 32, 512], standardised grey (model.standardise).
Output `probs` f32 [n, 128, 38], class 0 = CTC blank, 1..37 = "0-9A-Z<".
Batch normalisation is folded into the convolutions; the graph holds only Conv,
Relu, Add, Softmax and the final Transpose/Squeeze that change no number.
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

from generate import ALPHABET, HEIGHT, WIDTH, Artist
from model import Net, Residual, Unit, read, standardise


def graph(net):
    nodes, weights = [], []

    def conv(module, x, name):
        y = name + "_out"
        for part in ("weight", "bias"):
            weights.append(numpy_helper.from_array(getattr(module, part).detach().contiguous().numpy(), f"{name}.{part}"))
        pads = [module.padding[0], module.padding[1]] * 2
        nodes.append(helper.make_node("Conv", [x, name + ".weight", name + ".bias"], [y], name=name,
                                      kernel_shape=list(module.kernel_size), strides=list(module.stride), pads=pads))
        return y

    def relu(x):
        nodes.append(helper.make_node("Relu", [x], [x + "_relu"], name=x + "_relu"))
        return x + "_relu"

    x = "line"
    for i, unit in enumerate(net.stem):
        x = relu(conv(unit.fused(), x, f"stem{i}"))
    for i, block in enumerate(net.line):
        y = relu(conv(block.unit.fused(), x, f"line{i}"))
        nodes.append(helper.make_node("Add", [x, y], [f"add{i}"], name=f"add{i}"))
        x = f"add{i}"
    x = conv(net.head, x, "head")
    nodes.append(helper.make_node("Squeeze", [x, "axis"], ["scores"], name="squeeze"))
    weights.append(numpy_helper.from_array(np.array([2], np.int64), "axis"))
    nodes.append(helper.make_node("Transpose", ["scores"], ["steps"], name="transpose", perm=[0, 2, 1]))
    nodes.append(helper.make_node("Softmax", ["steps"], ["probs"], name="softmax", axis=2))
    return helper.make_graph(
        nodes, "mrz-lines",
        [helper.make_tensor_value_info("line", TensorProto.FLOAT, ["n", 1, HEIGHT, WIDTH])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 128, 38])], weights)


def main():
    checkpoint, path = sys.argv[1:3]
    state = torch.load(checkpoint, weights_only=False)
    net = Net()
    net.load_state_dict(state["mean"])
    net.eval()
    model = helper.make_model(graph(net), opset_imports=[helper.make_opsetid("", 13)], producer_name="bonafide-training-mrz")
    model.ir_version = 8
    for key, value in {"alphabet": ALPHABET, "lines_seen": str(state["lines"])}.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, path)

    pictures, texts = Artist(987654321).batch(256)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    x = standardise(torch.from_numpy(pictures))
    probs = session.run(None, {"line": x.numpy()})[0]
    with torch.no_grad():
        wanted = net(x).squeeze(2).softmax(1).transpose(1, 2).numpy()
    print("largest difference from PyTorch", np.abs(probs - wanted).max())
    got = read(torch.from_numpy(probs).transpose(1, 2).unsqueeze(2))
    print("held-out exact", np.mean([a == b for a, b in zip(got, texts)]), "lines seen", state["lines"])
    data = open(path, "rb").read()
    print("bytes", len(data), "sha256", hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main()
