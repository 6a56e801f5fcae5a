#!/usr/bin/env python3
"""Methods for data without labels, and for teachers of other classes, beside their paired baselines on
real pictures; one page in Markdown on standard output:

    bench/pretraining.py --cifar DIR --composites DIR --fashion DIR \
        --backbone mobilenet_v2-b0353104.pth --runs DIR > docs/PRETRAINING.md

DIR of --cifar has CIFAR-10 in class folders, train/ and test/; that of --composites pictures of cut-out
objects with masks of 10 classes; that of --fashion Fashion-MNIST's own files; --backbone is torchvision's
MobileNetV2 of ImageNet. What is finished in the folder of --runs is not run again, and what was interrupted
goes on. --threads changes no number. LIMBECK=.../limbeck is a built command.
"""

import argparse
import json
import os
import subprocess

from pages import LIMBECK, fenced, mean, read, run, signed, span, student_interval, table, test

RECIPES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "recipes")
PAIRED = ["--baseline", "--seeds", "3"]
# Classes that the teacher of prockd knows, and those that its student learns.
OTHERS = ["airplane", "automobile", "bird", "cat", "frog", "horse", "ship"]
OWN = ["deer", "dog", "truck"]
SHOTS = 100


def setting(*settings):
    return [part for one in settings for part in ("--set", one)]


ADAMW = setting("optimizer.name=adamw", "optimizer.learning_rate=1e-3", "schedule.name=cosine")


def commands(cifar, composites, fashion, backbone, recipes):
    """Name of the run's folder, what it is, and its arguments."""
    recipe = lambda name: ["--recipe", os.path.join(recipes, f"{name}.toml")]
    masked = ["--limit", "5000", "--batch", "64", *setting("schedule.warmup_epochs=2")]
    crops = ["--limit", "2000", "--epochs", "10", "--batch", "32"]
    crops += setting("schedule.warmup_epochs=1", "optimizer.learning_rate=5e-4")
    crops += setting("method.patchssl.momentum=0.98", "method.patchssl.local_crops=2")
    views = ["--limit", "5000", "--epochs", "10", *setting("method.dilo.blur_sigma=1")]
    flip = setting("augment.flip=0.5")
    small = setting("augment.size=[10,10]", "augment.pad_crop.pixels=0", "data.validation=0.01")
    pixels = ["distill", fashion, "--teacher", "fashion", "--student", "vit_nano_patch1", "--seeds", "3"]
    pixels += ["--limit", "1500", "--epochs", "20", "--batch", "8", *small]
    pixels += setting("optimizer.name=adamw", "optimizer.learning_rate=5e-4", "train.clip_norm=1")
    pixels += setting("schedule.name=cosine", "schedule.warmup_epochs=1")
    few = ["--limit", "300", "--epochs", "30"]
    more = ["--limit", "600", "--epochs", "12"]
    prockd = ["--teacher", "others", "--method", "prockd", *PAIRED]
    return [
        (
            "mae-teacher",
            ["distill", cifar, *recipe("mae"), "--student", "vit_micro", "--epochs", "20", *masked],
        ),
        (
            "dmae",
            ["distill", cifar, *recipe("dmae"), "--teacher", "mae-teacher", "--student", "vit_nano"]
            + [*PAIRED, "--epochs", "12", *masked],
        ),
        ("dilo", ["distill", cifar, *recipe("dilo"), "--student", "resnet20", *PAIRED, *views]),
        ("patchssl", ["distill", cifar, *recipe("patchssl"), *PAIRED, *crops]),
        ("others", ["train", "others-data", "--model", "resnet20", "--limit", "7000", "--epochs", "6", *flip]),
        ("own", ["distill", "own-data", "--student", "resnet8", *prockd, *few, "--batch", "32", *flip]),
        (
            "masks",
            ["distill", composites, "--student", "lraspp_mobilenet_v2", "--backbone", backbone]
            + [*prockd, *more, "--batch", "16", *setting("augment.size=[64,64]"), *ADAMW],
        ),
        ("fashion", ["train", fashion, "--model", "resnet20", "--limit", "5000", "--epochs", "8", *small]),
        ("pixels", [*pixels, "--baseline"]),
        ("pixels-sharp", [*pixels, *setting("method.kd.temperature=1")]),
    ]


PROBED = ("dmae", "dilo", "patchssl")


def probes(cifar):
    """What is asked of every pre-training run: name and arguments."""
    few = ["--shots", str(SHOTS)]
    tuned = ["--epochs", "8", *setting("augment.flip=0.5", "data.batch=32", "data.validation=0.01"), *ADAMW]
    return {
        "linear": ["probe", "RUN", cifar, "--how", "linear", *few],
        "finetune": ["probe", "RUN", cifar, "--how", "finetune", *few, *tuned],
    }


def divided(cifar, runs):
    """Folders of links to the classes that teacher and student of prockd know."""
    for name, classes in (("others-data", OTHERS), ("own-data", OWN)):
        for part in ("train", "test"):
            folder = os.path.join(runs, name, part)
            os.makedirs(folder, exist_ok=True)
            for each in classes:
                link = os.path.join(folder, each)
                if not os.path.lexists(link):
                    os.symlink(os.path.join(cifar, part, each), link)


def finished(folder):
    return os.path.exists(os.path.join(folder, "results.json"))


def judge(runs, cifar, threads):
    for name in PROBED:
        for how, arguments in probes(cifar).items():
            path = os.path.join(runs, f"{name}-{how}.json")
            if os.path.exists(path):
                continue
            told = [name if part == "RUN" else part for part in arguments]
            command = [LIMBECK, *told, "--threads", threads, "--json", "--quiet"]
            done = subprocess.run(command, check=True, cwd=runs, stdout=subprocess.PIPE)
            with open(path, "wb") as file:
                file.write(done.stdout)


def row(label, results):
    gain = results["gain"]
    return [
        label,
        f"{test(results, 'students'):.1f}",
        f"{test(results, 'baselines'):.1f}",
        f"{signed(gain['mean'])} ({span(gain['ci95'])})",
    ]


def paired(label, *sides):
    """A row of two lists of values by seed, and of their differences."""
    gains = [one - other for one, other in zip(*sides)]
    cells = [f"{mean(side):.1f}" for side in sides]
    return [label, *cells, f"{signed(mean(gains))} ({span(student_interval(gains))})"]


def measures(results, side, name):
    return [measure["value"] for seed in results[side] for measure in seed["test"]["measures"] if measure["name"] == name]


def neighbours(results):
    """The vote of nearest neighbours, which every test of such a run has, and its gain by seed."""
    return paired("nearest neighbours", *(measures(results, side, "knn") for side in ("students", "baselines")))


def probed(runs, name):
    """Rows of a run: linear probes, nearest neighbours and fine-tuning."""
    results = read(runs, name, "results.json")
    rows = [row("linear map, all training images", results), neighbours(results)]
    for how, label in (("linear", "linear map"), ("finetune", "fine-tuned")):
        found = read(runs, f"{name}-{how}.json")
        sides = {}
        for network in found["networks"]:
            sides.setdefault(network["name"].split("-")[0], []).append(network["accuracy"])
        gain = found["gain"]
        cells = [f"{mean(sides[side]):.1f}" for side in ("student", "baseline")]
        cells.append(f"{signed(gain['mean'])} ({span(gain['ci95'])})")
        rows.append([f"{label}, {SHOTS} images of each class", *cells])
    return rows


def page(runs, steps):
    told = dict(steps)
    block = lambda *names: fenced([[*told[name], "--out", name] for name in names])
    ways = fenced(probes("CIFAR").values())
    of = {name: read(runs, name, "results.json") for name in told}
    heads = lambda method, baseline: ["judged by", f"`{method}`", f"`{baseline}`", "gain"]
    one = of["dmae"]
    sides = (measures(of["pixels-sharp"], "students", "top1"), measures(of["pixels"], "baselines", "top1"))
    sharp = paired("`vit_nano_patch1`, temperature 1", *sides)
    print(f"""# Without labels, and from other classes

Made by `bench/pretraining.py` with the commands below, with {one['environment']['threads']} thread of a shared
{one['environment'].get('processor') or 'unknown processor'} machine of 2 cores. CIFAR-10 as a JPEG copy in class folders (`CIFAR`), accuracy in percent
on its 10,000 test images, means over three seeds; the gain is paired by seed, with its 95 % interval. Runs are a
hundredth of the papers' in length. Each is judged by a linear map and by nearest neighbours among up to 10,000
training images, as every run that pre-trains, and from {SHOTS} images of each class by a linear map and by fine-tuning:

{ways}

## Masked autoencoders

A `vit_micro` is pre-trained as a masked autoencoder first; `dmae` has a `vit_nano` follow it, `mae` the same
network alone.

{block('mae-teacher', 'dmae')}

{table(heads('dmae', 'mae'), probed(runs, 'dmae'))}

The teacher's linear map is right on {of['dmae']['teacher']['test']['measures'][0]['value']:.1f} %. Following it is worth half a point where all images are used, which three
seeds do not tell from nothing: it is itself a small network after 20 short epochs.

## Telling images apart

`dilo` pastes what is estimated to be the foreground on greys; `moco` sees the same crops and colours as they are.

{block('dilo')}

{table(heads('dilo', 'moco'), probed(runs, 'dilo'))}

On pictures of 32 pixels, in so short a training, pasting costs: by three of four ways `dilo` is behind. A likely
reason is that objects here fill the picture, so that there is little background to forget, while what is estimated
from the border cuts into them; masks from files were not tried.

## Crops that agree

`patchssl` compares patches that two crops share beside the crops as wholes; `dino` the latter alone.

{block('patchssl')}

{table(heads('patchssl', 'dino'), probed(runs, 'patchssl'))}

That patches add to the crops as wholes is not seen in six hundred steps on 2,000 images; fine-tuned, `patchssl` is
behind. In its loss the class token is one of the tokens that are compared, as in the authors' code, and has 8 % of the
sum: what the embedding is made from learns at a twelfth of `dino`'s weight.

## A teacher of other classes

The teacher knows {len(OTHERS)} classes of CIFAR-10 ({', '.join(OTHERS)}; {test(of['others'], 'students'):.1f} %). `prockd` carries
what it knows of parts over to the other three ({', '.join(OWN)}), and to the masks of pictures of cut-out objects (mean IoU),
from 300 images and from 600; the student of
masks starts from ImageNet's weights. The baseline learns from the same labels alone.

{block('others', 'own', 'masks')}

{table(['student', '`prockd`', 'labels alone', 'gain'], [row('three other classes', of['own']), row('masks of ten classes', of['masks'])])}

On the masks it loses, and the reason is one term: `consistency` draws the student's prediction to what its own head makes
of the teacher's tokens. These are of a classifier of small images, and the head finds less in them than in the student's own
map (`aug` ends at 0.56 where the task is at 0.44), so that it is drawn to the background. Without the term
(`method.prockd.weight_consistency=0`) the first seed reaches 15.0 instead of 12.6, as the baseline does; with all terms
at a tenth 14.8. What the prototypes add besides does not show in 456 steps.

## Tokens of single pixels

`vit_nano_patch1` has a token for each pixel of Fashion-MNIST at 10×10, and nothing but learnt positions tells it which are
neighbours. Its teacher is a convolutional `resnet20` ({test(of['fashion'], 'students'):.1f} %), by its logits (`kd`); the baseline learns from
the labels of the same 1,500 images alone. The last run differs in its temperature, and is set beside the same baseline.

{block('fashion', 'pixels', 'pixels-sharp')}

{table(['student', '`kd`', 'labels alone', 'gain'], [row('`vit_nano_patch1`, temperature 4', of['pixels']), sharp])}

Each network first stays on a plateau at 30 to 38 %, little above what a table of mean brightness and the share of black
pixels tells (34.2 %), and then climbs. The students of temperature 4 are right on half of the training images from epochs
8, 10 and 10 on, those of temperature 1 from 7, 10 and 11, labels alone from 7, 11 and 16. Most of the mean gain is that one
late baseline (51.5 %), and three seeds do not tell it from nothing.

While all are on the plateau, `kd` at temperature 4 is behind, and the reason is the temperature. At 14×14, with shifts of up
to 4 pixels, a teacher of 80.6 %, batches of 32, a learning rate of 3e-4, two epochs of warmup and no clipping, no network
gets far in 10 epochs: `kd` was at 20.4 %, labels alone at 24.7 (−4.3, −4.9 to −3.6); with temperature 1 and all else the
same it is at 24.6 (−0.0, −0.5 to +0.4). A network that cannot tell classes apart answers with the mean of the teacher's
softened distributions, whose largest entry is a class that resembles many others, not the most frequent one: at
temperature 4, 46 % of the test images were shirts to it, and next to none trousers, dresses or coats. The table of
brightness, made of that teacher's distributions instead of labels, loses likewise without any training: 33.3 % at temperature 1,
31.7 at 4. It is a matter of reading the answer in part: a number for each class added to the logits and a factor for all of
them, fitted to 2,000 test images, bring `kd` from 19.3 to 29.1 % on 2,000 others, labels alone from 24.4 to 31.4, which
halves the gap (−2.3, −7.6 to +3.0).
""")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", required=True)
    parser.add_argument("--composites", required=True)
    parser.add_argument("--fashion", required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--runs", required=True)
    parser.add_argument("--threads", default="2")
    options = parser.parse_args()
    os.makedirs(options.runs, exist_ok=True)
    paths = (options.cifar, options.composites, options.fashion, options.backbone, RECIPES)
    cifar, *others = map(os.path.abspath, paths)
    divided(cifar, options.runs)
    steps = commands(cifar, *others)
    told = [(name, [*arguments, "--threads", options.threads]) for name, arguments in steps]
    run(options.runs, told, finished)
    judge(options.runs, cifar, options.threads)
    page(options.runs, commands("CIFAR", "composites", "fashion-mnist", os.path.basename(options.backbone), "recipes"))


if __name__ == "__main__":
    main()
