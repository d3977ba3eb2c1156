"""Measures the recogniser on lines cut from pictures of specimens (development set).

    python dev_lines.py MODEL.onnx TESTDATA [SHEET.png]

The lines are found with plain morphology (black-hat, closing, contours), which
misses some: the figure that counts is "exact of the lines found", "found" is
printed beside it. The document pipeline has its own detector and its own bench.
"""
import json
import os
import sys

import cv2
import numpy as np
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # Its library reports to its maker otherwise.
import onnxruntime

from generate import ALPHABET


def distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a):
        last, row[0] = row[0], i + 1
        for j, y in enumerate(b):
            last, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, last + (x != y))
    return row[-1]


def candidates(grey):
    """Crops (32 x 512) of everything that looks like one long line of text."""
    out = []
    for side in (700, 1100):
        f = side / max(grey.shape)
        small = cv2.resize(grey, None, fx=f, fy=f, interpolation=cv2.INTER_AREA if f < 1 else cv2.INTER_CUBIC)
        for k in (5, 9, 13):
            hat = cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, cv2.getStructuringElement(cv2.MORPH_RECT, (k * 2 + 1, k)))
            edge = np.abs(cv2.Sobel(hat, cv2.CV_32F, 1, 0))
            edge = (255 * edge / max(1, edge.max())).astype(np.uint8)
            closed = cv2.morphologyEx(edge, cv2.MORPH_CLOSE, np.ones((1, int(k * 2.5)), np.uint8))
            _, mask = cv2.threshold(closed, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
            mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
            mask = cv2.dilate(mask, np.ones((1, k * 2), np.uint8))
            for contour in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
                (cx, cy), (w, h), angle = cv2.minAreaRect(contour)
                if w < h:
                    w, h, angle = h, w, angle - 90
                while angle > 45:
                    angle -= 90
                while angle < -45:
                    angle += 90
                if h < 5 or w / max(h, 1) < 9 or w < 0.3 * small.shape[1] or abs(angle) > 25:
                    continue
                for grow in (0.0, 0.25):
                    rect = ((cx / f, cy / f), ((w + 2) / f, h * (1.15 + grow) / f), angle)
                    bl, tl, tr, br = sorted_box(rect)
                    m = cv2.getPerspectiveTransform(np.float32([tl, tr, br, bl]), np.float32([[0, 0], [512, 0], [512, 32], [0, 32]]))
                    scale = (w / f) / 512
                    source = cv2.GaussianBlur(grey, (0, 0), 0.35 * scale) if scale > 1.5 else grey
                    out.append(cv2.warpPerspective(source, m, (512, 32), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    return out


def sorted_box(rect):
    (cx, cy), (w, h), angle = rect
    a = np.deg2rad(angle)
    u, v = np.array([np.cos(a), np.sin(a)]) * w / 2, np.array([-np.sin(a), np.cos(a)]) * h / 2
    c = np.array([cx, cy])
    return c - u + v, c - u - v, c + u - v, c + u + v


def main():
    model, data = sys.argv[1:3]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options)
    folder = os.path.join(data, "documents/mrz_specimens")
    truth = json.load(open(os.path.join(folder, "ground_truth.json")))
    cases = [(os.path.join(folder, k), v["mrz"]) for k, v in truth.items() if v.get("mrz")]
    exact = found = total = wrong = chars = 0
    rows, sheet = [], []
    for path, lines in cases:
        grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
        crops = candidates(grey)
        texts = []
        if crops:
            x = np.stack(crops).astype(np.float32)
            x = (x - x.mean((1, 2), keepdims=True)) / (x.std((1, 2), keepdims=True) + 4)
            for steps in session.run(None, {"line": x[:, None]})[0].argmax(2):
                keep = [c for i, c in enumerate(steps) if c and (i == 0 or c != steps[i - 1])]
                texts.append("".join(ALPHABET[c - 1] for c in keep))
        for line in lines:
            total += 1
            best = min(range(len(texts)), key=lambda i: distance(texts[i], line), default=None)
            d = distance(texts[best], line) if best is not None else len(line)
            if d <= len(line) * 0.4:
                found += 1
                chars += len(line)
                wrong += d
                exact += d == 0
                if d:
                    sheet.append(crops[best])
            if d:
                rows.append(f"{os.path.basename(path)}: {line}\n{'':>20} {texts[best] if best is not None else None}")
    print("\n".join(rows))
    print(f"lines {total}, found {found}, exact of found {exact} ({exact / max(1, found):.3f}), character errors {wrong}/{chars} ({wrong / max(1, chars):.4f})")
    if len(sys.argv) > 3 and sheet:
        cv2.imwrite(sys.argv[3], np.vstack(sheet))


if __name__ == "__main__":
    main()
