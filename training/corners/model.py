"""The document-corner net: 256 x 256 RGB -> four 64 x 64 heat maps.

An hourglass of plain convolutions; every map is a softmax over its 4,096
cells: "where is this corner".
"""
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Unit(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))

    def fused(self):
        return fuse_conv_bn_eval(self.conv, self.bn)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1 = Unit(3, 16, 2)     # 128
        self.d2 = Unit(16, 24, 2)    # 64
        self.d3 = Unit(24, 48, 2)    # 32
        self.d4 = Unit(48, 64, 2)    # 16
        self.d5 = Unit(64, 88, 2)    # 8
        self.m1 = Unit(88, 88)
        self.m2 = Unit(88, 88)
        self.u4 = Unit(88, 64)       # then x2, + d4
        self.u3 = Unit(64, 48)       # then x2, + d3
        self.u2 = Unit(48, 24)       # then x2, + d2
        self.last = Unit(24, 24)
        self.head = nn.Conv2d(24, 4, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x):
        """x: [n, 3, 256, 256] in -1..1 -> logits [n, 4, 64, 64]."""
        d2 = self.d2(self.d1(x))
        d3 = self.d3(d2)
        d4 = self.d4(d3)
        m = self.d5(d4)
        m = m + self.m1(m)
        m = m + self.m2(m)
        y = self.up(self.u4(m)) + d4
        y = self.up(self.u3(y)) + d3
        y = self.up(self.u2(y)) + d2
        return self.head(self.last(y))


def decode(maps):
    """Heat maps [4, 64, 64] (softmax) -> corners [4, 2] in 256-pixel coordinates, confidence 0..1.

    Soft-argmax in the 5 x 5 window around the largest cell; the confidence is
    the least share of probability that such a window holds.
    """
    import numpy as np
    corners, shares = [], []
    for m in maps:
        i = int(m.argmax())
        cy, cx = divmod(i, 64)
        y0, y1, x0, x1 = max(0, cy - 2), min(64, cy + 3), max(0, cx - 2), min(64, cx + 3)
        window = m[y0:y1, x0:x1]
        total = float(window.sum())
        ys, xs = np.mgrid[y0:y1, x0:x1]
        corners.append(((float((window * xs).sum()) / total + 0.5) * 4, (float((window * ys).sum()) / total + 0.5) * 4))
        shares.append(total)
    return np.array(corners, np.float32), min(shares)
