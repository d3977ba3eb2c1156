"""Pictures that a student of MiniFASNet learns from: licence-clean faces (CC-BY London set, CC0 lisa) through a very wide
simulation of cameras, prints and screens. No label is needed and none is kept: the teachers answer on exactly these
pixels. No picture of a liveness benchmark is ever read here.
"""
import glob, math, os
import cv2
import numpy as np

SIDE = 80

# Photographs without a face that stand behind faces and alone, in 0..1 (load_scenes).
SCENES = []


def load_scenes(names):
    """Real photographs (scikit-image's and scikit-learn's, free of rights or CC BY) beside the procedural ones."""
    if not names: return
    import skimage, sklearn.datasets
    at = [os.path.join(os.path.dirname(skimage.__file__), "data"), os.path.join(os.path.dirname(sklearn.datasets.__file__), "images")]
    for name in names:
        SCENES.extend(cv2.imread(p).astype(np.float32) / 255 for p in (os.path.join(d, name) for d in at) if os.path.exists(p))


def scene(rng, size):
    """A part of a photograph, at any size, either way round."""
    img = SCENES[rng.integers(len(SCENES))]
    side = int(min(img.shape[:2]) * rng.uniform(.15, 1))
    y, x = rng.integers(0, img.shape[0] - side + 1), rng.integers(0, img.shape[1] - side + 1)
    part = cv2.resize(img[y:y + side, x:x + side], (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < .5 else part)


def texture(rng, size):
    """A background in 0..1: a part of a photograph, or octaves of noise, stripes or flat colour."""
    if SCENES and rng.random() < 0.5: return scene(rng, size)
    kind = rng.random()
    base = rng.random(3)
    if kind < 0.2:
        return np.ones((size, size, 3), np.float32) * base.astype(np.float32)
    img = np.zeros((size, size, 3), np.float32)
    for o in range(1, 6):
        n = min(2 ** o + 1, size)
        grid = rng.random((n, n, 3)).astype(np.float32) - 0.5
        img += cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC) * (0.55 ** o) * rng.uniform(0.5, 2)
    img = img + base.astype(np.float32)
    for _ in range(rng.integers(0, 6)):
        p = rng.integers(0, size, 4)
        cv2.rectangle(img, (int(p[0]), int(p[1])), (int(p[2]), int(p[3])), rng.random(3).tolist(), -1 if rng.random() < .5 else int(rng.integers(1, 6)))
    return np.clip(img, 0, 1)


def jpeg(rng, img, lo, hi):
    ok, b = cv2.imencode(".jpg", (np.clip(img, 0, 1) * 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(lo, hi))])
    return cv2.imdecode(b, 1).astype(np.float32) / 255


def blur(img, s):
    return cv2.GaussianBlur(img, (0, 0), s) if s > 0.15 else img


def medium(rng, img):
    """Shows the picture on paper or on a screen before it is photographed."""
    h, w = img.shape[:2]
    if rng.random() < 0.55:  # paper
        g = img.mean(2, keepdims=True)
        img = g + (img - g) * rng.uniform(0.3, 1.1)
        dmin, dmax = rng.uniform(0, 0.2), rng.uniform(0.6, 0.98)
        img = dmin + (dmax - dmin) * np.clip(img, 0, 1) ** rng.uniform(0.7, 1.4)
        img = img * (1 + rng.normal(0, 0.05, 3)).astype(np.float32)
        if rng.random() < 0.35:
            f, a = rng.uniform(0.15, 1.4), rng.uniform(0, math.pi)
            y, x = np.mgrid[:h, :w].astype(np.float32)
            t = np.cos(f * (x * np.cos(a) + y * np.sin(a))) * np.cos(f * (y * np.cos(a) - x * np.sin(a)))
            img = img + (t * rng.uniform(0.01, 0.12))[..., None]
        if rng.random() < 0.5:
            img = img + rng.normal(0, rng.uniform(0.003, 0.04), img.shape[:2])[..., None].astype(np.float32)
        img = blur(img, rng.uniform(0, 1.8))
    else:  # screen
        if rng.random() < 0.5: img = jpeg(rng, img, 25, 90)
        img = np.clip(img, 0, 1) ** rng.uniform(0.7, 1.5) * np.array([rng.uniform(0.9, 1.3), 1, rng.uniform(0.7, 1.05)], np.float32) + rng.uniform(0, 0.06)
        y, x = np.mgrid[:h, :w].astype(np.float32)
        for c in range(3):
            f, a = rng.uniform(0.1, 2.8), rng.normal(0, 0.2)
            img[..., c] = img[..., c] * (1 + rng.uniform(0, 0.18) * np.cos(f * (x * np.cos(a) + y * np.sin(a)) + c * 2.09))
        if rng.random() < 0.4: img = img + rng.uniform(0, 0.25) * blur(texture(rng, h), 6)
    if rng.random() < 0.4:  # glare
        y, x = np.mgrid[:h, :w].astype(np.float32) / h
        r = ((x - rng.random()) / rng.uniform(0.05, 0.4)) ** 2 + ((y - rng.random()) / rng.uniform(0.05, 0.4)) ** 2
        img = img + (np.exp(-r) * rng.uniform(0, 0.7))[..., None]
    return img


def camera(rng, img):
    h, w = img.shape[:2]
    if rng.random() < 0.7:  # uneven light
        g = texture(rng, 32) if rng.random() < .3 else np.linspace(rng.uniform(.2, 1.2), rng.uniform(.2, 1.2), 32, dtype=np.float32)[None, :, None] * np.linspace(rng.uniform(.4, 1.2), rng.uniform(.4, 1.2), 32, dtype=np.float32)[:, None, None]
        img = img * cv2.resize(np.ascontiguousarray(np.broadcast_to(g, (32, 32, 3))), (w, h)) * 1.3
    img = img * math.exp(rng.normal(0, 0.35)) * np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    g = img.mean(2, keepdims=True)
    img = g + (img - g) * rng.uniform(0.3, 1.4)
    if rng.random() < 0.4: img = img * (1 - (k := rng.uniform(0, 0.35))) + k * rng.uniform(.3, 1)
    img = blur(img, rng.uniform(0, 0.8) if rng.random() < .6 else rng.uniform(.5, 2.5))
    if rng.random() < 0.15:
        k = np.zeros((9, 9), np.float32); cv2.line(k, (int(rng.integers(0, 9)), 0), (int(rng.integers(0, 9)), 8), 1.0)
        img = cv2.filter2D(img, -1, k / max(k.sum(), 1))
    img = img + rng.normal(0, rng.uniform(0, 0.05) if rng.random() < .6 else .002, img.shape).astype(np.float32) * np.sqrt(np.clip(img, 0.02, 1))
    if rng.random() < 0.5: img = img + (img - blur(img, 1.2)) * rng.uniform(0, 2)
    m = img.mean()
    if rng.random() < 0.4: img = (img - m) * rng.uniform(0.4, 1.5) + m
    if rng.random() < 0.75: img = jpeg(rng, img, 20, 98)
    return img


class Source:
    """One licence-clean picture with a rough face box and a matte against its plain background."""

    def __init__(self, path, box):
        self.img = cv2.imread(path).astype(np.float32) / 255
        self.box = box
        corner = np.concatenate([self.img[:40, :40].reshape(-1, 3), self.img[:40, -40:].reshape(-1, 3)])
        d = np.abs(self.img - np.median(corner, 0)).max(2)
        self.matte = blur((d > 0.13).astype(np.float32), 1.5)


def sample(rng, sources):
    """One 80x80 BGR crop in 0..255."""
    s = sources[rng.integers(len(sources))]
    img = s.img
    work = int(rng.integers(96, 220))
    # capture: face width in work pixels gives the sharpness the crop will have
    bw = s.box[2] - s.box[0]
    cx, cy = (s.box[0] + s.box[2]) / 2, (s.box[1] + s.box[3]) / 2
    scale = math.exp(rng.uniform(math.log(0.95), math.log(4.6)))  # crop side over box side
    face = work / scale
    k = face / bw
    a = rng.normal(0, 0.12); ca, sa = math.cos(a) * k, math.sin(a) * k
    flip = -1 if rng.random() < .5 else 1
    M = np.array([[ca * flip, -sa, 0], [sa * flip, ca, 0]], np.float32)
    off = work / 2 - M[:, :2] @ np.array([cx, cy]) + rng.normal(0, 0.06, 2) * face
    M[:, 2] = off
    if rng.random() < 0.3: M[:, :2] *= 1 + rng.normal(0, 0.06, (2, 2))
    pre = blur(img, 0.5 / k) if k < 0.7 else img
    mode = rng.random()
    size = (work, work)
    if mode < 0.2:
        out = cv2.warpAffine(pre, M, size, borderMode=cv2.BORDER_REPLICATE if rng.random() < .7 else cv2.BORDER_REFLECT)
    else:
        bg = texture(rng, work)
        if mode < 0.35: bg = blur(bg, rng.uniform(1, 5))
        matte = np.ones(img.shape[:2], np.float32) if (mode > 0.75 or "lisa" in getattr(s, "name", "")) else s.matte
        m = cv2.warpAffine(matte, M, size)[..., None]
        out = cv2.warpAffine(pre, M, size) * m + bg * (1 - m)
    if rng.random() < 0.55: out = medium(rng, out)
    if rng.random() < 0.5:  # first, low resolution
        w2 = int(work * rng.uniform(0.3, 1))
        out = cv2.resize(cv2.resize(out, (w2, w2), interpolation=cv2.INTER_AREA), size, interpolation=cv2.INTER_LINEAR)
    out = camera(rng, out)
    out = cv2.resize(out, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR if rng.random() < .7 else cv2.INTER_AREA)
    return np.clip(out * 255, 0, 255)


def field(rng):
    """No face at all: a texture or noise through the same camera."""
    img = texture(rng, int(rng.integers(80, 200)))
    if rng.random() < .5: img = img + rng.normal(0, rng.uniform(.02, .4), img.shape).astype(np.float32)
    return np.clip(cv2.resize(camera(rng, img), (SIDE, SIDE)) * 255, 0, 255)


def batch(rng, sources, n):
    x = np.stack([field(rng) if rng.random() < 0.06 else sample(rng, sources) for _ in range(n)])
    k = n // 6  # mixup and cutmix: the teachers answer on the mixture itself
    for i in range(k):
        j = int(rng.integers(n))
        if rng.random() < .6:
            t = rng.uniform(0.2, 0.8); x[i] = x[i] * t + x[j] * (1 - t)
        else:
            a, b = sorted(rng.integers(0, SIDE, 2)); c, d = sorted(rng.integers(0, SIDE, 2)); x[i, a:b, c:d] = x[j, a:b, c:d]
    return x.round().astype(np.uint8).transpose(0, 3, 1, 2)


def load_sources(faces, holdout):
    """Pictures for training, or those of the held-out identities."""
    boxes = {"lisa1": (118, 250, 465, 640), "lisa2": (171, 320, 379, 540), "lisa3": (194, 230, 398, 500), "lisa4": (124, 240, 337, 500)}
    out = []
    for p in sorted(glob.glob(os.path.join(faces, "faces_london", "*.jpg"))):
        ident = int(os.path.basename(p).split("_")[0])
        if (ident % 7 == 3) == holdout: out.append(Source(p, (180, 180, 380, 390)))
    if not holdout:
        for name, box in boxes.items():
            p = os.path.join(faces, "faces_cc0_lisa", name + ".jpg")
            if os.path.exists(p):
                s = Source(p, box); s.name = name; out.append(s)
    return out
