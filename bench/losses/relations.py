"""Losses of relations between images: rkd, crd."""

import torch
import torch.nn.functional as F
from torch import nn

from .outputs import CLASSES, EMBEDDING, TRAINING_IMAGES, Loss


class Rkd(Loss):
    """As its authors write it."""

    def __init__(self, batch):
        super().__init__(batch)
        self.own, self.other = self.student(batch, EMBEDDING), torch.randn(batch, EMBEDDING)

    @staticmethod
    def distances(x):
        squares = x.pow(2).sum(1)
        found = (squares[:, None] + squares[None] - 2 * x @ x.T).clamp(min=1e-12).sqrt()
        found = found * (1 - torch.eye(len(x)))
        return found / found[found > 0].mean()

    @staticmethod
    def angles(x):
        directions = F.normalize(x[None] - x[:, None], dim=2)
        return torch.bmm(directions, directions.transpose(1, 2))

    def loss(self):
        with torch.no_grad():
            distances, angles = self.distances(self.other), self.angles(self.other)
        return 25 * F.smooth_l1_loss(self.distances(self.own), distances) + 50 * F.smooth_l1_loss(
            self.angles(self.own), angles
        )


class Crd(Loss):
    """Two memories of all images' embeddings, and as many negatives of each image."""

    NEGATIVES, WIDTH, TEMPERATURE, MOMENTUM = 16384, 128, 0.07, 0.5

    def __init__(self, batch):
        super().__init__(batch)
        self.own, self.other = self.student(batch, EMBEDDING), torch.randn(batch, EMBEDDING)
        self.embed = self.trained(
            nn.ModuleList(nn.Linear(EMBEDDING, self.WIDTH) for _ in range(2))
        )
        self.memories = [
            F.normalize(torch.randn(TRAINING_IMAGES, self.WIDTH), dim=1) for _ in range(2)
        ]
        self.normalisers = [None, None]
        self.indices = torch.arange(batch)
        classes = torch.arange(TRAINING_IMAGES) % CLASSES
        self.strangers = [(classes != c).nonzero()[:, 0] for c in range(CLASSES)]

    def picks(self):
        """The image itself, then others of other classes, none of them twice."""
        rows = []
        for label in self.labels.tolist():
            strangers = self.strangers[label]
            rows.append(strangers[torch.randperm(len(strangers))[: self.NEGATIVES]])
        return torch.cat([self.indices[:, None], torch.stack(rows)], 1)

    def contrast(self, side, anchors, rows):
        """Of one side's anchors with the other side's rows."""
        scores = torch.exp(torch.bmm(rows, anchors[:, :, None])[..., 0] / self.TEMPERATURE)
        if self.normalisers[side] is None:
            self.normalisers[side] = scores.mean().item() * TRAINING_IMAGES
        scores = scores / self.normalisers[side]
        share = self.NEGATIVES / TRAINING_IMAGES
        positive = torch.log(scores[:, 0] / (scores[:, 0] + share + 1e-7))
        negative = torch.log(share / (scores[:, 1:] + share + 1e-7))
        return -(positive.sum() + negative.sum()) / self.batch

    def loss(self):
        picks = self.picks()
        anchors = [F.normalize(e(x), dim=1) for e, x in zip(self.embed, (self.own, self.other))]
        shape = (self.batch, self.NEGATIVES + 1, self.WIDTH)
        loss = 0
        for side in range(2):
            rows = self.memories[1 - side].index_select(0, picks.flatten()).view(shape)
            loss = loss + self.contrast(side, anchors[side], rows)
        with torch.no_grad():
            for memory, anchor in zip(self.memories, anchors):
                mixed = self.MOMENTUM * memory[self.indices] + (1 - self.MOMENTUM) * anchor
                memory[self.indices] = F.normalize(mixed, dim=1)
        return 0.8 * loss


METHODS = {"rkd": Rkd, "crd": Crd}
