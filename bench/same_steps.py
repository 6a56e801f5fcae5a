#!/usr/bin/env python3
"""The same steps by Limbeck and by PyTorch, number by number: nothing is left to chance.

    bench/same_steps.py --limbeck target/release/limbeck --out DIR

DIR is that of accuracy.py, whose images and teacher are taken. A student trains for some steps on images that all
fit into one batch, without augmentation, so that neither order nor crops are drawn; PyTorch's student (and what a
method trains besides) starts from the very weights that Limbeck drew. Losses of all steps and the way that the
weights have gone are compared: learning rates, gradients, momentum, decay of each kind of parameter, statistics of
batch norms, rising weights of methods, the normalisation of both networks. Prints a table in Markdown.

PyTorch runs in double precision: what is found is what single precision rounds, which grows with the steps, or a
fault.
"""

import argparse
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file

from accuracy import STUDENT, limbeck, read_teacher
from distilling import METHODS, Images, Learner, Normalisation, ResNet

# Of ReviewKD's fusions in Limbeck's names, which are its authors', and in ours.
FUSIONS = (("fusions.", "abfs."), ("narrow.", "conv1."), ("widen.", "conv2."), ("gates.", "att_conv."))
# A learning rate that changes nothing: what such a run ends with is what it began with.
STILL = "optimizer.learning_rate=1e-30"
SETTINGS = ("augment.pad_crop.pixels=0", "augment.flip=0")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of accuracy.py")
    parser.add_argument("--limbeck", type=pathlib.Path, required=True, help="a built command")
    parser.add_argument("--methods", default=",".join(METHODS), help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=100, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="(default: %(default)s)")
    return parser.parse_args()


def prepare(asked):
    """As many images of each class as fit, and a few to choose by and to test on, which runs want."""
    folder = asked.out / "steps" / "data"
    if not folder.exists():
        source = asked.out / "data"
        classes = sorted(path.name for path in (source / "train").iterdir())
        for part, count in (("train", asked.images // len(classes)), ("val", 5), ("test", 5)):
            for name in classes:
                (folder / part / name).mkdir(parents=True)
                for path in sorted((source / part / name).iterdir())[:count]:
                    shutil.copy(path, folder / part / name)
    return folder


def checkpoint(asked, folder, method, settings, name):
    """What a run of Limbeck leaves: its losses, and its tensors by member and name."""
    run = asked.out / "steps" / f"{method}-{name}"
    command = ["distill", folder, "--student", STUDENT[0], "--method", method, "--threads", "1", "--quiet"]
    command += ["--batch", str(asked.images), "--epochs", str(asked.steps)]
    if method != "none":
        command += ["--teacher", asked.out / "teacher"]
    for setting in (*SETTINGS, *METHODS[method].SETTINGS, *settings):
        command += ["--set", setting]
    limbeck(asked, run, command)
    job = run / "jobs" / "student-0"
    lines = (job / "metrics.jsonl").read_text().splitlines()
    members = {"student": {}, "method": {}}
    for key, value in load_file(job / "checkpoint.safetensors").items():
        kind, member, tensor = key.split("/", 2)
        if kind == "cast":
            members[member][tensor] = value.double()
    return [json.loads(line)["loss"] for line in lines], members


def theirs(name):
    """Limbeck's name of what PyTorch's method trains."""
    for ours, other in FUSIONS:
        name = name.replace(ours, other)
    return name


def start(network, tensors, name_of):
    """Trained weights from Limbeck's run; statistics of batch norms as they are before the first step."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(tensors[name_of(name)])


def compare(network, first, last, name_of):
    """The relative deviation of the way from the first to the last weights, and of the statistics."""
    state = network.state_dict()
    trained = dict(network.named_parameters())
    deviations = []
    for names in (trained, [name for name in state if "running" in name]):
        apart = way = 0.0
        for name in names:
            begin = first[name_of(name)] if name in trained else torch.zeros(())
            apart += (last[name_of(name)] - state[name]).pow(2).sum().item()
            way += (state[name] - begin).pow(2).sum().item()
        deviations.append((apart / way) ** 0.5 if way else 0.0)
    return deviations


def main():
    asked = arguments()
    folder = prepare(asked)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    images = Images(folder / "train")
    teacher = read_teacher(asked)
    normalisation = Normalisation.of(images)
    print("| method | loss, first step | last | greatest deviation | weights | of the method's own | statistics |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in asked.methods.split(","):
        _, first = checkpoint(asked, folder, name, [STILL], "still")
        losses, last = checkpoint(asked, folder, name, [], "moved")
        student, method = ResNet(STUDENT[1], len(images.classes)), METHODS[name]()
        start(student, first["student"], str)
        start(method, first["method"], theirs)
        learner = Learner(student, method, normalisation, None if name == "none" else teacher, asked.steps)
        found = [learner.learn(images.pixels, images.labels, step + 1) for step in range(asked.steps)]
        apart = max(abs(a - b) / abs(b) for a, b in zip(losses, found))
        weights, statistics = compare(student, first["student"], last["student"], str)
        own, _ = compare(method, first["method"], last["method"], theirs)
        print(
            f"| `{name}` | {found[0]:.5f} | {found[-1]:.5f} | {apart:.1e} | {weights:.1e} | "
            f"{f'{own:.1e}' if own else ''} | {statistics:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
