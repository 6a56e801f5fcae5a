#!/usr/bin/env python3
"""What augmentation does to images, by Limbeck and by PyTorch, as a trained network sees it.

    bench/same_views.py --limbeck target/release/limbeck --out DIR

DIR is that of accuracy.py. Its first student of `none` looks at the training images once an epoch, with weights
that stay (a learning rate of nearly 0) and batch norms in training mode. Crops, mirroring, normalisation and the
order of images are drawn, so that the mean loss of an epoch is a sample; both sides' means must agree within their
error, which is small next to what augmentation costs at all. Prints a table in Markdown.
"""

import argparse
import json
import pathlib
import statistics

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from accuracy import COMMON, STUDENT, compared, limbeck
from distilling import BATCH, Images, Normalisation, ResNet, varied
from same_steps import STILL


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of accuracy.py")
    parser.add_argument("--limbeck", type=pathlib.Path, required=True, help="a built command")
    parser.add_argument("--epochs", type=int, default=8, help="(default: %(default)s)")
    return parser.parse_args()


def ours(asked, weights, name, settings):
    """Limbeck's mean loss of each epoch, as its log has it."""
    run = asked.out / f"views-{name}-{asked.epochs}"
    command = ["distill", asked.out / "data", "--student", STUDENT[0], "--method", "none", *COMMON]
    command += ["--weights", weights, "--epochs", str(asked.epochs), "--set", STILL]
    for setting in settings:
        command += ["--set", setting]
    limbeck(asked, run, command)
    lines = (run / "jobs" / "student-0" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@torch.no_grad()
def others(asked, weights, images, normalisation, vary):
    """PyTorch's."""
    tensors = load_file(weights)
    network = ResNet(STUDENT[1], len(images.classes))
    network.load_state_dict(tensors)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(asked.epochs):
        order = torch.randperm(len(images), generator=generator)
        batches = order[: len(images) // BATCH * BATCH].split(BATCH)
        found = []
        for batch in batches:
            pixels = images.pixels[batch]
            pixels = varied(pixels, generator) if vary else pixels
            logits = network(normalisation(pixels))["logits"]
            found.append(F.cross_entropy(logits, images.labels[batch]).item())
        losses.append(statistics.mean(found))
    return losses


def main():
    asked = arguments()
    torch.set_num_threads(1)
    weights = asked.out / "limbeck" / "none-0" / "student" / "model.safetensors"
    images = Images(asked.out / "data" / "train")
    normalisation = Normalisation.of(images)
    print("| views | epochs | Limbeck | PyTorch | difference | agrees |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    kinds = {
        "cropped and mirrored": (True, []),
        "plain": (False, ["augment.pad_crop.pixels=0", "augment.flip=0"]),
    }
    for name, (vary, settings) in kinds.items():
        both = [
            ours(asked, weights, name.split()[0], settings),
            others(asked, weights, images, normalisation, vary),
        ]
        show = lambda values: f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
        print(compared(name, asked.epochs, *both, show, digits=4), flush=True)


if __name__ == "__main__":
    main()
