"""Distils MiniFASNet's function, stage by stage, into nets of our own.

Reads: the two MiniFASNet state dicts (Apache-2.0; they answer, nothing of them is copied) and a folder of licence-clean
       faces (pictures.py).
Writes: student.pt in --out, which evaluate.py judges and export.py writes as ONNX.

1. Every stage learns by itself: its input is what the teacher's stage before gave, its target what the teacher's stage gives.
   That is a shallow regression which converges quickly. The stages start from random numbers, are wider than the
   teacher's, see their input whitened, and their last layer starts at its least-squares solution.
2. The stages are joined and learn end to end: logits, embedding and every stage's map.

One process, one thread; both phases end at a time of the clock, so that it can run beside other work. Held-out identities
are judged all the while (agreement at one half, correlation, error of the logits beside their own spread); "left over" is the
share of each stage's variance that is not reproduced.
"""
import argparse, os, time
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from pictures import batch, load_scenes, load_sources

# Width of a student's stage by that of the teacher's.
WIDTH = {13: 32, 26: 56, 52: 80, 77: 104, 103: 128, 154: 176, 231: 248, 308: 320, 512: 512}
STAGES = ["stem", "conv_23", *[f"conv_3.model.{i}" for i in range(4)], "conv_34", *[f"conv_4.model.{i}" for i in range(6)],
          "conv_45", "conv_5.model.0", "conv_5.model.1", "head"]


SCENE_FILES = ["coffee.png", "rocket.jpg", "chelsea.png", "retina.jpg", "hubble_deep_field.jpg", "brick.png", "grass.png", "gravel.png", "china.jpg", "flower.jpg"]


class Teacher:
    """Evaluates a MiniFASNet state dict; the topology follows from its keys."""

    def __init__(self, path):
        sd = torch.load(path, map_location="cpu")
        self.sd = {k.removeprefix("module."): v.float() for k, v in sd.items() if "num_batches" not in k}

    def bn(self, x, p):
        s = self.sd
        return F.batch_norm(x, s[p + ".running_mean"], s[p + ".running_var"], s[p + ".weight"], s[p + ".bias"])

    def conv(self, x, p, stride=1, pad=0):
        w = self.sd[p + ".conv.weight"]
        x = self.bn(F.conv2d(x, w, stride=stride, padding=pad, groups=x.shape[1] // w.shape[1]), p + ".bn")
        return F.prelu(x, self.sd[p + ".prelu.weight"]) if p + ".prelu.weight" in self.sd else x

    def hidden(self, stage):
        return self.sd[("conv_6_sep" if stage == "head" else stage + ".conv") + ".conv.weight"].shape[0]

    def has_gate(self, stage):
        return stage + ".se_module.fc1.weight" in self.sd

    def block(self, x, p, stride):
        y = self.conv(self.conv(self.conv(x, p + ".conv"), p + ".conv_dw", stride, 1), p + ".project")
        if self.has_gate(p):
            q = p + ".se_module"
            z = F.relu(self.bn(F.conv2d(y.mean((2, 3), keepdim=True), self.sd[q + ".fc1.weight"]), q + ".bn1"))
            y = y * torch.sigmoid(self.bn(F.conv2d(z, self.sd[q + ".fc2.weight"]), q + ".bn2"))
        return x + y if stride == 1 else y

    @torch.inference_mode()
    def __call__(self, x):
        """(n,3,80,80) BGR 0..255 -> what stands before every stage, the embedding (n,128) and the logits (n,3)."""
        x = x.contiguous(memory_format=torch.channels_last)
        out = [x]
        x = self.conv(self.conv(x, "conv1", 2, 1), "conv2_dw", 1, 1)
        for stage in STAGES[1:-1]:
            out.append(x)
            x = self.block(x, stage, 1 if ".model." in stage else 2)
        out.append(x)
        x = self.conv(self.conv(x, "conv_6_sep"), "conv_6_dw")
        e = self.bn(x.flatten(1) @ self.sd["linear.weight"].T, "bn")
        return out, e, e @ self.sd["prob.weight"].T


def centred(logits):
    return logits - logits.mean(1, keepdim=True)


class Stage(nn.Module):
    """Expand, depthwise 3x3, project, each with what whitens its input or scales its output."""

    def __init__(self, ci, m, co, stride, gate, stem=False):
        super().__init__()
        self.stride, self.residual, self.stem = stride, stride == 1 and not stem, stem
        inputs = ci * 9 if stem else ci
        self.expand = nn.Parameter(torch.randn(m, inputs) / inputs ** 0.5)
        self.expand_bias = nn.Parameter(torch.randn(m) * 0.3)
        dw = torch.randn(m, 1, 3, 3) / 4
        dw[:, 0, 1, 1] += 0.6
        self.dw, self.dw_bias = nn.Parameter(dw), nn.Parameter(torch.randn(m) * 0.2)
        self.slope1, self.slope2 = nn.Parameter(torch.full((m,), 0.25)), nn.Parameter(torch.full((m,), 0.25))
        self.project, self.project_bias = nn.Parameter(torch.zeros(co, m)), nn.Parameter(torch.zeros(co))
        if gate:
            self.fc1, self.fc1_bias = nn.Parameter(torch.randn(32, co) / co ** 0.5 * 2), nn.Parameter(torch.zeros(32))
            self.fc2, self.fc2_bias = nn.Parameter(torch.zeros(co, 32)), nn.Parameter(torch.zeros(co))
        self.gate = gate
        self.register_buffer("white", torch.eye(inputs)); self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(co))

    def features(self, x):
        w = self.expand @ self.white
        b = self.expand_bias - w @ self.mean
        h = F.conv2d(x, w.view(len(w), 3, 3, 3), b, 2, 1) if self.stem else F.conv2d(x, w[:, :, None, None], b)
        h = F.prelu(h, self.slope1)
        h = F.conv2d(h, self.dw, self.dw_bias, self.stride if not self.stem else 1, 1, groups=len(w))
        return F.prelu(h, self.slope2)

    def branch(self, x):
        """The stage without its shortcut."""
        y = F.conv2d(self.features(x), (self.project * self.scale[:, None])[:, :, None, None], self.project_bias * self.scale)
        if self.gate:
            z = y.mean((2, 3)) / self.scale
            z = F.relu(F.linear(z, self.fc1, self.fc1_bias))
            y = y * (2 * torch.sigmoid(F.linear(z, self.fc2, self.fc2_bias)))[:, :, None, None]
        return y

    def forward(self, x):
        return x + self.branch(x) if self.residual else self.branch(x)

    @torch.no_grad()
    def begin(self, x, t):
        """Whitening of the input, scale of the target, least squares for the last layer."""
        rows = F.unfold(x, 3, padding=1, stride=2).transpose(1, 2).reshape(-1, 27) if self.stem else x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        self.mean.copy_(rows.mean(0))
        c = (rows - self.mean).T @ (rows - self.mean) / len(rows)
        val, vec = torch.linalg.eigh(c)
        self.white.copy_((vec / (val + 3e-4 * val.mean()).sqrt()).T)
        s = t.std((0, 2, 3)); self.scale.copy_((s ** 2 + 0.05 * (s ** 2).mean()).sqrt())
        self.solve(x, t)

    @torch.no_grad()
    def solve(self, x, t):
        if self.gate and self.fc2.abs().max() > 0: return
        h = torch.cat([self.features(c) for c in x.split(64)]).permute(0, 2, 3, 1).reshape(-1, len(self.dw))
        h1 = torch.cat([h, torch.ones(len(h), 1)], 1).double()
        y = (t.permute(0, 2, 3, 1).reshape(-1, t.shape[1]) / self.scale).double()
        a = h1.T @ h1; a.diagonal().add_(1e-4 * a.diagonal().mean())
        w = torch.linalg.solve(a, h1.T @ y).T.float()
        self.project.copy_(w[:, :-1]); self.project_bias.copy_(w[:, -1])

    def loss(self, x, t):
        return ((self.branch(x) - t) / self.scale[:, None, None]).square().mean()


class Head(nn.Module):
    """1x1, a weight a position, and the dense layer to embedding (only while learning) and logits."""

    def __init__(self, ci=128, m=512):
        super().__init__()
        self.expand, self.expand_bias = nn.Parameter(torch.randn(m, ci) / ci ** 0.5), nn.Parameter(torch.randn(m) * 0.3)
        self.slope1 = nn.Parameter(torch.full((m,), 0.25))
        self.dw = nn.Parameter(torch.randn(m, 5, 5) / 5)
        self.project, self.project_bias = nn.Parameter(torch.zeros(131, m)), nn.Parameter(torch.zeros(131))
        self.register_buffer("white", torch.eye(ci)); self.register_buffer("mean", torch.zeros(ci)); self.register_buffer("scale", torch.ones(131))

    def features(self, x):
        w = self.expand @ self.white
        h = F.prelu(F.conv2d(x, w[:, :, None, None], self.expand_bias - w @ self.mean), self.slope1)
        return (h * self.dw).sum((2, 3))

    def forward(self, x):
        return (F.linear(self.features(x), self.project, self.project_bias)) * self.scale

    branch = forward

    @torch.no_grad()
    def begin(self, x, t):
        rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
        self.mean.copy_(rows.mean(0))
        c = (rows - self.mean).T @ (rows - self.mean) / len(rows)
        val, vec = torch.linalg.eigh(c)
        self.white.copy_((vec / (val + 3e-4 * val.mean()).sqrt()).T)
        self.scale.copy_(t.std(0).clamp(min=1e-3))
        self.solve(x, t)

    @torch.no_grad()
    def solve(self, x, t):
        h = torch.cat([self.features(c) for c in x.split(64)])
        h1 = torch.cat([h, torch.ones(len(h), 1)], 1).double(); y = (t / self.scale).double()
        a = h1.T @ h1; a.diagonal().add_(3e-2 * a.diagonal().mean())
        w = torch.linalg.solve(a, h1.T @ y).T.float()
        self.project.copy_(w[:, :-1]); self.project_bias.copy_(w[:, -1])

    def loss(self, x, t):
        d = (self(x) - t) / self.scale
        return d[:, :128].square().mean() + d[:, 128:].square().mean()


class Student(nn.Module):
    def __init__(self, hidden, gates):
        super().__init__()
        self.shape = (hidden, gates)
        made, ci = [], 32
        for stage in STAGES:
            m = WIDTH.get(hidden[stage], hidden[stage]) if stage != "stem" else 40
            co = {"stem": 32, "conv_2": 64, "conv_3": 64 if ".model." in stage else 128}.get(stage[:6], 128)
            if stage == "stem": made.append(Stage(3, m, 32, 1, False, stem=True))
            elif stage == "head": made.append(Head(128, m))
            else: made.append(Stage(ci, m, co, 1 if ".model." in stage else 2, gates[stage]))
            ci = co
        self.stages = nn.ModuleList(made)

    @staticmethod
    def of(teacher):
        hidden = {s: teacher.hidden(s) for s in STAGES[1:]}; hidden["stem"] = 32
        return Student(hidden, {s: teacher.has_gate(s) for s in STAGES})

    def forward(self, x, maps=False):
        out, x = [], x.contiguous(memory_format=torch.channels_last)
        for s in self.stages:
            x = s(x); out.append(x)
        return out if maps else x[:, 128:]


def targets(out, e, l):
    """What each stage's branch should give."""
    t = []
    for i, s in enumerate(STAGES):
        if s == "head": t.append(torch.cat([e, centred(l)], 1))
        else: t.append(out[i + 1] - out[i] if ".model." in s else out[i + 1])
    return t


# Pictures a step by side of the stage's input: small maps hold fewer places to learn from.
TAKE = {80: 4, 40: 4, 20: 7, 10: 28, 5: 80}


class Bank:
    """Pictures, and what the teachers say of the latest."""

    def __init__(self, sources, seed, first):
        self.rng, self.sources = np.random.default_rng(seed), sources
        self.pictures = [batch(self.rng, sources, 64) for _ in range(first // 64)]
        self.pictures = np.concatenate(self.pictures)
        self.next = 0

    def grow(self, n):
        if len(self.pictures) < 12000: self.pictures = np.concatenate([self.pictures, batch(self.rng, self.sources, n)])

    def draw(self, n):
        """Pictures of the bank, changed again cheaply."""
        r = self.rng
        x = torch.from_numpy(self.pictures[r.integers(0, len(self.pictures), n)]).float()
        for i in range(n):
            if r.random() < .5: x[i] = x[i].flip(2)
            if r.random() < .5: x[i] = (x[i] - 128) * float(r.uniform(.6, 1.3)) + 128 + float(r.normal(0, 18))
            if r.random() < .3: x[i] *= torch.from_numpy(np.exp(r.normal(0, .1, (3, 1, 1))).astype(np.float32))
            if r.random() < .2: x[i] += torch.randn(3, 80, 80) * float(r.uniform(1, 14))
            if r.random() < .25: x[i] = torch.roll(x[i], (int(r.integers(-6, 7)), int(r.integers(-6, 7))), (1, 2))
            if r.random() < .12:
                a, b = r.integers(0, 64, 2); k = int(r.integers(6, 28)); x[i, :, a:a + k, b:b + k] = float(r.uniform(0, 255))
        k = n // 6
        for i in range(k):
            t = float(r.uniform(.15, .85)); x[i] = x[i] * t + x[n - 1 - i] * (1 - t)
        return x.clamp(0, 255).round()


def judge(students, held):
    x, want = held
    p = []
    with torch.inference_mode():
        for s in students: s.eval(); p.append(torch.cat([s(c) for c in x.split(64)])); s.train()
    share = lambda l: F.softmax(l, 1)[:, 1]
    line = []
    for l, t in zip(p, want):
        a, b = share(l), share(t)
        line.append(f"r {np.corrcoef(a, b)[0, 1]:.4f} agree {((a > .5) == (b > .5)).float().mean():.3f} rmse {(centred(l) - centred(t)).square().mean().sqrt():.3f}/{centred(t).square().mean().sqrt():.2f}")
    a, b = (share(p[0]) + 3 * share(p[1])) / 4, (share(want[0]) + 3 * share(want[1])) / 4
    return f"V2 {line[0]} | V1SE {line[1]} | both r {np.corrcoef(a, b)[0, 1]:.4f} agree {((a > .5) == (b > .5)).float().mean():.3f} mae {(a - b).abs().mean():.4f} live {(b > .5).float().mean():.3f}"


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--faces", required=True); a.add_argument("--teachers", nargs=2, required=True, help="V2, V1SE"); a.add_argument("--out", required=True)
    a.add_argument("--stages", type=float, default=20, help="minutes of phase 1"); a.add_argument("--joined", type=float, default=20, help="minutes of phase 2")
    a.add_argument("--pictures", type=int, default=2560); a.add_argument("--held", type=int, default=512); a.add_argument("--seed", type=int, default=1); a.add_argument("--rate", type=float, default=1.5e-2)
    a.add_argument("--joined-rate", type=float, default=1.5e-4, help="ten times as much undoes what the stages have learnt")
    a.add_argument("--scenes", nargs="*", default=SCENE_FILES, help="photographs without a face")
    a.add_argument("--compiled", action="store_true", help="compile the joined nets: a third less time a step, a minute to begin")
    a.add_argument("--resume", help="a student.pt to go on from"); a.add_argument("--nets", type=int, nargs="*", default=[0, 1], help="0 V2, 1 V1SE")
    a = a.parse_args()
    os.makedirs(a.out, exist_ok=True); torch.manual_seed(a.seed); torch.set_num_threads(1)
    teachers = [Teacher(t) for t in a.teachers]
    students = [Student.of(t) for t in teachers]
    load_scenes(a.scenes)
    say = lambda *t: print(time.strftime("%H:%M:%S"), f"cpu {time.process_time():.0f}", *t, flush=True)
    say("parameters", [sum(p.numel() for p in s.parameters()) for s in students])
    held_x = torch.from_numpy(batch(np.random.default_rng(99), load_sources(a.faces, True), a.held)).float()
    held = (held_x, [torch.cat([t(c)[2] for c in held_x.split(64)]) for t in teachers])
    say("held-out pictures", len(held_x))
    nets = a.nets
    bank = Bank(load_sources(a.faces, False), a.seed, a.pictures)
    say("pictures", len(bank.pictures))
    save = lambda name="student.pt": torch.save({"students": [s.state_dict() for s in students], "shape": [s.shape for s in students]}, os.path.join(a.out, name))

    # Phase 1: every stage by itself.
    opts = [torch.optim.Adam(s.parameters(), 1e-2, betas=(0.9, 0.99)) for s in students]
    ring = [[], []]

    def fill(k, n):
        x = bank.draw(n)
        for i in k:
            out, e, l = teachers[i](x)
            ring[i].append((out[:len(STAGES)], targets(out, e, l))); ring[i][:] = ring[i][-20:]

    for _ in range(8): fill(nets, 64)
    if a.resume:
        for s, d in zip(students, torch.load(a.resume, weights_only=False)["students"]): s.load_state_dict(d)
    else:
        for i in nets:
            for j, stage in enumerate(students[i].stages):
                few = ring[i] if j > 8 else ring[i][:2]
                stage.begin(*(torch.cat([r[k][j] for r in few]) for k in (0, 1)))
    say("begun", judge(students, held))
    begin, step = time.time(), 0
    fit = [np.ones(len(STAGES)), np.ones(len(STAGES))]
    while (f := (time.time() - begin) / (a.stages * 60)) < 1:
        # The second net counts three times in the score, so it learns more often.
        which = [i for i in nets if i == 1 or step % 2 == 0]
        fill(which, 32)
        if step % 4 == 0: bank.grow(16)
        for i in which:
            for g in opts[i].param_groups: g["lr"] = a.rate * (1 - f) * min(1, (step + 1) / 20) + 5e-5
            for _ in range(6):
                opts[i].zero_grad(); total = 0
                for j, stage in enumerate(students[i].stages):
                    out, t = ring[i][int(bank.rng.integers(len(ring[i])))]
                    n = len(out[j]); k = TAKE[out[j].shape[2]]
                    if k > n:
                        more = [ring[i][m] for m in bank.rng.integers(0, len(ring[i]), 2)]
                        x, y = (torch.cat([q[j], *(m[p][j] for m in more)])[:k] for p, q in enumerate((out, t)))
                    else:
                        at = int(bank.rng.integers(0, n - k + 1)); x, y = out[j][at:at + k], t[j][at:at + k]
                    loss = stage.loss(x.clone(), y.clone())
                    fit[i][j] += 0.03 * (float(loss.detach()) / (2 if STAGES[j] == "head" else 1) - fit[i][j])
                    total = total + loss
                total.backward(); opts[i].step()
        step += 1
        if step % 50 == 0:
            say("step", step, "left over", *[" ".join(f"{v:.3f}" for v in fit[i]) for i in nets], judge(students, held)); save()
    say("stages end", step, *[" ".join(f"{v:.3f}" for v in fit[i]) for i in nets], judge(students, held)); save("stages.pt")
    # Phase 2: end to end.
    opts = [torch.optim.Adam(s.parameters(), 1e-3, betas=(0.9, 0.99)) for s in students]
    joined = [torch.compile(s) for s in students] if a.compiled else students
    for i in nets: joined[i](bank.draw(40), maps=True)
    begin, step = time.time(), 0
    while (f := (time.time() - begin) / (a.joined * 60)) < 1:
        for i in [i for i in nets if i == 1 or step % 2 == 0]:
            x = bank.draw(40)
            out, e, l = teachers[i](x)
            want = [*out[1:], torch.cat([e, centred(l)], 1)]
            for g in opts[i].param_groups: g["lr"] = a.joined_rate * (1 - f) * min(1, (step + 1) / 20) + 1e-6
            got = joined[i](x, maps=True)
            loss = 0
            for g, w, s in zip(got[:-1], want[:-1], students[i].stages):
                w = w.clone(); loss = loss + 0.1 * ((g - w).square().mean((0, 2, 3)) / (w.var((0, 2, 3)) + 0.05 * w.var())).mean()
            h = students[i].stages[-1]; w = want[-1].clone(); d = (got[-1] - w) / h.scale
            loss = loss + d[:, :128].square().mean() + 2 * F.smooth_l1_loss(got[-1][:, 128:], w[:, 128:]) + F.kl_div(F.log_softmax(got[-1][:, 128:], 1), F.softmax(w[:, 128:], 1), reduction="batchmean")
            opts[i].zero_grad(); loss.backward(); nn.utils.clip_grad_norm_(students[i].parameters(), 5.0); opts[i].step()
        if step % 4 == 0: bank.grow(16)
        step += 1
        if step % 50 == 0: say("joined", step, f"loss {float(loss):.3f}", judge(students, held)); save()
    say("end", judge(students, held)); save()


if __name__ == "__main__":
    main()
