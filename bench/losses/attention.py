"""Losses with attention: dpk, rtk, tat."""

import torch
import torch.nn.functional as F
from torch import nn

from .logits import softened
from .maps import embedding, energy
from .outputs import CLASSES, STAGES, Loss


class Block(nn.Module):
    """A transformer's block, norms first."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-6) for _ in range(2))
        self.all, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.inner = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        batch, count, width = x.shape
        parts = self.all(self.norms[0](x)).view(batch, count, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, count, width))
        return x + self.inner(self.norms[1](x))


class Dpk(Loss):
    """Of the last stages: a token for each position."""

    HEADS, MOMENTUM = 4, 0.9

    def __init__(self, batch):
        super().__init__(batch)
        width, side = STAGES[2]
        self.own = self.student(batch, width, side, side)
        self.other = torch.randn(batch, width, side, side)
        parts = nn.ModuleDict()
        parts["own"], parts["other"] = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        parts["encode_own"], parts["encode_other"] = (Block(width, self.HEADS) for _ in range(2))
        parts["decode"] = nn.Sequential(
            Block(width, self.HEADS), Block(width, self.HEADS), nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, width),
        )
        self.parts = self.trained(parts)
        self.positions = self.student(1, side**2, width)
        self.likeness = 0.5

    def align(self):
        """The running unbiased CKA of both networks' maps."""
        n = self.batch

        def gram(maps):
            x = maps.flatten(1)
            return (x @ x.T).fill_diagonal_(0)

        def hsic(k, l):
            total = (k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2))
            return (total - 2 / (n - 2) * (k.sum(0) @ l.sum(1))) / (n * (n - 3))

        with torch.no_grad():
            k, l = gram(self.own), gram(self.other)
            new = (hsic(k, l) / (hsic(k, k) * hsic(l, l)).sqrt()).clamp(0, 1).item()
        self.likeness = self.MOMENTUM * self.likeness + (1 - self.MOMENTUM) * new

    def loss(self):
        def tokens(name, maps):
            patches = self.parts[name](maps).flatten(2).transpose(1, 2) + self.positions
            return self.parts["encode_" + name](patches)

        own, other = tokens("own", self.own), tokens("other", self.other)
        self.align()
        batch, count, _ = own.shape
        chosen = int((1 - self.likeness) * count + 0.5)
        ranks = torch.rand(batch, count).argsort(1).argsort(1)
        mixed = torch.where((ranks < chosen)[..., None], other, own)
        rebuilt = self.parts["decode"](mixed)
        return F.mse_loss(rebuilt.transpose(1, 2).reshape_as(self.other), self.other)


class Rtk(Loss):
    """All blocks with all: three of the student, five for each of them of the teacher."""

    WIDTH, KEPT = 128, 3

    def __init__(self, batch):
        super().__init__(batch)
        self.own, self.others = self.student_stages(), self.teacher_stages(5)
        self.logits, self.targets = self.student(batch, CLASSES), torch.randn(batch, CLASSES)
        own, others = len(self.own), len(self.others)
        self.keys = self.trained(nn.ModuleList(embedding(c, self.WIDTH) for c, _ in STAGES))
        self.queries = self.trained(
            nn.ModuleList(embedding(m.shape[1], self.WIDTH) for m in self.others)
        )
        self.bilinear = self.trained(embedding(self.WIDTH, self.WIDTH * others))
        self.own_bias, self.other_bias = (self.student(n, self.WIDTH) for n in (own, others))

    def scores(self):
        queries = torch.stack([q(m.mean((2, 3))) for q, m in zip(self.queries, self.others)], 1)
        keys = torch.stack([k(m.mean((2, 3))) for k, m in zip(self.keys, self.own)], 1)
        answers = self.bilinear(F.relu(keys).flatten(0, 1))
        answers = answers.view(self.batch, len(self.own), len(self.others), -1)
        products = torch.einsum("bsjd,bjd->bsj", answers, queries)
        return (products + self.own_bias @ self.other_bias.T) / self.WIDTH**0.5

    def distances(self):
        energies = [m.pow(2).mean(1, keepdim=True) for m in self.own]
        columns = []
        for index, (_, side) in enumerate(STAGES):
            others = torch.stack([energy(m) for m in self.others[5 * index : 5 * index + 5]], 1)
            own = [F.adaptive_avg_pool2d(e, side) if e.shape[2] != side else e for e in energies]
            own = torch.stack([F.normalize(e.flatten(1), dim=1) for e in own], 1)
            columns.append((own[:, :, None] - others[:, None]).pow(2).mean(3))
        return torch.cat(columns, 2)

    def loss(self):
        weights = self.scores().softmax(2)
        kept, places = weights.topk(self.KEPT, 2)
        kept = kept / kept.sum(2, keepdim=True)
        attended = (kept * self.distances().gather(2, places)).sum() / self.batch
        return 200 * attended + 0.9 * softened(self.logits, self.targets, 4.0)


class Tat(Loss):
    """Of the last stages: the student's positions ask the teacher's."""

    def __init__(self, batch):
        super().__init__(batch)
        channels, side = STAGES[2]
        self.own = self.student(batch, channels, side, side)
        self.other = torch.randn(batch, channels, side, side)
        self.query, self.value = (
            self.trained(
                nn.Sequential(
                    nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                )
            )
            for _ in range(2)
        )

    def loss(self):
        query, value = (m(self.own).flatten(2) for m in (self.query, self.value))
        weights = torch.bmm(query.transpose(1, 2), self.other.flatten(2)).softmax(2)
        mixed = torch.bmm(value, weights.transpose(1, 2))
        return 2 * F.mse_loss(mixed.view_as(self.other), self.other)


METHODS = {"dpk": Dpk, "rtk": Rtk, "tat": Tat}
