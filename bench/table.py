#!/usr/bin/env python3
"""Limbeck next to PyTorch, in turn, and the ratios as one table in Markdown on standard output.

Started by peer.sh, which builds Limbeck and finds a Python that has PyTorch.
"""

import argparse
import datetime
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

from sizes import (
    BANK, CLASSES, DECODERS, NEIGHBOURS, PAIRS, PRECISION, QUERIES, SIZE, SUPPRESSION, WIDTH
)

HERE = os.path.dirname(os.path.abspath(__file__))
# Records that both sides of the store write and read.
RECORDS = 131072
PARTS = ("forward", "input_gradient", "weight_gradient")
# What Limbeck tells the C library's allocator (crates/limbeck-kernels/src/memory.rs), as settings
# for glibc: freed memory is kept. PyTorch leaves the defaults, with which every buffer of more than
# 32 MB comes anew from the system, page by page and zeroed.
KEPT_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


class Row:
    """One comparison: what each round found on both sides."""

    def __init__(self, name, target=None, unit=""):
        self.name, self.target, self.unit = name, target, unit
        self.ours, self.theirs = [], []

    def values(self):
        return statistics.median(self.ours), statistics.median(self.theirs)


class Mean:
    """The geometric mean of rows, which is what a target is about."""

    def __init__(self, name, target, rows):
        self.name, self.target, self.unit, self.rows = name, target, "", rows

    def values(self):
        pairs = [row.values() for row in self.rows]
        return tuple(
            math.exp(statistics.mean(math.log(value) for value in side)) for side in zip(*pairs)
        )


class Runner:
    """Starts both sides, each measurement in a process of its own."""

    def __init__(self, asked):
        self.asked = asked
        self.machine = None
        self.peaks = []
        self.peer_versions = None
        self.peer_environment = KEPT_MEMORY if asked.keep_memory else {}

    def start(self, command, stdin=None, environment=None):
        command = shlex.split(self.asked.wrap) + command
        print("  " + " ".join(os.path.basename(part) for part in command), file=sys.stderr)
        environment = {**os.environ, **(environment or {})}
        done = subprocess.run(
            command, input=stdin, stdout=subprocess.PIPE, text=True, env=environment
        )
        if done.returncode != 0:
            sys.exit(f"{shlex.join(command)} failed with exit code {done.returncode}")
        return json.loads(done.stdout)

    def ours(self, what, runs, batched=True, threads=None, batch=None):
        threads = threads or self.asked.threads
        options = ["--threads", str(threads), "--runs", str(runs), "--json"]
        batch = ["--batch", str(batch or self.asked.batch)] if batched else []
        found = self.start([self.asked.limbeck, "bench", *what, *batch, *options])
        if threads == self.asked.threads:
            self.machine = found["machine"]
            self.peaks.append(self.machine["peak_gflops"])
        return found

    def theirs(self, what, runs, stdin=None, batch=None):
        options = ["--threads", str(self.asked.threads), "--runs", str(runs)]
        batch = ["--batch", str(batch or self.asked.batch)]
        script = os.path.join(HERE, "peer.py")
        command = [sys.executable, script, *what, *batch, *options]
        found = self.start(command, stdin, self.peer_environment)
        self.peer_versions = found["torch"], found["python"]
        return found

    def plain_store(self, topk, runs):
        script = os.path.join(HERE, "tinyvit_store.py")
        options = ["--topk", str(topk), "--records", str(RECORDS), "--runs", str(runs)]
        return self.start([sys.executable, script, *options])

    def torch_step(self, what):
        options = ["--threads", str(self.asked.threads), "--batch", str(self.asked.batch)]
        script = self.asked.torch_step
        command = [sys.executable, script, "--what", what, *options]
        return self.start(command, environment=self.peer_environment)


def in_turn(number, ours, theirs):
    """Both sides, the other one first in every other round."""
    if number % 2:
        peer = theirs()
        return ours(), peer
    return ours(), theirs()


class Convolutions:
    """All convolutions and their gradients; those of torch_step.py as it measures them."""

    def __init__(self):
        self.rows_of = {}

    def round(self, runner, number):
        ours, theirs = {}, {}

        def run_ours():
            found = runner.ours(["conv"], runner.asked.runs)["convolutions"]
            ours.update((case["name"], case) for case in found)
            self.cases = found

        def run_theirs():
            if runner.asked.torch_step:
                found = runner.torch_step("conv")["conv_ms"]
                for name, times in found.items():
                    theirs[name] = {f"{part}_ms": ms for part, ms in times.items()}
            rest = [case for case in self.cases if case["name"] not in theirs]
            found = runner.theirs(["conv"], runner.asked.runs, json.dumps(rest))
            theirs.update((case["name"], case) for case in found["convolutions"])

        if number == 0:
            # The cases are ours, so that both sides compute the same.
            run_ours()
            run_theirs()
        else:
            in_turn(number, run_ours, run_theirs)
        for name, case in ours.items():
            rows = self.rows_of.setdefault(
                name, [Row(f"{name}, {part.replace('_', ' ')}") for part in PARTS]
            )
            for row, part in zip(rows, PARTS):
                row.ours.append(case[f"{part}_ms"])
                row.theirs.append(theirs[name][f"{part}_ms"])

    def rows(self):
        plain = [
            case["name"]
            for case in self.cases
            if (case["kernel"], case["stride"], case["groups"]) == (3, 1, 1)
        ]
        rows = [row for name in plain for row in self.rows_of[name]]
        rows.append(Mean("3x3 convolutions, geometric mean", 1.0, rows[:]))
        for name in self.rows_of:
            if name not in plain:
                parts = self.rows_of[name]
                rows += [*parts, Mean(f"{name}, geometric mean", 1.2, parts)]
        return rows


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


class Terms:
    """Terms of a method, forward and backward, from made-up outputs; and the memory that it takes."""

    BATCH = 4

    def __init__(self, method, memory=None):
        self.method = method
        self.time = Row(f"{method.upper()}'s terms (256x256, batch {self.BATCH})", 0.8)
        name = f"peak memory of {method.upper()}'s terms, whole process"
        self.memory = Row(name, memory, " MB")

    def round(self, runner, number):
        teacher, student = PAIRS[self.method]
        networks = ["--teacher", teacher, "--student", student]
        sizes = ["--input", f"3x{SIZE}x{SIZE}", "--classes", str(CLASSES)]
        runs = runner.asked.runs
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["loss", self.method, *networks, *sizes], runs, batch=self.BATCH),
            lambda: runner.theirs(["terms", self.method], runs, batch=self.BATCH),
        )
        self.time.ours.append(ours["losses"][0]["ms"])
        self.time.theirs.append(theirs["terms_ms"])
        if ours["peak_memory_bytes"] and theirs["peak_memory_bytes"]:
            self.memory.ours.append(ours["peak_memory_bytes"] / 1e6)
            self.memory.theirs.append(theirs["peak_memory_bytes"] / 1e6)

    def rows(self):
        with_memory = self.memory.target is not None and self.memory.ours
        return [self.time] + ([self.memory] if with_memory else [])


class Step:
    """The distillation step and its memory, each side in a process that does nothing else."""

    def __init__(self):
        self.time = Row("KD step resnet32x4 → resnet8x4", 0.9)
        self.memory = Row("peak memory of the KD step, whole process", 0.7, " MB")
        self.libraries = None

    def round(self, runner, number):
        runs = runner.asked.runs
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["step"], runs),
            lambda: runner.theirs(["step"], runs),
        )
        self.time.ours.append(ours["step_ms"])
        if runner.asked.torch_step:
            self.time.theirs.append(runner.torch_step("step")["kd_step_ms"])
        else:
            self.time.theirs.append(theirs["step_ms"])
        if ours["peak_memory_bytes"] and theirs["peak_memory_bytes"]:
            self.memory.ours.append(ours["peak_memory_bytes"] / 1e6)
            self.memory.theirs.append(theirs["peak_memory_bytes"] / 1e6)
            self.libraries = theirs["imported_memory_bytes"] / 1e6

    def rows(self):
        return [self.time] + ([self.memory] if self.memory.ours else [])


class Masked:
    """Steps of MAE and DMAE, and the one next to the other, both ours."""

    BATCH = 32
    NETWORKS = {"mae": "ViT-tiny", "dmae": "ViT-small → ViT-tiny"}

    def __init__(self):
        self.rows_of, self.both = {}, {}
        for decoder, (width, depth, _) in DECODERS.items():
            told = f"(224, 75 % masked, batch {self.BATCH}, decoder of {depth} blocks of width {width})"
            for method, pair in self.NETWORKS.items():
                self.rows_of[method, decoder] = Row(f"{method.upper()} step {pair} {told}", 0.7)
            self.both[decoder] = Row(f"DMAE's step next to MAE's, both ours {told}", 1.35)

    def round(self, runner, number):
        networks = ["--teacher", "deit_small", "--student", "deit_tiny", "--input", "3x224x224"]
        runs = min(3, runner.asked.runs)
        for (method, decoder), row in self.rows_of.items():
            values = zip(("width", "depth", "heads"), DECODERS[decoder])
            settings = [f"method.{method}.decoder_{name}={value}" for name, value in values]
            settings = [part for setting in settings for part in ("--set", setting)]
            what = ["step", "--method", method, *networks, *settings]
            ours, theirs = in_turn(
                number,
                lambda: runner.ours(what, runs, batch=self.BATCH),
                lambda: runner.theirs(["masked", f"{method}-{decoder}"], runs, batch=self.BATCH),
            )
            row.ours.append(ours["step_ms"])
            row.theirs.append(theirs["step_ms"])
        for decoder, row in self.both.items():
            row.ours.append(self.rows_of["dmae", decoder].ours[-1])
            row.theirs.append(self.rows_of["mae", decoder].ours[-1])

    def rows(self):
        return [*self.rows_of.values(), *self.both.values()]


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


class Neighbours:
    """The vote of nearest neighbours, next to a product and topk, and to our own product alone."""

    def __init__(self):
        size = f"{QUERIES:,} embeddings of {WIDTH} numbers among {BANK:,}"
        self.row = Row(f"{NEIGHBOURS} nearest neighbours of {size}", 1.0)
        self.product = Row("the same next to our product alone", 1.25)

    def round(self, runner, number):
        sizes = {"bank": BANK, "images": QUERIES, "width": WIDTH, "neighbours": NEIGHBOURS}
        options = [part for name, value in sizes.items() for part in (f"--{name}", str(value))]
        runs = min(3, runner.asked.runs)
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["knn", *options], runs, batched=False),
            lambda: runner.theirs(["neighbours"], runs),
        )
        self.row.ours.append(ours["vote_ms"])
        self.row.theirs.append(theirs["vote_ms"])
        self.product.ours.append(ours["vote_ms"])
        self.product.theirs.append(ours["product_ms"])

    def rows(self):
        return [self.row, self.product]


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


class SideBySide:
    """Two trainings at the same time, next to the same two one after the other, both ours: a step of each."""

    # Network, images of a step, what they look like and how many classes, target.
    CASES = (
        ("resnet8", 64, "3x32x32", 100, 0.71),
        ("resnet8", 16, "3x32x32", 100, None),
        ("resnet8", 16, "1x16x16", 10, None),
    )

    def __init__(self):
        self.rows_of = {}
        for case in self.CASES:
            network, batch, size, _, target = case
            what = f"two trainings of {network} ({size}, batch {batch}) side by side"
            self.rows_of[case] = Row(f"{what} next to one after the other, both ours, a step", target)

    def round(self, runner, number):
        for case, row in self.rows_of.items():
            network, batch, size, classes, _ = case
            sizes = ["--input", size, "--classes", str(classes)]
            what = ["side", "--student", network, "--seeds", "2", *sizes]
            found = runner.ours(what, min(3, runner.asked.runs), batch=batch)
            row.ours.append(found["side_ms"])
            row.theirs.append(found["alone_ms"])

    def rows(self):
        return list(self.rows_of.values())


class Suppression:
    """Non-maximum suppression, next to torchvision's and what YOLOv5 does around it."""

    def __init__(self):
        self.rows_of = {}
        for name, scene in SUPPRESSION.items():
            classes = "1 class" if scene["classes"] == 1 else f"{scene['classes']} classes"
            boxes = f"{scene['predictions']:,} boxes of {classes}"
            self.rows_of[name] = Row(f"non-maximum suppression of {boxes} ({name})", 0.2)

    def round(self, runner, number):
        for name, scene in SUPPRESSION.items():
            values = {**scene}
            options = ["--crowded"] if values.pop("crowded") else []
            for key, value in values.items():
                options += [f"--{key}", str(value)]
            runs = min(3, runner.asked.runs)
            ours, theirs = in_turn(
                number,
                lambda: runner.ours(["nms", *options], runs, batched=False),
                lambda: runner.theirs(["suppression", name], runs),
            )
            # Single precision there, so that a box may lie on the other side of the threshold.
            for key, most in (("kept", 3), ("scores", 1)):
                if abs(ours[key] - theirs[key]) > most:
                    sys.exit(f"{name}: {key} {ours[key]} here, {theirs[key]} there")
            self.rows_of[name].ours.append(ours["suppression_ms"])
            self.rows_of[name].theirs.append(theirs["suppression_ms"])

    def rows(self):
        return list(self.rows_of.values())


class Precision:
    """COCO's average precision, next to pycocotools'."""

    def __init__(self):
        boxes = f"{PRECISION['images']:,} images, {PRECISION['detections']} detections each"
        self.row = Row(f"COCO's average precision ({boxes}, {PRECISION['classes']} classes)", 0.1)

    def round(self, runner, number):
        options = [part for key, value in PRECISION.items() for part in (f"--{key}", str(value))]
        runs = min(3, runner.asked.runs)
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["ap", *options], runs, batched=False),
            lambda: runner.theirs(["precision"], runs),
        )
        for mine, other in zip(ours["twelve"], theirs["twelve"]):
            if abs(mine - other) > 1e-9:
                sys.exit(f"COCO's measures differ: {ours['twelve']} here, {theirs['twelve']} there")
        self.row.ours.append(ours["coco_ms"])
        self.row.theirs.append(theirs["coco_ms"])

    def rows(self):
        return [self.row]


class Store:
    """Stored outputs, next to TinyViT's layout in plain Python (tinyvit_store.py)."""

    def __init__(self):
        self.rows_of = {
            topk: {
                "written": Row(f"stored outputs, K={topk}, written and synced", 0.1, " µs"),
                "alone": Row(f"stored outputs, K={topk}, written, ours on one thread", None, " µs"),
                "read": Row(f"stored outputs, K={topk}, read in random order", 0.1, " µs"),
                "bytes": Row(f"stored outputs, K={topk}, a view", 1.05, " B"),
            }
            for topk in (10, 100)
        }
        self.open_ms = []

    def round(self, runner, number):
        runs = min(3, runner.asked.runs)
        for topk, rows in self.rows_of.items():
            what = ["cache", "--topk", str(topk), "--records", str(RECORDS)]

            def ours():
                alone = runner.ours(what, runs, batched=False, threads=1)
                return runner.ours(what, runs, batched=False), alone

            (found, alone), plain = in_turn(number, ours, lambda: runner.plain_store(topk, runs))
            for side, all_threads, one in (("ours", found, alone), ("theirs", plain, plain)):
                getattr(rows["written"], side).append(1e6 / all_threads["written_per_second"])
                getattr(rows["alone"], side).append(1e6 / one["written_per_second"])
                getattr(rows["read"], side).append(1e6 / all_threads["read_per_second"])
                getattr(rows["bytes"], side).append(all_threads["bytes_per_view"])
            self.open_ms.append(found["open_ms"])

    def rows(self):
        return [row for rows in self.rows_of.values() for row in rows.values()]


class Cached:
    """The distillation step with stored outputs, next to our own with the live teacher."""

    def __init__(self):
        name = "KD step resnet32x4 → resnet8x4, stored outputs next to ours with the live teacher"
        self.row = Row(name, 0.45)
        self.waits = []

    def round(self, runner, number):
        found = runner.ours(["step", "--cached"], runner.asked.runs)
        self.row.ours.append(found["cached_ms"])
        self.row.theirs.append(found["step_ms"])
        self.waits.append(self.wait(runner))

    def wait(self, runner):
        """Percent of the time that a training from a cache waits for data, in its worst epoch."""
        with tempfile.TemporaryDirectory() as folder:

            def limbeck(*command, out):
                path = os.path.join(folder, out)
                options = ["--out", path, "--threads", str(runner.asked.threads)]
                runner.start([runner.asked.limbeck, *command, *options, "--quiet", "--json"])
                return path

            data = "shapes:1280"
            teacher = limbeck("train", data, "--model", "resnet32x4", "--epochs", "1", out="teacher")
            cache = limbeck("cache", "build", data, "--teacher", teacher, "--epochs", "2", out="cache")
            pair = ["--teacher", f"cache:{cache}", "--student", "resnet8x4", "--epochs", "2"]
            student = limbeck("distill", data, *pair, out="student")
            with open(os.path.join(student, "results.json")) as file:
                epochs = json.load(file)["students"][0]["epochs"]
            return max(epoch["data_wait"] for epoch in epochs)

    def rows(self):
        return [self.row]


class Pairs:
    """Reading and varying of images with masks, next to torchvision v2 (data.py)."""

    WORKERS = (1, 2)

    def __init__(self):
        name = "images with masks: decoded, scaled, cropped, flipped, normalised (360x360, workers: {}), each"
        self.rows_of = {workers: Row(name.format(workers), 1.0) for workers in self.WORKERS}

    def round(self, runner, number):
        for workers, row in self.rows_of.items():
            options = [runner.asked.pairs, "--size", "360x360", "--batch", "8"]
            options += ["--workers", str(workers), "--runs", str(runner.asked.runs)]
            ours = [runner.asked.limbeck, "bench", "data", *options, "--json"]
            theirs = [sys.executable, os.path.join(HERE, "data.py"), *options]
            found, peer = in_turn(number, lambda: runner.start(ours), lambda: runner.start(theirs))
            runner.machine = found["machine"]
            runner.peaks.append(runner.machine["peak_gflops"])
            # The first reading of each image: later ones find it decoded.
            row.ours.append(1e3 / found["first_per_second"])
            row.theirs.append(1e3 / peer["images_per_second"])

    def rows(self):
        return list(self.rows_of.values())


class Pictures:
    """Reading and varying of JPEG files of 500x375, next to torchvision v2's faster way (data.py)."""

    WORKERS = (0, 1)
    READ = {"tensor": "decode_image", "pil": "Pillow"}

    def __init__(self):
        name = "JPEG 500x375: decoded, cropped to 224x224 at random, flipped, normalised ({}), each"
        places = {0: "in the one thread", 1: "workers: 1"}
        self.rows_of = {
            workers: Row(name.format(places[workers]), 0.67) for workers in self.WORKERS
        }
        self.plain, self.faster, self.kilobytes = [], set(), 0
        self.folder = tempfile.TemporaryDirectory()

    def round(self, runner, number):
        script = os.path.join(HERE, "data.py")
        folder = self.folder.name
        if number == 0:
            command = [sys.executable, script, folder, "--make", runner.asked.pictures]
            subprocess.run(command, check=True)
            sizes = [os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(folder) for file in files]
            if not sizes:
                sys.exit(f"there are no *.jpg below {runner.asked.pictures}")
            self.kilobytes = statistics.mean(sizes) / 1000
        for workers, row in self.rows_of.items():
            options = [folder, "--size", "224x224", "--batch", "32"]
            options += ["--workers", str(workers), "--runs", str(runner.asked.runs)]
            ours = [runner.asked.limbeck, "bench", "data", *options, "--json"]
            theirs = [sys.executable, script, *options]

            def run_theirs():
                found = {
                    name: runner.start([*theirs, "--read", read], environment=runner.peer_environment)
                    for read, name in self.READ.items()
                }
                name = max(found, key=lambda name: found[name]["images_per_second"])
                self.faster.add(name)
                return found[name]

            found, peer = in_turn(number, lambda: runner.start(ours), run_theirs)
            runner.machine = found["machine"]
            runner.peaks.append(runner.machine["peak_gflops"])
            runner.peer_versions = peer["torch"], peer["python"]
            # The first reading of each image: later ones find it decoded.
            row.ours.append(1e3 / found["first_per_second"])
            row.theirs.append(1e3 / peer["images_per_second"])
            self.plain.append(1e3 / found["image_crate_per_second"])

    def rows(self):
        return list(self.rows_of.values())


def works():
    return {
        "conv": Convolutions(),
        "frozen": Network("frozen resnet32x4, forward", 0.9, "inference", "resnet32x4", 5),
        "resnet": Network("resnet8x4, training step", 0.9, "training", "resnet8x4", 5),
        "kd": Step(),
        "cache": Store(),
        "cached": Cached(),
        "mobilenet": Network(
            "MobileNetV2 (cifar), training step", 1.2, "training", "mobilenetv2", 5
        ),
        "vit": Network(
            "ViT-tiny (224), training step", 1.2, "training", "deit_tiny_patch16_224", 1, "adamw"
        ),
        "swin": Network(
            "Swin-T (224, batch 8), training step",
            0.6,
            "training",
            "swin_tiny_patch4_window7_224",
            3,
            "adamw",
            batch=8,
        ),
        "frozen_small": Several(
            frozen("ViT-small (224", "deit_small_patch16_224", 8),
            frozen(
                "SegFormer-B2 (256x256",
                "segformer_b2",
                4,
                ("--input", "3x256x256", "--classes", "19"),
            ),
            frozen("TinyViT-5M (224", "tiny_vit_5m_224", 16),
        ),
        "segformer": Network(
            "SegFormer-B0 (256x256, batch 4), training step",
            0.9,
            "training",
            "segformer_b0",
            5,
            "adamw",
            ("--input", "3x256x256", "--classes", "19"),
            4,
        ),
        "deeplab": Network(
            "DeepLabV3-R18 (output stride 8, 192x192, batch 4), training step",
            0.9,
            "training",
            "deeplabv3_resnet18",
            5,
            "sgd",
            ("--input", "3x192x192", "--classes", "19"),
            4,
        ),
        "yolov5": Network(
            "YOLOv5n (224x224, batch 16), training step",
            0.7,
            "training",
            "yolov5n",
            5,
            sizes=("--input", "3x224x224"),
            batch=16,
        ),
        "detect": Network(
            "frozen YOLOv5n (224x224, batch 16), forward",
            0.7,
            "inference",
            "yolov5n",
            5,
            sizes=("--input", "3x224x224"),
            batch=16,
        ),
        "side": SideBySide(),
        "integers": WholeNumbers(),
        "masked": Masked(),
        "pixels": Pixels(),
        "neighbours": Neighbours(),
        "suppression": Suppression(),
        "precision": Precision(),
        "cwd": Terms("cwd"),
        "cirkd": Terms("cirkd", 0.6),
        "transkd": Terms("transkd"),
        "data": Pairs(),
        "jpeg": Pictures(),
    }


def revision():
    """The commit that is measured, as far as git knows it."""
    try:
        command = ["git", "-C", HERE, "describe", "--always", "--dirty", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cell(value, unit):
    return f"{value:.3g}{unit}" if value < 100 else f"{value:.0f}{unit}"


def line(row):
    ours, theirs = row.values()
    ratio = ours / theirs
    target, met = "", ""
    if row.target is not None:
        target, met = f"≤ {row.target}", "yes" if ratio <= row.target else "no"
    name = row.name if row.target is None else f"**{row.name}**"
    cells = [name, cell(ours, row.unit), cell(theirs, row.unit), f"{ratio:.2f}", target, met]
    return "| " + " | ".join(cells) + " |"


def print_table(runner, measured):
    machine, asked = runner.machine, runner.asked
    torch, python = runner.peer_versions or ("not measured", sys.version.split()[0])
    print("# Limbeck next to PyTorch\n")
    print(
        f"- Machine: {machine['processor'] or 'unknown processor'}, {machine['instruction_set']}, "
        f"{machine['cores']} cores, {machine['system']}"
    )
    # On a quiet machine all are about the same.
    print(
        f"- Multiply-add peak on {machine['threads']} threads: {max(runner.peaks):.0f} GFLOP/s; "
        f"the lowest found between the measurements: {min(runner.peaks):.0f}"
    )
    print(f"- Limbeck {machine['limbeck']} ({revision()}); PyTorch {torch}, eager, NCHW, f32")
    if asked.keep_memory:
        print("- PyTorch's allocator is told to keep freed memory, as Limbeck does (--keep-memory)")
    else:
        print("- PyTorch's allocator is as installed; --keep-memory lets it keep freed memory")
    print(f"- Python {python}; {datetime.date.today().isoformat()}")
    print(
        f"- {asked.threads} threads each; batch {asked.batch} where nothing else is said; medians over rounds in which the "
        f"two take turns ({asked.rounds}); ratio: ours / PyTorch"
    )
    step = measured.get("kd")
    if step and step.libraries:
        print(f"- PyTorch's libraries alone hold {step.libraries:.0f} MB")
    store = measured.get("cache")
    if store:
        print(
            f"- Stored outputs: a record of 1000 classes, ours on {asked.threads} threads unless "
            "said otherwise, each next to one that waits for the disk, beside TinyViT's layout in "
            "plain Python, one process on one thread; a cache of 10 million views opens in "
            f"{statistics.median(store.open_ms):.2g} ms (target: below 100)"
        )
    cached = measured.get("cached")
    if cached:
        print(
            f"- A training from a cache waits {statistics.median(cached.waits):.2g} % of its time "
            "for data (target: below 3)"
        )
    pictures = measured.get("jpeg")
    if pictures:
        print(
            f"- JPEG files of {pictures.kilobytes:.0f} kB on average; torchvision's faster way of "
            f"decode_image and Pillow: {', '.join(sorted(pictures.faster))}; the crate `image` alone decodes and "
            f"resizes one in {statistics.median(pictures.plain):.3g} ms"
        )
    print("\n| work | ours, ms | PyTorch, ms | ratio | target | met |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for work in measured.values():
        for row in work.rows():
            print(line(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limbeck", required=True, help="the built command")
    parser.add_argument("--torch-step", help="torch_step.py, for the rows that it measures")
    parser.add_argument("--only", help=f"some of {','.join(works())}")
    parser.add_argument("--pairs", help="a folder of images with masks, for the rows of `data`")
    parser.add_argument("--pictures", help="a folder of JPEG files, for the rows of `jpeg`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=5, help="timed runs in each round")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--keep-memory", action="store_true", help="PyTorch keeps freed memory, as Limbeck does"
    )
    parser.add_argument("--wrap", default="", help="a command that starts each measurement")
    asked = parser.parse_args()
    measured = works()
    if asked.only:
        names = asked.only.split(",")
        unknown = [name for name in names if name not in measured]
        if unknown:
            parser.error(f"unknown {', '.join(unknown)}; there are {', '.join(measured)}")
        measured = {name: work for name, work in measured.items() if name in names}
    if not asked.pairs:
        measured.pop("data", None)
    if not asked.pictures:
        measured.pop("jpeg", None)
    if not measured:
        parser.error("--only data needs --pairs DIR, --only jpeg --pictures DIR")
    if asked.rounds < 1 or asked.runs < 1:
        parser.error("--rounds and --runs must be at least 1")
    runner = Runner(asked)
    for number in range(asked.rounds):
        print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
        for work in measured.values():
            work.round(runner, number)
    print_table(runner, measured)


if __name__ == "__main__":
    main()
