//! The layer that gives out the logits.

/// Names of the last layer in the families of the zoo.
const HEADS: &[&str] = &[
    "fc",
    "linear",
    "head",
    "head.fc",
    "head_dist",
    "classifier",
    "classifier.0",
    "classifier.1",
    "model.9.linear",
    // Networks that segment.
    "head.classifier",
    "head.block.4",
    "auxlayer.block.4",
    "classifier.classifier.3",
    "classifier.low_classifier",
    "classifier.high_classifier",
    "decode_head.linear_pred",
];

/// What names of a detector's last convolutions begin with.
const CELLS: &str = "model.24.m.";
/// Anchors of each cell, and what each has before its classes: x, y, w, h, objectness.
const ANCHORS: usize = 3;
const BOX_ENTRIES: usize = 5;

/// What names of an auxiliary classifier begin with. It serves training alone, so a file may lack
/// it.
const AUXILIARY: &str = "auxlayer.";

/// Whether `name` belongs to an auxiliary classifier.
pub(super) fn is_auxiliary(name: &str) -> bool {
    name.starts_with(AUXILIARY)
}

/// Whether `name` of `shape` is the weight of the layer that gives out the logits, or those of an auxiliary
/// classifier, of a network for `classes` classes.
pub(crate) fn is_logits_layer(name: &str, shape: &[usize], classes: usize) -> bool {
    is_head(name, shape, classes)
}

/// Whether `name` of `shape` belongs to the classifier of a network for `classes` classes: a
/// weight `[K, D]` or bias `[K]` of a layer that is called as one. A detector's have 3·(5 + K) rows.
pub(super) fn is_head(name: &str, shape: &[usize], classes: usize) -> bool {
    let found = shape.first().and_then(|&rows| classes_of(name, rows));
    found == Some(classes)
}

/// How many classes a classifier of that name and so many rows is for; `None` of any other layer.
pub(super) fn classes_of(name: &str, rows: usize) -> Option<usize> {
    let (layer, parameter) = name.rsplit_once('.')?;
    if !matches!(parameter, "weight" | "bias") {
        return None;
    }
    if layer.starts_with(CELLS) {
        let entries = (rows.is_multiple_of(ANCHORS)).then_some(rows / ANCHORS)?;
        return entries.checked_sub(BOX_ENTRIES);
    }
    HEADS.contains(&layer).then_some(rows)
}
