#!/usr/bin/env python3
"""TinyViT's layout of stored logits in plain Python and numpy: what `limbeck bench cache` is
compared with. Prints one JSON object.

One process on one thread. What is timed:

- Writing, from logits that are at hand: softmax and the K largest on a batch, then, record by
  record, the bytes of seed, classes and half-precision probabilities, a look whether the key was
  written before, and both files written to; at the end sync and move to their place. The released
  code does the same, but hands each record to a second process through a queue, which costs more
  than it saves, and does not sync, which costs next to nothing.
- Reading, in random order: the key looked up, seek and read, seed, classes and probabilities taken
  out of the bytes; then, batch by batch, the probabilities of all classes. Loading the keys is not
  timed.
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
    names = ("rank0-keys.txt", "rank0-values.bin")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        paths = [os.path.join(partial, name) for name in names]
        with open(paths[0], "w") as keys, open(paths[1], "wb") as values:
            written = set()
            for first in range(0, records, batch):
                count = min(batch, records - first)
                seeds = np.arange(first, first + count, dtype=np.int32)
                of_batch = zip(seeds, *encode(logits[:count], topk))
                for number, (seed, classes, probabilities) in enumerate(of_batch, first):
                    record = seed.tobytes() + classes.tobytes() + probabilities.tobytes()
                    key = str(number)
                    if key in written:
                        continue
                    written.add(key)
                    keys.write(key + "\n")
                    values.write(record)
            for file in (keys, values):
                file.flush()
                os.fsync(file.fileno())
        for name, path in zip(names, paths):
            os.rename(path, os.path.join(folder, name))
    return time.perf_counter() - start


def decode(classes, probabilities, count):
    """Probabilities [B, C] of all `count` classes from those of K."""
    probabilities = np.stack(probabilities).astype(np.float32)
    rest = 1 - probabilities.sum(axis=1, keepdims=True)
    targets = np.repeat(rest / (count - probabilities.shape[1]), count, axis=1)
    np.put_along_axis(targets, np.stack(classes).astype(np.int64), probabilities, axis=1)
    return targets


def read(folder, records, classes, batch, topk):
    """Seconds for as many random reads as there are records."""
    with open(os.path.join(folder, "rank0-keys.txt")) as keys:
        place = {line.rstrip("\n"): number for number, line in enumerate(keys)}
    wanted = [str(key) for key in np.random.default_rng(1).integers(0, records, records)]
    size = 4 + 4 * topk
    with open(os.path.join(folder, "rank0-values.bin"), "rb") as file:
        start = time.perf_counter()
        for first in range(0, records, batch):
            seeds, indices, values = [], [], []
            for key in wanted[first : first + batch]:
                file.seek(place[key] * size)
                record = file.read(size)
                seeds.append(int.from_bytes(record[:4], "little"))
                indices.append(np.frombuffer(record, np.int16, topk, 4))
                values.append(np.frombuffer(record, np.float16, topk, 4 + 2 * topk))
            decode(indices, values, classes)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topk", type=int, default=10)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--records", type=int, default=131072)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    logits = rows(asked.batch, asked.classes)
    written, read_ = [], []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as folder:
            written.append(write(folder, asked.records, logits, asked.batch, asked.topk))
            read_.append(read(folder, asked.records, asked.classes, asked.batch, asked.topk))
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
