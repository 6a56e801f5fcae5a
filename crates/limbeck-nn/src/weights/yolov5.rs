//! YOLOv5's files: names of other sources, and which of its networks a file is for.

use super::StateDict;
use super::names::before;
use crate::Store;

/// What names of the network begin with here and in the official files.
const PREFIX: &str = "model.";
/// A name that each such network has once, and no other.
const LAST: &str = "24.m.0.weight";
/// The same of its classifiers.
const LINEAR: &str = "9.linear.weight";
/// The anchors once more, in pixels, in files of release 5.0.
const REPEATED: &str = "24.anchor_grid";

/// `state` under the official names, where it is a YOLOv5's and its names are others: those of
/// SSDA-YOLO begin with the number of the layer. `None` where nothing is to be changed.
pub(super) fn translated(state: &StateDict, store: &Store) -> Option<StateDict> {
    store.find(&format!("{PREFIX}{LAST}"))?;
    let prefix = before(state, LAST)?;
    let repeated = format!("{prefix}{REPEATED}");
    if prefix == PREFIX && state.get(&repeated).is_none() {
        return None;
    }
    Some(state.renamed(|name| match name.strip_prefix(prefix) {
        Some(_) if name == repeated => None,
        Some(rest) => Some(format!("{PREFIX}{rest}")),
        None => Some(name.to_owned()),
    }))
}

/// The name of the YOLOv5 that `state` is of, by its names and shapes; `None` where it is of none.
pub(super) fn told_model(state: &StateDict) -> Option<String> {
    let (prefix, detects) = match before(state, LAST) {
        Some(prefix) => (prefix, true),
        None => (before(state, LINEAR)?, false),
    };
    let shape = |name: &str| Some(state.get(&format!("{prefix}{name}"))?.shape());
    let kind = match (shape("0.conv.conv.weight"), shape("0.conv.weight")) {
        (Some([_, _, 3, 3]), None) if detects => "_focus",
        (None, Some([_, _, 6, 6])) if detects => "",
        (None, Some([_, _, 6, 6])) => "_cls",
        (None, Some([_, _, 3, 3])) if detects => "_stride4",
        _ => return None,
    };
    let &[widest, ..] = shape("7.conv.weight")? else {
        return None;
    };
    let block = |i: usize| shape(&format!("2.m.{i}.cv1.conv.weight")).is_some();
    let depth = (0..state.len()).take_while(|&i| block(i)).count();
    name_of(kind, depth, widest)
}

/// The letter whose depth and width these are, or the one that a factor of the width and a depth make
/// them of; `widest` is 1,024 times the width.
fn name_of(kind: &str, depth: usize, widest: usize) -> Option<String> {
    let letters: &[(&str, usize, usize)] = match kind {
        "" | "_cls" => &[
            ("n", 1, 256),
            ("s", 1, 512),
            ("m", 2, 768),
            ("l", 3, 1024),
            ("x", 4, 1280),
        ],
        "_focus" => &[("s", 1, 512), ("m", 2, 768), ("l", 3, 1024), ("x", 4, 1280)],
        _ => &[("s", 1, 512)],
    };
    let exact =
        |&&(_, blocks, channels): &&(&str, usize, usize)| blocks == depth && channels == widest;
    let deep = |&&(_, blocks, _): &&(&str, usize, usize)| blocks == depth;
    let letters = || letters.iter();
    let &(letter, blocks, channels) = letters()
        .find(exact)
        .or_else(|| letters().find(deep))
        .or_else(|| letters().next())?;
    let mut name = format!("yolov5{letter}{kind}");
    if blocks != depth {
        name += &format!("_d{depth}");
    }
    if channels != widest {
        name += &format!("_x{}", widest as f64 / channels as f64);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_width_make_a_name() {
        for (kind, depth, widest, name) in [
            ("", 1, 256, "yolov5n"),
            ("", 1, 512, "yolov5s"),
            ("", 4, 1280, "yolov5x"),
            ("", 1, 128, "yolov5n_x0.5"),
            ("_cls", 2, 768, "yolov5m_cls"),
            ("_cls", 1, 128, "yolov5n_cls_x0.5"),
            ("", 2, 256, "yolov5m_x0.3333333333333333"),
            ("_focus", 1, 8, "yolov5s_focus_x0.015625"),
            ("_focus", 5, 512, "yolov5s_focus_d5"),
            ("_stride4", 1, 512, "yolov5s_stride4"),
        ] {
            assert_eq!(name_of(kind, depth, widest).unwrap(), name);
        }
    }
}
