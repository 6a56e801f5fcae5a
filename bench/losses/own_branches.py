"""Losses of a network's own branches: byot, drg."""

import torch
import torch.nn.functional as F
from torch import nn

from .logits import softened
from .outputs import CLASSES, EMBEDDING, STAGES, Loss


def step(inputs, outputs, kernel):
    return [
        nn.Conv2d(inputs, outputs, kernel, stride=kernel), nn.BatchNorm2d(outputs), nn.ReLU()
    ]


class Byot(Loss):
    """The conference's form: a classifier behind each stage but the last."""

    TEMPERATURE, SHARE, FEATURES = 3.0, 0.1, 1e-6

    def __init__(self, batch):
        super().__init__(batch)
        self.maps = [self.student(batch, c, n, n) for c, n in STAGES[:2]]
        self.embedding = self.student(batch, EMBEDDING)
        self.logits = self.student(batch, CLASSES)
        narrow, last = EMBEDDING // 4, STAGES[2][1]
        self.branches = self.trained(
            nn.ModuleList(
                nn.Sequential(
                    *step(c, narrow, 1), *step(narrow, narrow, n // last),
                    *step(narrow, EMBEDDING, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                )
                for c, n in STAGES[:2]
            )
        )
        self.heads = self.trained(
            nn.ModuleList(nn.Linear(EMBEDDING, CLASSES) for _ in self.branches)
        )

    def loss(self):
        embedding = self.embedding.detach()
        targets = F.softmax(self.logits.detach() / self.TEMPERATURE, 1)
        total = 0
        for branch, head, maps in zip(self.branches, self.heads, self.maps):
            features = branch(maps)
            logits = head(features)
            soft = F.cross_entropy(logits / self.TEMPERATURE, targets)
            active = (features > 0) | (embedding > 0)
            total = (
                total
                + (1 - self.SHARE) * F.cross_entropy(logits, self.labels)
                + self.SHARE * self.TEMPERATURE**2 * soft
                + self.FEATURES * ((features - embedding).pow(2) * active).sum()
            )
        return total


class Separable(nn.Sequential):
    def __init__(self, inputs, outputs):
        def half(outputs, stride):
            return [
                nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            ]

        super().__init__(*half(inputs, 2), *half(outputs, 1))


class Drg(Loss):
    """A classifier on the second stage."""

    TEMPERATURE, WEIGHT = 4.0, 0.2

    def __init__(self, batch):
        super().__init__(batch)
        channels, side = STAGES[1]
        self.maps = self.student(batch, channels, side, side)
        self.logits = self.student(batch, CLASSES)
        self.attention = self.trained(
            nn.Sequential(
                Separable(channels, channels), nn.BatchNorm2d(channels), nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), nn.Sigmoid(),
            )
        )
        self.classifier = self.trained(
            nn.Sequential(
                Separable(channels, 2 * channels), Separable(2 * channels, 4 * channels),
                nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * channels, CLASSES),
            )
        )

    def loss(self):
        auxiliary = self.classifier(self.attention(self.maps) * self.maps)
        guidance = softened(self.logits, auxiliary.detach(), self.TEMPERATURE)
        return F.cross_entropy(auxiliary, self.labels) + self.WEIGHT * guidance


METHODS = {"byot": Byot, "drg": Drg}
