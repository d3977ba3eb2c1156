"""Measures where each point of the 468-point mesh lies in dlib's own chips, and how surely.

The packaged embedder was trained on chips that dlib cut by its five landmarks. This finds dlib's landmarks on
licence-clean portraits (London set, CC BY 4.0; Lisa set, CC0), cuts as dlib does, and averages the places of our
mesh's points in those chips. Weights are inverse variances. Input: JSON lines with `path` and `points` (x, y in
pixels), as the bench of crate `face` writes them. Output: `crates/face/data/alignment.csv`. See README.md.
"""
import argparse, json
import cv2, dlib
import numpy as np
import face_recognition_models

# dlib's mean face for five landmarks (`get_face_chip_details`), with its padding of 0.25.
MEAN = [(0.8595674595992, 0.2134981538014), (0.6460604764104, 0.2289674387677), (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242), (0.4901123135679, 0.6277975316475)]
CHIP = np.array([[(v + 0.25) / 1.5 for v in p] for p in MEAN])


def similarity(p, q):
    """The similarity that brings p closest to q, as a 2x3 matrix."""
    mp, mq = p.mean(0), q.mean(0)
    a, b = p - mp, q - mq
    s = (a ** 2).sum()
    c, d = (a * b).sum() / s, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / s
    r = np.array([[c, -d], [d, c]])
    return np.hstack([r, (mq - r @ mp)[:, None]])


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--meshes", required=True)
    a.add_argument("--out", required=True)
    a = a.parse_args()
    find = dlib.get_frontal_face_detector()
    fit = dlib.shape_predictor(face_recognition_models.pose_predictor_five_point_model_location())
    places = []
    for line in open(a.meshes):
        row = json.loads(line)
        image = cv2.imread(row["path"])[:, :, ::-1]
        k = 500 / max(image.shape[:2])
        small = cv2.resize(image, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
        boxes = find(small, 0)
        if len(boxes) != 1:
            continue
        shape = fit(small, boxes[0])
        marks = np.array([[(shape.part(i).x + 0.5) / k, (shape.part(i).y + 0.5) / k] for i in range(5)])
        back = cv2.invertAffineTransform(similarity(CHIP, marks))
        places.append(np.array(row["points"]) @ back[:, :2].T + back[:, 2])
    places = np.array(places)
    weight = 1 / (places.std(0) ** 2).sum(1)
    with open(a.out, "w") as out:
        out.write("x,y,weight\n")
        for (x, y), w in zip(places.mean(0), weight / weight.max()):
            out.write(f"{x:.4f},{y:.4f},{w:.3f}\n")
    print(f"{len(places)} faces")


if __name__ == "__main__":
    main()
