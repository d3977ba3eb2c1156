"""Writes a student as ONNX (opset 13) and checks it against PyTorch.

    python export.py STUDENT.pt OUT.onnx

Input  `crop`   f32 [n, 3, 80, 80], BGR 0..255.
Output `narrow` and `wide` f32 [n, 3]: logits of the two teachers (crop 2.7 and 4.0 times the box), class 1 = live.
Batch normalisation is folded; the graph holds only Conv, Relu, Add, Flatten and Gemm.
A student is added to the manifest only if evaluate.py says that it agrees with its teachers.
"""
import argparse, hashlib
import numpy as np
import onnx, onnxruntime, torch
import torch.nn as nn
from onnx import TensorProto, helper, numpy_helper
from distil import Student


def graph(net):
    nodes, weights = [], []

    def keep(name, tensor):
        weights.append(numpy_helper.from_array(np.ascontiguousarray(tensor.detach().numpy()), name))
        return name

    def conv(module, norm, x, name):
        w = module.weight.detach().clone()
        b = torch.zeros(w.shape[0])
        if norm is not None:
            k = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            w, b = w * k.view(-1, 1, 1, 1), norm.bias - norm.running_mean * k
        nodes.append(helper.make_node("Conv", [x, keep(name + ".w", w), keep(name + ".b", b)], [name], name=name,
                                      kernel_shape=list(module.kernel_size), strides=list(module.stride),
                                      pads=[module.padding[0], module.padding[1]] * 2, group=module.groups))
        return name

    def op(kind, inputs, name, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    # (x - 127.5) / 64, as a convolution of one pixel: padding follows it, so it cannot be folded into the next one.
    first = nn.Conv2d(3, 3, 1, groups=3, bias=True)
    first.weight.data.fill_(1 / 64)
    nodes.append(helper.make_node("Conv", ["crop", keep("scale.w", first.weight), keep("scale.b", torch.full((3,), -127.5 / 64))],
                                  ["scaled"], name="scaled", kernel_shape=[1, 1], group=3))
    x = op("Relu", [conv(net.stem[0], net.stem[1], "scaled", "stem")], "stem_relu")
    for i, stage in enumerate((net.s1, net.s2, net.s3, net.s4)):
        for j, block in enumerate(stage):
            p = f"s{i}_{j}"
            y = op("Relu", [conv(block.a[0], block.a[1], x, p + "_a")], p + "_ar")
            y = conv(block.b[0], block.b[1], y, p + "_b")
            shortcut = x if isinstance(block.s, nn.Identity) else conv(block.s[0], block.s[1], x, p + "_s")
            x = op("Relu", [op("Add", [y, shortcut], p + "_sum")], p)
    x = op("Flatten", [conv(net.dw[0], net.dw[1], x, "pool")], "vector", axis=1)
    for name, head in zip(("narrow", "wide"), net.heads):
        h = op("Gemm", [x, keep(name + ".w1", head[0].weight), keep(name + ".b1", head[0].bias)], name + "_1", transB=1)
        h = op("Relu", [h], name + "_r")
        op("Gemm", [h, keep(name + ".w2", head[2].weight), keep(name + ".b2", head[2].bias)], name, transB=1)
    shape = lambda n, dims: helper.make_tensor_value_info(n, TensorProto.FLOAT, dims)
    return helper.make_model(
        helper.make_graph(nodes, "pad-student", [shape("crop", ["n", 3, 80, 80])],
                          [shape("narrow", ["n", 3]), shape("wide", ["n", 3])], weights),
        opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("student")
    a.add_argument("out")
    a = a.parse_args()
    net = Student()
    net.load_state_dict(torch.load(a.student, map_location="cpu")["ema"])
    net.eval()
    model = graph(net)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    x = (np.random.default_rng(1).random((4, 3, 80, 80)) * 255).astype(np.float32)
    got = onnxruntime.InferenceSession(data).run(None, {"crop": x})
    with torch.inference_mode():
        want = net(torch.from_numpy(x))
    apart = max(float(np.abs(g - w.numpy()).max()) for g, w in zip(got, want))
    assert apart < 1e-3, apart
    open(a.out, "wb").write(data)
    print(f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}, largest difference {apart:.1e}")


if __name__ == "__main__":
    main()
