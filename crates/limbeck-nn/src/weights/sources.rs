//! Names of convolutional networks that segment in torchvision and in VainF's code.

use super::StateDict;
use crate::Store;

/// A source: what its names begin with, and what these parts are called here. The first that fits
/// a name counts.
type Source = &'static [(&'static str, &'static str)];

/// torchvision's DeepLabV3, here in CIRKD's names.
const TORCHVISION_DEEPLABV3: Source = &[
    ("backbone.", "pretrained."),
    ("classifier.0.convs.0.", "head.aspp.b0."),
    ("classifier.0.convs.1.", "head.aspp.b1.block."),
    ("classifier.0.convs.2.", "head.aspp.b2.block."),
    ("classifier.0.convs.3.", "head.aspp.b3.block."),
    ("classifier.0.convs.4.", "head.aspp.b4.gap."),
    ("classifier.0.project.", "head.aspp.project."),
    ("classifier.", "head.block."),
    ("aux_classifier.", "auxlayer.block."),
];

/// VainF's DeepLabV3+ on MobileNetV2, whose body is cut in two.
const VAINF_MOBILENET: Source = &[
    ("backbone.low_level_features.", "backbone.features."),
    ("backbone.high_level_features.", "backbone.features."),
    ("", ""),
];

/// torchvision's networks on MobileNets, whose body has no name of its own.
const TORCHVISION_MOBILENET: Source = &[("backbone.", "backbone.features."), ("", "")];

/// All sources.
const SOURCES: &[Source] = &[
    TORCHVISION_DEEPLABV3,
    VAINF_MOBILENET,
    TORCHVISION_MOBILENET,
];

/// What training frameworks put before all names.
const WRAPPERS: &[&str] = &["module.", "model.", "_orig_mod."];

/// `state` with the names of `store`, where those of one of the known sources fit it better than
/// the file's own; `None` where they do not.
pub(super) fn translated(state: &StateDict, store: &Store) -> Option<StateDict> {
    let found = |translate: &dyn Fn(&str) -> Option<String>| {
        let names = state.iter().filter_map(|(name, _)| translate(name));
        names.filter(|name| store.find(name).is_some()).count()
    };
    let own = found(&|name| Some(unwrapped(name).to_owned()));
    let (source, count) = SOURCES
        .iter()
        .map(|source| (source, found(&|name| translate(source, name))))
        .max_by_key(|&(_, count)| count)?;
    (count > own).then(|| {
        state.renamed(|name| Some(translate(source, name).unwrap_or_else(|| name.to_owned())))
    })
}

fn translate(source: Source, name: &str) -> Option<String> {
    let name = unwrapped(name);
    let parts = source.iter();
    parts
        .filter_map(|(theirs, ours)| Some(format!("{ours}{}", name.strip_prefix(theirs)?)))
        .next()
}

fn unwrapped(mut name: &str) -> &str {
    while let Some(rest) = WRAPPERS
        .iter()
        .find_map(|wrapper| name.strip_prefix(wrapper))
    {
        name = rest;
    }
    name
}
