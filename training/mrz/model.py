"""The MRZ line recogniser: a small convolutional net with CTC output.

32 x 512 grey -> 128 steps x 38 classes (0 = blank, 1..37 = generate.ALPHABET).
Only Conv, Relu, MaxPool, Add, Softmax: every runtime has them.
"""
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

CLASSES = 38


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU (optional)."""

    def __init__(self, cin, cout, kernel, stride=1, padding=0, relu=True):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(cout)
        self.relu = relu

    def forward(self, x):
        x = self.bn(self.conv(x))
        return torch.relu(x) if self.relu else x

    def fused(self):
        return fuse_conv_bn_eval(self.conv, self.bn)


class Residual(nn.Module):
    """Looks along the line: 1 x 5 convolution added to its input."""

    def __init__(self, width):
        super().__init__()
        self.unit = Unit(width, width, (1, 5), 1, (0, 2))

    def forward(self, x):
        return x + self.unit(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            Unit(1, 16, 3, (2, 2), 1),       # 16 x 256
            Unit(16, 32, 3, (2, 2), 1),      # 8 x 128
            Unit(32, 48, 3, 1, 1),
            Unit(48, 64, 3, (2, 1), 1),      # 4 x 128
            Unit(64, 64, 3, (2, 1), 1),      # 2 x 128
            Unit(64, 96, (2, 3), 1, (0, 1)),  # 1 x 128
        )
        self.line = nn.Sequential(Residual(96), Residual(96))
        self.head = nn.Conv2d(96, CLASSES, 1)

    def forward(self, x):
        """x: [n, 1, 32, 512] standardised grey -> logits [n, 38, 1, 128]."""
        return self.head(self.line(self.stem(x)))


def standardise(pictures):
    """uint8 [n, 32, 512] -> float [n, 1, 32, 512]: zero mean, unit deviation per picture."""
    x = pictures.float()
    mean = x.mean((1, 2), keepdim=True)
    std = x.std((1, 2), keepdim=True, correction=0)
    return ((x - mean) / (std + 4.0)).unsqueeze(1)


def read(logits):
    """Greedy CTC decoding of logits [n, 38, 1, 128]."""
    from generate import ALPHABET
    best = logits.squeeze(2).argmax(1).tolist()
    out = []
    for steps in best:
        last, text = 0, []
        for c in steps:
            if c and c != last:
                text.append(ALPHABET[c - 1])
            last = c
        out.append("".join(text))
    return out
