"""Distillation of a small student in PyTorch, written from what Limbeck's pages say (docs/methods, the recipe that
`--dry-run` prints, schedule.rs), for accuracy.py and same_steps.py.

Images are `[N, 3, 32, 32]` bytes. Losses are those of losses/, on outputs of real networks.
"""

import dataclasses
import math
import pathlib
import time

import numpy
import PIL.Image
import torch
import torch.nn.functional as F
from torch import nn

from losses.logits import softened
from losses.maps import Fusion, energy, pyramid
from losses.relations import Rkd as RkdLoss

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.05, 0.9, 5e-4
BATCH, PADDING, FLIP = 64, 4, 0.5
WIDTHS = (16, 32, 64)
# Epochs over which the weights of dkd and reviewkd rise: the authors' 20 are more than a short run has.
WARMUP = 2


class Block(nn.Module):
    """Two 3x3 convolutions; gives out the sum before its last ReLU."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return y + (x if self.downsample is None else self.downsample(x))


class ResNet(nn.Module):
    """resnet8, resnet20, …: the names and the initial weights of RepDistiller's."""

    def __init__(self, depth, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        inputs = WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            blocks = []
            for index in range((depth - 2) // 6):
                blocks.append(Block(inputs, width, 2 if stage > 0 and index == 0 else 1))
                inputs = width
            setattr(self, f"layer{stage + 1}", nn.ModuleList(blocks))
        self.fc = nn.Linear(inputs, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images):
        """What methods read: stages before and after their last ReLU, the embedding, the logits."""
        x = F.relu(self.bn1(self.conv1(images)))
        preact, stages = [], []
        for blocks in (self.layer1, self.layer2, self.layer3):
            for block in blocks:
                before = block(x)
                x = F.relu(before)
            preact.append(before)
            stages.append(x)
        pooled = x.mean((2, 3))
        return {"preact": preact, "stages": stages, "pooled": pooled, "logits": self.fc(pooled)}


class Labels(nn.Module):
    """`none`: cross entropy with the labels."""

    SETTINGS = ()
    LABELS = 1.0

    def knowledge(self, own, other, labels, epoch):
        return 0.0

    def forward(self, own, other, labels, epoch):
        """The loss in an epoch counted from 1; `other` are the teacher's outputs."""
        task = F.cross_entropy(own["logits"], labels)
        return self.LABELS * task + self.knowledge(own, other, labels, epoch)


class Kd(Labels):
    LABELS = 0.1

    def knowledge(self, own, other, labels, epoch):
        return 0.9 * softened(own["logits"], other["logits"], 4.0)


class Dkd(Labels):
    SETTINGS = (f"method.dkd.warmup_epochs={WARMUP}",)
    TEMPERATURE, ALPHA, BETA = 4.0, 1.0, 8.0

    def knowledge(self, own, other, labels, epoch):
        t = self.TEMPERATURE
        classes = own["logits"].shape[1]
        target = F.one_hot(labels, classes).bool()

        def parts(logits):
            """Log-probabilities of the target and of all others together; those of the others among themselves."""
            logarithms = F.log_softmax(logits / t, 1)
            others = logarithms[~target].view(-1, classes - 1)
            binary = torch.stack([logarithms[target], others.logsumexp(1)], 1)
            return binary, others.log_softmax(1)

        (binary, others), (other_binary, other_others) = parts(own["logits"]), parts(other["logits"])

        def divergence(logarithms, targets):
            return t**2 * F.kl_div(logarithms, targets, reduction="batchmean", log_target=True)

        total = self.ALPHA * divergence(binary, other_binary)
        total = total + self.BETA * divergence(others, other_others)
        return min(epoch / WARMUP, 1.0) * total


class At(Labels):
    def knowledge(self, own, other, labels, epoch):
        pairs = zip(own["stages"], other["stages"])
        return 1000.0 * sum(F.mse_loss(energy(s), energy(t)) for s, t in pairs)


class Rkd(Labels):
    def knowledge(self, own, other, labels, epoch):
        own, other = own["pooled"], other["pooled"]
        distances = F.smooth_l1_loss(RkdLoss.distances(own), RkdLoss.distances(other))
        angles = F.smooth_l1_loss(RkdLoss.angles(own), RkdLoss.angles(other))
        return 25.0 * distances + 50.0 * angles


class ReviewKd(Labels):
    """Teacher stages before their last ReLU, and embeddings as maps of one position."""

    SETTINGS = (f"method.reviewkd.warmup_epochs={WARMUP}",)
    WEIGHT = 5.0

    def __init__(self):
        super().__init__()
        middle = WIDTHS[-1]
        # Deep to shallow.
        widths = [WIDTHS[-1], *reversed(WIDTHS)]
        self.fusions = nn.ModuleList(
            Fusion(width, middle, width, index > 0) for index, width in enumerate(widths)
        )
        for fusion in self.fusions:
            for convolution in (fusion.narrow[0], fusion.widen[0]):
                nn.init.kaiming_uniform_(convolution.weight, a=1)

    def knowledge(self, own, other, labels, epoch):
        own_levels = [own["pooled"][..., None, None], *reversed(own["stages"])]
        other_levels = [other["pooled"][..., None, None], *reversed(other["preact"])]
        total, deeper = 0.0, None
        for fusion, own_map, other_map in zip(self.fusions, own_levels, other_levels):
            fused, deeper = fusion(own_map, deeper)
            total = total + pyramid(fused, other_map)
        return min(epoch / WARMUP, 1.0) * self.WEIGHT * total


METHODS = {"none": Labels, "kd": Kd, "dkd": Dkd, "at": At, "rkd": Rkd, "reviewkd": ReviewKd}


class Images:
    """A part of a folder with a folder for each class, in the order of their names."""

    def __init__(self, folder):
        pixels, labels = [], []
        self.classes = sorted(path.name for path in pathlib.Path(folder).iterdir())
        for label, name in enumerate(self.classes):
            for path in sorted((pathlib.Path(folder) / name).iterdir()):
                pixels.append(numpy.asarray(PIL.Image.open(path).convert("RGB")))
                labels.append(label)
        self.pixels = torch.from_numpy(numpy.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.tensor(labels)

    def __len__(self):
        return len(self.labels)


class Normalisation:
    """Mean and population deviation of each channel, of values from 0 to 1."""

    def __init__(self, mean, deviation):
        self.mean, self.deviation = (
            torch.tensor(values).view(1, -1, 1, 1) for values in (mean, deviation)
        )

    @classmethod
    def of(cls, images):
        values = images.pixels.double() / 255
        mean, deviation = values.mean((0, 2, 3)), values.std((0, 2, 3), correction=0)
        return cls(mean.tolist(), deviation.tolist())

    def __call__(self, pixels):
        return (pixels.to(self.mean.dtype) / 255 - self.mean) / self.deviation


def varied(pixels, generator):
    """Padded with black, cropped to the size at a random place, mirrored half the time; each on its own."""
    count, channels, height, width = pixels.shape
    padded = F.pad(pixels, [PADDING] * 4)
    tops, lefts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < FLIP
    rows = tops + torch.arange(height)
    columns = torch.arange(width).expand(count, -1)
    columns = lefts + torch.where(mirrored, width - 1 - columns, columns)
    picked = padded.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None]]
    return picked.permute(0, 3, 1, 2)


@torch.no_grad()
def measured(network, images, normalisation):
    """Top-1 in percent, and the mean cross entropy."""
    network.eval()
    right, loss = 0, 0.0
    for pixels, labels in zip(images.pixels.split(500), images.labels.split(500)):
        logits = network(normalisation(pixels))["logits"]
        right += (logits.argmax(1) == labels).sum().item()
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
    network.train()
    return 100 * right / len(images), loss / len(images)


@dataclasses.dataclass
class Teacher:
    """A trained network and how its images were normalised."""

    network: nn.Module
    normalisation: Normalisation

    @torch.no_grad()
    def __call__(self, pixels):
        return self.network.eval()(self.normalisation(pixels))


def learning_rate(step, steps):
    """Half a cosine from the peak to 0, which the step after the last would reach."""
    return LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2


class Learner:
    """A student, what a method trains besides, and SGD of both."""

    def __init__(self, student, method, normalisation, teacher, steps):
        self.student, self.method = student, method
        self.normalisation, self.teacher = normalisation, teacher
        self.step, self.steps = 0, steps
        trained = [*student.parameters(), *method.parameters()]
        self.optimizer = torch.optim.SGD(
            trained, lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )

    def learn(self, pixels, labels, epoch):
        """One step; the loss before it. Student and teacher see the same views."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.steps)
        self.step += 1
        other = None if self.teacher is None else self.teacher(pixels)
        loss = self.method(self.student(self.normalisation(pixels)), other, labels, epoch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def train(train_images, validation, test, method, teacher, depth, epochs, seed):
    """Trains a student; what the weights of the epoch that is best on the validation part reach on the test part."""
    start = time.perf_counter()
    torch.manual_seed(seed)
    # Before the method's own modules: the same student for every method.
    student = ResNet(depth, len(train_images.classes))
    normalisation = Normalisation.of(train_images)
    # The last images of an epoch that fill no batch are left out.
    per_epoch = len(train_images) // BATCH
    learner = Learner(student, METHODS[method](), normalisation, teacher, per_epoch * epochs)
    generator = torch.Generator().manual_seed(seed)
    reached, chosen, chosen_epoch = (-1.0, 0.0), None, 0
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(train_images), generator=generator)
        for batch in order[: per_epoch * BATCH].split(BATCH):
            pixels = varied(train_images.pixels[batch], generator)
            learner.learn(pixels, train_images.labels[batch], epoch)
        accuracy, loss = measured(student, validation, normalisation)
        # Of equal ones that with the lower loss, then the later.
        if (accuracy, -loss) >= reached:
            reached, chosen_epoch = (accuracy, -loss), epoch
            chosen = {name: value.clone() for name, value in student.state_dict().items()}
    seconds = time.perf_counter() - start
    student.load_state_dict(chosen)
    accuracy, loss = measured(student, test, normalisation)
    return {
        "top1": accuracy, "loss": loss, "epoch": chosen_epoch, "seconds": seconds,
        "torch": torch.__version__,
    }  # fmt: skip
