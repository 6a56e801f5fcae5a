"""Terms of methods that compare networks that segment, as their papers' equations say, in PyTorch.

Shapes are those of Limbeck's networks for images of 256x256: CWD and CIRKD compare PSPNets at an
eighth of the size, TransKD SegFormers' stages and patch embeddings.
"""

import torch
import torch.nn as nn
import torch.nn.functional as F

from losses import segmentation
from sizes import CLASSES, SIZE

MAP = (SIZE // 8, SIZE // 8)
STUDENT_CHANNELS, TEACHER_CHANNELS = 128, 256


def tracked(*shape):
    return torch.randn(shape, requires_grad=True)


class Cwd:
    """Logits alone: weight 3, temperature 4."""

    def __init__(self, batch):
        self.student = tracked(batch, CLASSES, *MAP)
        self.teacher = torch.randn(batch, CLASSES, *MAP)

    def loss(self):
        student = F.log_softmax(self.student.flatten(2) / 4, 2)
        teacher = F.log_softmax(self.teacher.flatten(2) / 4, 2)
        divergence = (teacher.exp() * (teacher - student)).sum()
        return 3 * 16 / (student.shape[0] * CLASSES) * divergence


def divergence(student, teacher):
    """Mean over rows of KL(softmax(teacher) || softmax(student))."""
    return F.kl_div(F.log_softmax(student, 1), F.softmax(teacher, 1), reduction="batchmean")


class Cirkd:
    """All four terms with the authors' weights and queues."""

    PIXELS, REGIONS, UPDATE, TEMPERATURE = 20000, 2000, 16, 0.1
    CONTRAST = {"pixels": 4096 // CLASSES + 1, "regions": 1024 // CLASSES + 1}

    def __init__(self, batch):
        self.logits = tracked(batch, CLASSES, *MAP), torch.randn(batch, CLASSES, *MAP)
        self.student = tracked(batch, STUDENT_CHANNELS, *MAP)
        self.teacher = torch.randn(batch, TEACHER_CHANNELS, *MAP)
        places = torch.arange(SIZE) // 16
        mask = (places[:, None] + places[None]) % CLASSES
        self.labels = mask[::8, ::8].expand(batch, -1, -1)
        self.head = nn.Sequential(
            nn.Conv2d(STUDENT_CHANNELS, TEACHER_CHANNELS, 1, bias=False),
            nn.BatchNorm2d(TEACHER_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(TEACHER_CHANNELS, TEACHER_CHANNELS, 1, bias=False),
        )

        def queue(size):
            return F.normalize(torch.randn(CLASSES, size, TEACHER_CHANNELS), dim=2)

        self.queues = {"pixels": queue(self.PIXELS), "regions": queue(self.REGIONS)}
        self.at = {"pixels": [0] * CLASSES, "regions": [0] * CLASSES}

    def remember(self, kind, label, vectors):
        queue, count = self.queues[kind][label], len(vectors)
        at = self.at[kind][label]
        if at + count >= len(queue):
            queue[-count:] = vectors
            self.at[kind][label] = 0
        else:
            queue[at : at + count] = vectors
            self.at[kind][label] = at + count

    @torch.no_grad()
    def enqueue(self, teacher):
        for image, labels in zip(teacher, self.labels):
            rows = image.flatten(1).T
            labels = labels.flatten()
            for label in labels.unique().tolist():
                found = (labels == label).nonzero()[:, 0]
                mean = F.normalize(rows[found].mean(0), dim=0)
                self.remember("regions", label, mean[None])
                chosen = found[torch.randperm(len(found))[: self.UPDATE]]
                self.remember("pixels", label, rows[chosen])

    def minibatch(self, student, teacher):
        student, teacher = student.flatten(2), teacher.flatten(2)
        batch, total = len(student), 0
        for i in range(batch):
            for j in range(batch):
                own = student[i].T @ student[j] / self.TEMPERATURE
                other = teacher[i].T @ teacher[j] / self.TEMPERATURE
                total = total + divergence(own, other)
        return total / batch**2

    def memory(self, kind, student, teacher):
        places = torch.randperm(self.queues[kind].shape[1])[: self.CONTRAST[kind]]
        keys = self.queues[kind][:, places].flatten(0, 1)
        own = student @ keys.T / self.TEMPERATURE
        return divergence(own, teacher @ keys.T / self.TEMPERATURE)

    def loss(self):
        own, other = (logits.permute(0, 2, 3, 1).flatten(0, 2) for logits in self.logits)
        loss = divergence(own, other)
        teacher = F.normalize(self.teacher, dim=1)
        loss = loss + self.minibatch(F.normalize(self.student, dim=1), teacher)
        self.enqueue(teacher)
        known = self.labels.flatten() != 255
        projected = F.normalize(self.head(self.student), dim=1)
        rows = [x.permute(0, 2, 3, 1).flatten(0, 2)[known] for x in (projected, teacher)]
        return loss + 0.1 * self.memory("pixels", *rows) + 0.1 * self.memory("regions", *rows)


class FusionUnit(nn.Module):
    def __init__(self, inputs, outputs, fuses, middle=64):
        super().__init__()
        hidden = max(middle // 16, 32)
        self.narrow = nn.Sequential(
            nn.Conv2d(inputs, middle, 1, bias=False), nn.BatchNorm2d(middle)
        )
        self.widen = nn.Sequential(
            nn.Conv2d(middle, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        )
        if fuses:
            self.gate = nn.Sequential(
                nn.Conv2d(middle, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
            )
            self.branches = nn.ModuleList(nn.Conv2d(hidden, middle, 1) for _ in range(2))

    def forward(self, x, deeper):
        x = self.narrow(x)
        if deeper is not None:
            deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
            z = self.gate((x + deeper).mean((2, 3), keepdim=True))
            own, other = torch.stack([branch(z) for branch in self.branches]).softmax(0)
            x = own * x + other * deeper
        return x, self.widen(x)


class TransKd:
    """The base variant: selective fusion and patch embeddings."""

    STUDENT, TEACHER = (32, 64, 160, 256), (64, 128, 320, 512)
    WEIGHTS = (0.1, 0.1, 0.5, 1.0)

    def __init__(self, batch):
        sides = [SIZE // 2**i for i in range(2, 6)]
        shapes = list(zip(sides, self.STUDENT, self.TEACHER))
        self.maps = [tracked(batch, c, n, n) for n, c, _ in shapes]
        self.teacher_maps = [torch.randn(batch, c, n, n) for n, _, c in shapes]
        self.tokens = [tracked(batch, n * n, c) for n, c, _ in shapes]
        self.teacher_tokens = [torch.randn(batch, n * n, c) for n, _, c in shapes]
        pairs = zip(self.STUDENT, self.TEACHER)
        self.units = nn.ModuleList(
            FusionUnit(inputs, outputs, index < 3)
            for index, (inputs, outputs) in enumerate(pairs)
        )
        self.linear = nn.ModuleList(map(nn.Linear, self.STUDENT, self.TEACHER))

    @staticmethod
    def context(student, teacher):
        total, weights, weight = F.mse_loss(student, teacher), 1.0, 1.0
        for side in (4, 2, 1):
            weight /= 2
            if side < student.shape[2]:
                own, other = (F.adaptive_avg_pool2d(x, side) for x in (student, teacher))
                total = total + weight * F.mse_loss(own, other)
                weights += weight
        return total / weights

    def loss(self):
        loss, deeper = 0, None
        for index in reversed(range(4)):
            deeper, fused = self.units[index](self.maps[index], deeper)
            loss = loss + self.context(fused, self.teacher_maps[index])
        for index, weight in enumerate(self.WEIGHTS):
            projected = self.linear[index](self.tokens[index])
            loss = loss + weight * F.mse_loss(projected, self.teacher_tokens[index])
        return loss


TERMS = {"cwd": Cwd, "cirkd": Cirkd, "transkd": TransKd, **segmentation.METHODS}
