//! The layer that gives out the logits.

/// Names of the last layer in the families of the zoo.
const HEADS: &[&str] = &[
    "fc",
    "linear",
    "head",
    "head_dist",
    "classifier",
    "classifier.0",
    "classifier.1",
    // Networks that segment.
    "head.classifier",
    "head.block.4",
    "auxlayer.block.4",
    "classifier.classifier.3",
    "classifier.low_classifier",
    "classifier.high_classifier",
    "decode_head.linear_pred",
];

/// What names of an auxiliary classifier begin with. It serves training alone, so a file may lack
/// it.
const AUXILIARY: &str = "auxlayer.";

/// Whether `name` belongs to an auxiliary classifier.
pub(super) fn is_auxiliary(name: &str) -> bool {
    name.starts_with(AUXILIARY)
}

/// Whether `name` of `shape` belongs to the classifier of a network for `classes` classes: a
/// weight `[K, D]` or bias `[K]` of a layer that is called as one.
pub(super) fn is_head(name: &str, shape: &[usize], classes: usize) -> bool {
    name.rsplit_once('.').is_some_and(|(layer, parameter)| {
        HEADS.contains(&layer)
            && matches!(parameter, "weight" | "bias")
            && shape.first() == Some(&classes)
    })
}
