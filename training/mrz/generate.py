"""Synthesises pictures of single MRZ lines with their text.

Every picture is 32 x 512 grey (uint8). Nothing here reads a real document:
the text comes from the grammar of ICAO Doc 9303 and its relatives, the glyphs
from the installed fonts, the paper from procedural textures.

The picture is made as a camera would: ink on textured paper (with fragments of
the neighbouring lines), scaled to the pixel pitch of a capture, warped, blurred,
lit, noised, compressed, then cropped with jitter and stretched to 32 x 512.
"""
import random
import string

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

cv2.setNumThreads(0)

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ<"  # class = index + 1, class 0 is the CTC blank
INDEX = {c: i + 1 for i, c in enumerate(ALPHABET)}
HEIGHT, WIDTH = 32, 512
PITCH = 26  # advance of one character on the drawing canvas, px
LETTERS = string.ascii_uppercase
DIGITS = string.digits

OCRB = "/usr/share/fonts/opentype/ocr-b/"
# (path, weight): OCR-B first; the monospaced look-alikes keep the net from
# learning one foundry's outlines by heart.
FONTS = [
    (OCRB + "OCRB.otf", 10.0),
    (OCRB + "OCRBS.otf", 5.0),
    (OCRB + "OCRBL.otf", 0.7),
    ("/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf", 0.8),
    ("/usr/share/fonts/truetype/liberation/LiberationMono-Bold.ttf", 0.6),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf", 0.7),
    ("/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf", 0.5),
    ("/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf", 0.3),
]
# Stroke-width change in px at 4x drawing scale (negative = thinner).
STROKES = [-2.2, -1.2, -0.5, 0.0, 0.6, 1.4, 2.4, 3.6]

CODES = (
    "AFG ALB DZA AND AGO ARG ARM AUS AUT AZE BHS BHR BGD BRB BLR BEL BLZ BEN BOL BIH BWA BRA BGR CAN CHL CHN COL CRI HRV "
    "CUB CYP CZE DNK DOM ECU EGY EST ETH FIN FRA GEO GHA GRC HUN ISL IND IDN IRN IRQ IRL ISR ITA JAM JPN JOR KAZ KEN KOR "
    "KWT LVA LBN LTU LUX MYS MLT MEX MDA MAR NLD NZL NGA NOR PAK PER PHL POL PRT QAT ROU RUS SAU SRB SGP SVK SVN ZAF ESP "
    "LKA SWE CHE SYR TWN THA TUR UKR ARE GBR USA URY UZB VEN VNM UTO D<< XXA GBD RKS EUE UNO"
).split()
SURNAMES = (
    "SMITH JONES MUELLER GARCIA MARTINEZ NOVAK KOWALSKI ROSSI FERRARI SILVA SANTOS IVANOV PETROV KIM LEE NGUYEN TRAN WANG "
    "ZHANG SATO SUZUKI HANSEN JOHANSSON ERIKSSON NIELSEN DUBOIS LEFEBVRE DE<LA<CRUZ VAN<DER<BERG MC<DONALD O<CONNOR "
    "AL<HASSAN ABDULRAHMAN YILMAZ KAYA PAPADOPOULOS NAGY HORVATH POPESCU OKONKWO MENSAH KHAN SINGH PATEL DUBROVSKIY "
    "KOZHEVNIKOV SHCHERBAKOV JIMENEZ FERNANDEZ<LOPEZ QUISPE XU WRIGHT ZIMMERMANN BAUER VOGEL"
).split()
GIVEN = (
    "ANNA MARIA JOHN PETER WILLIAM FATIMA MOHAMMED AHMED YUKI HIROSHI CHEN LI SOFIA EMMA LUCAS MATEO ZOE IVAN OLGA "
    "DMITRII KATARZYNA JOZEF BJORN ASTRID QUENTIN XAVIER WENDY FREDERIC GIUSEPPE FRANCESCA JOAO INES KWAME ADWOA PRIYA "
    "RAJESH JEAN<PIERRE MARY<JANE VICTORIA HUBERT"
).split()


def check_digit(text):
    total = 0
    for i, c in enumerate(text):
        value = 0 if c == "<" else int(c) if c in DIGITS else ord(c) - 55
        total += value * (7, 3, 1)[i % 3]
    return str(total % 10)


def word(rng, low, high, letters=LETTERS):
    return "".join(rng.choice(letters) for _ in range(rng.randint(low, high)))


def names(rng, room):
    surname = rng.choice(SURNAMES) if rng.random() < 0.5 else word(rng, 2, 14)
    if rng.random() < 0.25:
        surname += "<" + word(rng, 2, 10)
    given = [rng.choice(GIVEN) if rng.random() < 0.5 else word(rng, 1, 11) for _ in range(rng.choice([0, 1, 1, 2, 2, 3]))]
    return ((surname + "<<" + "<".join(given)).ljust(room, "<"))[:room]


def date(rng):
    if rng.random() < 0.03:
        return "%02d<<<<" % rng.randint(0, 99)
    return "%02d%02d%02d" % (rng.randint(0, 99), rng.randint(1, 12), rng.randint(1, 31))


def number(rng, length):
    kind = rng.random()
    if kind < 0.35:
        text = word(rng, 1, 3) + word(rng, length, length, DIGITS)
    elif kind < 0.65:
        text = word(rng, length - 2, length, DIGITS)
    else:
        text = word(rng, length - 3, length, LETTERS + DIGITS)
    return text[:length].ljust(length, "<")


def optional(rng, length):
    kind = rng.random()
    if kind < 0.45:
        return "<" * length
    return word(rng, 1, length, DIGITS if kind < 0.75 else LETTERS + DIGITS).ljust(length, "<")


def code(rng):
    return rng.choice(CODES) if rng.random() < 0.8 else word(rng, 3, 3)


def sex(rng):
    return rng.choice("MMFF<X")


def mrz(rng):
    """One document: a list of lines."""
    form = rng.choices(["td3", "td1", "td2", "mrva", "mrvb", "fra", "che", "dl"], [34, 30, 12, 5, 5, 6, 2, 3])[0]
    country, dob, exp = code(rng), date(rng), date(rng)
    if form in ("td3", "mrva"):
        kind = rng.choice(["P<", "P<", "P<", "PD", "PO", "PS", "PM", "PN"]) if form == "td3" else rng.choice(["V<", "VC", "VI"])
        doc, opt = number(rng, 9), optional(rng, 14)
        tail = opt + (check_digit(opt) if opt.strip("<") or rng.random() < 0.5 else "<")
        second = doc + check_digit(doc) + code(rng) + dob + check_digit(dob) + sex(rng) + exp + check_digit(exp)
        if form == "td3":
            second += tail
            second += check_digit(second[0:10] + second[13:20] + second[21:43])
        else:
            second += optional(rng, 16)
        return [kind + country + names(rng, 39), second]
    if form in ("td2", "mrvb"):
        kind = rng.choice(["I<", "ID", "AC", "C<", "A<", "P<", "IR"]) if form == "td2" else "V<"
        doc = number(rng, 9)
        second = doc + check_digit(doc) + code(rng) + dob + check_digit(dob) + sex(rng) + exp + check_digit(exp)
        if form == "td2":
            second += optional(rng, 7)
            second += check_digit(second[0:10] + second[13:20] + second[21:35])
        else:
            second += optional(rng, 8)
        return [kind + country + names(rng, 31), second]
    if form == "td1":
        doc = number(rng, 9)
        first = rng.choice(["I<", "ID", "C<", "AC", "IR", "A<", "CR", "IP"]) + country + doc + check_digit(doc) + optional(rng, 15)
        second = dob + check_digit(dob) + sex(rng) + exp + check_digit(exp) + code(rng) + optional(rng, 11)
        second += check_digit(first[5:] + second[0:7] + second[8:15] + second[18:29])
        return [first, second, names(rng, 30)]
    if form == "fra":
        first = ("IDFRA" + word(rng, 3, 22)).ljust(30, "<")[:30] + word(rng, 6, 6, DIGITS)
        doc = word(rng, 12, 12, DIGITS)
        second = doc + check_digit(doc) + (word(rng, 3, 9) + "<<" + word(rng, 0, 6)).ljust(14, "<")[:14] + dob + check_digit(dob) + rng.choice("MF")
        return [first, second + check_digit(first + second)]
    if form == "che":
        return [word(rng, 3, 3) + word(rng, 3, 3, DIGITS) + rng.choice("DFI") + "<<",
                "FACHE" + word(rng, 12, 12, DIGITS) + "<<" + date(rng) + "<<<<<", names(rng, 30)]
    body = "D" + rng.choice("1L<") + country + word(rng, 10, 24, LETTERS + DIGITS)
    body = body.ljust(29, "<")[:29]
    return [body + check_digit(body)]


def lines(rng):
    """The wanted text with what stands above and below it (or None)."""
    if rng.random() < 0.30:
        pool = rng.choice([ALPHABET, LETTERS + DIGITS, DIGITS + "<", LETTERS + "<", "0OQDUC1IJL5S8B2Z6G<KVYXA4"])
        length = rng.choice([30, 36, 44, 44, rng.randint(20, 46)])
        return [word(rng, length, length, pool) for _ in range(3)], 1
    document = mrz(rng)
    if rng.random() < 0.04:  # typographic slips of real documents: lost or added filler
        document = [t[:-1] if rng.random() < 0.5 else t + "<" for t in document]
    return document, rng.randrange(len(document))


# ---------------------------------------------------------------- glyphs
def _atlas(path, stroke):
    scale = 4
    pitch = PITCH * scale
    font = ImageFont.truetype(path, 100)
    advance = font.getlength("0")
    font = ImageFont.truetype(path, max(8, round(100 * pitch / advance)))
    if font.getlength("M") > font.getlength("0") * 1.2:  # proportional: drawn a little smaller, centred in its cell
        font = ImageFont.truetype(path, round(100 * pitch / advance * 0.92))
    cap = font.getbbox("H")
    cap_height = cap[3] - cap[1]
    cell_h = int(cap_height * 1.5)
    out = []
    for c in ALPHABET:
        image = Image.new("L", (pitch + 32, cell_h), 0)
        x = 16 + (pitch - font.getlength(c)) / 2
        ImageDraw.Draw(image).text((x, cell_h * 0.17 - cap[1]), c, font=font, fill=255)
        a = np.asarray(image, np.float32) / 255
        if stroke:
            ink = (a > 0.5).astype(np.uint8)
            distance = cv2.distanceTransform(ink, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
            a = np.clip(distance + stroke * scale / 4 + 0.5, 0, 1).astype(np.float32)
        a = a[:, 16:16 + pitch]
        out.append(cv2.resize(a, (PITCH, round(cell_h / scale)), interpolation=cv2.INTER_AREA))
    return np.stack(out)


class Artist:
    """Draws line pictures; all randomness comes from `seed`."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.atlases, self.weights = [], []
        for path, weight in FONTS:
            for stroke in STROKES:
                try:
                    self.atlases.append((_atlas(path, stroke) * 255).astype(np.uint8))
                except OSError:
                    continue
                self.weights.append(weight)
        self.textures = [self._texture() for _ in range(40)]
        self.noise = self.np.normal(0, 1, (1 << 20,)).astype(np.float32)

    # -- paper
    def _texture(self):
        """512 x 2048 float32 texture in about -1..1: guilloche, halftone, weave or cloud."""
        rng, h, w = self.rng, 512, 2048
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        t = np.zeros((h, w), np.float32)
        for _ in range(rng.randint(1, 4)):
            angle, period = rng.uniform(0, 3.14), rng.uniform(5, 40)
            u = x * np.cos(angle) + y * np.sin(angle)
            v = -x * np.sin(angle) + y * np.cos(angle)
            phase = rng.uniform(2, 30) * np.sin(v / rng.uniform(15, 90)) + rng.uniform(0, 20) * np.sin(v / rng.uniform(90, 300))
            wave = np.sin((u + phase) * 6.2832 / period)
            t += np.where(wave > rng.uniform(0.2, 0.9), 1, 0) if rng.random() < 0.6 else wave * 0.5
        cloud = cv2.resize(self.np.normal(0, 1, (rng.randint(3, 24), rng.randint(6, 80))).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
        t = cv2.GaussianBlur(t, (0, 0), rng.uniform(0.6, 1.6)) * rng.uniform(0.2, 1) + cloud * rng.uniform(0.1, 0.8)
        if rng.random() < 0.4:  # letters and strokes of a printed background or portrait edge
            for _ in range(rng.randint(5, 60)):
                p, q = (rng.randrange(w), rng.randrange(h)), (rng.randrange(w), rng.randrange(h))
                cv2.line(t, p, (p[0] + (q[0] - p[0]) // 6, q[1]), rng.uniform(-1, 1), rng.randint(1, 6), cv2.LINE_AA)
        t -= t.mean()
        return t / max(1e-3, np.abs(t).max())

    def _paper(self, h, w):
        rng = self.rng
        texture = rng.choice(self.textures)
        dy, dx = rng.randrange(0, texture.shape[0] - h), rng.randrange(0, texture.shape[1] - w)
        paper = texture[dy:dy + h, dx:dx + w]
        base = rng.uniform(120, 252)
        return base + paper * (rng.uniform(0, 14) if rng.random() < 0.6 else rng.uniform(10, 70))

    # -- ink
    def _row(self, canvas, text, atlas, x0, y0, wobble):
        rng = self.rng
        gh = atlas.shape[1]
        if y0 >= canvas.shape[0] or y0 + gh <= 0:
            return
        cells = atlas[[INDEX[c] - 1 for c in text]]
        strip = np.ascontiguousarray(cells.transpose(1, 0, 2)).reshape(gh, -1)
        if wobble:
            for i in range(len(text)):
                if rng.random() < 0.25:
                    s = strip[:, i * PITCH:(i + 1) * PITCH]
                    s[:] = np.roll(s, rng.choice([-1, 1]), 0)
        top, bottom = max(0, -y0), min(gh, canvas.shape[0] - y0)
        right = min(strip.shape[1], canvas.shape[1] - x0)
        region = canvas[y0 + top:y0 + bottom, x0:x0 + right]
        np.maximum(region, strip[top:bottom, :right], out=region)

    def _noise(self, shape):
        n = shape[0] * shape[1]
        start = self.rng.randrange(0, self.noise.size - n)
        return self.noise[start:start + n].reshape(shape)

    def picture(self):
        """Returns (32 x 512 uint8, text)."""
        rng = self.rng
        document, row = lines(rng)
        text = document[row]
        atlas = rng.choices(self.atlases, self.weights)[0]
        gh = atlas.shape[1]
        cap = gh / 1.5  # cap height on the canvas
        spacing = int(rng.uniform(1.5, 2.9) * cap)
        margin = rng.randint(10, 60)
        tw = len(text) * PITCH
        longest = max(len(t) for t in document)
        width = longest * PITCH + 2 * margin
        height = int(cap * 4.2)
        y0 = int(height / 2 - cap * 0.5 - gh * 0.17)
        ink = np.zeros((height, width), np.uint8)
        wobble = rng.random() < 0.15
        for i, t in enumerate(document):
            self._row(ink, t, atlas, margin, y0 + (i - row) * spacing, wobble)
        if rng.random() < 0.25:  # anything else printed near: a rule, a frame, a stray word
            y = y0 + rng.choice([-1, 1]) * int(rng.uniform(1.2, 2.0) * cap) + int(cap * 0.6)
            cv2.line(ink, (0, y), (width, y + rng.randint(-6, 6)), rng.randint(80, 255), rng.randint(1, 5))
        fade = ink.astype(np.float32) * (1 / 255)
        if rng.random() < 0.2:  # uneven ribbon or worn print
            wear = cv2.resize(self.np.uniform(rng.uniform(0.3, 0.8), 1.0, (rng.randint(3, 12), rng.randint(10, 90))).astype(np.float32), (width, height))
            fade *= np.clip(wear, 0, 1)
        paper = self._paper(height, width)
        tone = rng.uniform(0, 60) if rng.random() < 0.75 else rng.uniform(40, 130)
        tone = min(tone, float(paper.mean()) - rng.uniform(35, 60))
        image = paper + (tone - paper) * fade * rng.uniform(0.8, 1.0)

        # the capture: pixel pitch, then a warp that carries the crop into it
        pitch = rng.choice([rng.uniform(5.2, 9), rng.uniform(8, 15), rng.uniform(12, 24)])
        s = pitch / PITCH
        image = cv2.resize(image.astype(np.float32), None, fx=s, fy=s * rng.uniform(0.88, 1.14), interpolation=cv2.INTER_AREA)
        h, w = image.shape
        sy = h / height
        cx0, cx1 = margin * s, (margin + tw) * s
        cy, ch = h / 2, cap * sy

        if rng.random() < 0.25:
            image = self._light(image)
        kind = rng.random()
        if kind < 0.40:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.24 * pitch if rng.random() < 0.4 else 0.13 * pitch))
        elif kind < 0.52:
            image = self._motion(image, max(2, int(pitch * rng.uniform(0.15, 0.6))))
        if rng.random() < 0.25:
            image = self._glare(image)
        if rng.random() < 0.6:
            image = image + self._noise(image.shape) * rng.uniform(1, 14)
        if rng.random() < 0.15:
            image = 255 * np.power(np.clip(image, 0, 255) / 255, rng.uniform(0.5, 2.0))
        if rng.random() < 0.15:
            soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.8, 2.5))
            image = image + (image - soft) * rng.uniform(0.5, 2.5)
        image = np.clip(image, 0, 255).astype(np.uint8)
        if rng.random() < 0.55:
            ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, rng.randint(12, 95)])
            image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
        if rng.random() < 0.07:
            image = self._binary(image)
        if rng.random() < 0.04:  # screen or scan moire
            yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
            a = rng.uniform(0, 3.14)
            image = np.clip(image + rng.uniform(5, 25) * np.sin((xx * np.cos(a) + yy * np.sin(a)) * 6.28 / rng.uniform(2.1, 9)), 0, 255).astype(np.uint8)

        # the crop: corners jittered as a detector's quads are
        above = ch * (0.5 + (rng.uniform(0.02, 0.30) if rng.random() < 0.6 else rng.uniform(0.2, 0.75)))
        below = ch * (0.5 + (rng.uniform(0.02, 0.30) if rng.random() < 0.6 else rng.uniform(0.2, 0.75)))
        if rng.random() < 0.7:
            left, right = rng.uniform(-0.25, 1.0) * pitch, rng.uniform(-0.25, 1.0) * pitch
        else:
            left, right = rng.uniform(0, 3.5) * pitch, rng.uniform(0, 3.5) * pitch
        if len(text) < 24:  # a short line is cropped as wide as its neighbours
            right = max(right, (30 - len(text)) * pitch)
        tilt = rng.gauss(0, 0.12) * ch
        bow = rng.gauss(0, 0.05) * ch
        j = lambda k=0.05: rng.gauss(0, k) * ch
        quad = np.float32([
            [cx0 - left + j(), cy - above - tilt + j()], [cx1 + right + j(), cy - above + tilt + j()],
            [cx1 + right + j(), cy + below + tilt + j()], [cx0 - left + j(), cy + below - tilt + j()],
        ])
        if rng.random() < 0.2:  # slanted crop: shear in x
            shear = rng.gauss(0, 0.25) * ch
            quad[0, 0] += shear
            quad[1, 0] += shear
        matrix = cv2.getPerspectiveTransform(np.float32([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]]), quad)
        mode = cv2.BORDER_REPLICATE if rng.random() < 0.8 else cv2.BORDER_CONSTANT
        if pitch > 15:  # shrink first so that the warp does not alias
            f = 0.5
            image = cv2.resize(image, None, fx=f, fy=1, interpolation=cv2.INTER_AREA)
            matrix = np.diag([f, 1, 1]) @ matrix
        if rng.random() < 0.15:  # page bow
            yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
            d = matrix[2, 0] * xx + matrix[2, 1] * yy + matrix[2, 2]
            mx = (matrix[0, 0] * xx + matrix[0, 1] * yy + matrix[0, 2]) / d
            my = (matrix[1, 0] * xx + matrix[1, 1] * yy + matrix[1, 2]) / d + 2 * bow * np.sin(xx * (3.14159 / WIDTH))
            out = cv2.remap(image, mx.astype(np.float32), my.astype(np.float32), cv2.INTER_LINEAR, borderMode=mode, borderValue=rng.randint(0, 255))
        else:
            out = cv2.warpPerspective(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=mode, borderValue=rng.randint(0, 255))
        return out, text

    def _motion(self, image, n):
        angle = self.rng.uniform(0, 3.14)
        kernel = np.zeros((n, n), np.float32)
        c = (n - 1) / 2
        cv2.line(kernel, (round(c - c * np.cos(angle)), round(c - c * np.sin(angle))), (round(c + c * np.cos(angle)), round(c + c * np.sin(angle))), 1.0)
        return cv2.filter2D(image, -1, kernel / max(1e-6, kernel.sum()), borderType=cv2.BORDER_REPLICATE)

    def _light(self, image):
        h, w = image.shape
        ramp = np.linspace(self.rng.uniform(0.4, 1.1), self.rng.uniform(0.4, 1.1), w, dtype=np.float32)
        if self.rng.random() < 0.3:  # the edge of a shadow
            ramp[: self.rng.randrange(w)] *= self.rng.uniform(0.5, 0.9)
        return image * ramp[None, :]

    def _glare(self, image):
        rng, (h, w) = self.rng, image.shape
        x = (np.arange(w, dtype=np.float32) - rng.uniform(0, w)) / rng.uniform(0.03 * w, 0.25 * w)
        y = (np.arange(h, dtype=np.float32) - rng.uniform(0, h)) / rng.uniform(0.2 * h, 1.2 * h)
        spot = np.exp(-(x[None, :] ** 2 + y[:, None] ** 2))
        return image + (255 - image) * spot * rng.uniform(0.2, 0.85)

    def _binary(self, image):
        if self.rng.random() < 0.5:
            return cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
        block = self.rng.choice([15, 25, 41])
        return cv2.adaptiveThreshold(image, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, self.rng.randint(5, 20))

    def batch(self, n):
        pictures, texts = zip(*(self.picture() for _ in range(n)))
        return np.stack(pictures), list(texts)


if __name__ == "__main__":
    import sys
    import time

    artist = Artist(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    start = time.process_time()
    pictures, texts = artist.batch(200)
    print("ms per line", (time.process_time() - start) / 200 * 1000)
    if len(sys.argv) > 1:
        cv2.imwrite(sys.argv[1], np.vstack(pictures[:40]))
        print("\n".join(texts[:40]))
