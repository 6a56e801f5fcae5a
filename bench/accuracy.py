#!/usr/bin/env python3
"""The same experiment by Limbeck and by PyTorch: what students reach with each method, over several seeds.

    bench/accuracy.py --limbeck target/release/limbeck --data CIFAR --out DIR
    bench/accuracy.py --out DIR --table

CIFAR has class folders in `train` and `test`. Limbeck trains a teacher on all of it; both sides then train
students on the same few images of it with that teacher's weights, choose an epoch on the same validation images
and test on the same test images. Data order, crops, initial weights are each side's own, drawn from the seed.
PyTorch's side is distilling.py. Needs torch, safetensors, Pillow, numpy and scipy.

What is finished stays in DIR and is not run again, what was interrupted goes on; two processes with other
--methods can share it. Prints tables in Markdown: what both sides reach, and the gains over `none`, paired by
seed, with 95 % intervals (Welch's t for differences of the two sides).
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import numpy
import PIL.Image
import scipy.stats
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from distilling import METHODS, Images, Normalisation, ResNet, Teacher, measured, train

TEACHER, STUDENT = ("resnet20", 20), ("resnet8", 8)
# As a study of one thread each; photographs may be mirrored.
COMMON = ["--threads", "1", "--workers", "0", "--quiet", "--set", "augment.flip=0.5"]
BASELINE = "none"


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of the experiment")
    parser.add_argument("--data", type=pathlib.Path, help="class folders in `train` and `test`")
    parser.add_argument("--limbeck", type=pathlib.Path, help="a built command")
    parser.add_argument("--methods", default=",".join(METHODS), help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=2000, help="to train students on (default: %(default)s)")
    parser.add_argument("--validation", type=int, default=1000, help="images (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=4, help="of students (default: %(default)s)")
    parser.add_argument("--teacher-epochs", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--table", action="store_true", help="train nothing, print what is there")
    asked = parser.parse_args()
    asked.methods = asked.methods.split(",")
    if unknown := [name for name in asked.methods if name not in METHODS]:
        parser.error(f"unknown methods: {', '.join(unknown)}")
    if not asked.table and not (asked.data and asked.limbeck):
        parser.error("--data and --limbeck are needed to train")
    return asked


def settle(asked):
    """Keeps what the experiment is in its folder; another one needs another."""
    settings = {key: getattr(asked, key) for key in ("images", "validation", "epochs", "teacher_epochs")}
    file = asked.out / "experiment.json"
    asked.out.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        write(file, settings)
    elif (known := json.loads(file.read_text())) != settings:
        sys.exit(f"{asked.out} holds an experiment with {known}, not {settings}")


def prepare(asked):
    """Writes the images of both sides as PNG, so that no decoder of JPEG has a part in the comparison."""
    folder = asked.out / "data"
    if folder.exists():
        return
    print("images ...", file=sys.stderr, flush=True)
    half_done = asked.out / "data-unfinished"
    shutil.rmtree(half_done, ignore_errors=True)
    classes = sorted(path.name for path in (asked.data / "train").iterdir())
    draw = numpy.random.default_rng(0)
    for name in classes:
        drawn = draw.permutation(sorted((asked.data / "train" / name).iterdir()))
        train_count, validation_count = (n // len(classes) for n in (asked.images, asked.validation))
        parts = {
            "train": drawn[:train_count],
            "val": drawn[train_count : train_count + validation_count],
            "test": sorted((asked.data / "test" / name).iterdir()),
        }
        for part, paths in parts.items():
            (half_done / part / name).mkdir(parents=True)
            for path in paths:
                image = PIL.Image.open(path).convert("RGB")
                image.save(half_done / part / name / f"{path.stem}.png")
    half_done.rename(folder)


def limbeck(asked, folder, command):
    """Runs it into the folder, or goes on there; what the run found."""
    results = folder / "results.json"
    if not results.exists():
        print(f"{folder} ...", file=sys.stderr, flush=True)
        whole = ["resume", folder, "--quiet"] if folder.exists() else [*command, "--out", folder]
        done = subprocess.run([asked.limbeck, *whole], stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, whole))}\n{done.stderr}")
    return json.loads(results.read_text())


def teach(asked):
    """The run of the teacher, which learns from all images."""
    command = ["train", asked.data, "--model", TEACHER[0], "--epochs", str(asked.teacher_epochs)]
    return limbeck(asked, asked.out / "teacher", [*command, *COMMON])


def read_teacher(asked):
    """Limbeck's teacher as PyTorch's."""
    path = asked.out / "teacher" / "student" / "model.safetensors"
    with safe_open(path, "pt") as file:
        told = file.metadata()
    mean, deviation = ([float(value) for value in told[key].split(",")] for key in ("limbeck.mean", "limbeck.std"))
    weights = load_file(path)
    network = ResNet(TEACHER[1], len(weights["fc.bias"]))
    network.load_state_dict(weights)
    return Teacher(network, Normalisation(mean, deviation))


def check_teacher(asked, teacher, test):
    """What the teacher reaches on the test images must be the same by each side, up to rounding."""
    file = asked.out / "teacher.json"
    if not file.exists():
        command = ["eval", asked.out / "data", "--model", asked.out / "teacher", "--threads", "1"]
        done = subprocess.run(
            [asked.limbeck, *command, "--json"], stdout=subprocess.PIPE, check=True, text=True
        )
        found = json.loads(done.stdout)
        top1, loss = measured(teacher.network, test, teacher.normalisation)
        sides = {"limbeck": {key: found[key] for key in ("top1", "loss")}}
        if abs(sides["limbeck"]["loss"] - loss) > 1e-4:
            sys.exit(f"the teacher has a cross entropy of {sides['limbeck']['loss']} and, by PyTorch, of {loss}")
        write(file, sides | {"pytorch": {"top1": top1, "loss": loss}})


def write(file, content):
    """Whole or not at all."""
    half_done = file.with_suffix(f".{os.getpid()}")
    half_done.write_text(json.dumps(content, indent=1))
    half_done.rename(file)


def of_limbeck(results):
    """What is compared, of a run of one student."""
    (student,) = results["students"]
    values = {measure["name"]: measure["value"] for measure in student["test"]["measures"]}
    return {
        "top1": values["top1"], "loss": values["loss"], "epoch": student["chosen_epoch"],
        "seconds": student["seconds"],
    }  # fmt: skip


def ours(asked, method, seed):
    """Trains by Limbeck, unless it is done."""
    file = asked.out / "limbeck" / f"{method}-{seed}.json"
    if file.exists():
        return
    command = ["distill", asked.out / "data", "--student", STUDENT[0], "--method", method]
    command += ["--epochs", str(asked.epochs), "--seed", str(seed), *COMMON]
    if method != BASELINE:
        command += ["--teacher", asked.out / "teacher"]
    for setting in METHODS[method].SETTINGS:
        command += ["--set", setting]
    write(file, of_limbeck(limbeck(asked, asked.out / "limbeck" / f"{method}-{seed}", command)))


def others(asked, parts, teacher, method, seed):
    """Trains by PyTorch, unless it is done."""
    file = asked.out / "pytorch" / f"{method}-{seed}.json"
    if file.exists():
        return
    print(f"{file} ...", file=sys.stderr, flush=True)
    teacher = None if method == BASELINE else teacher
    write(file, train(*parts, method, teacher, STUDENT[1], asked.epochs, seed))


def train_all(asked):
    torch.set_num_threads(1)
    settle(asked)
    for side in ("limbeck", "pytorch"):
        (asked.out / side).mkdir(parents=True, exist_ok=True)
    prepare(asked)
    teach(asked)
    teacher = read_teacher(asked)
    parts = [Images(asked.out / "data" / part) for part in ("train", "val", "test")]
    check_teacher(asked, teacher, parts[-1])
    # Seed by seed, both sides in turn: an experiment that is cut short has about as many of each.
    for seed in range(asked.seeds):
        for method in asked.methods:
            ours(asked, method, seed)
            others(asked, parts, teacher, method, seed)


def mean_interval(values):
    """Mean and half width of the 95 % interval of Student's t."""
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values), half


def difference_interval(ours, others):
    """Difference of the means and half width of its 95 % interval by Welch's t."""
    parts = [statistics.variance(values) / len(values) for values in (ours, others)]
    degrees = sum(parts) ** 2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (ours, others))
    )
    half = scipy.stats.t.ppf(0.975, degrees) * math.sqrt(sum(parts))
    return statistics.mean(ours) - statistics.mean(others), half


def spread(values):
    return f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"


def interval(middle, half, digits=2):
    return f"{middle:+.{digits}f} ({middle - half:+.{digits}f} to {middle + half:+.{digits}f})"


def compared(name, count, ours, others, show, digits=2):
    """A row: both sides, their difference, and whether its interval holds zero."""
    middle, half = difference_interval(ours, others)
    agrees = "yes" if abs(middle) <= half else "no"
    cells = [name, str(count), show(ours), show(others), interval(middle, half, digits), agrees]
    return f"| {' | '.join(cells)} |"


def found(out, side, method, seeds, key="top1"):
    """By seed, of what is finished."""
    files = {seed: out / side / f"{method}-{seed}.json" for seed in range(seeds)}
    return {s: json.loads(file.read_text())[key] for s, file in files.items() if file.exists()}


def table(asked):
    """Tables in Markdown, of the seeds that both sides have finished."""
    sides = ("limbeck", "pytorch")
    reached, seconds = {}, {}
    for method in asked.methods:
        both = [found(asked.out, side, method, asked.seeds) for side in sides]
        seeds = sorted(both[0].keys() & both[1].keys())
        if len(seeds) > 1:
            reached[method] = [{seed: side[seed] for seed in seeds} for side in both]
            seconds[method] = [
                statistics.median(found(asked.out, side, method, asked.seeds, "seconds").values())
                for side in sides
            ]
    lines = ["| method | seeds | Limbeck | PyTorch | difference | agrees | seconds, Limbeck | PyTorch |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: |"]
    for method, both in reached.items():
        values = [list(side.values()) for side in both]
        row = compared(f"`{method}`", len(values[0]), *values, spread)
        lines.append(row + " {:.0f} | {:.0f} |".format(*seconds[method]))
    common = set.intersection(*(set(side) for both in reached.values() for side in both))
    if len(reached) > 1 and len(common) > 1:
        # Students of a seed resemble each other: a seed's mean over the methods is one observation.
        means = [
            [statistics.mean(both[side][seed] for both in reached.values()) for seed in sorted(common)]
            for side in range(2)
        ]
        lines.append(compared("mean of all", len(common), *means, spread) + "  |  |")
    lines += ["", "| gain over `none` | seeds | Limbeck | PyTorch | difference | agrees |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | --- |"]
    for method, both in reached.items():
        if method == BASELINE or BASELINE not in reached:
            continue
        gains = []
        for own, base in zip(both, reached[BASELINE]):
            gains.append([own[seed] - base[seed] for seed in sorted(own.keys() & base.keys())])
        show = lambda values: interval(*mean_interval(values))
        lines.append(compared(f"`{method}`", len(gains[0]), *gains, show))
    return lines


def main():
    asked = arguments()
    if not asked.table:
        train_all(asked)
    for side, found in json.loads((asked.out / "teacher.json").read_text()).items():
        print(f"- teacher by {side}: top-1 {found['top1']:.2f} %, cross entropy {found['loss']:.6f}")
    print()
    print("\n".join(table(asked)))


if __name__ == "__main__":
    main()
