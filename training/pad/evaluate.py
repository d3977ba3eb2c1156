"""Compares the students with their teachers on pictures neither the students nor their training saw.

Boxes come from the product's own detector: JSON lines with `path`, `bbox`,
`label` (live, print or empty). Prints agreement on all pictures and, where there
are labels, the area under the curve of both. A student is shipped only if it
agrees and stays within 0.02 of its teachers.
"""
import argparse, json
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from distil import Student, Teacher


def crop(img, box, scale):
    """The teachers' own crop: enlarged, moved inside, shrunk to fit; plain bilinear."""
    h, w = img.shape[:2]
    l, t, r, b = box
    bw, bh = r - l, b - t
    s = min(scale, (w - 1) / bw, (h - 1) / bh)
    nw, nh = bw * s, bh * s
    x = min(max((l + r) / 2 - nw / 2, 0), max(w - 1 - nw, 0))
    y = min(max((t + b) / 2 - nh / 2, 0), max(h - 1 - nh, 0))
    part = img[int(y):int(min(y + nh, h - 1)) + 1, int(x):int(min(x + nw, w - 1)) + 1]
    return cv2.resize(part, (80, 80)).transpose(2, 0, 1)


def auc(live, fake):
    return float(np.mean([(l > fake).mean() + 0.5 * (l == fake).mean() for l in live]))


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--boxes", required=True); a.add_argument("--teachers", nargs=2, required=True); a.add_argument("--student", required=True)
    a.add_argument("--weights", type=float, nargs=2, default=[1, 3], help="of the nets in the score; 0 leaves one out")
    a = a.parse_args()
    weights = np.array(a.weights) / sum(a.weights)
    rows = [json.loads(l) for l in open(a.boxes)]
    rows = [r for r in rows if r.get("bbox")]
    state = torch.load(a.student, map_location="cpu", weights_only=False)
    nets = [Student(*shape) for shape in state["shape"]]
    for net, weights_of in zip(nets, state["students"]):
        net.load_state_dict(weights_of); net.eval()
    teachers = [Teacher(t) for t in a.teachers]
    live = lambda logits: float(F.softmax(logits, 1)[:, 1].mean())
    s, t = [], []
    with torch.inference_mode():
        for r in rows:
            img = cv2.imread(r["path"])
            crops = [crop(img, r["bbox"], k) for k in (2.7, 4.0)]
            # The crop and its mirror image, as the product asks.
            x = [torch.from_numpy(np.stack([c, c[:, :, ::-1]])).float() for c in crops]
            t.append(float(weights @ [live(n(c)[2]) for n, c in zip(teachers, x)]))
            s.append(float(weights @ [live(n(c)) for n, c in zip(nets, x)]))
    s, t = np.array(s), np.array(t)
    out = {"n": len(rows), "r": float(np.corrcoef(s, t)[0, 1]), "agree": float(((s > .5) == (t > .5)).mean()), "mae": float(np.abs(s - t).mean())}
    label = np.array([r.get("label", "") for r in rows])
    if (label == "live").any() and (label == "print").any():
        out["auc_student"] = auc(s[label == "live"], s[label == "print"])
        out["auc_teachers"] = auc(t[label == "live"], t[label == "print"])
    print(json.dumps(out))


if __name__ == "__main__":
    main()
