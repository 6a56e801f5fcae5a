"""What detectors need besides networks: suppression and average precision."""

import sys

from sizes import PRECISION, SUPPRESSION

from .row import Row, in_turn


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
