"""Writes the YOLOv5 checkpoints of this folder with PyTorch, as the official repository saves them:
whole networks in half precision, pickled with the names of that repository's classes.

    pip install torch && python make_yolov5.py

Run in the folder itself. It prints the numbers that the tests of `weights_yolov5.rs` state.
"""

import sys
import types

import torch
from torch import nn

CLASSES = ["disc", "square"]
SIDES = [64, 96]


def unit_modules():
    """The module `models.common`: layers by the names that pickles have."""
    module = types.ModuleType("models.common")

    class Conv(nn.Module):
        def __init__(self, c1, c2, k=1, s=1, p=None):
            super().__init__()
            self.conv = nn.Conv2d(c1, c2, k, s, k // 2 if p is None else p, bias=False)
            self.bn = nn.BatchNorm2d(c2)
            self.act = nn.SiLU()

        def forward(self, x):
            return self.act(self.bn(self.conv(x)))

    class Bottleneck(nn.Module):
        def __init__(self, c, shortcut):
            super().__init__()
            self.cv1 = Conv(c, c)
            self.cv2 = Conv(c, c, 3)
            self.add = shortcut

        def forward(self, x):
            y = self.cv2(self.cv1(x))
            return x + y if self.add else y

    class C3(nn.Module):
        def __init__(self, c1, c2, n, shortcut=True):
            super().__init__()
            self.cv1 = Conv(c1, c2 // 2)
            self.cv2 = Conv(c1, c2 // 2)
            self.cv3 = Conv(c2 // 2 * 2, c2)
            self.m = nn.Sequential(*(Bottleneck(c2 // 2, shortcut) for _ in range(n)))

        def forward(self, x):
            return self.cv3(torch.cat([self.m(self.cv1(x)), self.cv2(x)], 1))

    class SPP(nn.Module):
        def __init__(self, c1, c2):
            super().__init__()
            self.cv1 = Conv(c1, c1 // 2)
            self.cv2 = Conv(c1 // 2 * 4, c2)
            self.m = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (5, 9, 13))

        def forward(self, x):
            x = self.cv1(x)
            return self.cv2(torch.cat([x] + [m(x) for m in self.m], 1))

    class SPPF(nn.Module):
        def __init__(self, c1, c2):
            super().__init__()
            self.cv1 = Conv(c1, c1 // 2)
            self.cv2 = Conv(c1 // 2 * 4, c2)
            self.m = nn.MaxPool2d(5, 1, 2)

        def forward(self, x):
            maps = [self.cv1(x)]
            for _ in range(3):
                maps.append(self.m(maps[-1]))
            return self.cv2(torch.cat(maps, 1))

    class Focus(nn.Module):
        def __init__(self, c1, c2):
            super().__init__()
            self.conv = Conv(4 * c1, c2, 3)

        def forward(self, x):
            corners = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
            return self.conv(torch.cat(corners, 1))

    class Concat(nn.Module):
        def forward(self, maps):
            return torch.cat(maps, 1)

    for layer in (Conv, Bottleneck, C3, SPP, SPPF, Focus, Concat):
        layer.__module__ = module.__name__
        layer.__qualname__ = layer.__name__
        setattr(module, layer.__name__, layer)
    return module


def network_module(common, model_name):
    """The module `models.yolo`."""
    module = types.ModuleType("models.yolo")

    class Detect(nn.Module):
        def __init__(self, nc, widths, repeated):
            super().__init__()
            self.nc, self.no, self.nl, self.na = nc, nc + 5, 3, 3
            pixels = torch.tensor(
                [
                    [[4, 5], [6, 10], [9, 7]],
                    [[10, 14], [16, 12], [14, 24]],
                    [[24, 20], [28, 30], [30, 18]],
                ]
            ).float()
            self.stride = torch.tensor([8.0, 16.0, 32.0])
            self.register_buffer("anchors", pixels / self.stride.view(3, 1, 1))
            if repeated:
                self.register_buffer("anchor_grid", pixels.view(3, 1, 3, 1, 1, 2))
            self.m = nn.ModuleList(nn.Conv2d(c, 3 * self.no, 1) for c in widths)

        def forward(self, maps):
            raw = [m(x) for m, x in zip(self.m, maps)]
            b = raw[0].shape[0]
            return [
                r.view(b, 3, self.no, *r.shape[2:]).permute(0, 1, 3, 4, 2) for r in raw
            ]

    class Model(nn.Module):
        def __init__(self, release5):
            super().__init__()
            c = common
            w = 8
            stem = c.Focus(3, w) if release5 else c.Conv(3, w, 6, 2, 2)
            long = 3 if release5 else 2
            end = (
                [c.SPP(w, w), c.C3(w, w, 1, False)]
                if release5
                else [c.C3(w, w, 1), c.SPPF(w, w)]
            )
            up = lambda: nn.Upsample(None, 2, "nearest")
            neck = lambda: c.C3(2 * w, w, 1, False)
            self.model = nn.Sequential(
                stem,
                c.Conv(w, w, 3, 2),
                c.C3(w, w, 1),
                c.Conv(w, w, 3, 2),
                c.C3(w, w, long),
                c.Conv(w, w, 3, 2),
                c.C3(w, w, 3),
                c.Conv(w, w, 3, 2),
                *end,
                c.Conv(w, w),
                up(),
                c.Concat(),
                neck(),
                c.Conv(w, w),
                up(),
                c.Concat(),
                neck(),
                c.Conv(w, w, 3, 2),
                c.Concat(),
                neck(),
                c.Conv(w, w, 3, 2),
                c.Concat(),
                neck(),
                Detect(len(CLASSES), [w] * 3, release5),
            )
            self.names = CLASSES if release5 else dict(enumerate(CLASSES))
            self.nc = len(CLASSES)
            self.stride = torch.tensor([8.0, 16.0, 32.0])
            self.yaml = {"nc": self.nc, "depth_multiple": 0.33, "width_multiple": 0.0078}
            for m in self.modules():
                if isinstance(m, nn.BatchNorm2d):
                    m.eps, m.momentum = 1e-3, 0.03
                    m.weight.data.uniform_(0.5, 1.5)
                    m.bias.data.uniform_(-0.5, 0.5)
                    m.running_mean.uniform_(-0.2, 0.2)
                    m.running_var.uniform_(0.05, 0.5)

        def forward(self, x):
            sources = {12: 6, 16: 4, 19: 14, 22: 10}
            out = []
            for i, layer in enumerate(self.model):
                if i in sources:
                    x = layer([x, out[sources[i]]])
                elif i == 24:
                    x = layer([out[17], out[20], out[23]])
                else:
                    x = layer(x)
                out.append(x)
            return x

    Model.__name__ = model_name
    for layer in (Detect, Model):
        layer.__module__ = module.__name__
        layer.__qualname__ = layer.__name__
        setattr(module, layer.__name__, layer)
    return module


def image():
    count = 3 * SIDES[0] * SIDES[1]
    pixels = torch.arange(count, dtype=torch.float64) * 37 % 101 / 101
    return pixels.view(1, 3, *SIDES)


def write(path, release5, model_name, averaged):
    sys.modules["models"] = types.ModuleType("models")
    sys.modules["models.common"] = common = unit_modules()
    sys.modules["models.yolo"] = yolo = network_module(common, model_name)
    torch.manual_seed(1)
    model = getattr(yolo, model_name)(release5).eval().half()
    # What a run leaves before it is stripped has another state of the network as "model"; a layer
    # stands for it here.
    other = nn.Linear(1, 1).half()
    checkpoint = {
        "epoch": -1,
        "best_fitness": None,
        "model": other if averaged else model,
        "ema": model if averaged else None,
        "updates": None,
        "optimizer": None,
        "date": "2021-04-11T00:00:00",
    }
    # Both formats occur; the older one names modules as objects outside of the pickle.
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not release5)
    with torch.no_grad():
        raw = model.double()(image())
    print(path, [[round(v, 9) for v in level.flatten()[:4].tolist()] for level in raw])
    print([round(level.square().mean().item(), 9) for level in raw])


def main():
    write("yolov5_release6.pt", False, "DetectionModel", False)
    write("yolov5_release5.pt", True, "Model", True)


if __name__ == "__main__":
    main()
