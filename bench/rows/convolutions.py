"""Convolutions."""

import json

from .row import Mean, Row, in_turn

PARTS = ("forward", "input_gradient", "weight_gradient")


class Convolutions:
    """All convolutions and their gradients; those of torch_step.py as it measures them."""

    def __init__(self):
        self.rows_of = {}

    def round(self, runner, number):
        ours, theirs = {}, {}

        def run_ours():
            found = runner.ours(["conv"], runner.asked.runs)["convolutions"]
            ours.update((case["name"], case) for case in found)
            self.cases = found

        def run_theirs():
            if runner.asked.torch_step:
                found = runner.torch_step("conv")["conv_ms"]
                for name, times in found.items():
                    theirs[name] = {f"{part}_ms": ms for part, ms in times.items()}
            rest = [case for case in self.cases if case["name"] not in theirs]
            found = runner.theirs(["conv"], runner.asked.runs, json.dumps(rest))
            theirs.update((case["name"], case) for case in found["convolutions"])

        if number == 0:
            # The cases are ours, so that both sides compute the same.
            run_ours()
            run_theirs()
        else:
            in_turn(number, run_ours, run_theirs)
        for name, case in ours.items():
            rows = self.rows_of.setdefault(
                name, [Row(f"{name}, {part.replace('_', ' ')}") for part in PARTS]
            )
            for row, part in zip(rows, PARTS):
                row.ours.append(case[f"{part}_ms"])
                row.theirs.append(theirs[name][f"{part}_ms"])

    def rows(self):
        plain = [
            case["name"]
            for case in self.cases
            if (case["kernel"], case["stride"], case["groups"]) == (3, 1, 1)
        ]
        rows = [row for name in plain for row in self.rows_of[name]]
        rows.append(Mean("3x3 convolutions, geometric mean", 1.0, rows[:]))
        for name in self.rows_of:
            if name not in plain:
                parts = self.rows_of[name]
                rows += [*parts, Mean(f"{name}, geometric mean", 1.2, parts)]
        return rows
