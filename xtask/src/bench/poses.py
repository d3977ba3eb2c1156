"""Draws documents as a phone sees them: turned, tilted, on busy desks, with a corner outside of the picture.

usage: poses.py DOCUMENTS OUT

Each genuine page of `filled_docs` (cut out by its quad) and each specimen whose zone is conformant is drawn once in
every pose, with a fixed seed, by a pinhole camera over a drawn background. `OUT/cases.json` says which zone stands on
which picture: {file: {"pose", "set", "mrz"}}.
"""

import json
import math
import os
import sys

import cv2
import numpy

WIDTH, HEIGHT = 1800, 1500
# Degrees in the picture's plane (None: any), degrees of tilt about any axis, whether a corner is cut off.
POSES = {
    "upright": (0, 0, False),
    "turned 90": (90, 0, False),
    "turned 180": (180, 0, False),
    "turned 270": (270, 0, False),
    "any turn, tilted 20": (None, 20, False),
    "any turn, tilted 35": (None, 35, False),
    "a corner cut off": (0, 8, True),
}
random = numpy.random.default_rng(29)


def cards(documents):
    """Every document, flat: its name, its set, its picture, its zone."""
    with open(os.path.join(documents, "filled_docs", "ground_truth.json")) as file:
        for name, truth in json.load(file).items():
            if truth["kind"] != "genuine_photo" or not truth["mrz_on_this_side"]:
                continue
            photo = cv2.imread(os.path.join(documents, "filled_docs", name))
            quad = numpy.float32(truth["quad"])
            wide = numpy.linalg.norm(quad[1] - quad[0])
            width = 1200
            height = int(width * numpy.linalg.norm(quad[3] - quad[0]) / wide)
            flat = numpy.float32([[0, 0], [width, 0], [width, height], [0, height]])
            matrix = cv2.getPerspectiveTransform(quad, flat)
            yield name, "filled_docs", cv2.warpPerspective(photo, matrix, (width, height)), truth["mrz"]
    with open(os.path.join(documents, "mrz_specimens", "ground_truth.json")) as file:
        for name, truth in json.load(file).items():
            if truth["all_check_digits_valid"]:
                yield name, "mrz_specimens", cv2.imread(os.path.join(documents, "mrz_specimens", name)), truth["mrz"]


def background():
    """A cloth, a wooden board, or a desk full of things."""
    kind = random.integers(3)
    if kind == 0:
        cloth = numpy.zeros((HEIGHT, WIDTH, 3), numpy.float32) + random.uniform(60, 190, 3)
        for size, strength in ((200, 30), (50, 20), (12, 12), (3, 6)):
            noise = random.normal(0, strength, (HEIGHT // size + 2, WIDTH // size + 2, 3)).astype(numpy.float32)
            cloth += cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        return cloth
    if kind == 1:
        y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
        grain = numpy.sin(y / random.uniform(6, 20) + 3 * numpy.sin(x / random.uniform(100, 300)))
        tone = numpy.array([random.uniform(40, 90), random.uniform(80, 120), random.uniform(120, 170)])
        return tone + 28 * grain[..., None] + random.normal(0, 6, (HEIGHT, WIDTH, 3))
    desk = numpy.zeros((HEIGHT, WIDTH, 3), numpy.uint8) + random.uniform(40, 200, 3).astype(numpy.uint8)
    for _ in range(60):
        centre = (float(random.integers(WIDTH)), float(random.integers(HEIGHT)))
        size = (float(random.integers(20, WIDTH // 4)), float(random.integers(20, HEIGHT // 4)))
        thing = cv2.boxPoints((centre, size, float(random.uniform(0, 180)))).astype(numpy.int32)
        cv2.fillPoly(desk, [thing], random.uniform(0, 255, 3).tolist())
    return desk + random.normal(0, 4, (HEIGHT, WIDTH, 3))


def rotation(degrees, axis):
    """Rodrigues' rotation about a unit axis."""
    axis = numpy.array(axis, float)
    cross = numpy.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = math.radians(degrees)
    return numpy.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def corners(ratio, turn, tilt, cut):
    """Where the corners of a card of this height to width come to lie, filling four fifths of the picture."""
    card = numpy.array([[-0.5, -ratio / 2, 0], [0.5, -ratio / 2, 0], [0.5, ratio / 2, 0], [-0.5, ratio / 2, 0]])
    about = random.uniform(0, 2 * math.pi)
    card = card @ rotation(turn, [0, 0, 1]).T @ rotation(tilt, [math.cos(about), math.sin(about), 0]).T
    focal, away = 1.2 * WIDTH, 2.0
    for _ in range(4):
        seen = focal * card[:, :2] / (away + card[:, 2:]) + numpy.array([WIDTH / 2, HEIGHT / 2])
        away *= max(numpy.ptp(seen[:, 0]) / WIDTH, numpy.ptp(seen[:, 1]) / HEIGHT) / 0.8
    if cut:
        corner = seen[random.integers(4)]
        seen = seen + numpy.array([(-20 if corner[0] < WIDTH / 2 else WIDTH + 20) - corner[0], 0])
    return seen.astype(numpy.float32)


def draw(card, turn, tilt, cut):
    """One photo."""
    height, width = card.shape[:2]
    flat = numpy.float32([[0, 0], [width, 0], [width, height], [0, height]])
    matrix = cv2.getPerspectiveTransform(flat, corners(height / width, turn, tilt, cut))
    way = cv2.INTER_AREA if width > 1500 else cv2.INTER_CUBIC
    seen = cv2.warpPerspective(card, matrix, (WIDTH, HEIGHT), flags=way)
    inside = cv2.warpPerspective(numpy.ones((height, width), numpy.float32), matrix, (WIDTH, HEIGHT))[..., None]
    shadow = cv2.GaussianBlur(inside, (0, 0), 12)[..., None]
    photo = seen * inside + background() * (1 - 0.4 * shadow) * (1 - inside)
    light = numpy.linspace(random.uniform(0.85, 1), random.uniform(0.85, 1.05), WIDTH)[None, :, None]
    return numpy.clip(photo * light + random.normal(0, 3, photo.shape), 0, 255).astype(numpy.uint8)


def main(documents, out):
    os.makedirs(out, exist_ok=True)
    cases = {}
    for name, folder, card, zone in cards(documents):
        for pose, (turn, tilt, cut) in POSES.items():
            turned = random.uniform(0, 360) if turn is None else turn + random.uniform(-4, 4)
            file = f"{pose}__{os.path.splitext(name)[0]}.jpg".replace("/", "_").replace(" ", "_").replace(",", "")
            photo = draw(card, turned, tilt, cut)
            cv2.imwrite(os.path.join(out, file), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])
            cases[file] = {"pose": pose, "set": folder, "mrz": zone}
    with open(os.path.join(out, "cases.json"), "w") as file:
        json.dump(cases, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
