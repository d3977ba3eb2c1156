"""Trains the recogniser on pictures drawn on the fly until a given time.

    python train.py --folder OUT --until 04:50 [--workers 1] [--resume OUT/last.pt]

Writes OUT/last.pt (weights, their moving average, optimiser, counters) every
two minutes; export.py turns it into ONNX at any moment.
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

from generate import INDEX, Artist
from model import Net, read, standardise


def draw(seed, size, queue):
    artist = Artist(seed)
    while True:
        pictures, texts = artist.batch(size)
        labels = np.concatenate([[INDEX[c] for c in t] for t in texts]).astype(np.int64)
        queue.put((pictures, labels, np.array([len(t) for t in texts], np.int64)))


def accuracy(net, pictures, texts):
    net.eval()
    with torch.no_grad():
        got = [t for i in range(0, len(texts), 64) for t in read(net(standardise(torch.from_numpy(pictures[i:i + 64]))))]
    net.train()
    return sum(a == b for a, b in zip(got, texts)) / len(texts)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--folder", required=True)
    p.add_argument("--until", required=True, help="HH:MM, wall clock")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, default=2e-3)
    p.add_argument("--resume")
    p.add_argument("--seed", type=int, default=int(time.time()))
    a = p.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    torch.set_num_threads(1)
    torch.manual_seed(a.seed)
    now = datetime.datetime.now()
    hour, minute = map(int, a.until.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0)
    if end < now:
        end += datetime.timedelta(days=1)
    span = (end - now).total_seconds()
    queue = mp.Queue(8)
    for i in range(a.workers):
        mp.Process(target=draw, args=(a.seed * 17 + i, a.batch, queue), daemon=True).start()

    net = Net().to(memory_format=torch.channels_last)
    print("parameters", sum(x.numel() for x in net.parameters()), flush=True)
    optimiser = torch.optim.AdamW(net.parameters(), a.rate, weight_decay=1e-3)
    count = 0
    if a.resume:
        state = torch.load(a.resume, weights_only=False)
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        count = state["lines"]
    mean = copy.deepcopy(net)
    if a.resume:
        mean.load_state_dict(state["mean"])
    loss_of = torch.nn.CTCLoss(zero_infinity=True)
    held = Artist(987654321).batch(256)  # the same held-out pictures in every run
    start = saved = time.time()
    step, running = 0, None
    while True:
        done = (time.time() - start) / span
        if done >= 1:
            break
        rate = a.rate * min(1, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        pictures, labels, lengths = queue.get()
        x = standardise(torch.from_numpy(pictures)).to(memory_format=torch.channels_last)
        logits = net(x)
        scores = logits.squeeze(2).permute(2, 0, 1).log_softmax(2)
        loss = loss_of(scores, torch.from_numpy(labels), torch.full((len(lengths),), 128), torch.from_numpy(lengths))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        step += 1
        count += len(lengths)
        decay = min(0.998, step / (step + 20))
        with torch.no_grad():
            for m, n in zip(mean.state_dict().values(), net.state_dict().values()):
                if m.dtype.is_floating_point:
                    m.lerp_(n, 1 - decay)
                else:
                    m.copy_(n)
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            print(f"{datetime.datetime.now():%H:%M:%S} lines {count} loss {running:.4f} rate {rate:.5f} cpu {time.process_time():.0f}", flush=True)
        if time.time() - saved > 120:
            saved = time.time()
            save(a.folder, net, mean, optimiser, count)
            print(f"held-out exact: {accuracy(mean, *held):.3f}", flush=True)
    save(a.folder, net, mean, optimiser, count)
    print(f"end: lines {count} held-out exact {accuracy(mean, *held):.4f}", flush=True)


def save(folder, net, mean, optimiser, count):
    path = os.path.join(folder, "last.pt")
    torch.save({"net": net.state_dict(), "mean": mean.state_dict(), "optimiser": optimiser.state_dict(), "lines": count}, path + ".part")
    os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
