"""Distils MiniFASNet's function into a small net of our own (pad-student).

Reads: the two MiniFASNet state dicts (Apache-2.0, installed by the operator;
       they teach, they are never copied) and a folder of licence-clean faces.
Writes: student.pt (weights + log) in --out, which evaluate.py judges and export.py writes as ONNX. No student has
        qualified yet (docs/faces.md).

Every training picture is a crop of a licence-clean face (CC-BY London set, CC0
lisa) put through a very wide camera / print / screen simulation. The target is
whatever the two teachers answer on exactly these pixels, so a label is never
needed: the student learns the teachers' function, not a guess about attacks.
No picture of a liveness benchmark is ever read here.
"""
import argparse, glob, math, multiprocessing as mp, os, time
import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 80


# ---------------------------------------------------------------- the teachers
class MiniFasNet:
    """Evaluates a MiniFASNet state dict; the topology follows from its keys."""

    def __init__(self, path):
        sd = torch.load(path, map_location="cpu")
        self.sd = {k.removeprefix("module."): v.float() for k, v in sd.items() if "num_batches" not in k}

    def bn(self, x, p):
        s = self.sd
        return F.batch_norm(x, s[p + ".running_mean"], s[p + ".running_var"], s[p + ".weight"], s[p + ".bias"])

    def conv(self, x, p, stride=1, pad=0, act=True):
        w = self.sd[p + ".conv.weight"]
        groups = x.shape[1] // w.shape[1]
        x = self.bn(F.conv2d(x, w, stride=stride, padding=pad, groups=groups), p + ".bn")
        return F.prelu(x, self.sd[p + ".prelu.weight"]) if act and p + ".prelu.weight" in self.sd else x

    def depthwise(self, x, p, stride, residual):
        y = self.conv(x, p + ".conv")
        y = self.conv(y, p + ".conv_dw", stride=stride, pad=1)
        y = self.conv(y, p + ".project")
        if p + ".se_module.fc1.weight" in self.sd:
            q = p + ".se_module"
            z = y.mean((2, 3), keepdim=True)
            z = F.relu(self.bn(F.conv2d(z, self.sd[q + ".fc1.weight"]), q + ".bn1"))
            y = y * torch.sigmoid(self.bn(F.conv2d(z, self.sd[q + ".fc2.weight"]), q + ".bn2"))
        return x + y if residual else y

    def __call__(self, x):
        """(n,3,80,80) BGR 0..255 -> logits (n,3), embedding (n,128), middle map (n,128,10,10)."""
        x = self.conv(x, "conv1", 2, 1)
        x = self.conv(x, "conv2_dw", 1, 1)
        x = self.depthwise(x, "conv_23", 2, False)
        for i in range(4): x = self.depthwise(x, f"conv_3.model.{i}", 1, True)
        x = self.depthwise(x, "conv_34", 2, False)
        for i in range(6): x = self.depthwise(x, f"conv_4.model.{i}", 1, True)
        mid = x
        x = self.depthwise(x, "conv_45", 2, False)
        for i in range(2): x = self.depthwise(x, f"conv_5.model.{i}", 1, True)
        x = self.conv(x, "conv_6_sep")
        x = self.conv(x, "conv_6_dw")
        e = self.bn(x.flatten(1) @ self.sd["linear.weight"].T, "bn")
        return e @ self.sd["prob.weight"].T, e, mid


# ---------------------------------------------------------------- the pictures
def texture(rng, size):
    """A procedural background: octaves of noise, stripes or flat colour, in 0..1."""
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


def batch(rng, sources, n):
    x = np.stack([sample(rng, sources) for _ in range(n)])
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


def generator(seed, faces, teachers, queue, n):
    os.nice(0); torch.set_num_threads(1); cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    src = load_sources(faces, False)
    nets = [MiniFasNet(t) for t in teachers]
    with torch.inference_mode():
        while True:
            x = batch(rng, src, n)
            t = torch.from_numpy(x).float()
            ans = [net(t) for net in nets]
            queue.put((x, [[a.numpy().astype(np.float16) for a in (l, e, F.avg_pool2d(m, 2))] for l, e, m in ans]))


# ---------------------------------------------------------------- the student
class Block(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(ci, co, 3, stride, 1, bias=False), nn.BatchNorm2d(co), nn.ReLU())
        self.b = nn.Sequential(nn.Conv2d(co, co, 3, 1, 1, bias=False), nn.BatchNorm2d(co))
        self.s = nn.Identity() if stride == 1 and ci == co else nn.Sequential(nn.Conv2d(ci, co, stride, stride, bias=False), nn.BatchNorm2d(co))

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + self.s(x))


class Student(nn.Module):
    """One trunk, one head a teacher. Only Conv, Relu, Add, MatMul (and Flatten) when folded."""

    def __init__(self, w=(24, 40, 72, 112)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, w[0], 3, 2, 1, bias=False), nn.BatchNorm2d(w[0]), nn.ReLU())
        self.s1 = nn.Sequential(Block(w[0], w[0], 1))
        self.s2 = nn.Sequential(Block(w[0], w[1], 2), Block(w[1], w[1], 1))
        self.s3 = nn.Sequential(Block(w[1], w[2], 2), Block(w[2], w[2], 1))
        self.s4 = nn.Sequential(Block(w[2], w[3], 2))
        self.dw = nn.Sequential(nn.Conv2d(w[3], w[3], 5, groups=w[3], bias=False), nn.BatchNorm2d(w[3]))
        self.heads = nn.ModuleList([nn.Sequential(nn.Linear(w[3], 128), nn.ReLU(), nn.Linear(128, 3)) for _ in range(2)])
        self.hint = nn.ModuleList([nn.Linear(w[3], 128) for _ in range(2)])
        self.hint_map = nn.ModuleList([nn.Conv2d(w[2], 128, 1) for _ in range(2)])

    def forward(self, x):
        x = (x - 127.5) / 64
        m = self.s3(self.s2(self.s1(self.stem(x))))
        v = self.dw(self.s4(m)).flatten(1)
        logits = [h(v) for h in self.heads]
        if not self.training: return logits
        return logits, [h(v) for h in self.hint], [F.avg_pool2d(h(m), 2) for h in self.hint_map]


def centred(l):
    return l - l.mean(1, keepdim=True)


def loss_of(out, target, stats):
    logits, emb, maps = out
    total = 0
    for i, (tl, te, tm) in enumerate(target):
        tl = centred(tl).clamp(-12, 12)
        l = centred(logits[i])
        total = total + F.smooth_l1_loss(l, tl) \
            + 0.5 * F.kl_div(F.log_softmax(l / 2, 1), F.softmax(tl / 2, 1), reduction="batchmean") * 4 \
            + 0.3 * F.mse_loss(emb[i], te / stats[i][0]) + 0.15 * F.mse_loss(maps[i], tm / stats[i][1])
    return total


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--faces", required=True); a.add_argument("--teachers", nargs=2, required=True)
    a.add_argument("--out", required=True); a.add_argument("--minutes", type=float, default=40)
    a.add_argument("--generators", type=int, default=1); a.add_argument("--block", type=int, default=256, help="pictures a block; 32 for a smoke test"); a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True); torch.manual_seed(a.seed); torch.set_num_threads(1)
    ctx = mp.get_context("fork"); q = ctx.Queue(6)
    workers = [ctx.Process(target=generator, args=(a.seed * 100 + i, a.faces, a.teachers, q, a.block), daemon=True) for i in range(a.generators)]
    for w in workers: w.start()
    hold = torch.from_numpy(batch(np.random.default_rng(99), load_sources(a.faces, True), 4 * a.block))
    nets = [MiniFasNet(t) for t in a.teachers]
    with torch.inference_mode(): hold_t = [torch.cat([n(c.float())[0] for c in hold.split(256)]) for n in nets]
    hold_p = sum(F.softmax(t, 1)[:, 1] for t in hold_t) / 2
    print("holdout: teacher live share", float((hold_p > .5).float().mean()), flush=True)
    net = Student().to(memory_format=torch.channels_last); ema = None
    print("parameters", sum(p.numel() for n, p in net.named_parameters() if "hint" not in n), flush=True)
    opt = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    bank, stats, step, t0, seen = [], None, 0, time.time(), 0
    rng = np.random.default_rng(a.seed)
    while (now := time.time() - t0) < a.minutes * 60:
        new = 0
        while (not q.empty() or len(bank) < 8) and new < 6:
            x, t = q.get(); new += 1; seen += len(x)
            bank.append((x, t)); bank = bank[-160:]
        if stats is None:
            stats = [(float(np.concatenate([b[1][i][1] for b in bank]).astype(np.float32).std()), float(np.concatenate([b[1][i][2] for b in bank]).astype(np.float32).std())) for i in range(2)]
        frac = now / (a.minutes * 60)
        for g in opt.param_groups: g["lr"] = 3e-3 * min(1, step / 100) * 0.5 * (1 + math.cos(math.pi * frac)) + 1e-5
        net.train()
        for _ in range(8):
            xs, ts = [], []
            for b in rng.integers(len(bank), size=4):  # 4 blocks x 24 pictures
                k = rng.permutation(a.block)[:24]
                xs.append(bank[b][0][k]); ts.append([[p[k] for p in t] for t in bank[b][1]])
            x = torch.from_numpy(np.concatenate(xs)).float().contiguous(memory_format=torch.channels_last)
            target = [[torch.from_numpy(np.concatenate([t[i][j] for t in ts])).float() for j in range(3)] for i in range(2)]
            with torch.autocast("cpu", torch.bfloat16): out = net(x)
            out = ([o.float() for o in out[0]], [o.float() for o in out[1]], [o.float() for o in out[2]])
            loss = loss_of(out, target, stats)
            opt.zero_grad(); loss.backward(); nn.utils.clip_grad_norm_(net.parameters(), 5.0); opt.step(); step += 1
            with torch.no_grad():
                cur = net.state_dict(); d = min(0.998, (1 + step) / (10 + step))
                ema = {k: v.clone() for k, v in cur.items()} if ema is None else {k: (ema[k] * d + v * (1 - d) if v.is_floating_point() else v) for k, v in cur.items()}
        if step % 200 == 0:
            e = Student(); e.load_state_dict(ema); e.eval()
            with torch.inference_mode():
                o = [torch.cat(c) for c in zip(*[e(c.float()) for c in hold.split(256)])]
            p = sum(F.softmax(t, 1)[:, 1] for t in o) / 2
            r = float(np.corrcoef(p.numpy(), hold_p.numpy())[0, 1]); agree = float(((p > .5) == (hold_p > .5)).float().mean())
            line = f"step {step} min {now/60:.1f} cpu {time.process_time()/60:.1f} pictures {seen} loss {float(loss):.3f} holdout r {r:.4f} agree {agree:.3f} mae {float((p-hold_p).abs().mean()):.4f}"
            print(line, flush=True)
            torch.save({"ema": ema, "log": line}, os.path.join(a.out, "student.pt"))
    torch.save({"ema": ema, "log": "final"}, os.path.join(a.out, "student.pt"))
    for w in workers: w.terminate()


if __name__ == "__main__":
    main()
