"""Networks alone: training steps, forward passes, whole numbers."""

import sys

from .row import Row, in_turn


class Network:
    """One part of one network."""

    def __init__(self, label, target, part, name, runs, optimizer="sgd", sizes=(), batch=None):
        """`sizes` are options of `limbeck bench net` where the zoo's sizes are not those compared."""
        self.part, self.name, self.runs, self.optimizer = part, name, runs, optimizer
        self.sizes, self.batch = list(sizes), batch
        self.row = Row(label, target)

    def round(self, runner, number):
        runs = min(self.runs, runner.asked.runs)
        optimizer = ["--optimizer", self.optimizer]
        what = ["net", self.name, "--only", self.part, *self.sizes, *optimizer]
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(what, runs, batch=self.batch),
            lambda: runner.theirs([self.part, self.name, *optimizer], runs, batch=self.batch),
        )
        if ours["params"] != theirs["params"]:
            sys.exit(f"{self.name} has {ours['params']} numbers here, {theirs['params']} there")
        self.row.ours.append(ours[f"{self.part}_ms"])
        # Its own multiply-adds at the peak; convolutions that save some may be quicker.
        self.row.limits.append(ours[f"{self.part}_ms"] * min(1, ours[f"{self.part}_peak_share"]))
        self.row.theirs.append(theirs[f"{self.part}_ms"])

    def rows(self):
        return [self.row]


class Several:
    """Works that are asked for together."""

    def __init__(self, *works):
        self.works = works

    def round(self, runner, number):
        for work in self.works:
            work.round(runner, number)

    def rows(self):
        return [row for work in self.works for row in work.rows()]


def frozen(title, name, batch, sizes=()):
    """The forward pass of a frozen network."""
    label = f"frozen {title}, batch {batch}), forward"
    return Network(label, 0.6, "inference", name, 5, sizes=sizes, batch=batch)


class Pixels:
    """A transformer with a token for each pixel, next to attention in one kernel and spelt out."""

    BATCH = 16
    NAME = "vit_nano_patch1"

    def __init__(self):
        network = f"ViT-nano on 28x28 pixels (batch {self.BATCH})"
        self.time = Row(f"{network}, training step next to fused attention", 1.0)
        self.explicit = Row(f"{network}, training step next to explicit attention")
        self.memory = Row(f"{network}, peak memory next to explicit attention, whole process", 0.5, " MB")

    def round(self, runner, number):
        runs = min(5, runner.asked.runs)
        what = ["net", self.NAME, "--only", "training", "--input", "1x28x28"]
        ours, fused = in_turn(
            number,
            lambda: runner.ours(what, runs, batch=self.BATCH),
            lambda: runner.theirs(["training", self.NAME], runs, batch=self.BATCH),
        )
        explicit = runner.theirs(["training", f"{self.NAME}_explicit"], runs, batch=self.BATCH)
        if ours["params"] != fused["params"]:
            sys.exit(f"{self.NAME} has {ours['params']} numbers here, {fused['params']} there")
        for row, peer in ((self.time, fused), (self.explicit, explicit)):
            row.ours.append(ours["training_ms"])
            row.theirs.append(peer["training_ms"])
        if ours["peak_memory_bytes"] and explicit["peak_memory_bytes"]:
            self.memory.ours.append(ours["peak_memory_bytes"] / 1e6)
            self.memory.theirs.append(explicit["peak_memory_bytes"] / 1e6)

    def rows(self):
        return [self.time, self.explicit] + ([self.memory] if self.memory.ours else [])


class WholeNumbers:
    """Networks of 8 bits as they are deployed, next to ours in single precision."""

    TITLES = {"resnet18": "ResNet-18", "mobilenet_v2": "MobileNetV2"}

    def __init__(self):
        self.rows_of = {}
        for name, title in self.TITLES.items():
            # The target is for many images.
            for batch, target in ((16, 0.55), (1, None)):
                what = f"{title} (224, batch {batch}), 8 bits next to single precision, both ours"
                self.rows_of[name, batch] = Row(what, target)

    def round(self, runner, number):
        for (name, batch), row in self.rows_of.items():
            what = ["net", name, "--only", "inference", "--quantise", "8"]
            found = runner.ours(what, runner.asked.runs, batch=batch)
            row.ours.append(found["whole_numbers_ms"])
            row.theirs.append(found["inference_ms"])

    def rows(self):
        return list(self.rows_of.values())
