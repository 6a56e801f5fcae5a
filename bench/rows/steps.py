"""Steps of distillation."""

import json
import os
import tempfile

from .row import Row, in_turn


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


class Review:
    """The step of ReviewKD next to that of KD, both ours, and its memory."""

    # Bytes of a process at the most.
    MEMORY = 600

    def __init__(self):
        self.time = Row("ReviewKD's step resnet32x4 → resnet8x4 next to KD's, both ours", 1.6)
        name = f"peak memory of ReviewKD's step, whole process, next to {self.MEMORY} MB"
        self.memory = Row(name, 1.0, " MB")

    def round(self, runner, number):
        def step(method):
            return runner.ours(["step", "--method", method], runner.asked.runs)

        review, kd = in_turn(number, lambda: step("reviewkd"), lambda: step("kd"))
        self.time.ours.append(review["step_ms"])
        self.time.theirs.append(kd["step_ms"])
        if review["peak_memory_bytes"]:
            self.memory.ours.append(review["peak_memory_bytes"] / 1e6)
            self.memory.theirs.append(self.MEMORY)

    def rows(self):
        return [self.time] + ([self.memory] if self.memory.ours else [])


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
