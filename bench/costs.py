#!/usr/bin/env python3
"""Time and memory of each method's training step, as multiples of the baseline's with the same
student; the table that `limbeck methods` shows, on standard output:

    bench/costs.py > crates/limbeck/src/command/costs.toml
    bench/costs.py --only kd,crd

Each method is a process of its own, right after one of the baseline. Times are medians of whole
steps, memory is the most that the process holds for them. LIMBECK=".../limbeck" is a built command,
words before it are allowed.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STUDENT = "resnet8x4"
TEACHER = "resnet32x4"
# Teachers of methods that take no residual network.
TEACHERS = {"cakd": "vit_micro"}
# Settings without which a method has nothing to do.
SETTINGS = {}


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="methods, with commas between them")
    parser.add_argument("--batch", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--classes", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="(default: %(default)s)")
    return parser.parse_args()


def command():
    given = os.environ.get("LIMBECK")
    if given:
        return shlex.split(given)
    build = ["cargo", "build", "--release", "--workspace", "--bin", "limbeck"]
    subprocess.run(build, cwd=ROOT, check=True, stdout=sys.stderr)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return [os.path.join(target, "release", "limbeck")]


def ask(words):
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)


def main():
    asked = arguments()
    limbeck = command()
    shape = ["--batch", asked.batch, "--classes", asked.classes, "--runs", asked.runs]

    def step(method, teacher, settings):
        pair = ["--teacher", teacher, "--student", STUDENT, "--method", method]
        sets = [word for setting in settings for word in ("--set", setting)]
        words = [*limbeck, "bench", "step", "--json", *pair, *sets, *map(str, shape)]
        print(method, "...", file=sys.stderr, flush=True)
        found = ask(words)
        return found["step_ms"], found["step_memory_bytes"], found

    names = [entry["name"] for entry in ask([*limbeck, "methods", "--json"])]
    if asked.only:
        names = [name for name in names if name in asked.only.split(",")]
    print("# Made by bench/costs.py: do not edit. Multiples of the baseline's step.")
    print(f'student = "{STUDENT}"')
    print(f'teacher = "{TEACHER}"')
    print(f"batch = {asked.batch}")
    print(f"classes = {asked.classes}")
    print("input = [3, 32, 32]")
    for name in names:
        teacher = TEACHERS.get(name, TEACHER)
        base_ms, base_memory, _ = step("none", teacher, [])
        if name == "none":
            ms, memory, found = base_ms, base_memory, {"set": []}
        else:
            ms, memory, found = step(name, teacher, SETTINGS.get(name, []))
        print(f"\n[methods.{name}]")
        print(f"step = {ms / base_ms:.2f}")
        print(f"memory = {memory / base_memory:.2f}")
        if name in TEACHERS:
            print(f'teacher = "{teacher}"')
        if found["set"]:
            print(f"set = {json.dumps(found['set'])}")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
