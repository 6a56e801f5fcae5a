//! The page that `limbeck check` draws: what a data set holds, and a few of its pictures.

use std::sync::Arc;

use limbeck::data::check::{DataCheck, PartCheck};
use limbeck::data::{
    Annotation, BoxLabel, Found, Image, Part, SaliencySource, Source, composite, resize,
};
use limbeck::report::{self, BoxCount, BoxKind, DataPage, DataPart, DataPicture, DrawnBox};

use super::check::{listed, mask_cautions};
use super::check_boxes::{Anchored, facts};

/// Pictures on the page.
const PICTURES: usize = 12;

/// Longest side of a picture, in pixels: enough to see where a mask lies, and a page that is not
/// tens of megabytes.
const LONGEST: usize = 480;

/// Grey that foregrounds are shown on.
const BACKGROUND: u8 = 128;

/// The page of what was found; with `saliency`, each picture's foreground beside it.
pub fn of(
    found: &Found,
    check: &DataCheck,
    anchors: &[Anchored],
    saliency: Option<SaliencySource>,
) -> anyhow::Result<String> {
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
            .map(|((_, source), part)| part_of(source, part, anchors, each, saliency))
            .collect::<Result<_, _>>()?,
    };
    Ok(report::data_page(&data)?)
}

fn part_of(
    source: &Arc<dyn Source>,
    part: &PartCheck,
    anchors: &[Anchored],
    pictures: usize,
    saliency: Option<SaliencySource>,
) -> anyhow::Result<DataPart> {
    let mut cautions = Vec::new();
    let mut shares = Vec::new();
    let mut void = 0.0;
    if let Some(masks) = &part.masks {
        cautions = mask_cautions(part, masks);
        let classes = masks.classes.iter();
        shares = classes.map(|class| (class.pixels, class.images)).collect();
        void = masks.void;
    }
    let mut counts = Vec::new();
    let mut told = Vec::new();
    if let Some(boxes) = &part.boxes {
        let classes = boxes.by_class.iter();
        let count = classes.map(|class| BoxCount {
            boxes: class.boxes,
            images: class.images,
        });
        counts = count.collect();
        let own = anchors.iter().find(|one| one.part == part.part);
        let facts = facts(boxes, own).into_iter();
        told = facts
            .map(|(title, text)| format!("{title}: {text}"))
            .collect();
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
    let mut shown = Vec::new();
    for index in spread {
        // What cannot be read is told above.
        let Some(picture) = picture(source, index) else {
            continue;
        };
        shown.push(picture);
        if let Some(saliency) = saliency {
            shown.push(foreground(source, index, saliency)?);
        }
    }
    Ok(DataPart {
        name: part.part.to_owned(),
        images: part.images,
        shares,
        void,
        boxes: counts,
        facts: told,
        cautions,
        pictures: shown,
    })
}

/// The foreground of an image that can be read, on grey.
fn foreground(
    source: &Arc<dyn Source>,
    index: usize,
    saliency: SaliencySource,
) -> anyhow::Result<DataPicture> {
    let image = source.image(index)?;
    let mask = saliency.mask(&Part::all(Arc::clone(source)), index, &image)?;
    let pasted = shrunk(&composite(&image, &mask, BACKGROUND));
    Ok(DataPicture {
        name: source.name(index),
        label: Some("foreground".to_owned()),
        size: [pasted.height, pasted.width],
        channels: pasted.channels,
        pixels: pasted.pixels,
        ids: None,
        boxes: None,
    })
}

/// The image with at most [`LONGEST`] pixels along a side.
fn shrunk(image: &Image) -> Image {
    let longest = image.height.max(image.width);
    let side = |side: usize| match longest <= LONGEST {
        true => side,
        false => (side * LONGEST / longest).max(1),
    };
    resize(image, side(image.height), side(image.width))
}

fn picture(source: &Arc<dyn Source>, index: usize) -> Option<DataPicture> {
    let whole = source.image(index).ok()?;
    let annotation = source.annotation(index).ok()?;
    let image = shrunk(&whole);
    let [height, width] = [image.height, image.width];
    let label = annotation.class();
    let scales = [
        width as f64 / whole.width.max(1) as f64,
        height as f64 / whole.height.max(1) as f64,
    ];
    Some(DataPicture {
        name: source.name(index),
        label: label.and_then(|class| source.classes().get(class).cloned()),
        size: [height, width],
        channels: image.channels,
        pixels: image.pixels,
        boxes: match &annotation {
            Annotation::Boxes(boxes) => {
                Some(boxes.iter().map(|label| drawn(label, scales)).collect())
            }
            Annotation::None | Annotation::Class(_) | Annotation::Mask(_) => None,
        },
        ids: match annotation {
            Annotation::Mask(mask) => Some(mask.resized(height, width).ids),
            Annotation::None | Annotation::Class(_) | Annotation::Boxes(_) => None,
        },
    })
}

/// A box in a picture that is so much smaller in width and height than its image.
fn drawn(label: &BoxLabel, [across, down]: [f64; 2]) -> DrawnBox {
    let [left, top, right, bottom] = label.corners.map(f64::from);
    DrawnBox {
        class: label.class,
        bounds: [left * across, top * down, right * across, bottom * down],
        score: None,
        kind: match label.crowd || label.difficult {
            true => BoxKind::Aside,
            false => BoxKind::Right,
        },
    }
}
