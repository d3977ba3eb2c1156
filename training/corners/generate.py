"""Synthesises pictures of documents lying somewhere, with the four corners.

A picture is letterboxed into 256 x 256 RGB: its long side becomes 208 pixels,
centred, with grey (128) around, so that corners cut off by the edge of the
picture (up to about 11 % of the long side) still lie inside the map.

Nothing here reads a real document: cards, pages, backgrounds, hands and light
are procedural.
"""
import random
import string

import cv2
import numpy as np

cv2.setNumThreads(0)

SIDE, INNER, MAP = 256, 208, 64


class Artist:
    def __init__(self, seed, cards=220, grounds=120):
        self.rng = random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.cards = [self._card() for _ in range(cards)]
        self.grounds = [self._ground() for _ in range(grounds)]

    # ---------------------------------------------------------------- parts
    def _colour(self, low=0, high=255):
        if self.rng.random() < 0.4:
            v = self.rng.randint(low, high)
            return tuple(int(np.clip(v + self.rng.gauss(0, 10), 0, 255)) for _ in range(3))
        return tuple(self.rng.randint(low, high) for _ in range(3))

    def _cloud(self, h, w, cells):
        grid = self.np.normal(0, 1, (max(2, int(cells * h / w)) + 1, cells + 1, 3)).astype(np.float32)
        if self.rng.random() < 0.7:
            grid[:] = grid[:, :, :1]
        return cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)

    def _text(self, image, x, y, width, height, colour, pool=string.ascii_uppercase + string.digits + " "):
        scale = height / 22
        count = max(2, int(width / (scale * 19)))
        text = "".join(self.rng.choice(pool) for _ in range(count))
        cv2.putText(image, text, (int(x), int(y + height)), self.rng.choice([0, 2, 3]), scale, colour, max(1, int(scale * self.rng.uniform(1, 2.5))), cv2.LINE_AA)

    def _card(self):
        """(RGB, alpha) of one document, about 460 px wide."""
        rng = self.rng
        kind = rng.choices(["card", "page", "booklet", "sheet"], [55, 28, 10, 7])[0]
        aspect = {"card": 1.586, "page": 1.42, "booklet": 0.71, "sheet": 0.707}[kind] * rng.uniform(0.97, 1.03)
        w = 460 if aspect > 1 else 330
        h = int(w / aspect)
        if rng.random() < 0.08:
            w, h = h, w
        a, b = np.float32(self._colour(120, 255)), np.float32(self._colour(120, 255))
        if rng.random() < 0.15:
            a, b = np.float32(self._colour(20, 160)), np.float32(self._colour(20, 160))
        angle = rng.uniform(0, 6.28)
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        t = np.clip(0.5 + (np.cos(angle) * (x / w - 0.5) + np.sin(angle) * (y / h - 0.5)) * rng.uniform(0, 1.4), 0, 1)[..., None]
        image = a * t + b * (1 - t)
        image += self._cloud(h, w, rng.randint(2, 30)) * rng.uniform(0, 12)
        for _ in range(rng.randint(0, 3)):
            period, bend = rng.uniform(4, 18), rng.uniform(5, 60)
            wave = np.sin((y * np.cos(angle) + x * np.sin(angle) + rng.uniform(2, 20) * np.sin(x / bend)) * 6.28 / period)
            image += (wave > 0.5)[..., None] * np.float32(self._colour()) * 0.08 - 8
        image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
        dark = self._colour(0, 90)
        halves = [(0, h)] if kind != "booklet" else [(0, h // 2), (h // 2, h)]
        if rng.random() < 0.5:  # header band or coloured area reaching the edge
            cv2.rectangle(image, (0, 0), (w, int(h * rng.uniform(0.06, 0.22))), self._colour(), -1)
        if rng.random() < 0.2:
            cv2.rectangle(image, (0, 0), (int(w * rng.uniform(0.04, 0.3)), h), self._colour(), -1)
        for top, bottom in halves:
            hh = bottom - top
            if rng.random() < 0.8:
                pw, ph = int(w * rng.uniform(0.18, 0.33)), int(hh * rng.uniform(0.35, 0.62))
                px = rng.choice([int(w * rng.uniform(0.02, 0.08)), int(w * 0.96 - pw)])
                py = top + int(hh * rng.uniform(0.15, 0.33))
                cv2.rectangle(image, (px, py), (px + pw, py + ph), self._colour(100, 255), -1)
                cv2.ellipse(image, (px + pw // 2, py + ph), (int(pw * 0.45), int(ph * 0.3)), 0, 180, 360, self._colour(0, 160), -1)
                cv2.ellipse(image, (px + pw // 2, py + int(ph * 0.45)), (int(pw * 0.22), int(ph * 0.27)), 0, 0, 360, rng.choice([(120, 160, 210), (60, 90, 140), (170, 200, 235)]), -1)
                cv2.ellipse(image, (px + pw // 2, py + int(ph * 0.3)), (int(pw * 0.24), int(ph * 0.17)), 0, 180, 360, self._colour(0, 90), -1)
            size = hh * rng.uniform(0.025, 0.05)
            yy = top + hh * rng.uniform(0.03, 0.2)
            x0 = w * rng.uniform(0.03, 0.42)
            while yy < top + hh * 0.75:
                self._text(image, x0 + rng.uniform(0, 8), yy, w * rng.uniform(0.1, 0.5), size * rng.uniform(0.7, 1.3), dark)
                yy += size * rng.uniform(1.3, 3)
            if rng.random() < 0.6:
                n = rng.choice([2, 2, 3])
                mh = hh * 0.05
                for i in range(n):
                    self._text(image, w * 0.04, bottom - hh * 0.06 - (n - i) * mh * 1.6 + mh * 0.4, w * 0.9, mh * 0.85, (20, 20, 20), string.ascii_uppercase + "<<<<<<<<<<0123456789")
        if rng.random() < 0.15:
            cv2.rectangle(image, (int(w * 0.3), int(h * 0.2)), (int(w * 0.9), int(h * 0.7)), (255, 255, 255), -1)
            for i in range(40):
                cx = int(w * 0.3 + i * w * 0.6 / 40)
                if rng.random() < 0.5:
                    cv2.rectangle(image, (cx, int(h * 0.22)), (cx + int(w * 0.012), int(h * 0.68)), (10, 10, 10), -1)
        if rng.random() < 0.12:
            cv2.rectangle(image, (2, 2), (w - 3, h - 3), self._colour(), rng.randint(1, 6))
        if kind == "booklet":
            cv2.line(image, (0, h // 2), (w, h // 2), tuple(int(c * 0.6) for c in dark), rng.randint(1, 4))
        alpha = np.zeros((h, w), np.uint8)
        r = int(min(w, h) * (rng.uniform(0.03, 0.075) if kind == "card" else rng.uniform(0, 0.03)))
        cv2.rectangle(alpha, (r, 0), (w - 1 - r, h - 1), 255, -1)
        cv2.rectangle(alpha, (0, r), (w - 1, h - 1 - r), 255, -1)
        for cx, cy in ((r, r), (w - 1 - r, r), (r, h - 1 - r), (w - 1 - r, h - 1 - r)):
            cv2.circle(alpha, (cx, cy), r, 255, -1)
        return image, alpha

    def _ground(self):
        """420 x 420 RGB background."""
        rng, n = self.rng, 420
        image = np.full((n, n, 3), self._colour(10, 250), np.float32)
        kind = rng.random()
        y, x = np.mgrid[0:n, 0:n].astype(np.float32)
        if kind < 0.25:  # wood
            angle = rng.uniform(0, 3.14)
            u = x * np.cos(angle) + y * np.sin(angle)
            v = -x * np.sin(angle) + y * np.cos(angle)
            grain = np.sin((u + 12 * np.sin(v / rng.uniform(40, 120)) + 4 * self._cloud(n, n, 8)[..., 0]) * 6.28 / rng.uniform(6, 50))
            image += grain[..., None] * np.float32([10, 16, 22]) * rng.uniform(0.3, 1.6)
            image += self._cloud(n, n, 60) * 6
        elif kind < 0.45:  # cloth or stone
            image += self._cloud(n, n, rng.randint(3, 12)) * rng.uniform(3, 25) + self._cloud(n, n, 150) * rng.uniform(2, 20)
        elif kind < 0.6:  # tiles, planks, checks
            p = rng.uniform(25, 140)
            angle = rng.uniform(0, 3.14)
            u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
            if rng.random() < 0.5:
                image += (((u // p + v // p) % 2) * rng.uniform(-60, 60))[..., None]
            image -= (((u % p) < rng.uniform(1, 4)) * rng.uniform(10, 80))[..., None]
            image += self._cloud(n, n, 20) * 5
        else:
            image += self._cloud(n, n, rng.randint(2, 6)) * rng.uniform(2, 20)
        image = np.ascontiguousarray(np.clip(image, 0, 255).astype(np.uint8))
        for _ in range(rng.choice([0, 0, 1, 2, 4, 8])):  # things lying about: papers, phones, keys, cables
            c = (rng.randrange(n), rng.randrange(n))
            what = rng.random()
            if what < 0.5:
                box = cv2.boxPoints((c, (rng.uniform(20, 260), rng.uniform(20, 200)), rng.uniform(0, 90))).astype(np.int32)
                cv2.fillPoly(image, [box], self._colour(), cv2.LINE_AA)
                if rng.random() < 0.5:
                    for i in range(6):
                        self._text(image, c[0] - 40, c[1] - 40 + i * 14, 90, 8, self._colour(0, 120))
            elif what < 0.75:
                cv2.ellipse(image, c, (rng.randint(8, 70), rng.randint(8, 70)), rng.uniform(0, 180), 0, 360, self._colour(), -1, cv2.LINE_AA)
            else:
                cv2.line(image, c, (rng.randrange(n), rng.randrange(n)), self._colour(), rng.randint(1, 14), cv2.LINE_AA)
        if rng.random() < 0.2:
            for i in range(16):
                self._text(image, rng.uniform(0, 40), i * 26, 380, rng.uniform(8, 18), self._colour(0, 140))
        return image

    # ---------------------------------------------------------------- scene
    def _quad(self, w, h, cw, ch):
        """Corners of the card seen by a pin-hole camera, in the picture (w x h)."""
        rng = self.rng
        roll = rng.gauss(0, 9) if rng.random() < 0.6 else rng.uniform(-40, 40)
        if rng.random() < 0.12:
            roll += rng.choice([90, -90])
        if rng.random() < 0.1:
            roll += 180
        pitch, yaw = (rng.uniform(-36, 36) if rng.random() < 0.5 else rng.gauss(0, 8) for _ in range(2))
        p = np.float32([[-cw, -ch], [cw, -ch], [cw, ch], [-cw, ch]]) / max(cw, ch)
        r, a, b = np.deg2rad([roll, pitch, yaw])
        p = p @ np.float32([[np.cos(r), np.sin(r)], [-np.sin(r), np.cos(r)]])
        x, y = p[:, 0], p[:, 1]
        z = x * np.sin(b) + y * np.sin(a)
        x, y = x * np.cos(b), y * np.cos(a)
        d = rng.uniform(2.6, 6)
        p = np.stack([x * d / (d + z), y * d / (d + z)], 1)
        low, high = p.min(0), p.max(0)
        size = rng.uniform(0.35, 1.0) if rng.random() < 0.85 else rng.uniform(0.9, 1.12)
        s = size * min(w / (high[0] - low[0]), h / (high[1] - low[1]))
        p = (p - (low + high) / 2) * s
        slack = np.array([w, h]) - (high - low) * s
        cut = 0.04 * max(w, h) if rng.random() < 0.2 else 0.0
        shift = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.5, 0.5)]) * (np.maximum(slack, 0) + 2 * cut)
        return np.float32(p + np.array([w, h]) / 2 + shift)

    def picture(self):
        """(256 x 256 x 3 uint8 RGB, corners [4, 2] in 256-pixel coordinates or None)."""
        rng = self.rng
        shape = rng.choice([(4, 3), (3, 4), (16, 9), (9, 16), (1, 1), (3, 2), (2, 3), (1.5, 1.05)])
        w, h = (INNER, round(INNER * shape[1] / shape[0])) if shape[0] >= shape[1] else (round(INNER * shape[0] / shape[1]), INNER)
        ground = rng.choice(self.grounds)
        n = rng.randint(210, 420)
        gy, gx = rng.randrange(0, 421 - n), rng.randrange(0, 421 - n)
        scene = cv2.resize(ground[gy:gy + n, gx:gx + n], (w, h), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            scene = np.ascontiguousarray(scene[:, ::-1])
        scene = scene.astype(np.float32)
        scene = scene * rng.uniform(0.6, 1.25) + self.np.normal(0, 12, 3).astype(np.float32)
        quad = None
        if rng.random() >= 0.07:
            image, alpha = rng.choice(self.cards)
            if rng.random() < 0.5:
                image = image[:, :, rng.sample([0, 1, 2], 3)]
            ch, cw = alpha.shape
            if rng.random() < 0.05:  # a scan: the document is the picture
                quad = np.float32([[0, 0], [w, 0], [w, h], [0, h]]) + self.np.normal(0, 1.0, (4, 2)).astype(np.float32)
            else:
                quad = self._quad(w, h, cw, ch)
            f = min(1.0, 1.15 * max(np.linalg.norm(quad[0] - quad[1]) / cw, np.linalg.norm(quad[1] - quad[2]) / ch))
            tw, th = max(8, int(cw * f)), max(8, int(ch * f))
            small = cv2.resize(image, (tw, th), interpolation=cv2.INTER_AREA).astype(np.float32)
            mask = cv2.resize(alpha, (tw, th), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
            if rng.random() < 0.35:  # nearly the colour of what it lies on
                inside = scene.reshape(-1, 3).mean(0)
                small += (inside - small.reshape(-1, 3).mean(0)) * rng.uniform(0.5, 1.0)
            m = cv2.getPerspectiveTransform(np.float32([[0, 0], [tw, 0], [tw, th], [0, th]]), quad)
            mask = cv2.warpPerspective(mask, m, (w, h), flags=cv2.INTER_LINEAR)[..., None]
            card = cv2.warpPerspective(small, m, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            if rng.random() < 0.6:  # its shadow
                k = rng.uniform(1, 8)
                shade = cv2.GaussianBlur(mask[..., 0], (0, 0), k)
                shade = np.roll(shade, (int(rng.gauss(0, k)), int(rng.gauss(0, k))), (0, 1))
                scene *= 1 - rng.uniform(0.1, 0.6) * shade[..., None]
            if rng.random() < 0.25:  # thickness or a sleeve: a light or dark rim
                edge = cv2.morphologyEx(mask[..., 0], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))[..., None]
                card = card + edge * rng.uniform(-80, 80)
            scene = scene * (1 - mask) + card * mask
            if rng.random() < 0.22:  # fingers hold an edge
                for _ in range(rng.randint(1, 3)):
                    i = rng.randrange(4)
                    t = rng.uniform(0.1, 0.9)
                    p = quad[i] * t + quad[(i + 1) % 4] * (1 - t)
                    out = p - quad.mean(0)
                    q = p + out * rng.uniform(0.3, 1.2) + self.np.normal(0, 8, 2)
                    tone = np.float32(rng.choice([(224, 172, 140), (198, 134, 96), (141, 85, 54), (90, 56, 40), (240, 200, 175)])) * rng.uniform(0.7, 1.1)
                    finger = np.zeros((h, w), np.uint8)
                    cv2.line(finger, tuple(int(v) for v in p - out * rng.uniform(0, 0.12)), tuple(int(v) for v in q), 255, rng.randint(7, 26), cv2.LINE_AA)
                    finger = cv2.GaussianBlur(finger, (0, 0), 0.8).astype(np.float32)[..., None] / 255
                    scene = scene * (1 - finger) + tone * finger
        if rng.random() < 0.6:  # light
            y, x = np.mgrid[0:h, 0:w].astype(np.float32)
            a = rng.uniform(0, 6.28)
            scene *= (1 + rng.uniform(0, 0.45) * (np.cos(a) * (x / w - 0.5) + np.sin(a) * (y / h - 0.5)))[..., None]
            if rng.random() < 0.25:  # hard shadow across
                side = np.cos(a + 1) * (x - rng.uniform(0, w)) + np.sin(a + 1) * (y - rng.uniform(0, h))
                scene *= (1 - rng.uniform(0.1, 0.45) / (1 + np.exp(-side / rng.uniform(0.5, 8))))[..., None]
            if rng.random() < 0.35:
                spot = np.exp(-(((x - rng.uniform(0, w)) / rng.uniform(6, 60)) ** 2 + ((y - rng.uniform(0, h)) / rng.uniform(6, 60)) ** 2))
                scene += (255 - scene) * spot[..., None] * rng.uniform(0.2, 1.0)
        if rng.random() < 0.35:
            scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.3, 1.6))
        scene = (scene - 128) * rng.uniform(0.6, 1.25) + 128 + rng.uniform(-40, 35)
        if rng.random() < 0.5:
            scene = scene + self.np.normal(0, rng.uniform(1, 9), scene.shape).astype(np.float32)
        if rng.random() < 0.1:
            scene[:] = scene.mean(2, keepdims=True)
        scene = np.clip(scene, 0, 255).astype(np.uint8)
        if rng.random() < 0.4:
            scene = cv2.imdecode(cv2.imencode(".jpg", scene, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(30, 95)])[1], cv2.IMREAD_COLOR)
        out = np.full((SIDE, SIDE, 3), 128, np.uint8)
        x0, y0 = (SIDE - w) // 2, (SIDE - h) // 2
        out[y0:y0 + h, x0:x0 + w] = scene
        if quad is None:
            return out, None
        return out, ordered(quad + np.float32([x0, y0]))

    def batch(self, n):
        pictures, quads = zip(*(self.picture() for _ in range(n)))
        return np.stack(pictures), quads


def ordered(quad):
    """Clockwise (y down), starting with the corner of least x + y."""
    c = quad.mean(0)
    quad = quad[np.argsort(np.arctan2(quad[:, 1] - c[1], quad[:, 0] - c[0]))]
    return np.roll(quad, -int(np.argmin(quad.sum(1))), 0)


if __name__ == "__main__":
    import sys
    import time

    artist = Artist(1)
    start = time.process_time()
    pictures, quads = artist.batch(48)
    print("ms a picture", (time.process_time() - start) / 48 * 1000)
    if len(sys.argv) > 1:
        for p, q in zip(pictures, quads):
            if q is not None:
                for i, c in enumerate(((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))):
                    cv2.circle(p, tuple(int(v) for v in q[i]), 3, c, 1)
        sheet = np.vstack([np.hstack(pictures[i:i + 8]) for i in range(0, 48, 8)])
        cv2.imwrite(sys.argv[1], cv2.resize(sheet[:, :, ::-1], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA))
