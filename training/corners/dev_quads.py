"""Measures the corner net on pictures with known quads (development set): IoU with the truth.

    python dev_quads.py MODEL.onnx TESTDATA
"""
import glob
import json
import os
import sys

import cv2
import numpy as np
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # Its library reports to its maker otherwise.
import onnxruntime

from generate import ordered
from model import decode


def letterbox(image):
    h, w = image.shape[:2]
    f = 208 / max(h, w)
    small = cv2.resize(image, (round(w * f), round(h * f)), interpolation=cv2.INTER_AREA)
    out = np.full((256, 256, 3), 128, np.uint8)
    y, x = (256 - small.shape[0]) // 2, (256 - small.shape[1]) // 2
    out[y:y + small.shape[0], x:x + small.shape[1]] = small
    return out, f, x, y


def overlap(a, b, shape):
    one, two = np.zeros(shape[:2], np.uint8), np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(one, [a.astype(np.int32)], 1)
    cv2.fillPoly(two, [b.astype(np.int32)], 1)
    return float((one & two).sum() / max(1, (one | two).sum()))


def main():
    session = onnxruntime.InferenceSession(sys.argv[1])
    data = sys.argv[2]
    cases = []
    folder = os.path.join(data, "documents/filled_docs")
    truth = json.load(open(os.path.join(folder, "ground_truth.json")))
    for name, entry in (truth.items() if isinstance(truth, dict) else ((e["file"], e) for e in truth)):
        if entry.get("quad"):
            cases.append((os.path.join(folder, os.path.basename(name)), entry["quad"]))
    for path in glob.glob(os.path.join(data, "documents/midv500_frame/*.json")):
        pictures = [p for p in glob.glob(os.path.join(data, "documents/midv500_frame/*")) if not p.endswith(".json")]
        cases.append((pictures[0], json.load(open(path))["quad"]))
    rows = []
    for path, quad in cases:
        image = cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB)
        box, f, x, y = letterbox(image)
        maps = session.run(None, {"picture": (box.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]})[0][0]
        corners, sure = decode(maps)
        found = (corners - [x, y]) / f
        rows.append((overlap(ordered(np.float32(quad)), found, image.shape), sure, os.path.basename(path)))
    for iou, sure, name in sorted(rows):
        print(f"{iou:.3f} {sure:.2f} {name}")
    ious = np.array([r[0] for r in rows])
    print(f"n {len(rows)} median IoU {np.median(ious):.3f}, share above 0.90 {np.mean(ious > 0.9):.2f}, above 0.95 {np.mean(ious > 0.95):.2f}")


if __name__ == "__main__":
    main()
