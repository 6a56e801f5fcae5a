"""What the pages of experiments share: runs that go on where they were, and tables in Markdown."""

import json
import os
import shlex
import subprocess
import sys

LIMBECK = os.environ.get("LIMBECK", "limbeck")


def run(runs, steps, finished):
    """Runs what is not there, and goes on with what was interrupted."""
    for name, arguments in steps:
        folder = os.path.join(runs, name)
        if finished(folder):
            continue
        again = os.path.isdir(folder)
        last = ["resume", name] if again else [*arguments, "--out", name]
        subprocess.run([LIMBECK, *last], check=True, cwd=runs, stdout=sys.stderr)


def fenced(lines):
    """Commands as a block of code."""
    return "```sh\n" + "\n".join("limbeck " + shlex.join(line) for line in lines) + "\n```"


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


def signed(value):
    return f"{value:+.1f}".replace("-", "−")


def span(interval):
    return f"{signed(interval[0])} to {signed(interval[1])}" if interval else ""


def mean(values):
    return sum(values) / len(values)


def test(results, side):
    """Mean over the seeds of what a run is judged by on the test part, of its `students` or `baselines`."""
    return mean([seed["test"]["measures"][0]["value"] for seed in results[side]])


def student_interval(values):
    """95 % interval of the mean of two to five values, by Student's t."""
    quantile = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}[len(values)]
    centre = mean(values)
    deviation = (sum((v - centre) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    half = quantile * deviation / len(values) ** 0.5
    return [centre - half, centre + half]


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows])
