"""A row of the table: what each round found on both sides."""

import math
import statistics


class Row:
    """One comparison: what each round found on both sides."""

    def __init__(self, name, target=None, unit=""):
        self.name, self.target, self.unit = name, target, unit
        self.ours, self.theirs = [], []
        # What ours would take at the machine's limit, where a profile tells it.
        self.limits = []

    def values(self):
        return statistics.median(self.ours), statistics.median(self.theirs)

    def limit(self):
        return statistics.median(self.limits) if self.limits else None


class Mean:
    """The geometric mean of rows, which is what a target is about."""

    def __init__(self, name, target, rows):
        self.name, self.target, self.unit, self.rows = name, target, "", rows

    def limit(self):
        return None

    def values(self):
        pairs = [row.values() for row in self.rows]
        return tuple(
            math.exp(statistics.mean(math.log(value) for value in side)) for side in zip(*pairs)
        )


def in_turn(number, ours, theirs):
    """Both sides, the other one first in every other round."""
    if number % 2:
        peer = theirs()
        return ours(), peer
    return ours(), theirs()
