#!/usr/bin/env python3
"""Limbeck next to PyTorch, in turn, and the ratios as one table in Markdown on standard output.

Started by peer.sh, which builds Limbeck and finds a Python that has PyTorch.
"""

import argparse
import datetime
import statistics
import subprocess
import sys

from rows.convolutions import Convolutions
from rows.data import Pairs, Pictures
from rows.detection import Precision, Suppression
from rows.losses import Losses, Terms
from rows.masked import Masked
from rows.neighbours import Neighbours
from rows.networks import Network, Pixels, Several, WholeNumbers, frozen
from rows.runner import HERE, Runner
from rows.steps import Cached, Review, SideBySide, Step
from rows.store import Store


def works():
    return {
        "conv": Convolutions(),
        "frozen": Network("frozen resnet32x4, forward", 0.9, "inference", "resnet32x4", 5),
        "resnet": Network("resnet8x4, training step", 0.9, "training", "resnet8x4", 5),
        "kd": Step(),
        "cache": Store(),
        "cached": Cached(),
        "mobilenet": Network(
            "MobileNetV2 (cifar), training step", 0.55, "training", "mobilenetv2", 5
        ),
        "mobilenet224": Network(
            "MobileNetV2 (224, batch 16), training step", 0.55, "training", "mobilenet_v2", 5, batch=16
        ),
        "vit": Network(
            "ViT-tiny (224), training step", 0.6, "training", "deit_tiny_patch16_224", 1, "adamw"
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
            0.6,
            "training",
            "segformer_b0",
            5,
            "adamw",
            ("--input", "3x256x256", "--classes", "19"),
            4,
        ),
        "deeplab": Network(
            "DeepLabV3-R18 (output stride 8, 192x192, batch 4), training step",
            0.55,
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
        "reviewkd": Review(),
        "losses": Losses(),
        "cwd": Terms("cwd"),
        "cirkd": Terms("cirkd", 0.6),
        "transkd": Terms("transkd"),
        "idd": Terms("idd"),
        "nfd": Terms("nfd"),
        "skds": Terms("skds"),
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
        limit = row.limit()
        if met == "no" and limit is not None:
            met = f"no; {limit / theirs:.2f} at the limit"
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
