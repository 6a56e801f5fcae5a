#!/usr/bin/env python3
"""What `limbeck bench data` does, by torchvision v2 and PyTorch's DataLoader.

    bench/data.py FOLDER --size 360x360 --batch 8 --workers 2 --runs 3
    bench/data.py FOLDER --size 224x224 --batch 32 --workers 1 --read tensor
    bench/data.py FOLDER --make PICTURES

FOLDER holds images/train and masks/train with files of the same stems (CamVid as in ../shared/data).
Each image is read, scaled with its mask by 0.5 to 2, padded, cropped, mirrored and normalised: images
antialiased bilinear, masks nearest. With --read, FOLDER holds pictures at any depth, and each is read
(tensor: torchvision's decode_image; pil: Pillow), cropped at random, resized, mirrored and normalised.
Prints one JSON object: images in a second, the median of the runs. Every epoch decodes every file, as a
DataLoader does.

--make only makes such a FOLDER: JPEG files of 500x375 with quality 90, in two classes, of the pictures below
PICTURES.
"""

import argparse
import json
import pathlib
import platform
import random
import statistics
import time

import PIL.Image
import torch
import torchvision
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILL = {
    tv_tensors.Image: [round(255 * mean) for mean in MEAN],
    tv_tensors.Mask: 255,
    "others": 0,
}


class Pairs(Dataset):
    """Images and masks of a folder, varied as for training."""

    def __init__(self, folder, size):
        images = sorted((folder / "images" / "train").iterdir())
        masks = {path.stem: path for path in (folder / "masks" / "train").iterdir()}
        self.pairs = [(str(image), str(masks[image.stem])) for image in images]
        self.vary = v2.Compose([
            v2.RandomCrop(size, pad_if_needed=True, fill=FILL),
            v2.RandomHorizontalFlip(0.5),
            v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ])

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        image, mask = self.pairs[index]
        image = tv_tensors.Image(decode_image(image, ImageReadMode.RGB))
        mask = tv_tensors.Mask(decode_image(mask, ImageReadMode.UNCHANGED))
        factor = random.uniform(0.5, 2.0)
        size = [round(factor * side) for side in image.shape[-2:]]
        image = functional.resize(image, size, antialias=True)
        mask = functional.resize(mask, size)
        return self.vary(image, mask)


class Pictures(Dataset):
    """Pictures of a folder, varied as for training a classifier."""

    def __init__(self, folder, size, read):
        self.files = [str(path) for path in sorted(folder.rglob("*.jpg"))]
        self.read = self.tensor if read == "tensor" else self.pil
        self.vary = v2.Compose([
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(0.5),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, DEVIATION),
        ])

    @staticmethod
    def tensor(file):
        return tv_tensors.Image(decode_image(file, ImageReadMode.RGB))

    @staticmethod
    def pil(file):
        return PIL.Image.open(file).convert("RGB")

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        return self.vary(self.read(self.files[index]))


def make(folder, pictures):
    """Writes what ImageNet's files are usually like, of other pictures."""
    for number, path in enumerate(sorted(pictures.rglob("*.jpg"))):
        picture = PIL.Image.open(path).convert("RGB").resize((500, 375), PIL.Image.BICUBIC)
        place = folder / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / path.name, quality=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", default="360x360")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", choices=("tensor", "pil"), help="pictures without masks")
    parser.add_argument("--make", type=pathlib.Path, metavar="PICTURES", help="make FOLDER of these")
    asked = parser.parse_args()
    if asked.make:
        make(asked.folder, asked.make)
        return
    torch.set_num_threads(1)
    size = [int(side) for side in asked.size.split("x")]
    pairs = Pictures(asked.folder, size, asked.read) if asked.read else Pairs(asked.folder, size)
    # Workers stay, so that starting them is not measured: one epoch before those that are timed.
    loader = DataLoader(
        pairs,
        batch_size=asked.batch,
        shuffle=True,
        num_workers=asked.workers,
        persistent_workers=asked.workers > 0,
    )
    rates = []
    for run in range(asked.runs + 1):
        start = time.perf_counter()
        for _ in loader:
            pass
        if run:
            rates.append(len(pairs) / (time.perf_counter() - start))
    print(
        json.dumps({
            "images": len(pairs),
            "images_per_second": statistics.median(rates),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "python": platform.python_version(),
        })
    )


if __name__ == "__main__":
    main()
