#!/usr/bin/env python3
"""Detectors distilled and adapted beside their paired baselines on real pictures; one page in Markdown on
standard output:

    bench/detection.py --bccd DIR --photographs DIR --clipart DIR --runs DIR > docs/DETECTION.md

DIR of --bccd has BCCD as PASCAL VOC (205, 87 and 72 photographs of blood cells), those of --photographs and
--clipart pictures of cut-out objects of the same 7 classes with boxes. What is finished in the folder of --runs
is not run again, and what was interrupted goes on. LIMBECK=.../limbeck is a built command.
"""

import argparse
import os

from pages import fenced, mean, read, run, signed, span, table, test

SMALL = ["--set", "augment.size=[224,224]"]
METHODS = ["kd", "cwd", "fitnet"]
STUDENT = "yolov5n"
DOMAIN = ["--task", "detection", "--limit", "1000"]


def commands(bccd, photographs, clipart):
    """Name of the run's folder, and its arguments."""
    teacher = ["train", bccd, "--model", "yolov5s", "--epochs", "100", *SMALL]
    students = ["distill", bccd, "--teacher", "teacher", "--student", STUDENT]
    students += ["--method", ",".join(METHODS), "--baseline", "--seeds", "3", "--epochs", "60", *SMALL]
    adapted = ["distill", photographs, "--target", clipart, "--student", "yolov5n_x0.5"]
    adapted += ["--method", "ssdayolo", "--baseline", "--seeds", "3", "--epochs", "40", *DOMAIN]
    adapted += ["--set", "method.ssdayolo.pseudo_weight=0.05"]
    adapted += ["--set", "method.ssdayolo.consistency_weight=0.02"]
    bound = ["train", clipart, "--model", "yolov5n_x0.5", "--seeds", "3", "--epochs", "40", *DOMAIN]
    return [
        ("teacher", teacher),
        ("bccd", students),
        ("adapted", adapted),
        ("bound", bound),
    ]


def finished(folder):
    if os.path.exists(os.path.join(folder, "series.json")):
        return all(finished(os.path.join(folder, f"{method}-{STUDENT}")) for method in METHODS)
    return os.path.exists(os.path.join(folder, "results.json"))


def measure(results, side, name):
    """Mean over the seeds of one measure on the test part."""
    found = [
        next((m["value"] for m in seed["test"]["measures"] if m["name"] == name), float("nan"))
        for seed in results[side]
    ]
    return mean(found)


def row(results):
    gain = results["gain"]
    images = gain.get("resampled") or {}
    return [
        f"`{results['method']}`",
        f"{test(results, 'students'):.1f}",
        f"{test(results, 'baselines'):.1f}",
        f"{signed(gain['mean'])} ({span(gain['ci95'])})",
        span(images.get("ci95")),
        f"{measure(results, 'students', 'ap50'):.1f}",
        f"{measure(results, 'baselines', 'ap50'):.1f}",
    ]


def page(runs, steps):
    told = dict(steps)
    block = lambda *names: fenced([[*told[name], "--out", name] for name in names])
    of_bccd = [read(runs, "bccd", f"{m}-{STUDENT}", "results.json") for m in METHODS]
    of_bccd.sort(key=lambda results: -results["gain"]["mean"])
    first = of_bccd[0]
    teacher = {m["name"]: m["value"] for m in first["teacher"]["test"]["measures"]}
    heads = ["method", "student", "baseline", "gain (over seeds)", "over images", "AP50", "baseline"]
    print(f"""# Detectors on real pictures

Made by `bench/detection.py` with the commands below, on {first['environment']['threads']} threads of
{first['environment'].get('processor') or 'an unknown processor'} ({first['environment']['cores']} cores). AP over overlaps of 0.5 to 0.95
(COCO) in percent on the test part, means over three seeds; the gain is paired by seed, with its 95 % interval over
seeds and over the {first['gain']['resampled']['units']} test images.

## Blood cells

BCCD: 205 photographs to train, 87 to validate, 72 to test, at 224 pixels; red and white cells and platelets.
Teacher `{first['teacher']['name']}` from no weights: AP {teacher['ap']:.1f}, AP50 {teacher['ap50']:.1f}. Student
`{first['student']['name']}`, {first['student']['params'] / 1e6:.2f} M parameters to the teacher's
{first['teacher']['params'] / 1e6:.2f} M.

{block('teacher', 'bccd')}

{table(heads, map(row, of_bccd))}
""")
    domains(runs, block)


def domains(runs, block):
    adapted = read(runs, "adapted", "results.json")
    bound = read(runs, "bound", "results.json")
    rows = [
        [name, f"{test(found, side):.1f}", f"{measure(found, side, 'ap50'):.1f}"]
        for name, found, side in (
            ("photographs alone (lower bound)", adapted, "baselines"),
            ("`ssdayolo`", adapted, "students"),
            ("labels of the clip art (upper bound)", bound, "students"),
        )
    ]
    gain = adapted["gain"]
    precision = mean(
        [seed["epochs"][-1]["terms"]["pseudo_precision"] for seed in adapted["students"]]
    )
    print(f"""## From photographs to clip art

Cut-out objects on photographs, 128×128 pixels, 7 classes; the target shows clip art of the same classes on
patterns, and its labels are for testing alone. No drawing in the other style was trained for: `data.target.style`
is `fourier`.

{block('adapted', 'bound')}

{table(["", "AP", "AP50"], rows)}

`ssdayolo` over photographs alone: {signed(gain['mean'])} ({span(gain['ci95'])} over seeds,
{span((gain.get('resampled') or {}).get('ci95'))} over images). Of the teacher's boxes in the last epoch
{100 * precision:.0f} % lie on an object of their class.
""")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bccd", required=True)
    parser.add_argument("--photographs", required=True)
    parser.add_argument("--clipart", required=True)
    parser.add_argument("--runs", required=True)
    options = parser.parse_args()
    paths = (options.bccd, options.photographs, options.clipart)
    os.makedirs(options.runs, exist_ok=True)
    run(options.runs, commands(*map(os.path.abspath, paths)), finished)
    page(options.runs, commands("bccd", "photographs", "clipart"))


if __name__ == "__main__":
    main()
