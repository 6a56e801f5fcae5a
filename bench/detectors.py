"""The detectors of Limbeck's zoo that are compared, in PyTorch.

Layer by layer as in crates/limbeck-nn/src/model/yolov5.rs.
"""

import torch
import torch.nn as nn


class Unit(nn.Module):
    def __init__(self, inputs, outputs, kernel=1, stride=1, padding=None):
        super().__init__()
        padding = kernel // 2 if padding is None else padding
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs, 1e-3, 0.03)
        self.activation = nn.SiLU(inplace=True)

    def forward(self, x):
        return self.activation(self.norm(self.convolution(x)))


class Bottleneck(nn.Module):
    def __init__(self, channels, past):
        super().__init__()
        self.first = Unit(channels, channels)
        self.second = Unit(channels, channels, 3)
        self.past = past

    def forward(self, x):
        y = self.second(self.first(x))
        return x + y if self.past else y


class C3(nn.Module):
    def __init__(self, inputs, outputs, count, past):
        super().__init__()
        half = outputs // 2
        self.through = Unit(inputs, half)
        self.beside = Unit(inputs, half)
        self.joined = Unit(2 * half, outputs)
        self.bottlenecks = nn.Sequential(*(Bottleneck(half, past) for _ in range(count)))

    def forward(self, x):
        return self.joined(torch.cat((self.bottlenecks(self.through(x)), self.beside(x)), 1))


class PooledPyramid(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.before = Unit(inputs, inputs // 2)
        self.after = Unit(inputs // 2 * 4, outputs)
        self.pool = nn.MaxPool2d(5, 1, 2)

    def forward(self, x):
        maps = [self.before(x)]
        for _ in range(3):
            maps.append(self.pool(maps[-1]))
        return self.after(torch.cat(maps, 1))


class YOLOv5n(nn.Module):
    """yolov5n: the graph since release 6.0, a quarter of the channels of `l`."""

    ANCHORS = 3

    def __init__(self, classes=80):
        super().__init__()
        self.entries = 5 + classes
        self.to_4 = nn.Sequential(
            Unit(3, 16, 6, 2, 2), Unit(16, 32, 3, 2), C3(32, 32, 1, True)
        )
        self.to_8 = nn.Sequential(Unit(32, 64, 3, 2), C3(64, 64, 2, True))
        self.to_16 = nn.Sequential(Unit(64, 128, 3, 2), C3(128, 128, 3, True))
        self.to_32 = nn.Sequential(
            Unit(128, 256, 3, 2), C3(256, 256, 1, True), PooledPyramid(256, 256)
        )
        self.up = nn.Upsample(None, 2, "nearest")
        self.narrow_32, self.narrow_16 = Unit(256, 128), Unit(128, 64)
        self.up_16, self.up_8 = C3(256, 128, 1, False), C3(128, 64, 1, False)
        self.down_16, self.down_32 = Unit(64, 64, 3, 2), Unit(128, 128, 3, 2)
        self.out_16, self.out_32 = C3(128, 128, 1, False), C3(256, 256, 1, False)
        rows = self.ANCHORS * self.entries
        self.heads = nn.ModuleList(nn.Conv2d(width, rows, 1) for width in (64, 128, 256))

    def cells(self, map, head):
        batch, _, height, width = map.shape
        raw = head(map).view(batch, self.ANCHORS, self.entries, height, width)
        return raw.permute(0, 1, 3, 4, 2).reshape(batch, -1, self.entries)

    def forward(self, x):
        eighth = self.to_8(self.to_4(x))
        sixteenth = self.to_16(eighth)
        last = self.narrow_32(self.to_32(sixteenth))
        joined = self.up_16(torch.cat((self.up(last), sixteenth), 1))
        middle = self.narrow_16(joined)
        finest = self.up_8(torch.cat((self.up(middle), eighth), 1))
        middle = self.out_16(torch.cat((self.down_16(finest), middle), 1))
        coarsest = self.out_32(torch.cat((self.down_32(middle), last), 1))
        maps = zip((finest, middle, coarsest), self.heads)
        return torch.cat([self.cells(map, head) for map, head in maps], 1)


def cells_loss(cells):
    """Cells of zeros, in the place of a loss of boxes."""
    return cells.square().mean()


# By Limbeck's name: how it is made, side of the images, classes.
DETECTION = {"yolov5n": (YOLOv5n, 224, 80)}
