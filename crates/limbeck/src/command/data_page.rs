//! The page that `limbeck check` draws: what a data set holds, and a few of its pictures.

use std::sync::Arc;

use limbeck::data::check::{DataCheck, PartCheck};
use limbeck::data::{Annotation, Found, Source, resize};
use limbeck::report::{self, DataPage, DataPart, DataPicture};

use super::check::{listed, mask_cautions};

/// Pictures on the page.
const PICTURES: usize = 12;

/// Longest side of a picture, in pixels: enough to see where a mask lies, and a page that is not
/// tens of megabytes.
const LONGEST: usize = 480;

/// The page of what was found.
pub fn of(found: &Found, check: &DataCheck) -> anyhow::Result<String> {
    let parts = found.parts();
    let classes = parts.first().map(|(_, source)| source.classes().to_vec());
    let each = PICTURES.div_ceil(parts.len().max(1));
    let data = DataPage {
        name: check.name.clone(),
        notes: check.notes.clone(),
        classes: classes.unwrap_or_default(),
        parts: parts
            .iter()
            .zip(&check.parts)
            .map(|((_, source), part)| part_of(source, part, each))
            .collect(),
    };
    Ok(report::data_page(&data)?)
}

fn part_of(source: &Arc<dyn Source>, part: &PartCheck, pictures: usize) -> DataPart {
    let mut cautions = Vec::new();
    let mut shares = Vec::new();
    let mut void = 0.0;
    if let Some(masks) = &part.masks {
        cautions = mask_cautions(part, masks);
        let classes = masks.classes.iter();
        shares = classes.map(|class| (class.pixels, class.images)).collect();
        void = masks.void;
    }
    if part.unreadable.count > 0 {
        cautions.push(format!(
            "NOT USABLE {} images: {}",
            part.unreadable.count,
            listed(&part.unreadable, |bad| bad.reason.clone())
        ));
    }
    let pictures = pictures.min(source.len());
    let spread = (0..pictures).map(|number| number * source.len() / pictures);
    DataPart {
        name: part.part.to_owned(),
        images: part.images,
        shares,
        void,
        cautions,
        // What cannot be read is told above.
        pictures: spread.filter_map(|index| picture(source, index)).collect(),
    }
}

fn picture(source: &Arc<dyn Source>, index: usize) -> Option<DataPicture> {
    let image = source.image(index).ok()?;
    let annotation = source.annotation(index).ok()?;
    let longest = image.height.max(image.width);
    let side = |side: usize| match longest <= LONGEST {
        true => side,
        false => (side * LONGEST / longest).max(1),
    };
    let [height, width] = [side(image.height), side(image.width)];
    let image = resize(&image, height, width);
    let label = annotation.class();
    Some(DataPicture {
        name: source.name(index),
        label: label.and_then(|class| source.classes().get(class).cloned()),
        size: [height, width],
        channels: image.channels,
        pixels: image.pixels,
        ids: match annotation {
            Annotation::Mask(mask) => Some(mask.resized(height, width).ids),
            Annotation::None | Annotation::Class(_) => None,
        },
    })
}
