//! The classes of a data set as a model numbers them.

use std::sync::Arc;

use limbeck::data::{Labelling, Part, Relabelled};
use limbeck::train::TrainError;
use limbeck::train::model_facts::name_difference;
use limbeck::train::model_source::LoadedModel;

use crate::exit::Usage;

/// How many class names a message lists.
const LISTED: usize = 8;

/// The images of `part` with the class numbers of `model`. Classes are matched by name where the
/// model knows its classes' names; says what is worth knowing of that. `text` is what the user called
/// the model.
pub fn by_class_of_model(part: Part, model: &LoadedModel, text: &str) -> anyhow::Result<Part> {
    let count = model.network.input().classes;
    let names = model.class_names.as_deref().unwrap_or_default();
    let known = |class: &&String| names.contains(class);
    let common = part.classes().iter().filter(known).count();
    if common == 0 && count != part.classes().len() {
        return Err(TrainError::ClassCount {
            teacher: text.to_owned(),
            teacher_classes: count,
            data_classes: part.classes().len(),
        }
        .into());
    }
    if names.is_empty() || part.classes() == names {
        return Ok(part);
    }
    match Relabelled::by_name(Arc::clone(&part.source), names) {
        Ok(source) => {
            let there = part.class_counts();
            let images = |name: &&String| {
                let class = part.classes().iter().position(|class| class == *name);
                class.is_some_and(|class| there[class] > 0)
            };
            let missing: Vec<&str> = names
                .iter()
                .filter(|name| !images(name))
                .map(String::as_str)
                .collect();
            // What masks hold is not known before they are read; what they lack is said as absent.
            if part.labelling() == Labelling::Classes && !missing.is_empty() {
                eprintln!(
                    "note: classes are matched by name; the data has no images of {}",
                    listed(&missing)
                );
            }
            Ok(Part {
                source: Arc::new(source),
                indices: part.indices,
            })
        }
        Err(unknown) => {
            let in_place = part.classes().iter().zip(names).all(|(data, model)| {
                data == model || !names.contains(data) && !part.classes().contains(model)
            });
            if count != part.classes().len() || !in_place {
                return Err(Usage(format!(
                    "the data has classes that the model does not know ({}); the model's are {}",
                    listed(&unknown),
                    listed(names)
                ))
                .into());
            }
            if let Some(difference) = name_difference(names, part.classes()) {
                eprintln!("warning: `{text}`: {difference}");
            }
            Ok(part)
        }
    }
}

/// The first of `names`, and how many more there are.
fn listed(names: &[impl AsRef<str>]) -> String {
    let shown: Vec<&str> = names.iter().take(LISTED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
