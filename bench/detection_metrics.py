#!/usr/bin/env python3
"""Numbers for crates/limbeck-methods/tests/detection_metrics.rs, from other people's code.

    pip install numpy pycocotools
    python bench/detection_metrics.py

COCO's twelve numbers and the AP of each class are those of pycocotools' COCOeval. Boxes come from a generator
that the test has too: with crowds, objects whose area is not that of their box, equal scores, equal
boxes, images without objects or detections, and a class that is nowhere.
"""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from draws import Draws


def scene(seed, images, objects, others, classes):
    """Objects (image, class, box, area, crowd) and detections (image, class, score, box)."""
    draws = Draws(seed)
    truth, found = [], []
    for image in range(images):
        if draws.below(5) == 0:
            continue
        for _ in range(draws.below(objects + 1)):
            kind = draws.below(classes)
            x, y = draws.below(200), draws.below(200)
            w, h = 4 + draws.below(150), 4 + draws.below(150)
            area = w * h * (5 + draws.below(5)) / 8
            crowd = draws.below(6) == 0
            truth.append((image, kind, (x, y, x + w, y + h), area, crowd))
            for _ in range(draws.below(4)):
                left, top = x + draws.below(1 + w // 4), y + draws.below(1 + h // 4)
                its = draws.below(classes) if draws.below(6) == 0 else kind
                found.append((image, its, draws.below(16) / 16, (left, top, left + w, top + h)))
        for _ in range(draws.below(others + 1)):
            kind = draws.below(classes)
            x, y = draws.below(200), draws.below(200)
            w, h = 4 + draws.below(150), 4 + draws.below(150)
            found.append((image, kind, draws.below(16) / 16, (x, y, x + w, y + h)))
    return truth, found


def show(name, truth, found, images, classes):
    def xywh(box):
        left, top, right, bottom = box
        return [left, top, right - left, bottom - top]

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(images)],
            "categories": [{"id": k} for k in range(classes)],
            "annotations": [
                {
                    "id": i + 1,
                    "image_id": image,
                    "category_id": kind,
                    "bbox": xywh(box),
                    "area": area,
                    "iscrowd": int(crowd),
                }
                for i, (image, kind, box, area, crowd) in enumerate(truth)
            ],
        }
        coco.createIndex()
        results = coco.loadRes(
            [
                {"image_id": image, "category_id": kind, "bbox": xywh(box), "score": score}
                for image, kind, score, box in found
            ]
        )
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))
    print(name, f"({len(truth)} objects, {len(found)} detections)")
    print("  twelve", [float(x) for x in evaluation.stats])
    print("  classes", [float(x) for x in precision])


show("usual", *scene(1, 20, 6, 5, 4), 20, 4)
show("a class that is nowhere", *scene(2, 12, 4, 3, 3), 12, 4)
show("more than a hundred detections", *scene(3, 3, 60, 300, 2), 3, 2)
