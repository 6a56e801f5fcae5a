#!/usr/bin/env python3
"""TinyViT's layout of stored logits in plain Python and numpy: what `limbeck bench cache` is
compared with. Prints one JSON object.

One process, as each of TinyViT's writers is. From logits that are at hand to files that are on the
disk; then records in random order, decoded to the probabilities of all classes.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np


def rows(count, classes):
    """Made-up logits [count, classes]."""
    return np.random.default_rng(0).normal(0, 3, (count, classes)).astype(np.float32)


def encode(logits, topk):
    """Classes [B, K] by descending probability and their probabilities [B, K], as stored."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    largest = np.argpartition(probabilities, -topk, axis=1)[:, -topk:]
    values = np.take_along_axis(probabilities, largest, axis=1)
    order = np.argsort(-values, axis=1)
    classes = np.take_along_axis(largest, order, axis=1).astype(np.int16)
    return classes, np.take_along_axis(values, order, axis=1).astype(np.float16)


def write(folder, records, logits, batch, topk):
    """Seconds."""
    paths = [os.path.join(folder, name) for name in ("rank0-keys.txt", "rank0-values.bin")]
    start = time.perf_counter()
    with open(paths[0], "w") as keys, open(paths[1], "wb") as values:
        for first in range(0, records, batch):
            classes, probabilities = encode(logits[: min(batch, records - first)], topk)
            for row in range(len(classes)):
                seed = np.int32(first + row)
                keys.write(f"{first + row}\n")
                record = seed.tobytes() + classes[row].tobytes() + probabilities[row].tobytes()
                values.write(record)
        for file in (keys, values):
            file.flush()
            os.fsync(file.fileno())
    return time.perf_counter() - start


def read(folder, records, classes, topk):
    """Seconds for as many random reads as there are records."""
    with open(os.path.join(folder, "rank0-keys.txt")) as keys:
        place = {line.rstrip("\n"): number for number, line in enumerate(keys)}
    wanted = [str(key) for key in np.random.default_rng(1).integers(0, records, records)]
    size = 4 + 4 * topk
    with open(os.path.join(folder, "rank0-values.bin"), "rb") as file:
        start = time.perf_counter()
        for key in wanted:
            file.seek(place[key] * size)
            record = file.read(size)
            indices = np.frombuffer(record, np.int16, topk, 4)
            values = np.frombuffer(record, np.float16, topk, 4 + 2 * topk).astype(np.float32)
            target = np.full(classes, (1 - values.sum()) / (classes - topk), np.float32)
            target[indices] = values
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topk", type=int, default=10)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--records", type=int, default=16384)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    logits = rows(asked.batch, asked.classes)
    written, read_ = [], []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as folder:
            written.append(write(folder, asked.records, logits, asked.batch, asked.topk))
            read_.append(read(folder, asked.records, asked.classes, asked.topk))
            size = os.path.getsize(os.path.join(folder, "rank0-values.bin"))
    found = {
        "written_per_second": asked.records / statistics.median(written),
        "read_per_second": asked.records / statistics.median(read_),
        "bytes_per_view": size / asked.records,
        "python": sys.version.split()[0],
        "numpy": np.__version__,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
