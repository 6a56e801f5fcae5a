#!/usr/bin/env python3
"""Time and memory of each method's training step, as multiples of the baseline's with the same
student; the table that `limbeck methods` shows, on standard output:

    bench/costs.py > crates/limbeck/src/command/costs.toml
    bench/costs.py --only kd,crd

In each round a method is a process of its own, right after one of the baseline, and their ratio is
taken: what disturbs the machine for longer disturbs both. The table has the median of the rounds and,
of the time, the least and the greatest: between rounds ratios differ by more than their second digit
on a machine that does other work. LIMBECK=".../limbeck" is a built command,
words before it are allowed.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# The pair of docs/RESULTS.md, small enough to be done in a few minutes.
STUDENT = "resnet8"
TEACHER = "resnet20"
# Teachers of methods that take no residual network.
TEACHERS = {"cakd": "vit_nano"}
# Methods that take no such student: their step is not to be told in its multiples.
LEFT_OUT = ["wecolora"]


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="methods, with commas between them")
    parser.add_argument("--batch", type=int, default=64, help="(default: %(default)s)")
    parser.add_argument("--classes", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")
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

    def step(method, teacher):
        pair = ["--teacher", teacher, "--student", STUDENT, "--method", method]
        print(method, "...", file=sys.stderr, flush=True)
        found = ask([*limbeck, "bench", "step", "--json", *pair, *map(str, shape)])
        return found["step_ms"], found["step_memory_bytes"]

    names = [entry["name"] for entry in ask([*limbeck, "methods", "--json"])]
    names = [name for name in names if name not in LEFT_OUT]
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
        times, memories = [1.0], [1.0]
        if name != "none":
            rounds = [(step("none", teacher), step(name, teacher)) for _ in range(asked.rounds)]
            times = [own[0] / base[0] for base, own in rounds]
            memories = [own[1] / base[1] for base, own in rounds]
        print(f"\n[methods.{name}]")
        print(f"step = {statistics.median(times):.2f}")
        print(f"step_range = [{min(times):.2f}, {max(times):.2f}]")
        print(f"memory = {statistics.median(memories):.2f}")
        if name in TEACHERS:
            print(f'teacher = "{teacher}"')
        sys.stdout.flush()


if __name__ == "__main__":
    main()
