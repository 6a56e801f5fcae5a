#!/usr/bin/env python3
"""The same steps by Limbeck and by PyTorch, number by number: nothing is left to chance.

    bench/same_steps.py --limbeck target/release/limbeck --out DIR

DIR is that of accuracy.py, whose images and teacher are taken. A student trains for some steps on images that all
fit into one batch, without augmentation, so that neither order nor crops are drawn; PyTorch's student (and what a
method trains besides) starts from the very weights that Limbeck drew. Losses of all steps and the way that the
weights have gone are compared: learning rates, gradients, momentum, decay of each kind of parameter, statistics of
batch norms, rising weights of methods, the normalisation of both networks. Prints a table in Markdown.

Both sides run in single precision. Rounding grows with the steps, faster the steeper the loss; beside each deviation
stands by how much PyTorch in single precision deviates from itself in double precision: a fault would stand out.
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
# Images as they are.
PLAIN = ("augment.pad_crop.pixels=0", "augment.flip=0")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of accuracy.py")
    parser.add_argument("--limbeck", type=pathlib.Path, required=True, help="a built command")
    parser.add_argument("--methods", default=",".join(METHODS), help="(default: %(default)s)")
    parser.add_argument("--images", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="(default: %(default)s)")
    asked = parser.parse_args()
    asked.steps_folder = asked.out / f"steps-{asked.images}x{asked.steps}"
    return asked


def few(source, folder, images):
    """As many images of each class as fit, and a few to choose by and to test on, which runs want."""
    if folder.exists():
        return
    classes = sorted(path.name for path in (source / "train").iterdir())
    for part, count in (("train", images // len(classes)), ("val", 5), ("test", 5)):
        for name in classes:
            (folder / part / name).mkdir(parents=True)
            for path in sorted((source / part / name).iterdir())[:count]:
                shutil.copy(path, folder / part / name)


def checkpoint(asked, folder, method, settings, name):
    """What a run of Limbeck leaves: its losses, and its tensors by member and name."""
    run = asked.steps_folder / f"{method}-{name}"
    command = ["distill", folder, "--student", STUDENT[0], "--method", method, "--threads", "1", "--quiet"]
    command += ["--batch", str(asked.images), "--epochs", str(asked.steps)]
    if method != "none":
        command += ["--teacher", asked.out / "teacher"]
    for setting in (*PLAIN, *METHODS[method].SETTINGS, *settings):
        command += ["--set", setting]
    limbeck(asked, run, command)
    members = {"student": {}, "method": {}}
    for key, value in load_file(run / "jobs" / "student-0" / "checkpoint.safetensors").items():
        kind, member, tensor = key.split("/", 2)
        if kind == "cast":
            members[member][tensor] = value.double()
    return losses_of(run), members


def losses_of(run):
    """The loss of each epoch of Limbeck's run, as its log has it."""
    lines = (run / "jobs" / "student-0" / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


def theirs(name):
    """Limbeck's name of what PyTorch's method trains."""
    for ours, other in FUSIONS:
        name = name.replace(ours, other)
    return name


def start(network, tensors, name_of):
    """Trained weights from Limbeck's run; statistics of batch norms are as before the first step by themselves."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(tensors[name_of(name)])


def walk(asked, folder, name, first, dtype):
    """PyTorch's steps in this precision: losses, and tensors by member and Limbeck's name."""
    torch.set_default_dtype(dtype)
    images = Images(folder / "train")
    student, method = ResNet(STUDENT[1], len(images.classes)), METHODS[name]()
    start(student, first["student"], str)
    start(method, first["method"], theirs)
    teacher = None if name == "none" else read_teacher(asked)
    learner = Learner(student, method, Normalisation.of(images), teacher, asked.steps)
    losses = [learner.learn(images.pixels, images.labels, step + 1) for step in range(asked.steps)]
    members = {
        "student": {key: value.double() for key, value in student.state_dict().items()},
        "method": {theirs(key): value.double() for key, value in method.state_dict().items()},
    }
    return losses, members


def spread_of_first(tensors):
    """Root mean squares of Limbeck's convolutions as they are drawn, over those of a student that PyTorch draws."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    drawn = ResNet(STUDENT[1], len(tensors["fc.bias"])).state_dict()
    names = [name for name, value in drawn.items() if value.dim() == 4 and value.numel() > 2000]
    return [(tensors[name].pow(2).mean() / drawn[name].pow(2).mean()).sqrt().item() for name in names]


def apart(first, found, expected):
    """Relative deviations from what is expected: the greatest of the losses; of the way that all weights have gone;
    of the statistics of batch norms."""
    (losses, members), (right_losses, right) = found, expected
    loss = max(abs(a - b) / abs(b) for a, b in zip(losses, right_losses))
    sums = {"weights": [0.0, 0.0], "statistics": [0.0, 0.0]}
    for member, tensors in right.items():
        for name, value in tensors.items():
            if "num_batches" in name:
                continue
            is_statistic = "running" in name
            begin = float(name.endswith("var")) if is_statistic else first[member][name]
            squares = sums["statistics" if is_statistic else "weights"]
            squares[0] += (members[member][name] - value).pow(2).sum().item()
            squares[1] += (value - begin).pow(2).sum().item()
    return [loss, *((apart / way) ** 0.5 for apart, way in sums.values())]


def main():
    asked = arguments()
    folder = asked.steps_folder / "data"
    few(asked.out / "data", folder, asked.images)
    torch.set_num_threads(1)
    print("| method | loss, first step | last | losses (rounding) | weights (rounding) | statistics (rounding) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    ratios = []
    for name in asked.methods.split(","):
        _, first = checkpoint(asked, folder, name, [STILL], "still")
        exact = walk(asked, folder, name, first, torch.float64)
        single = walk(asked, folder, name, first, torch.float32)
        ours = apart(first, checkpoint(asked, folder, name, [], "moved"), single)
        rounding = apart(first, single, exact)
        if name == "none":
            ratios = spread_of_first(first["student"])
        cells = [f"{exact[0][0]:.5f}", f"{exact[0][-1]:.5f}"]
        cells += [f"{our:.1e} ({rounded:.1e})" for our, rounded in zip(ours, rounding)]
        print(f"| `{name}` | " + " | ".join(cells) + " |", flush=True)
    if ratios:
        print(f"\nInitial convolutions, Limbeck's spread over PyTorch's: {min(ratios):.3f} to {max(ratios):.3f}")


if __name__ == "__main__":
    main()
