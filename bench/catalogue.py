#!/usr/bin/env python3
"""Every method beside its paired baseline on real images; one page in Markdown on standard output:

    bench/catalogue.py > docs/RESULTS.md
    bench/catalogue.py --only kd,crd --seeds 1 --runs /tmp/runs

Runs stay in the folder of --runs (default: target/catalogue): what is finished there is not run
again, and what was interrupted goes on. LIMBECK=.../limbeck is a built command.
"""

import argparse
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA = "/usr/share/datasets/fashion-mnist"
STUDENT = "resnet8"
COLOUR = "augment.channels=3"
# Model and settings of each teacher.
TEACHERS = {
    "resnet20": ("resnet20", []),
    "resnet20 in colour": ("resnet20", [COLOUR]),
    "vit_nano_patch4": (
        "vit_nano_patch4", ["optimizer.name=adamw", "schedule.warmup_epochs=1"],
    ),
}  # fmt: skip

# Settings that count epochs are cut to the short budget: a weight that takes 80 epochs to rise
# would never be there. What is set here is said on the page.
ONE_EPOCH = "method.{}.rampup_epochs=1"
GROUPS = [
    ("Labels alone", [
        ("byot", None, []),
        ("cskd", None, []),
        ("ddgsd", None, []),
        ("dlb", None, []),
        ("drg", None, []),
        ("dsr", None, []),
        ("pskd", None, []),
        ("tfkd", None, []),
        ("zipf", None, []),
    ]),
    ("A teacher's logits", [
        ("kd", "resnet20", []),
        ("dkd", "resnet20", ["method.dkd.warmup_epochs=1"]),
    ]),
    ("A teacher's features", [
        ("at", "resnet20", []),
        ("crd", "resnet20", []),
        ("dpk", "resnet20", []),
        ("fitnet", "resnet20", []),
        ("fitnet", "resnet20", ["method.fitnet.hint_share=0.34"]),
        ("hints", "resnet20", []),
        ("mgram", "resnet20", []),
        ("reviewkd", "resnet20", ["method.reviewkd.warmup_epochs=1"]),
        ("rkd", "resnet20", []),
        ("rkd", "resnet20", [
            "method.rkd.ce_weight=0", "method.rkd.distance_weight=1", "method.rkd.angle_weight=2",
            "method.rkd.triplet_weight=1", "method.rkd.images_per_class=4",
            "data.batch=40", "train.choose_by=recall",
        ]),
        ("rtk", "resnet20", []),
        ("rtk", "resnet20", ["method.rtk.attention=afd"]),
        ("sharedhead", "resnet20", []),
        ("sharedhead", "resnet20", [
            "method.sharedhead.form=student_head", "method.sharedhead.teacher_model=resnet20",
        ]),
        ("tat", "resnet20", []),
        ("cakd", "vit_nano_patch4", ["method.cakd.ramp_start=1", "train.clip_norm=5"]),
    ]),
    ("Several networks", [
        ("dml", None, []),
        ("ffl", None, [ONE_EPOCH.format("ffl")]),
        ("kdcl", None, []),
        ("mfef", None, [ONE_EPOCH.format("mfef")]),
        ("okddip", None, [ONE_EPOCH.format("okddip")]),
        ("one", None, [ONE_EPOCH.format("one")]),
    ]),
    ("Several stages", [
        ("hssakd", "resnet20", []),
        ("pixeldistill", "resnet20", ["augment.size=[14, 14]"]),
        ("pixeldistill", "resnet20", [
            "method.pixeldistill.form=two_stage", "augment.size=[14, 14]", "train.clip_norm=5",
        ]),
        ("sskd", "resnet20", []),
        ("tst", "resnet20 in colour", [COLOUR]),
        ("wtakd", "resnet20", ["method.wtakd.assistants=resnet14+resnet8"]),
        ("wtakd", "resnet20", [
            "method.wtakd.form=chain", "method.wtakd.assistants=resnet14",
        ]),
    ]),
]  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=DATA, help="(default: %(default)s)")
    parser.add_argument("--limit", type=int, default=6000, help="images (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--teacher-epochs", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--only", default="", help="methods, with commas between them")
    parser.add_argument("--note", default="", help="a sentence for the page, about the machine")
    parser.add_argument("--runs", default=os.path.join(ROOT, "target", "catalogue"))
    return parser.parse_args()


class Runner:
    def __init__(self, asked):
        self.asked = asked
        self.limbeck = os.environ.get("LIMBECK")
        if not self.limbeck:
            build = ["cargo", "build", "--release", "--workspace", "--bin", "limbeck"]
            subprocess.run(build, cwd=ROOT, check=True, stdout=sys.stderr)
            target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
            self.limbeck = os.path.join(target, "release", "limbeck")
        os.makedirs(asked.runs, exist_ok=True)

    def run(self, name, command):
        """The results of a run, from its folder where it is finished, or the error."""
        folder = os.path.join(self.asked.runs, name)
        results = os.path.join(folder, "results.json")
        if not os.path.exists(results):
            print(f"{name} ...", file=sys.stderr, flush=True)
            if os.path.exists(folder):
                command = ["resume", folder]
            else:
                command = command + ["--out", folder]
            done = subprocess.run(
                [self.limbeck, *command, "--quiet"], stderr=subprocess.PIPE, text=True
            )
            if done.returncode != 0:
                sys.exit(f"{name}: {' '.join(command)}\n{done.stderr}")
        with open(results) as file:
            return json.load(file)

    def budget(self, epochs):
        return ["--limit", str(self.asked.limit), "--epochs", str(epochs)]

    def teacher(self, name):
        model, settings = TEACHERS[name]
        command = ["train", self.asked.data, "--model", model, *assignments(settings)]
        return self.run(teacher_folder(name), command + self.budget(self.asked.teacher_epochs))

    def student(self, method, teacher, settings):
        command = ["distill", self.asked.data, "--student", STUDENT, "--method", method]
        command += ["--baseline", "--seeds", str(self.asked.seeds)]
        command += self.budget(self.asked.epochs)
        if teacher:
            command += ["--teacher", os.path.join(self.asked.runs, teacher_folder(teacher))]
        command += assignments(settings)
        name = "-".join([method, *(setting.split(".", 2)[-1] for setting in settings)])
        return self.run(re.sub("[^a-z0-9=._-]", "", name), command)


def assignments(settings):
    return [word for setting in settings for word in ("--set", setting)]


def teacher_folder(name):
    return "teacher-" + name.replace(" ", "-")


def mean(values):
    return sum(values) / len(values)


def score(test):
    """What the epoch was chosen by: the first measure."""
    return test["measures"][0]["value"]


def line(method, settings, results):
    shown = [setting.removeprefix(f"method.{method}.") for setting in settings]
    students, baselines = results["students"], results["baselines"]
    student = mean([score(seed["test"]) for seed in students])
    baseline = mean([score(seed["test"]) for seed in baselines])
    gain = results["gain"]
    interval = "" if gain["ci95"] is None else "{:+.1f} to {:+.1f}".format(*gain["ci95"])
    cost = sum(seed["seconds"] for seed in students) / sum(seed["seconds"] for seed in baselines)
    return [
        f"`{method}`",
        ", ".join(f"`{setting}`" for setting in shown),
        f"{student:.1f}",
        f"{baseline:.1f}",
        f"{gain['mean']:+.1f}",
        interval,
        f"{cost:.1f}",
    ]


def main():
    asked = arguments()
    runner = Runner(asked)
    only = set(filter(None, asked.only.split(",")))
    lines, seconds, rows = [], 0.0, []
    teachers = {}
    for title, methods in GROUPS:
        table = []
        for method, teacher, settings in methods:
            if only and method not in only:
                continue
            if teacher and teacher not in teachers:
                teachers[teacher] = runner.teacher(teacher)
                seconds += teachers[teacher]["seconds"]
            results = runner.student(method, teacher, settings)
            seconds += results["seconds"]
            rows.append((method, results))
            table.append(line(method, settings, results))
        if table:
            lines += ["", f"## {title}", ""]
            lines += ["| method | set | student | baseline | gain | 95 % interval | time |"]
            lines += ["| --- | --- | ---: | ---: | ---: | --- | ---: |"]
            lines += ["| " + " | ".join(cells) + " |" for cells in table]
    print("\n".join(heading(asked, teachers, rows, seconds) + lines))


def heading(asked, teachers, rows, seconds):
    results = rows[0][1]
    data, machine = results["data"], results["environment"]
    gains = [results["gain"] for _, results in rows if results["gain"]["ci95"]]
    above = sum(gain["ci95"][0] > 0 for gain in gains)
    below = sum(gain["ci95"][1] < 0 for gain in gains)
    taught = "; ".join(
        f"{model}, {results['student']['params'] / 1000:.0f} k parameters, "
        f"{score(results['students'][0]['test']):.1f} %"
        for model, results in teachers.items()
    )
    return [
        "# Every method beside its baseline",
        "",
        f"Made by `bench/catalogue.py > docs/RESULTS.md` in {seconds / 60:.0f} minutes of training "
        f"on {machine['cores']} cores ({machine['processor']}). {data['name']}, `--limit "
        f"{asked.limit}`: {data['train']} images to train, {data['validation']} to choose the "
        f"epoch, {data['test']} to test once. Student `{STUDENT}` "
        f"({results['student']['params'] / 1000:.0f} k parameters), {asked.epochs} epochs, "
        f"{asked.seeds} seeds; every gain is against a baseline with the same seeds, initial "
        f"weights, order of the data and epochs. Teachers, {asked.teacher_epochs} epochs: {taught}. "
        f"{asked.note}".rstrip(),
        "",
        f"Of {len(rows)} rows, {above} have an interval above zero, {below} below, and "
        f"{len(gains) - above - below} on both sides of it; one such interval in twenty misses by "
        f"chance. {asked.epochs} epochs on "
        f"{data['train']} images are a budget for finding what is broken, not for ranking methods: "
        "most weights of the papers are meant for 200 epochs and more. Settings are the methods' "
        "defaults, which are their authors'; the column *set* has the exceptions. `student` and "
        "`baseline` are means of top-1 (with `choose_by=recall`: Recall@1) in percent, *gain* is "
        "their paired difference in points with its 95 % interval over seeds, *time* is what all "
        "training of the method took, its stages and other networks included, over the baseline's "
        "in the same run.",
    ]


main()
