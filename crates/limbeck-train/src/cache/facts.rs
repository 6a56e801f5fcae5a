//! What a run and a cache have to agree on.

use limbeck_cache::{DataFacts, Section};
use limbeck_data::{Augment, Dataset};
use limbeck_methods::Section as Part;
use serde_json::{Value, json};

use crate::recipe::DataRecipe;

/// Name of a part of the data in a manifest.
pub(super) fn section_name(section: Part) -> &'static str {
    match section {
        Part::Train => "train",
        Part::Validation => "validation",
        Part::Test => "test",
    }
}

/// The images: fingerprint of the whole set, and how it is split.
pub(super) fn data(dataset: &Dataset, recipe: &DataRecipe) -> DataFacts {
    DataFacts {
        name: dataset.name.clone(),
        fingerprint: dataset.fingerprint.clone(),
        split: json!({
            "split_seed": recipe.split_seed,
            "validation": recipe.validation,
            "limit": recipe.limit,
        }),
        classes: dataset.classes.clone(),
    }
}

/// What is done to each image by itself. Mixing is left out: it comes after the views, and the
/// targets are mixed with the images.
pub(super) fn augment(augment: &Augment) -> Value {
    let single = Augment {
        mixup_alpha: 0.0,
        cutmix_alpha: 0.0,
        ..augment.clone()
    };
    let mut value = serde_json::to_value(single).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("mixup_alpha");
        fields.remove("cutmix_alpha");
    }
    value
}

/// The training images in so many views, and the images that are only measured on.
pub(super) fn sections(dataset: &Dataset, views: u64) -> Vec<Section> {
    let parts = [
        (Part::Train, &dataset.train, views),
        (Part::Validation, &dataset.validation, 1),
        (Part::Test, &dataset.test, 1),
    ];
    let sections = parts.into_iter().map(|(section, part, views)| Section {
        name: section_name(section).to_owned(),
        samples: part.len() as u64,
        views,
    });
    sections.collect()
}
