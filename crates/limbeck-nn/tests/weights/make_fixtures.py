"""Writes the .pth files of this folder with PyTorch (made with 2.15; any later one will do).

    pip install torch numpy && python make_fixtures.py

Run in the folder itself. The tests of `weights_torch.rs` state what each file holds.
"""

import argparse
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import torch


def element_types():
    """One tensor of each element type, and every kind of layout."""
    ramp = torch.arange(6, dtype=torch.float32).reshape(2, 3) * 0.5 - 1
    grid = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    state = OrderedDict()
    for dtype in (
        "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    ):
        state[dtype] = ramp.mul(2).to(getattr(torch, dtype))
    state["parameter"] = torch.nn.Parameter(ramp.clone())
    state["scalar"] = torch.tensor(7)
    state["empty"] = torch.zeros(0, 3)
    state["transposed"] = grid.permute(2, 0, 1)
    state["slice"] = grid[1, 1:, ::2]
    state["row"] = grid[1, 2]
    state["expanded"] = torch.tensor([3.0, 4.0]).expand(3, 2)
    return state


def checkpoint():
    """What a training program leaves: weights among other things, under data parallelism."""
    layer = torch.nn.Linear(2, 3)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(6).reshape(3, 2))
        layer.bias.copy_(torch.tensor([0.5, 1.5, 2.5]))
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    plain = layer.state_dict()
    averaged = {name: value * 0 + 9 for name, value in plain.items()}
    return {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, name="run"),
        "best_acc1": torch.tensor(71.5),
        "optimizer": optimiser.state_dict(),
        "model": OrderedDict((f"module.{k}", v) for k, v in plain.items()),
        "model_ema": averaged,
    }


def rewrite(source, target, change, method=zipfile.ZIP_STORED):
    """Copies a zip file, each entry's bytes passed through `change(name, bytes)`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", method) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry.filename)))


class Attack:
    def __reduce__(self):
        return os.system, ("echo run",)


def main():
    state = element_types()
    torch.save(state, "types_zip.pth")
    torch.save(state, "types_legacy.pth", _use_new_zipfile_serialization=False)

    torch.save(checkpoint(), "checkpoint_zip.pth")
    torch.save(checkpoint(), "checkpoint_legacy.pth", _use_new_zipfile_serialization=False)

    # As a big-endian machine writes it: the numbers swapped, `byteorder` says so.
    small = OrderedDict(a=torch.tensor([1.5, -2.25]), b=torch.tensor([300, -1]))
    torch.save(small, "little.tmp")

    def swap(name, data):
        if name.endswith("byteorder"):
            return b"big"
        if name.endswith("data/0"):
            return struct.pack(">2f", *struct.unpack("<2f", data))
        if name.endswith("data/1"):
            return struct.pack(">2q", *struct.unpack("<2q", data))
        return data

    rewrite("little.tmp", "big_endian.pth", swap)
    rewrite("little.tmp", "compressed.pth", lambda _, data: data, zipfile.ZIP_DEFLATED)

    # The first name of the archive, this one's stem and "/data.pkl", has 30 characters: its header
    # in the directory is as long as the two records that PyTorch writes after the directory.
    torch.save(small, "twenty_one_characters.pth")

    # Tensors that take other ways: a Python attribute, a type without storage class.
    marked = torch.tensor([1.0, 2.0])
    marked.note = "kept"
    others = OrderedDict(marked=marked, wide=torch.tensor([65535, 1], dtype=torch.uint16))
    torch.save(others, "rebuilt.pth")
    torch.save(OrderedDict(z=torch.tensor([1 + 2j])), "complex.pth")

    torch.save(torch.nn.Linear(2, 1), "whole_model.pth")
    torch.save({"net": torch.nn.Linear(2, 1), "epoch": 1}, "whole_model_inside.pth")
    torch.save(argparse.Namespace(weight=torch.ones(1)), "whole_object.pth")
    torch.jit.script(torch.nn.Linear(2, 1)).save("script.pt")

    torch.save({"model": small, "hook": Attack()}, "attack_zip.pth")
    torch.save({"model": small, "hook": Attack()}, "attack_legacy.pth",
               _use_new_zipfile_serialization=False)
    with open("plain_pickle.pth", "wb") as file:
        pickle.dump({"weight": [1.0, 2.0]}, file)
    torch.save({"a": {"x": torch.ones(1)}, "b": {"y": torch.ones(1)}}, "several.pth")
    torch.save({"epoch": 3, "losses": [0.5]}, "no_tensors.pth")

    os.remove("little.tmp")


if __name__ == "__main__":
    main()
