#!/usr/bin/env python3
"""PyTorch doing what `limbeck bench` measures: eager, NCHW, f32. Prints one JSON object.

peer.py conv < CASES       forward, input gradient and weight gradient of each convolution; CASES
                           is the list `convolutions` of `limbeck bench conv --json`
peer.py inference NETWORK  forward pass in evaluation mode without gradients
peer.py training NETWORK   cross entropy, backward pass, update; of networks that segment the cross
                           entropy of pixels at the images' size, 0.4 times that of an auxiliary head;
                           detectors learn cells of zeros
peer.py masked METHOD      a step of pre-training by masked autoencoding, such as `dmae-authors` (masked.py)
peer.py neighbours         the nearest among embeddings: product and selection
peer.py suppression SCENE   non-maximum suppression, such as `usual` (boxes.py); needs torchvision
peer.py precision           average precision by pycocotools (boxes.py)
peer.py terms METHOD       terms of a method that compares networks that segment, and their gradients
peer.py losses              losses of the catalogue's criteria (losses/), forward and backward
peer.py step               distillation resnet32x4 -> resnet8x4 with the KD loss
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

from boxes import precision, suppression
from detectors import DETECTION, cells_loss
from losses import LOSSES
from masked import MASKED_METHODS, SIDE
from networks import NETWORKS, SEGMENTATION
from sizes import BANK, NEIGHBOURS, PRECISION, QUERIES, SUPPRESSION, WIDTH
from terms import TERMS

LONG_MS = 1000
KINDS = (
    "conv", "inference", "training", "masked", "neighbours", "suppression", "precision", "terms", "losses",
    "step",
)


class Stopwatch:
    """As Limbeck's: every timed run follows one that is not timed, unless runs are long."""

    def __init__(self):
        self.times = []

    def measure(self, work):
        if not self.times or self.times[-1] < LONG_MS:
            work()
        start = time.perf_counter()
        work()
        self.times.append((time.perf_counter() - start) * 1e3)

    def median(self):
        return statistics.median(self.times)


def peak_memory():
    """Most bytes that this process has held, as far as the system tells it."""
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def convolutions(runs):
    cases = json.load(sys.stdin)
    watches = [[Stopwatch() for _ in range(3)] for _ in cases]
    for _ in range(runs):
        for case, (forward, input_gradient, weight_gradient) in zip(cases, watches):
            stride, padding, groups = case["stride"], case["padding"], case["groups"]
            x = torch.randn(case["input"])
            kernel = [case["outputs"], case["input"][1] // groups] + 2 * [case["kernel"]]
            weight = torch.randn(kernel)

            def run():
                return F.conv2d(x, weight, None, stride, padding, 1, groups)

            gradient = torch.randn_like(run())

            def backward(of_input, of_weight):
                torch.ops.aten.convolution_backward(
                    gradient, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False,
                    [0, 0], groups, [of_input, of_weight, False],
                )

            forward.measure(run)
            input_gradient.measure(lambda: backward(True, False))
            weight_gradient.measure(lambda: backward(False, True))
    parts = ("forward_ms", "input_gradient_ms", "weight_gradient_ms")
    return {
        "convolutions": [
            {"name": case["name"], **{part: w.median() for part, w in zip(parts, three)}}
            for case, three in zip(cases, watches)
        ]
    }


def optimizer_of(network, name):
    if name == "adamw":
        return torch.optim.AdamW(network.parameters(), lr=1e-3)
    return torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)


def parameters(network):
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in network.parameters())


def inference(name, batch, runs):
    make, size, _ = NETWORKS[name]
    network = make().eval()
    x = torch.randn(batch, 3, size, size)
    watch = Stopwatch()
    with torch.no_grad():
        for _ in range(runs):
            watch.measure(lambda: network(x))
    return {"inference_ms": watch.median(), "params": parameters(network)}


def pixels_loss(batch, size, classes):
    """Squares of 16 pixels, the classes in turn, and the loss of maps of logits."""
    places = torch.arange(size) // 16
    mask = (places[:, None] + places[None]) % classes
    masks = mask.expand(batch, -1, -1)

    def one(logits):
        logits = F.interpolate(logits, (size, size), mode="bilinear", align_corners=False)
        return F.cross_entropy(logits, masks, ignore_index=255)

    def loss(logits):
        main, *auxiliary = logits
        return one(main) + sum(0.4 * one(more) for more in auxiliary)

    return loss


def steps(optimizer, loss_of, runs):
    """Median milliseconds of loss, backward pass and update."""

    def learn():
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    watch = Stopwatch()
    for _ in range(runs):
        watch.measure(learn)
    return watch.median()


def training(name, batch, runs, optimizer_name):
    make, size, classes = NETWORKS[name]
    network = make()
    optimizer = optimizer_of(network, optimizer_name)
    x = torch.randn(batch, getattr(network, "CHANNELS", 3), size, size)
    if name in SEGMENTATION:
        loss_of = pixels_loss(batch, size, classes)
    elif name in DETECTION:
        loss_of = cells_loss
    else:
        labels = torch.arange(batch) % classes

        def loss_of(logits):
            return F.cross_entropy(logits, labels)

    milliseconds = steps(optimizer, lambda: loss_of(network(x)), runs)
    return {"training_ms": milliseconds, "params": parameters(network)}


def masked(name, batch, runs):
    network = MASKED_METHODS[name]()
    optimizer = optimizer_of(network, "sgd")
    x = torch.randn(batch, 3, SIDE, SIDE)
    return {"step_ms": steps(optimizer, lambda: network.loss(x), runs)}


@torch.no_grad()
def neighbours(runs):
    """As many rows at once as Limbeck has."""
    bank = F.normalize(torch.randn(BANK, WIDTH), dim=1)
    images = F.normalize(torch.randn(QUERIES, WIDTH), dim=1)
    watch = Stopwatch()
    for _ in range(runs):
        watch.measure(lambda: [(rows @ bank.T).topk(NEIGHBOURS) for rows in images.split(256)])
    return {"vote_ms": watch.median()}


def terms(name, batch, runs):
    method = TERMS[name](batch)
    watch = Stopwatch()
    for _ in range(runs):
        watch.measure(lambda: method.loss().backward())
    return {"terms_ms": watch.median()}


def losses(batch, runs):
    """Milliseconds of each, one after the other."""
    found = {}
    for name, make in LOSSES.items():
        loss, watch = make(batch), Stopwatch()
        for _ in range(runs):
            watch.measure(loss.step)
        found[name] = watch.median()
    return {"losses": found}


def step(batch, runs, temperature=4.0):
    teacher = NETWORKS["resnet32x4"][0]().eval()
    student = NETWORKS["resnet8x4"][0]()
    optimizer = optimizer_of(student, "sgd")
    x = torch.randn(batch, 3, 32, 32)
    labels = torch.arange(batch) % 100

    def loss():
        with torch.no_grad():
            target = teacher(x)
        logits = student(x)
        divergence = F.kl_div(
            F.log_softmax(logits / temperature, 1),
            F.softmax(target / temperature, 1),
            reduction="batchmean",
        )
        return 0.1 * F.cross_entropy(logits, labels) + 0.9 * temperature**2 * divergence

    return {"step_ms": steps(optimizer, loss, runs)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=KINDS)
    names = sorted([*NETWORKS, *TERMS, *MASKED_METHODS, *SUPPRESSION])
    parser.add_argument("network", nargs="?", choices=names, metavar="NETWORK, METHOD or SCENE")
    parser.add_argument("--optimizer", choices=("sgd", "adamw"), default="sgd")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=11)
    asked = parser.parse_args()
    known = {
        "inference": NETWORKS, "training": NETWORKS, "terms": TERMS, "masked": MASKED_METHODS,
        "suppression": SUPPRESSION,
    }.get(asked.what)
    if known is not None and asked.network not in known:
        parser.error(f"{asked.what} needs one of {', '.join(known)}")
    imported = peak_memory()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    if asked.what == "conv":
        result = convolutions(asked.runs)
    elif asked.what == "inference":
        result = inference(asked.network, asked.batch, asked.runs)
    elif asked.what == "training":
        result = training(asked.network, asked.batch, asked.runs, asked.optimizer)
    elif asked.what == "masked":
        result = masked(asked.network, asked.batch, asked.runs)
    elif asked.what == "neighbours":
        result = neighbours(asked.runs)
    elif asked.what == "suppression":
        result = suppression(SUPPRESSION[asked.network], Stopwatch(), asked.runs)
    elif asked.what == "precision":
        result = precision(**PRECISION)
    elif asked.what == "losses":
        result = losses(asked.batch, asked.runs)
    elif asked.what == "terms":
        result = terms(asked.network, asked.batch, asked.runs)
    else:
        result = step(asked.batch, asked.runs)
    result["torch"] = torch.__version__
    result["python"] = sys.version.split()[0]
    result["threads"] = torch.get_num_threads()
    result["peak_memory_bytes"] = peak_memory()
    # Of which the libraries alone.
    result["imported_memory_bytes"] = imported
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
