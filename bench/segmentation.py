#!/usr/bin/env python3
"""Segmentation methods beside their paired baselines on real pictures; one page in Markdown on
standard output:

    bench/segmentation.py --camvid DIR --composites DIR --backbone mobilenet_v2-b0353104.pth \
        --runs DIR > docs/SEGMENTATION.md

DIR of --camvid has images/ and masks/ (367, 101 and 233 street scenes), that of --composites pictures
of cut-out objects with masks of 10 classes. --backbone is torchvision's MobileNetV2 of ImageNet. What
is finished in the folder of --runs is not run again, and what was interrupted goes on.
LIMBECK=.../limbeck is a built command.
"""

import argparse
import os

from pages import fenced, mean, read, run, signed, span, student_interval, table, test

HALF = ["--set", "data.scale=0.5", "--set", "augment.size=[128,160]", "--set", "data.batch=8"]
BLOCKS = ["--set", 'data.block="{drive}{frame:900}"']
STUDENT = "lraspp_mobilenet_v2_x0.5"
METHODS = ["kd", "cwd", "cirkd", "idd", "nfd", "tat"]
TRANSFORMER = "segformer_b0_x0.5"


def commands(camvid, composites, backbone):
    """Name of the run's folder, what it is, and its arguments."""
    settings = [
        "cirkd.pixel_memory=2000",
        "cirkd.region_memory=200",
        "cirkd.pixel_contrast=1024",
        "cirkd.region_contrast=256",
        "cirkd.pool=2",
        "idd.distance_weight=0.01",
    ]
    smaller = [part for setting in settings for part in ("--set", f"method.{setting}")]
    teacher = ["train", camvid, "--model", "deeplabv3plus_mobilenet_v2", "--backbone", backbone]
    teacher += ["--epochs", "40", *HALF, "--set", "augment.flip=0.5"]
    students = ["distill", camvid, "--teacher", "teacher", "--student", STUDENT]
    students += ["--method", ",".join(METHODS), "--baseline", "--seeds", "3", "--epochs", "20"]
    chain = ["distill", camvid, "--teacher", "teacher", "--student", "segformer_b0"]
    chain += ["--method", "kd", "--epochs", "16", *HALF]
    pair = ["distill", camvid, "--teacher", "segformer-teacher", "--student", TRANSFORMER]
    pair += ["--method", "transkd", "--baseline", "--seeds", "3", "--epochs", "15", *HALF, *BLOCKS]
    steps = ["distill", composites, "--tasks", "6-3", "--student", TRANSFORMER, "--method", "sats"]
    steps += ["--baseline", "--seeds", "3", "--epochs", "16", "--limit", "1500"]
    faster = ["--set", "data.batch=16", "--set", "optimizer.learning_rate=0.001"]
    faster += ["--set", "task.later_rate=1"]
    return [
        ("teacher", teacher),
        ("camvid-cnn", [*students, *HALF, *smaller, *BLOCKS]),
        ("segformer-teacher", chain),
        ("camvid-transformer", pair),
        ("composites-sats", [*steps, *faster]),
    ]


def finished(folder):
    found = ("results.json", "continual.json")
    if os.path.exists(os.path.join(folder, "series.json")):
        runs = [os.path.join(folder, f"{method}-{STUDENT}") for method in METHODS]
        return all(finished(run) for run in runs)
    return any(os.path.exists(os.path.join(folder, name)) for name in found)


def row(results):
    gain = results["gain"]
    agreement = next(
        (m["value"] for m in results["students"][0]["test"]["measures"] if m["name"] == "agreement"),
        None,
    )
    blocks = gain.get("resampled") or {}
    return [
        f"`{results['method']}`",
        f"{test(results, 'students'):.1f}",
        f"{test(results, 'baselines'):.1f}",
        f"{signed(gain['mean'])} ({span(gain['ci95'])})",
        f"{span(blocks.get('ci95'))}",
        f"{agreement:.1f}" if agreement is not None else "",
    ]


def page(runs, steps):
    told = {name: arguments for name, arguments in steps}
    block = lambda *names: fenced([[*told[name], "--out", name] for name in names])
    of_cnn = [read(runs, "camvid-cnn", f"{m}-{STUDENT}", "results.json") for m in METHODS]
    of_cnn.sort(key=lambda results: -results["gain"]["mean"])
    pair = read(runs, "camvid-transformer", "results.json")
    first = lambda network: network["test"]["measures"][0]["value"]
    heads = ["method", "student", "baseline", "gain (over seeds)", "over blocks", "agreement"]
    cnn, transformer = of_cnn[0], pair
    blocks = cnn["gain"]["resampled"]["units"]
    print(f"""# Segmentation methods on real pictures

Made by `bench/segmentation.py` with the commands below, on {cnn['environment']['threads']} threads of
{cnn['environment'].get('processor') or 'an unknown processor'} ({cnn['environment']['cores']} cores). Mean IoU in percent on the test part,
means over three seeds; the gain is paired by seed, with its 95 % interval over seeds and over the {blocks} blocks of
neighbouring frames that the test part has.

## CamVid, convolutional networks

367 street scenes at half their size, 11 classes, 20 epochs of crops of 128×160: short for these methods,
whose authors train many times as long. Teacher `{cnn['teacher']['name']}` from ImageNet's weights:
{first(cnn['teacher']):.1f}. Student `{cnn['student']['name']}`, from none, {cnn['student']['params'] / 1e6:.2f} M
parameters to the teacher's {cnn['teacher']['params'] / 1e6:.2f} M; `cirkd` with queues of a tenth, a quarter
of the keys, and maps averaged over 2×2 for its first term; `idd` with its distances at a hundredth, which in the
first epoch are a third of the cross entropy, as its page asks for.

{block('teacher', 'camvid-cnn')}

{table(heads, map(row, of_cnn))}

`cwd` gains with every seed; `kd` per pixel and `cirkd` are within the spread of the seeds. `nfd`, `idd` and
`tat` lose by the blocks of frames, `tat` with every seed: in 920 steps their terms take more from the cross
entropy than they give. `nfd`'s is still more than half of the loss at the end. With `idd` the cross entropy of the
last epoch is 0.73, without 0.68; what costs is the scale of the distances, which the student's features follow:
with the distances at a twentieth it reaches 26.5 (−1.6, −4.4 to +1.3), with `method.idd.normalize="mean"`, which
leaves the scale out, 28.0 with the first seed, where the baseline has 28.5. With `tat` the cross entropy ends at
0.95, and a tenth of its weight (`method.tat.weight=0.2`) brings the first seed from 21.1 to 26.5: its weight is
that of a long training, and in this one the attention between the maps, through which the student regresses the
teacher's, has hardly begun to find what belongs together.

## CamVid, transformers

`transkd` compares the patch embeddings of two SegFormers. No weights of ImageNet for one were at hand,
so its teacher `{transformer['teacher']['name']}` ({first(transformer['teacher']):.1f}) is itself a student of the
convolutional teacher above.

{block('segformer-teacher', 'camvid-transformer')}

{table(heads, [row(pair)])}
""")
    continual(runs, block)


def continual(runs, block):
    print(f"""## Classes in steps

Cut-out objects on photographs, 64×64 pixels, background and 9 kinds; 6 kinds are learnt first, then 3 more
from pictures in which the first are called background.

{block('composites-sats')}
""")
    found = read(runs, "composites-sats", "continual.json")
    last = {}
    for sequence in found["sequences"]:
        last.setdefault(sequence["name"], {})[sequence["seed"]] = sequence["steps"][-1]
    measures = ("old_miou", "new_miou", "all_miou", "forgetting")
    rows = []
    for name, seeds in last.items():
        cells = []
        for measure in measures:
            values = [seed[measure] for seed in seeds.values() if seed[measure] is not None]
            cells.append(f"{mean(values):.1f}".replace("-", "−") if values else "")
        rows.append([f"`{name}`" if name == found["method"] else name, *cells])
    print(table(["", "old classes", "new classes", "all", "forgotten"], rows))
    method, other = last[found["method"]], last["fine-tuning"]
    for measure, title in (("all_miou", "all classes"), ("old_miou", "the old ones")):
        gains = [method[seed][measure] - other[seed][measure] for seed in method]
        print(
            f"\n`{found['method']}` over fine-tuning, {title}: {signed(mean(gains))} "
            f"({span(student_interval(gains))})."
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--camvid", required=True)
    parser.add_argument("--composites", required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--runs", required=True)
    options = parser.parse_args()
    paths = (options.camvid, options.composites, options.backbone)
    os.makedirs(options.runs, exist_ok=True)
    run(options.runs, commands(*map(os.path.abspath, paths)), finished)
    page(options.runs, commands("camvid", "composites", os.path.basename(options.backbone)))


if __name__ == "__main__":
    main()
