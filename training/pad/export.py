"""Writes the students as ONNX (opset 13), weights in half precision, and checks them against PyTorch.

    python export.py STUDENT.pt OUT_PREFIX

Writes OUT_PREFIX-v2.onnx and OUT_PREFIX-v1se.onnx: input `input` f32 [1, 3, 80, 80] BGR 0..255, output `logits` [1, 3], class 1 = live, as
their teachers. What whitens a stage's input and scales its output is folded into the convolutions beside it.
A student is added to the manifest only if evaluate.py says that it agrees with its teachers.
"""
import argparse, hashlib
import numpy as np
import os
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # Its library reports to its maker otherwise.
import onnx, onnxruntime, torch
from onnx import TensorProto, helper, numpy_helper
from distil import STAGES, Student


def graph(net):
    nodes, weights = [], []

    def keep(tensor):
        """A weight: stored in half precision, which both runtimes turn into f32 once, when they load it."""
        name = f"w{len(weights)}"
        weights.append(numpy_helper.from_array(tensor.detach().numpy().astype(np.float16), name))
        nodes.append(helper.make_node("Cast", [name], [name + "_f"], to=TensorProto.FLOAT))
        return name + "_f"

    def op(kind, inputs, **attributes):
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def conv(x, w, b, stride=1, pad=0, groups=1):
        return op("Conv", [x, keep(w), keep(b)], kernel_shape=list(w.shape[2:]), strides=[stride] * 2, pads=[pad] * 4, group=groups)

    def prelu(x, slope):
        return op("PRelu", [x, keep(slope.view(-1, 1, 1))])

    x = "input"
    for name, s in zip(STAGES, net.stages):
        w = s.expand @ s.white
        b = s.expand_bias - w @ s.mean
        if name == "head":
            h = prelu(conv(x, w[:, :, None, None], b), s.slope1)
            h = op("Flatten", [conv(h, s.dw[:, None], torch.zeros(len(w)), groups=len(w))], axis=1)
            w, b = s.project[128:] * s.scale[128:, None], s.project_bias[128:] * s.scale[128:]
            nodes.append(helper.make_node("Gemm", [h, keep(w), keep(b)], ["logits"], transB=1))
            break
        h = conv(x, w.view(-1, 3, 3, 3), b, 2, 1) if s.stem else conv(x, w[:, :, None, None], b)
        h = prelu(h, s.slope1)
        h = prelu(conv(h, s.dw, s.dw_bias, 1 if s.stem else s.stride, 1, len(w)), s.slope2)
        y = conv(h, (s.project * s.scale[:, None])[:, :, None, None], s.project_bias * s.scale)
        if s.gate:
            z = op("GlobalAveragePool", [y])
            z = op("Relu", [conv(z, (s.fc1 / s.scale)[:, :, None, None], s.fc1_bias)])
            z = op("Sigmoid", [conv(z, s.fc2[:, :, None, None], s.fc2_bias)])
            y = op("Mul", [y, op("Add", [z, z])])
        x = op("Add", [x, y]) if s.residual else y
    shape = lambda n, dims: helper.make_tensor_value_info(n, TensorProto.FLOAT, dims)
    return helper.make_model(
        helper.make_graph(nodes, "pad-student", [shape("input", [1, 3, 80, 80])], [shape("logits", [1, 3])], weights),
        opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("student")
    a.add_argument("prefix")
    a = a.parse_args()
    state = torch.load(a.student, map_location="cpu", weights_only=False)
    for name, shape, weights in zip(("v2", "v1se"), state["shape"], state["students"]):
        net = Student(*shape)
        net.load_state_dict(weights)
        net.eval()
        model = graph(net)
        onnx.checker.check_model(model)
        data = model.SerializeToString()
        session = onnxruntime.InferenceSession(data)
        apart = 0.0
        for x in (np.random.default_rng(1).random((8, 1, 3, 80, 80)) * 255).round().astype(np.float32):
            with torch.inference_mode():
                want = net(torch.from_numpy(x)).softmax(1).numpy()
            got = torch.from_numpy(session.run(None, {"input": x})[0]).softmax(1).numpy()
            apart = max(apart, float(np.abs(got - want).max()))
        assert apart < 0.02, apart
        open(f"{a.prefix}-{name}.onnx", "wb").write(data)
        print(f"{a.prefix}-{name}.onnx {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}, largest difference of a share {apart:.1e}")


if __name__ == "__main__":
    main()
