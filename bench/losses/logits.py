"""Losses of logits: kd, dkd, dsr, pskd, tinyvit."""

import torch
import torch.nn.functional as F

from .outputs import CLASSES, TRAINING_IMAGES, Loss


def softened(student, teacher, temperature):
    """T² times the divergence of softened distributions."""
    return temperature**2 * F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.softmax(teacher / temperature, 1),
        reduction="batchmean",
    )


class Logits(Loss):
    def __init__(self, batch):
        super().__init__(batch)
        self.logits = self.student(batch, CLASSES)
        self.targets = torch.randn(batch, CLASSES)


class Kd(Logits):
    def loss(self):
        return 0.9 * softened(self.logits, self.targets, 4.0)


class Dkd(Logits):
    """As its authors write it: the target's class is hidden by taking 1000 off its logit."""

    TEMPERATURE, ALPHA, BETA, WARMUP = 4.0, 1.0, 8.0, 2 / 20

    def loss(self):
        t = self.TEMPERATURE
        mask = F.one_hot(self.labels, CLASSES).bool()
        own, other = F.softmax(self.logits / t, 1), F.softmax(self.targets / t, 1)

        def binary(p):
            target = p.masked_select(mask)
            return torch.stack([target, 1 - target], 1)

        target = F.kl_div(binary(own).log(), binary(other), reduction="batchmean")
        hidden = 1000.0 * mask
        others = F.kl_div(
            F.log_softmax(self.logits / t - hidden, 1),
            F.softmax(self.targets / t - hidden, 1),
            reduction="batchmean",
        )
        return self.WARMUP * t**2 * (self.ALPHA * target + self.BETA * others)


class Dsr(Logits):
    def __init__(self, batch):
        super().__init__(batch)
        self.previous = self.targets.sort(1).values

    def loss(self):
        ordered = self.logits.sort(1).values
        loss = softened(ordered, self.previous, 4.0)
        self.previous = ordered.detach()
        return loss


class Pskd(Logits):
    SHARE = 0.8

    def __init__(self, batch):
        super().__init__(batch)
        self.indices = torch.arange(batch)
        self.remembered = torch.zeros(TRAINING_IMAGES, CLASSES)

    def loss(self):
        targets = self.remembered[self.indices]
        logarithms = F.log_softmax(self.logits, 1)
        self.remembered[self.indices] = logarithms.detach().exp()
        return self.SHARE * -(targets * logarithms).sum(1).mean()


class TinyVit(Logits):
    KEPT = 10

    def loss(self):
        values, classes = F.softmax(self.targets, 1).topk(self.KEPT, 1)
        values = values.half().float()
        rest = (1 - values.sum(1, keepdim=True)) / (CLASSES - self.KEPT)
        targets = rest.expand(-1, CLASSES).scatter(1, classes, values)
        return -(targets * F.log_softmax(self.logits, 1)).sum(1).mean()


METHODS = {"kd": Kd, "dkd": Dkd, "dsr": Dsr, "pskd": Pskd, "tinyvit": TinyVit}
