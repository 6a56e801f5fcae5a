#!/usr/bin/env python3
"""Numbers for crates/limbeck-train/tests/segmentation_metrics.rs, from other people's code.

    pip install numpy scikit-learn opencv-python-headless
    python bench/segmentation_metrics.py

IoU by class is scikit-learn's jaccard_score, accuracy by class its recall_score; boundaries are
those of the authors of boundary IoU (mask_to_boundary of bowenc0221/boundary-iou-api: OpenCV's erode
by a 3x3 square with a border of zeros), intersections and unions added over pictures. Masks come from
a generator that the test has too.
"""

import cv2
import numpy as np
from sklearn.metrics import accuracy_score, jaccard_score, recall_score

from draws import Draws

VOID = 255


def pair(seed, height, width, cell, classes):
    """Areas of `cell` pixels a side; what was chosen is moved, and here and there another class."""
    draws = Draws(seed)
    rows, columns = height // cell + 2, width // cell + 2
    truth = [[draws.below(classes + 1) for _ in range(columns)] for _ in range(rows)]
    chosen = [
        [draws.below(classes) if draws.below(3) == 0 else id % classes for id in row]
        for row in truth
    ]
    t = [[truth[y // cell][x // cell] for x in range(width)] for y in range(height)]
    c = [[chosen[(y + 2) // cell][(x + 1) // cell] for x in range(width)] for y in range(height)]
    t, c = np.array(t, np.uint8), np.array(c, np.uint8)
    t[t == classes] = VOID
    return t, c


def boundary(mask, share):
    height, width = mask.shape
    distance = max(1, int(round(share * np.sqrt(height**2 + width**2))))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=distance)
    return mask - eroded[1 : height + 1, 1 : width + 1]


def show(name, pairs, classes, share):
    truth = np.concatenate([t[t != VOID].ravel() for t, _ in pairs])
    chosen = np.concatenate([c[t != VOID].ravel() for t, c in pairs])
    labels = list(range(classes))
    occurring = [k for k in labels if (truth == k).any() or (chosen == k).any()]
    there = [k for k in labels if (truth == k).any()]
    iou = jaccard_score(truth, chosen, labels=labels, average=None, zero_division=0)
    recall = recall_score(truth, chosen, labels=labels, average=None, zero_division=0)
    both, either = np.zeros(classes), np.zeros(classes)
    for t, c in pairs:
        c = np.where(t == VOID, VOID, c).astype(np.uint8)
        for k in labels:
            a, b = (boundary((m == k).astype(np.uint8), share) > 0 for m in (t, c))
            both[k] += (a & b).sum()
            either[k] += (a | b).sum()
    edges = [both[k] / either[k] for k in labels if either[k]]
    print(name)
    print("  per class", [round(100 * iou[k], 10) if k in occurring else None for k in labels])
    print("  miou", 100 * np.mean([iou[k] for k in occurring]))
    print("  pixel accuracy", 100 * accuracy_score(truth, chosen))
    print("  mean accuracy", 100 * np.mean([recall[k] for k in there]))
    print("  boundary iou", 100 * np.mean(edges))


a, b = pair(1, 37, 53, 6, 4), pair(7, 41, 29, 5, 4)
show("random", [a, b], 4, 0.02)
show("random, wider boundaries", [a, b], 4, 0.03)
show("absent classes", [a, b], 7, 0.02)
whole = np.zeros((20, 30), np.uint8)
show("right", [(whole, whole)], 3, 0.02)
show("chosen and not there", [(whole, whole + 2)], 3, 0.02)
void = np.full((20, 30), VOID, np.uint8)
show("void beside", [(void, whole + 1), a], 4, 0.02)
