//! Swin's other names: torchvision's, those of the authors' files and older timm, and Hugging Face's.

use super::StateDict;
use super::names::before;
use crate::Store;

/// The entries by which a source is known, behind whatever wraps the network.
const OWN: &str = "layers.0.blocks.0.attn.relative_position_bias_table";
const TORCHVISION: &str = "features.1.0.attn.relative_position_bias_table";
const HUGGING_FACE: [&str; 2] = [
    "encoder.layers.0.blocks.0.attention.self.relative_position_bias_table",
    "encoder.layers.0.blocks.0.attention.relative_position_bias.relative_position_bias_table",
];
/// The first merging where it is counted with the stage before it: in the authors' files.
const EARLY_MERGING: &str = "layers.0.downsample.reduction.weight";

/// What follows from the sides of windows and images alone; some files have it.
const CONSTANTS: [&str; 2] = ["relative_position_index", "attn_mask"];

/// `state` under timm's names, where `store` is a Swin Transformer's and `state` has others or more than
/// the network reads.
pub(super) fn translated(state: &StateDict, store: &Store) -> Option<StateDict> {
    store.find(OWN)?;
    if let Some(prefix) = before(state, TORCHVISION) {
        return Some(renamed(state, prefix, of_torchvision));
    }
    if let Some(prefix) = HUGGING_FACE.iter().find_map(|name| before(state, name)) {
        return Some(hugging_face(state, prefix));
    }
    let prefix = before(state, OWN)?;
    let early = state.get(&format!("{prefix}{EARLY_MERGING}")).is_some();
    let constants = state.iter().any(|(name, _)| is_constant(name));
    (early || constants).then(|| {
        renamed(state, prefix, |name| match early {
            true => of_authors(name),
            false => None,
        })
    })
}

fn is_constant(name: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|last| CONSTANTS.contains(&last))
}

/// Names behind `prefix` as `rename` has them, as they are where it has none, without constants.
fn renamed(state: &StateDict, prefix: &str, rename: impl Fn(&str) -> Option<String>) -> StateDict {
    state.renamed(|name| {
        let Some(own) = name.strip_prefix(prefix) else {
            return Some(name.to_owned());
        };
        (!is_constant(own)).then(|| rename(own).unwrap_or_else(|| own.to_owned()))
    })
}

/// Stages and mergings take turns in one list: `features.1` is the first stage.
fn of_torchvision(name: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix("features.") else {
        return name
            .strip_prefix("head.")
            .map(|parameter| format!("head.fc.{parameter}"));
    };
    let (place, rest) = rest.split_once('.')?;
    let place: usize = place.parse().ok()?;
    if place == 0 {
        let (layer, parameter) = rest.split_once('.')?;
        let layer = match layer {
            "0" => "proj",
            "2" => "norm",
            _ => return None,
        };
        return Some(format!("patch_embed.{layer}.{parameter}"));
    }
    let stage = place / 2;
    if place.is_multiple_of(2) {
        return Some(format!("layers.{stage}.downsample.{rest}"));
    }
    let rest = rest
        .replace(".mlp.0.", ".mlp.fc1.")
        .replace(".mlp.3.", ".mlp.fc2.");
    Some(format!("layers.{stage}.blocks.{rest}"))
}

/// A merging belongs to the stage in front of it, and the head is a layer itself.
fn of_authors(name: &str) -> Option<String> {
    if let Some(parameter) = name.strip_prefix("head.") {
        return Some(format!("head.fc.{parameter}"));
    }
    merging(name.strip_prefix("layers.")?)
}

/// The name of a layer of a merging, which belongs to the stage in front of it.
fn merging(below_layers: &str) -> Option<String> {
    let (stage, layer) = below_layers.split_once(".downsample.")?;
    let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
    Some(format!("layers.{stage}.downsample.{layer}"))
}

/// What Hugging Face calls the parts of `qkv`, brought together one after the other.
const PARTS: [[&str; 2]; 3] = [["q", "query"], ["k", "key"], ["v", "value"]];

/// `prefix` stands before `encoder`.
fn hugging_face(state: &StateDict, prefix: &str) -> StateDict {
    let beside = prefix.strip_suffix("swin.").unwrap_or(prefix);
    let classifier = format!("{beside}classifier.");
    let mut translated = state.renamed(|name| {
        if is_constant(name) {
            return None;
        }
        if let Some(parameter) = name.strip_prefix(&classifier) {
            return Some(format!("head.fc.{parameter}"));
        }
        let own = name.strip_prefix(prefix).and_then(of_hugging_face);
        Some(own.unwrap_or_else(|| name.to_owned()))
    });
    let ending = "attn.q.weight";
    let blocks: Vec<String> = translated
        .iter()
        .filter_map(|(name, _)| Some(name.strip_suffix(ending)?.to_owned()))
        .collect();
    for (block, parameter) in blocks
        .iter()
        .flat_map(|block| ["weight", "bias"].map(|parameter| (block, parameter)))
    {
        let name = |part: &str| format!("{block}attn.{part}.{parameter}");
        translated.join(&name("q"), &name("k"), name("qk"));
        translated.join(&name("qk"), &name("v"), name("qkv"));
    }
    translated
}

/// A name below the network, without its classifier.
fn of_hugging_face(name: &str) -> Option<String> {
    for (theirs, own) in [
        (
            "embeddings.patch_embeddings.projection.",
            "patch_embed.proj.",
        ),
        ("embeddings.norm.", "patch_embed.norm."),
        ("layernorm.", "norm."),
    ] {
        if let Some(parameter) = name.strip_prefix(theirs) {
            return Some(format!("{own}{parameter}"));
        }
    }
    let rest = name.strip_prefix("encoder.layers.")?;
    if let Some(merging) = merging(rest) {
        return Some(merging);
    }
    let (stage, rest) = rest.split_once(".blocks.")?;
    let (block, rest) = rest.split_once('.')?;
    let (layer, parameter) = rest.rsplit_once('.')?;
    let layer = match layer {
        "layernorm_before" => "norm1.".to_owned(),
        "layernorm_after" => "norm2.".to_owned(),
        "intermediate.dense" | "mlp.fc1" => "mlp.fc1.".to_owned(),
        "output.dense" | "mlp.fc2" => "mlp.fc2.".to_owned(),
        "attention.output.dense" | "attention.o_proj" => "attn.proj.".to_owned(),
        "attention.self" | "attention.relative_position_bias" => "attn.".to_owned(),
        other => {
            let part = PARTS.iter().find(|[short, long]| {
                other == format!("attention.self.{long}")
                    || other == format!("attention.{short}_proj")
            })?;
            format!("attn.{}.", part[0])
        }
    };
    Some(format!("layers.{stage}.blocks.{block}.{layer}{parameter}"))
}
