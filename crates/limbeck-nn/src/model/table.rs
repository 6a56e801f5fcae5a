//! The zoo as a page.

use std::fmt::Write;

use super::{MODELS, ModelEntry, outline};
use crate::{Tap, TapKind};

/// The page `docs/models.md`: all models with their sizes, costs and taps, family by family.
pub fn markdown_table() -> String {
    let mut page = INTRODUCTION.to_owned();
    for family in MODELS {
        let Some(first) = family.first() else {
            continue;
        };
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n",
            first.family,
            header(first.family)
        );
        page += "| Name | Other names | Images | Counted for | Parameters | MACs | Activations | Taps |\n";
        page += "| --- | --- | --- | --- | ---: | ---: | ---: | --- |\n";
        for entry in family.iter() {
            page += &row(entry);
        }
    }
    page
}

const INTRODUCTION: &str = "\
# Models

Every model takes any number of colour channels and classes (`vq_autoencoder` of no classes alone). Names may be written in any case and
with `-` for `_`. Parameters are the trained numbers. MACs are the multiply-accumulates of
convolutions, linear maps and attention products for one image; activations are the numbers that
layers write for it, which is about what training keeps for the backward pass. All are counted for
colour images of the size and for the number of classes in the column \"Counted for\".

The table lists the main taps with their shapes without the batch: `stem` and the stages, `pooled`
(what the classifier reads). All convolutional nets also have `stageN.preact`, the value before a
stage's last activation, and all nets have `logits`. `limbeck inspect` prints every tap of a model.

Models that segment give a map of logits at their own output stride; `feature` is what the last
convolution reads, `auxiliary` the logits of a second classifier, whose parameters are counted and
whose work is not: it is there for training alone. A suffix makes any of them narrower or wider, for
small experiments: `pspnet_resnet18_x0.25` has a quarter of the channels everywhere, rounded to
multiples of 8.

Detectors give `[N, 5 + K]`: x, y, w, h, objectness and K classes of each of N anchors of cells, level by
level. Their suffixes change width and depth, and those of the classifiers with their backbones too:
`yolov5n_d2_x0.5`, `yolov5n_cls_d2_x0.5`.

Plain vision transformers (the family `vit`) take a suffix with the number of their blocks, which are
all alike: `deit_base_patch16_224_d6` is DeiT-B with six of its twelve, under the same names of weights.

This page is generated: `LIMBECK_WRITE_DOCS=1 cargo test --release -p limbeck-nn --test models_page`.
";

fn row(entry: &ModelEntry) -> String {
    // The zoo's own sizes are always fine; a test builds every row.
    let Ok(outline) = outline(entry.name, entry.published_input()) else {
        return String::new();
    };
    let aliases: Vec<String> = entry
        .aliases
        .iter()
        .map(|name| format!("`{name}`"))
        .collect();
    let taps: Vec<String> = outline
        .taps
        .iter()
        .filter(|tap| is_main(&tap.name))
        .map(describe)
        .collect();
    format!(
        "| `{0}` | {1} | {2} | {3}×{3}, {4} classes | {5} | {6} | {7} | {8} |\n",
        entry.name,
        aliases.join(", "),
        entry.sizes,
        entry.size,
        entry.classes,
        thousands(outline.parameters as u64),
        millions(outline.cost.macs),
        millions(outline.cost.activations),
        taps.join(", ")
    )
}

fn is_main(tap: &str) -> bool {
    matches!(
        tap,
        "stem"
            | "tokens"
            | "pooled"
            | "head"
            | "head_dist"
            | "feature"
            | "auxiliary"
            | "p3"
            | "p4"
            | "p5"
    ) || (tap.starts_with("stage") && !tap.ends_with(".preact"))
}

fn describe(tap: &Tap) -> String {
    let shape: &[usize] = match &tap.kind {
        TapKind::Map(shape) | TapKind::Attention(shape) => shape,
        TapKind::Tokens { shape, .. } | TapKind::Cells { shape, .. } => shape,
        TapKind::Vector(length) => std::slice::from_ref(length),
    };
    let shape: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("{} {}", tap.name, shape.join("×"))
}

/// `7433860` → `7,433,860`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn millions(number: u64) -> String {
    format!("{:.2} M", number as f64 / 1e6)
}

/// The header comment of a family's file.
fn header(family: &str) -> String {
    let source = match family {
        "cifar_resnet" => include_str!("cifar_resnet.rs"),
        "cifar_wrn" => include_str!("cifar_wrn.rs"),
        "cifar_vgg" => include_str!("cifar_vgg.rs"),
        "cifar_mobilenetv2" => include_str!("cifar_mobilenetv2.rs"),
        "cifar_shufflenet_v1" => include_str!("cifar_shufflenet_v1.rs"),
        "cifar_shufflenet_v2" => include_str!("cifar_shufflenet_v2.rs"),
        "cifar_resnet50" => include_str!("cifar_resnet50.rs"),
        "resnet" => include_str!("resnet.rs"),
        "mobilenet_v2" => include_str!("mobilenet_v2.rs"),
        "mobilenet_v1" => include_str!("mobilenet_v1.rs"),
        "deeplabv3" => include_str!("deeplabv3.rs"),
        "deeplabv3plus" => include_str!("deeplabv3plus.rs"),
        "lraspp" => include_str!("lraspp.rs"),
        "pspnet" => include_str!("pspnet.rs"),
        "vit" => include_str!("vit.rs"),
        "segformer" => include_str!("segformer.rs"),
        "tinyvit" => include_str!("tinyvit.rs"),
        "swin" => include_str!("swin.rs"),
        "vq_autoencoder" => include_str!("vq_autoencoder.rs"),
        "yolov5" => include_str!("yolov5.rs"),
        "yolov5_cls" => include_str!("yolov5_cls.rs"),
        _ => "",
    };
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}
