"""Losses of methods, forward and backward, apart from all networks."""

from sizes import CLASSES, PAIRS, SIZE

from .row import Row, in_turn


class Terms:
    """Terms of a method, forward and backward, from made-up outputs; and the memory that it takes."""

    BATCH = 4

    def __init__(self, method, memory=None):
        self.method = method
        self.time = Row(f"{method.upper()}'s terms (256x256, batch {self.BATCH})", 0.5)
        name = f"peak memory of {method.upper()}'s terms, whole process"
        self.memory = Row(name, memory, " MB")

    def round(self, runner, number):
        teacher, student = PAIRS[self.method]
        networks = ["--teacher", teacher, "--student", student]
        sizes = ["--input", f"3x{SIZE}x{SIZE}", "--classes", str(CLASSES)]
        runs = runner.asked.runs
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(
                ["loss", self.method, *networks, *sizes, "--profile"], runs, batch=self.BATCH
            ),
            lambda: runner.theirs(["terms", self.method], runs, batch=self.BATCH),
        )
        self.time.ours.append(ours["losses"][0]["ms"])
        self.time.limits.append(ours["losses"][0]["profile"]["limit_ms"])
        self.time.theirs.append(theirs["terms_ms"])
        if ours["peak_memory_bytes"] and theirs["peak_memory_bytes"]:
            self.memory.ours.append(ours["peak_memory_bytes"] / 1e6)
            self.memory.theirs.append(theirs["peak_memory_bytes"] / 1e6)

    def rows(self):
        with_memory = self.memory.target is not None and self.memory.ours
        return [self.time] + ([self.memory] if with_memory else [])


class Losses:
    """Of all criteria of the catalogue that classifiers learn from."""

    METHODS = (
        "kd", "dkd", "dsr", "pskd", "tinyvit", "at", "fitnet", "ghost", "mgram", "reviewkd", "rkd", "crd",
        "dpk", "rtk", "tat", "byot", "drg",
    )

    def __init__(self):
        self.rows_of = {
            method: Row(f"{method}'s loss (resnet32x4 → resnet8x4)", 0.5) for method in self.METHODS
        }

    def round(self, runner, number):
        runs = runner.asked.runs
        ours, theirs = in_turn(
            number,
            lambda: runner.ours(["loss", *self.METHODS, "--classes", "100", "--profile"], runs),
            lambda: runner.theirs(["losses"], runs),
        )
        found = {loss["method"]: loss for loss in ours["losses"]}
        for method, row in self.rows_of.items():
            row.ours.append(found[method]["ms"])
            row.limits.append(found[method]["profile"]["limit_ms"])
            row.theirs.append(theirs["losses"][method])

    def rows(self):
        return list(self.rows_of.values())
