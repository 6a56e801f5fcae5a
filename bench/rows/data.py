"""Reading of images, with masks or without."""

import os
import statistics
import subprocess
import sys
import tempfile

from .row import Row, in_turn
from .runner import HERE


class Pairs:
    """Reading and varying of images with masks, next to torchvision v2 (data.py)."""

    WORKERS = (1, 2)

    def __init__(self):
        name = "images with masks: decoded, scaled, cropped, flipped, normalised (360x360, workers: {}), each"
        self.rows_of = {workers: Row(name.format(workers), 1.0) for workers in self.WORKERS}

    def round(self, runner, number):
        for workers, row in self.rows_of.items():
            options = [runner.asked.pairs, "--size", "360x360", "--batch", "8"]
            options += ["--workers", str(workers), "--runs", str(runner.asked.runs)]
            ours = [runner.asked.limbeck, "bench", "data", *options, "--json"]
            theirs = [sys.executable, os.path.join(HERE, "data.py"), *options]
            found, peer = in_turn(number, lambda: runner.start(ours), lambda: runner.start(theirs))
            runner.machine = found["machine"]
            runner.peaks.append(runner.machine["peak_gflops"])
            # The first reading of each image: later ones find it decoded.
            row.ours.append(1e3 / found["first_per_second"])
            row.theirs.append(1e3 / peer["images_per_second"])

    def rows(self):
        return list(self.rows_of.values())


class Pictures:
    """Reading and varying of JPEG files of 500x375, next to torchvision v2's faster way (data.py)."""

    WORKERS = (0, 1)
    READ = {"tensor": "decode_image", "pil": "Pillow"}

    def __init__(self):
        name = "JPEG 500x375: decoded, cropped to 224x224 at random, flipped, normalised ({}), each"
        places = {0: "in the one thread", 1: "workers: 1"}
        self.rows_of = {
            workers: Row(name.format(places[workers]), 0.67) for workers in self.WORKERS
        }
        self.plain, self.faster, self.kilobytes = [], set(), 0
        self.folder = tempfile.TemporaryDirectory()

    def round(self, runner, number):
        script = os.path.join(HERE, "data.py")
        folder = self.folder.name
        if number == 0:
            command = [sys.executable, script, folder, "--make", runner.asked.pictures]
            subprocess.run(command, check=True)
            sizes = [os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(folder) for file in files]
            if not sizes:
                sys.exit(f"there are no *.jpg below {runner.asked.pictures}")
            self.kilobytes = statistics.mean(sizes) / 1000
        for workers, row in self.rows_of.items():
            options = [folder, "--size", "224x224", "--batch", "32"]
            options += ["--workers", str(workers), "--runs", str(runner.asked.runs)]
            ours = [runner.asked.limbeck, "bench", "data", *options, "--json"]
            theirs = [sys.executable, script, *options]

            def run_theirs():
                found = {
                    name: runner.start([*theirs, "--read", read], environment=runner.peer_environment)
                    for read, name in self.READ.items()
                }
                name = max(found, key=lambda name: found[name]["images_per_second"])
                self.faster.add(name)
                return found[name]

            found, peer = in_turn(number, lambda: runner.start(ours), run_theirs)
            runner.machine = found["machine"]
            runner.peaks.append(runner.machine["peak_gflops"])
            runner.peer_versions = peer["torch"], peer["python"]
            # The first reading of each image: later ones find it decoded.
            row.ours.append(1e3 / found["first_per_second"])
            row.theirs.append(1e3 / peer["images_per_second"])
            self.plain.append(1e3 / found["image_crate_per_second"])

    def rows(self):
        return list(self.rows_of.values())
