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
    "decode_head.linear_pred",
];

/// Whether `name` of `shape` belongs to the classifier of a network for `classes` classes: a
/// weight `[K, D]` or bias `[K]` of a layer that is called as one.
pub(super) fn is_head(name: &str, shape: &[usize], classes: usize) -> bool {
    name.rsplit_once('.').is_some_and(|(layer, parameter)| {
        HEADS.contains(&layer)
            && matches!(parameter, "weight" | "bias")
            && shape.first() == Some(&classes)
    })
}
