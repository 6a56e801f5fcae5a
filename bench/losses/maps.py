"""Losses of maps, compared place by place: at, fitnet, ghost, mgram, reviewkd."""

import torch
import torch.nn.functional as F
from torch import nn

from .logits import softened
from .outputs import CLASSES, EMBEDDING, STAGES, Loss


def energy(maps):
    """Unit vectors of the energies at all positions."""
    return F.normalize(maps.pow(2).mean(1).flatten(1), dim=1)


class At(Loss):
    def __init__(self, batch):
        super().__init__(batch)
        self.own, self.others = self.student_stages(), self.teacher_stages()

    def loss(self):
        pairs = zip(self.own, self.others)
        return 1000 * sum((energy(s) - energy(t)).pow(2).mean() for s, t in pairs)


class FitNet(Loss):
    """Of the second stages, whose maps have one shape."""

    def __init__(self, batch):
        super().__init__(batch)
        channels, side = STAGES[1]
        self.own = self.student(batch, channels, side, side)
        self.other = torch.randn(batch, channels, side, side)
        self.regressor = self.trained(
            nn.Sequential(nn.Conv2d(channels, channels, 1), nn.BatchNorm2d(channels), nn.ReLU())
        )

    def loss(self):
        return 100 * F.mse_loss(self.regressor(self.own), self.other)


def embedding(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))


class Ghost(Loss):
    """Layers of one shape, each with a switch that learns."""

    WIDTH = 128

    def __init__(self, batch):
        super().__init__(batch)
        self.own, self.others = self.student_stages(), self.teacher_stages()
        self.queries, self.keys = (
            self.trained(nn.ModuleList(embedding(c, self.WIDTH) for c, _ in STAGES))
            for _ in range(2)
        )

    def switch(self, query, key):
        logit = (query * F.relu(key)).sum(1) / self.WIDTH**0.5
        soft = torch.sigmoid(logit - torch.empty_like(logit).exponential_().log())
        return (soft > 0.5).float() + soft - soft.detach()

    def loss(self):
        total = 0
        for own, other, query, key in zip(self.own, self.others, self.queries, self.keys):
            share = self.switch(query(other.mean((2, 3))), key(own.mean((2, 3))))
            errors = (energy(own) - energy(other)).pow(2).mean(1)
            total = total + (share * errors).mean()
        return 400 * total


class Mgram(Loss):
    """The left and the right half of the last maps."""

    def __init__(self, batch):
        super().__init__(batch)
        channels, side = STAGES[2]
        self.own = self.student(batch, channels, side, side)
        self.other = torch.randn(batch, channels, side, side)
        self.logits, self.targets = self.student(batch, CLASSES), torch.randn(batch, CLASSES)

    @staticmethod
    def gram(maps):
        parts = F.normalize(F.adaptive_avg_pool2d(maps, (1, 2)).flatten(2), dim=1)
        return parts.transpose(1, 2) @ parts

    def loss(self):
        relations = F.mse_loss(self.gram(self.own), self.gram(self.other))
        return softened(self.logits, self.targets, 4.0) + 10 * relations


class Fusion(nn.Module):
    """ReviewKD's attention-based fusion of a stage with the one below."""

    def __init__(self, inputs, middle, outputs, fuses):
        super().__init__()
        self.narrow = nn.Sequential(
            nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle)
        )
        self.widen = nn.Sequential(
            nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        self.gates = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if fuses else None

    def forward(self, x, deeper):
        x = self.narrow(x)
        if self.gates is not None:
            deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
            gates = self.gates(torch.cat([x, deeper], 1))
            x = x * gates[:, :1] + deeper * gates[:, 1:]
        return self.widen(x), x


def pyramid(own, other):
    """The hierarchical context loss."""
    total, weights, weight = F.mse_loss(own, other), 1.0, 1.0
    for side in (4, 2, 1):
        if side < own.shape[2]:
            weight /= 2
            a, b = F.adaptive_avg_pool2d(own, side), F.adaptive_avg_pool2d(other, side)
            total = total + weight * F.mse_loss(a, b)
            weights += weight
    return total / weights


class ReviewKd(Loss):
    """Stages and embeddings, the latter as maps of one position."""

    WEIGHT, WARMUP = 5.0, 2 / 20

    def __init__(self, batch):
        super().__init__(batch)
        self.own = [*self.student_stages(), self.student(batch, EMBEDDING)]
        self.others = [*self.teacher_stages(), torch.randn(batch, EMBEDDING, 1, 1)]
        channels = [*(c for c, _ in STAGES), EMBEDDING]
        self.fusions = self.trained(
            nn.ModuleList(
                Fusion(c, EMBEDDING, c, index < len(channels) - 1)
                for index, c in enumerate(channels)
            )
        )

    def loss(self):
        own = [*self.own[:-1], self.own[-1][..., None, None]]
        total, deeper = 0, None
        for index in reversed(range(len(own))):
            fused, deeper = self.fusions[index](own[index], deeper)
            total = total + pyramid(fused, self.others[index])
        return self.WEIGHT * self.WARMUP * total


METHODS = {"at": At, "fitnet": FitNet, "ghost": Ghost, "mgram": Mgram, "reviewkd": ReviewKd}
