//! The other domain of a run: its images, and the drawings of both domains in the style of the other.

use std::path::Path;
use std::sync::Arc;

use limbeck_data::{
    DataError, Dataset, Domains, OpenOptions, Part, Source, Style, StyleMap, Styled, open,
};

use crate::{
    TrainError,
    data::wanted_labels,
    recipe::{Recipe, TargetRecipe},
};

/// Opens the target domain of `recipe`, if it has one, and has its test part tested on in the place of that
/// of `dataset`, which is the source. Says what was found.
///
/// # Errors
/// Data that cannot be read or split, or that has other classes than the source.
pub(crate) fn open_domains(recipe: &Recipe, dataset: &mut Dataset) -> Result<(), TrainError> {
    let Some(target) = &recipe.data.target else {
        return Ok(());
    };
    let options = OpenOptions {
        seed: recipe.data.split_seed,
        validation: recipe.data.validation,
        limit: None,
        labels: wanted_labels(recipe),
    };
    let path = Path::new(&target.path);
    let other = match open(path, &options) {
        // Images alone are enough to adapt to.
        Err(DataError::NoBoxes { .. }) => {
            let options = OpenOptions {
                labels: None,
                ..options
            };
            open(path, &options)?
        }
        found => found?,
    };
    let labelled = other.labelling == dataset.labelling;
    if labelled && other.classes != dataset.classes {
        return Err(TrainError::Setting(format!(
            "{} has the classes {} and {} {}; a domain that is adapted to has the same, in the same order",
            dataset.name,
            dataset.classes.join(", "),
            other.name,
            other.classes.join(", ")
        )));
    }
    dataset.notes.push(format!(
        "target: {}, {} images to adapt to, {} to test",
        other.name,
        other.train.len(),
        other.test.len()
    ));
    if labelled {
        dataset.test = other.test;
    } else {
        dataset.notes.push(
            "target: its images have no boxes, so what is tested on is the source's test part"
                .to_owned(),
        );
    }
    let seed = recipe.data.split_seed;
    let drawn = |part: &Part, of: &Part, folder: &Option<String>| -> Result<_, TrainError> {
        let style = style(target, of, folder, seed);
        let styled = Styled::new(Arc::clone(&part.source), style)?;
        Ok(Arc::new(styled) as Arc<dyn Source>)
    };
    let source_fake = drawn(&dataset.train, &other.train, &target.source_drawings)?;
    let target_fake = drawn(&other.train, &dataset.train, &target.target_drawings)?;
    for (which, folder) in [
        ("source", &target.source_drawings),
        ("target", &target.target_drawings),
    ] {
        dataset.notes.push(match folder {
            Some(folder) => {
                format!("style: images of the {which} in the other style are in {folder}")
            }
            None => format!(
                "style: images of the {which} take the other domain's {}",
                match target.style {
                    StyleMap::Fourier =>
                        format!("amplitudes of frequencies up to {} of a side", target.share),
                    StyleMap::Statistics => "means and deviations of colours".to_owned(),
                }
            ),
        });
    }
    dataset.domains = Some(Domains {
        source_fake,
        target: other.train,
        target_fake,
        target_validation: other.validation,
    });
    Ok(())
}

/// Where the style of images is from, which is that of the images of `of`.
fn style(target: &TargetRecipe, of: &Part, folder: &Option<String>, seed: u64) -> Style {
    match folder {
        Some(folder) => Style::Files(folder.into()),
        None => Style::Map {
            map: target.style,
            share: target.share,
            of: Arc::new(OfPart(of.clone())),
            seed,
        },
    }
}

/// The images of a part under numbers of their own: styles are taken of what is trained on alone.
#[derive(Debug)]
struct OfPart(Part);

impl Source for OfPart {
    fn labelling(&self) -> limbeck_data::Labelling {
        limbeck_data::Labelling::None
    }

    fn classes(&self) -> &[String] {
        &[]
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn annotation(
        &self,
        _index: usize,
    ) -> Result<limbeck_data::Annotation, limbeck_data::DataError> {
        Ok(limbeck_data::Annotation::None)
    }

    fn image(&self, index: usize) -> Result<limbeck_data::Image, limbeck_data::DataError> {
        self.0.image(index)
    }

    fn shared_image(
        &self,
        index: usize,
    ) -> Result<Arc<limbeck_data::Image>, limbeck_data::DataError> {
        self.0.shared_image(index)
    }
}
