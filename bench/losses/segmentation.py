"""Losses of maps of networks that segment, of PSPNets at an eighth of the images' size: idd, nfd, skds."""

import torch
import torch.nn.functional as F
from torch import nn

from sizes import CLASSES, SIZE

SIDE = SIZE // 8
OWN, OTHER = 128, 256


class Maps:
    def __init__(self, batch):
        self.batch = batch
        self.own = torch.randn(batch, OWN, SIDE, SIDE, requires_grad=True)
        self.other = torch.randn(batch, OTHER, SIDE, SIDE)


class Idd(Maps):
    """Distances between the classes' centres, and positions read out by small heads."""

    def __init__(self, batch):
        super().__init__(batch)
        places = torch.arange(SIZE) // 16
        labels = ((places[:, None] + places[None]) % CLASSES)[::8, ::8].flatten()
        self.members = F.one_hot(labels, CLASSES).float()
        self.counts = self.members.sum(0)
        self.pairs = torch.triu_indices(CLASSES, CLASSES, 1)
        self.own_head, self.other_head = nn.Conv2d(OWN, 2, 3), nn.Conv2d(OTHER, 2, 3)
        line = torch.linspace(0, 1, SIDE)
        y, x = torch.meshgrid(line, line, indexing="ij")
        self.positions = torch.stack([x, y])[:, 1:-1, 1:-1].expand(batch, -1, -1, -1)

    def distances(self, maps):
        centres = (maps.flatten(2) @ self.members / self.counts).transpose(1, 2)
        first, second = (centres[:, index] for index in self.pairs)
        return (first - second).norm(dim=2)

    @staticmethod
    def unit(maps):
        return maps / maps.detach().pow(2).sum(1).mean((1, 2)).sqrt()[:, None, None, None]

    def loss(self):
        with torch.no_grad():
            distances = self.distances(self.other)
        between = F.mse_loss(self.distances(self.own), distances)
        own, other = self.own_head(self.unit(self.own)), self.other_head(self.unit(self.other))
        return between + F.mse_loss(own, other.detach()) + F.mse_loss(other, self.positions)


class Nfd(Maps):
    """Standardised maps."""

    def __init__(self, batch):
        super().__init__(batch)
        self.adapter = nn.Conv2d(OWN, OTHER, 1)

    @staticmethod
    def standard(maps):
        deviation, mean = torch.std_mean(maps, (2, 3), correction=0, keepdim=True)
        return (maps - mean) / (deviation + 1e-6)

    def loss(self):
        return F.mse_loss(self.standard(self.adapter(self.own)), self.standard(self.other))


class Skds(Maps):
    """Pixels, and pairs of windows of half the map."""

    def __init__(self, batch):
        super().__init__(batch)
        self.logits = torch.randn(batch, CLASSES, SIDE, SIDE, requires_grad=True)
        self.targets = torch.randn(batch, CLASSES, SIDE, SIDE)

    @staticmethod
    def similarities(maps):
        nodes = F.max_pool2d(maps, SIDE // 2).flatten(2)
        nodes = nodes / (nodes.detach().norm(dim=1, keepdim=True) + 1e-8)
        return nodes.transpose(1, 2) @ nodes

    def loss(self):
        pixels = -(F.softmax(self.targets, 1) * F.log_softmax(self.logits, 1)).sum() / SIDE**2
        pairs = F.mse_loss(self.similarities(self.own), self.similarities(self.other))
        return 10 * pixels + 0.5 * pairs


METHODS = {"idd": Idd, "nfd": Nfd, "skds": Skds}
