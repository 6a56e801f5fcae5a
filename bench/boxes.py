"""Non-maximum suppression as YOLOv5 has it in PyTorch, and average precision by pycocotools, of the boxes that
`limbeck bench nms` and `limbeck bench ap` make up (crates/limbeck-train/src/bench/detection.rs)."""

import contextlib
import io
import time

import numpy as np

CONFIDENCE, IOU, CANDIDATES = 0.001, 0.6, 30_000
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK = 2**64 - 1


def shares(seed, count):
    """SplitMix64, all at once."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(STEP)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)) / 2.0**24


class Shares:
    """SplitMix64, one after the other."""

    def __init__(self, seed):
        self.state = seed

    def share(self):
        self.state = (self.state + STEP) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * FIRST) & MASK
        z = ((z ^ (z >> 27)) * SECOND) & MASK
        return ((z ^ (z >> 31)) >> 40) / 2**24

    def below(self, count):
        return int(count * self.share())


def power(x, exponent):
    product = x * 0 + 1
    for _ in range(exponent):
        product = product * x
    return product


def predictions(count, classes, longest, crowded):
    drawn = shares(1, count * (5 + classes)).reshape(count, 5 + classes)
    sure, of_class = (1, 1) if crowded else (100, 60)
    found = np.empty_like(drawn)
    found[:, :2] = 640 * drawn[:, :2]
    found[:, 2:4] = 3 + (longest - 3) * drawn[:, 2:4]
    found[:, 4] = power(drawn[:, 4], sure)
    found[:, 5:] = power(drawn[:, 5:], of_class)
    return found.astype(np.float32)


def suppression(scene, watch, runs):
    """All that YOLOv5 does with one image's predictions, boxes for every class above the threshold."""
    import torch
    import torchvision

    rows = torch.from_numpy(
        predictions(scene["predictions"], scene["classes"], scene["longest"], scene["crowded"])
    )
    kept = []

    def run():
        found = rows[rows[:, 4] > CONFIDENCE]
        scores = found[:, 5:] * found[:, 4:5]
        centres, halves = found[:, :2], found[:, 2:4] / 2
        boxes = torch.cat((centres - halves, centres + halves), 1)
        box, of_class = (scores > CONFIDENCE).nonzero(as_tuple=True)
        boxes, scores = boxes[box], scores[box, of_class]
        if len(boxes) > CANDIDATES:
            best = scores.argsort(descending=True)[:CANDIDATES]
            boxes, scores, of_class = boxes[best], scores[best], of_class[best]
        # Each class in a place of its own.
        apart = boxes + 4096 * of_class[:, None]
        order = torchvision.ops.nms(apart, scores, IOU)[: scene["detections"]]
        kept[:] = [boxes[order], scores[order], of_class[order]]

    for _ in range(runs):
        watch.measure(run)
    return {
        "suppression_ms": watch.median(),
        "kept": len(kept[1]),
        "scores": float(kept[1].double().sum()),
        "torchvision": torchvision.__version__,
    }


def scene_of(images, detections, classes):
    """Objects and detections, as pycocotools takes them."""
    draws = Shares(7)
    objects, found = [], []

    def frequent():
        return int(classes * power(draws.share(), 2))

    def boxed():
        x, y = 500 * draws.share(), 350 * draws.share()
        side = 4 + 200 * power(draws.share(), 2)
        return x, y, x + side, y + side * (0.5 + draws.share())

    def entry(image, kind, box, **others):
        left, top, right, bottom = box
        bbox = [left, top, right - left, bottom - top]
        return {"image_id": image, "category_id": kind, "bbox": bbox, **others}

    for image in range(images):
        its = []
        for _ in range(draws.below(14)):
            kind, box = frequent(), boxed()
            crowd = int(draws.share() < 0.01)
            area = (box[2] - box[0]) * (box[3] - box[1]) * 0.7
            its.append((kind, box))
            number = len(objects) + 1
            objects.append(entry(image, kind, box, id=number, area=area, iscrowd=crowd))
        for index in range(detections):
            if index % 2 == 0 and its:
                kind, (left, top, right, bottom) = its[draws.below(len(its))]
                most = 0.3 * draws.share() * (right - left)
                dx, dy = most * (draws.share() - 0.5), most * (draws.share() - 0.5)
                box = left + dx, top + dy, right + dx, bottom + dy
                if draws.share() < 0.2:
                    kind = draws.below(classes)
                score = 0.2 + 0.8 * draws.share()
            else:
                kind, box = frequent(), boxed()
                score = power(draws.share(), 4)
            found.append(entry(image, kind, box, score=score))
    return objects, found


def precision(images, detections, classes):
    """COCO's measures, timed once: it takes most of a minute. Reading the detections is not timed."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    objects, found = scene_of(images, detections, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(images)],
            "categories": [{"id": k} for k in range(classes)],
            "annotations": objects,
        }
        coco.createIndex()
        results = coco.loadRes(found)
        start = time.perf_counter()
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        taken = time.perf_counter() - start
    return {"coco_ms": 1e3 * taken, "twelve": [float(x) for x in evaluation.stats]}
