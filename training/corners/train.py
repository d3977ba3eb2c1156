"""Trains the corner net on pictures drawn on the fly until a given time.

    python train.py --folder OUT --until 04:50 [--resume OUT/last.pt]
"""
import argparse
import copy
import datetime
import math
import multiprocessing as mp
import os
import time

import numpy as np
import torch

from generate import MAP, Artist
from model import Net, decode


def targets(quads):
    """Soft targets [n, 4, 64 * 64]: a Gaussian of 0.9 cells; flat for pictures without a document."""
    out = np.empty((len(quads), 4, MAP, MAP), np.float32)
    axis = np.arange(MAP, dtype=np.float32) + 0.5
    for i, quad in enumerate(quads):
        if quad is None:
            out[i] = 1 / (MAP * MAP)
            continue
        for j, (x, y) in enumerate(np.clip(quad / 4, 0.5, MAP - 0.5)):
            g = np.exp(-((axis - y) ** 2)[:, None] / 1.62) * np.exp(-((axis - x) ** 2)[None, :] / 1.62)
            out[i, j] = g / g.sum()
    return out.reshape(len(quads), 4, -1)


def draw(seed, size, queue):
    artist = Artist(seed)
    count = 0
    while True:
        pictures, quads = artist.batch(size)
        queue.put((pictures, targets(quads)))
        count += 1
        if count % 60 == 0:  # new cards and grounds now and then
            for _ in range(12):
                artist.cards[artist.rng.randrange(len(artist.cards))] = artist._card()
                artist.grounds[artist.rng.randrange(len(artist.grounds))] = artist._ground()


def tensor(pictures):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def error(net, pictures, quads):
    """Median of the largest corner error as a share of the document's diagonal; share below 3 %."""
    net.eval()
    with torch.no_grad():
        maps = net(tensor(pictures)).flatten(2).softmax(2).reshape(-1, 4, MAP, MAP).numpy()
    net.train()
    errors = []
    for m, q in zip(maps, quads):
        if q is not None:
            corners, _ = decode(m)
            errors.append(np.linalg.norm(corners - q, axis=1).max() / np.linalg.norm(q[0] - q[2]))
    return float(np.median(errors)), float(np.mean(np.array(errors) < 0.03))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--folder", required=True)
    p.add_argument("--until", required=True)
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--resume")
    p.add_argument("--seed", type=int, default=int(time.time()))
    a = p.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    now = datetime.datetime.now()
    hour, minute = map(int, a.until.split(":"))
    span = (now.replace(hour=hour, minute=minute, second=0) - now).total_seconds() % 86400
    queue = mp.Queue(8)
    mp.Process(target=draw, args=(a.seed * 13, a.batch, queue), daemon=True).start()
    net = Net().to(memory_format=torch.channels_last)
    print("parameters", sum(x.numel() for x in net.parameters()), flush=True)
    optimiser = torch.optim.AdamW(net.parameters(), a.rate, weight_decay=1e-3)
    count = 0
    if a.resume:
        state = torch.load(a.resume, weights_only=False)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        count = state["pictures"]
    mean = copy.deepcopy(net)
    if a.resume:
        mean.load_state_dict(state["mean"])
    held = Artist(987654321).batch(160)
    start = saved = time.time()
    step, running = 0, None
    while (done := (time.time() - start) / span) < 1:
        rate = a.rate * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        pictures, wanted = queue.get()
        scores = net(tensor(pictures)).flatten(2).log_softmax(2)
        loss = -(torch.from_numpy(wanted) * scores).sum(2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        step += 1
        count += len(pictures)
        decay = min(0.998, step / (step + 20))
        with torch.no_grad():
            for m, n in zip(mean.state_dict().values(), net.state_dict().values()):
                m.lerp_(n, 1 - decay) if m.dtype.is_floating_point else m.copy_(n)
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"{datetime.datetime.now():%H:%M:%S} pictures {count} loss {running:.4f} rate {rate:.5f} cpu {time.process_time():.0f}", flush=True)
        if time.time() - saved > 150:
            saved = time.time()
            save(a.folder, net, mean, optimiser, count)
            print("held-out median error, share below 3 %%: %.4f %.3f" % error(mean, *held), flush=True)
    save(a.folder, net, mean, optimiser, count)
    print("end: held-out median error, share below 3 %%: %.4f %.3f" % error(mean, *held), flush=True)


def save(folder, net, mean, optimiser, count):
    path = os.path.join(folder, "last.pt")
    torch.save({"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "pictures": count}, path + ".part")
    os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
