//! SegFormer's other names: Hugging Face's, and those of NVIDIA's backbones alone.

use super::StateDict;
use super::names::before;
use crate::Store;

/// The entry by which a SegFormer is known, below `backbone.`.
const FIRST: &str = "patch_embed1.proj.weight";
/// The same in Hugging Face's transformers.
const FIRST_OF_HUGGING_FACE: &str = "encoder.patch_embeddings.0.proj.weight";
/// A head of the training framework that nothing reads; published files have it.
const UNUSED_HEAD: &str = "decode_head.conv_seg.";

/// `state` under NVIDIA's names of the whole network, where `store` is a SegFormer's and `state` has
/// other names or more than the network reads.
pub(super) fn translated(state: &StateDict, store: &Store) -> Option<StateDict> {
    store.find(&format!("backbone.{FIRST}"))?;
    if let Some(prefix) = before(state, FIRST_OF_HUGGING_FACE) {
        return Some(hugging_face(state, prefix));
    }
    let prefix = before(state, FIRST)?;
    if prefix == "backbone." || prefix.ends_with(".backbone.") {
        let unused = format!(
            "{}{UNUSED_HEAD}",
            &prefix[..prefix.len() - "backbone.".len()]
        );
        let any = state.iter().any(|(name, _)| name.starts_with(&unused));
        return any
            .then(|| state.renamed(|name| (!name.starts_with(&unused)).then(|| name.to_owned())));
    }
    Some(state.renamed(|name| match name.strip_prefix(prefix) {
        // The classifier of the pretraining on ImageNet.
        Some(own) if own.starts_with("head.") => None,
        Some(own) => Some(format!("backbone.{own}")),
        None => Some(name.to_owned()),
    }))
}

/// `prefix` stands before `encoder`.
fn hugging_face(state: &StateDict, prefix: &str) -> StateDict {
    let encoder = format!("{prefix}encoder.");
    let beside = prefix.strip_suffix("segformer.").unwrap_or(prefix);
    let head = format!("{beside}decode_head.");
    // Of a network for classification.
    let classifier = format!("{beside}classifier.");
    let mut translated = state.renamed(|name| {
        if name.starts_with(&classifier) {
            return None;
        }
        let new = match (name.strip_prefix(&encoder), name.strip_prefix(&head)) {
            (Some(own), _) => of_encoder(own),
            (_, Some(own)) => of_head(own),
            _ => None,
        };
        Some(new.unwrap_or_else(|| name.to_owned()))
    });
    let keys: Vec<String> = translated
        .iter()
        .filter_map(|(name, _)| Some(name.strip_suffix(KEY)?.to_owned()))
        .collect();
    for parameter in ["weight", "bias"] {
        for stem in &keys {
            let [key, value] =
                ["key", "value"].map(|part| format!("{stem}attn.{part}.{parameter}"));
            translated.join(&key, &value, format!("{stem}attn.kv.{parameter}"));
        }
    }
    translated
}

/// What ends the name of a block's keys in between.
const KEY: &str = "attn.key.weight";

/// A name below `encoder.`; stages are counted from 0 there.
fn of_encoder(name: &str) -> Option<String> {
    let (part, rest) = name.split_once('.')?;
    let (stage, rest) = rest.split_once('.')?;
    let stage = stage.parse::<usize>().ok()?.checked_add(1)?;
    Some(match part {
        "patch_embeddings" => {
            let (layer, parameter) = rest.split_once('.')?;
            let layer = match layer {
                "layer_norm" => "norm",
                other => other,
            };
            format!("backbone.patch_embed{stage}.{layer}.{parameter}")
        }
        "layer_norm" => format!("backbone.norm{stage}.{rest}"),
        "block" => {
            let (index, rest) = rest.split_once('.')?;
            let (layer, parameter) = rest.rsplit_once('.')?;
            let layer = of_block(layer)?;
            format!("backbone.block{stage}.{index}.{layer}.{parameter}")
        }
        _ => return None,
    })
}

/// A layer of a block.
fn of_block(layer: &str) -> Option<&str> {
    Some(match layer {
        "layer_norm_1" => "norm1",
        "layer_norm_2" => "norm2",
        "attention.self.query" => "attn.q",
        "attention.self.key" => "attn.key",
        "attention.self.value" => "attn.value",
        "attention.self.sr" => "attn.sr",
        "attention.self.layer_norm" => "attn.norm",
        "attention.output.dense" => "attn.proj",
        "mlp.dense1" => "mlp.fc1",
        "mlp.dwconv.dwconv" => "mlp.dwconv.dwconv",
        "mlp.dense2" => "mlp.fc2",
        _ => return None,
    })
}

/// A name below `decode_head.`.
fn of_head(name: &str) -> Option<String> {
    let (layer, parameter) = name.rsplit_once('.')?;
    let layer = match layer {
        "linear_fuse" => "linear_fuse.conv".to_owned(),
        "batch_norm" => "linear_fuse.bn".to_owned(),
        "classifier" => "linear_pred".to_owned(),
        other => {
            let (stage, rest) = other.strip_prefix("linear_c.")?.split_once('.')?;
            format!(
                "linear_c{}.{rest}",
                stage.parse::<usize>().ok()?.checked_add(1)?
            )
        }
    };
    Some(format!("decode_head.{layer}.{parameter}"))
}
