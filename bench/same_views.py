#!/usr/bin/env python3
"""What augmentation does to images, by Limbeck and by PyTorch, as a trained network sees it.

    bench/same_views.py --limbeck target/release/limbeck --out DIR

DIR is that of accuracy.py, whose images are taken. A network that Limbeck has trained on a few of them as they are,
until it knows them by heart, looks at them once an epoch with weights that stay (a learning rate of nearly 0) and
batch norms in training mode. Crops, mirroring and the order are drawn, so that the mean loss of an epoch is a sample;
both sides' means must agree within their error, which is small next to what augmentation costs such a network.
Prints a table in Markdown.
"""

import argparse
import pathlib
import statistics

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from accuracy import COMMON, STUDENT, compared, limbeck
from distilling import BATCH, Images, Normalisation, ResNet, varied
from same_steps import PLAIN, STILL, few, losses_of


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of accuracy.py")
    parser.add_argument("--limbeck", type=pathlib.Path, required=True, help="a built command")
    parser.add_argument("--images", type=int, default=500, help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=12, help="(default: %(default)s)")
    return parser.parse_args()


def learnt_by_heart(asked, views):
    """The weights."""
    run = views / "by-heart"
    command = ["train", views / "data", "--model", STUDENT[0], *COMMON]
    command += ["--epochs", "20", "--batch", "25"]
    for setting in PLAIN:
        command += ["--set", setting]
    limbeck(asked, run, command)
    return run / "student" / "model.safetensors"


def ours(asked, views, weights, name, settings):
    """Limbeck's mean loss of each epoch, as its log has it."""
    run = views / name.replace(" ", "-")
    command = ["distill", views / "data", "--student", STUDENT[0], "--method", "none", *COMMON]
    command += ["--weights", weights, "--epochs", str(asked.epochs), "--set", STILL]
    for setting in settings:
        command += ["--set", setting]
    limbeck(asked, run, command)
    return losses_of(run)


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
    views = asked.out / f"views-{asked.images}x{asked.epochs}"
    few(asked.out / "data", views / "data", asked.images)
    weights = learnt_by_heart(asked, views)
    images = Images(views / "data" / "train")
    normalisation = Normalisation.of(images)
    print("| views | epochs | Limbeck | PyTorch | difference | agrees |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, vary, settings in (("cropped and mirrored", True, ()), ("plain", False, PLAIN)):
        both = [
            ours(asked, views, weights, name, settings),
            others(asked, weights, images, normalisation, vary),
        ]
        show = lambda values: f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
        print(compared(name, asked.epochs, *both, show, digits=4), flush=True)


if __name__ == "__main__":
    main()
