//! What `limbeck check` tells of boxes.

use std::io::Write;

use limbeck::data::check::PartCheck;
use limbeck::data::{BoxCheck, Found, Letterbox, Part};
use limbeck::methods::detection::{Anchors, best_possible_recall};
use limbeck::train::TrainError;
use serde::Serialize;

/// The side in pixels of the squares that YOLOv5's anchors are made for.
const USUAL: usize = 640;

/// Smaller ones that are told besides, where these anchors are kept as they are.
const SMALLER: [usize; 2] = [320, 224];

/// How much longer or shorter than an anchor a box may be that it learns (`anchor_t` of YOLOv5).
const RATIO: f64 = 4.0;

/// Most classes that are printed one by one.
const LISTED: usize = 100;

/// The boxes of a part that YOLOv5's anchors can learn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anchored {
    /// The part.
    pub part: &'static str,
    /// Boxes that are to be learnt: no crowds and no difficult ones.
    pub boxes: usize,
    /// Percent of them that can be learnt with images letterboxed to squares of each side.
    pub learnt: Vec<Learnt>,
}

/// What can be learnt at one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Learnt {
    /// Height and width of what the network sees, in pixels.
    pub side: usize,
    /// Percent of the boxes.
    pub percent: f64,
}

/// The same of each part that has boxes.
///
/// # Errors
/// Boxes that cannot be read.
pub fn anchored(found: &Found) -> anyhow::Result<Vec<Anchored>> {
    let mut all = Vec::new();
    for (part, source) in found.parts() {
        if source.labelling() != limbeck::data::Labelling::Boxes {
            continue;
        }
        let images = Part::all(source.clone());
        let sides = [USUAL].into_iter().chain(SMALLER);
        let mut sizes: Vec<(usize, Vec<[f64; 2]>)> = sides.map(|side| (side, Vec::new())).collect();
        for position in 0..images.len() {
            let boxes = images.boxes(position).map_err(TrainError::from)?;
            // Where an image cannot be read, that is told of the image.
            let Ok(size) = images.size(position) else {
                continue;
            };
            for (side, sizes) in &mut sizes {
                let frame = Letterbox::new(size, [*side; 2]);
                let learnt = boxes
                    .iter()
                    .filter(|label| !label.crowd && !label.difficult);
                sizes.extend(learnt.map(|label| frame.place(*label).size().map(f64::from)));
            }
        }
        let anchors = Anchors::yolov5();
        all.push(Anchored {
            part,
            boxes: sizes.first().map_or(0, |(_, sizes)| sizes.len()),
            learnt: sizes
                .iter()
                .map(|(side, sizes)| Learnt {
                    side: *side,
                    percent: 100.0 * best_possible_recall(&anchors, sizes, RATIO),
                })
                .collect(),
        });
    }
    Ok(all)
}

impl Anchored {
    /// For people.
    fn sentence(&self) -> String {
        let percent = |learnt: &Learnt| format!("{:.1} %", learnt.percent);
        let (usual, smaller) = match self.learnt.split_first() {
            Some((usual, smaller)) => (percent(usual), smaller),
            None => return String::new(),
        };
        let smaller: Vec<String> = smaller
            .iter()
            .map(|learnt| format!("{} at {} pixels", percent(learnt), learnt.side))
            .collect();
        format!(
            "YOLOv5's can learn {usual} of {} boxes at {USUAL} pixels, and at other sizes when scaled with \
             them; unscaled {}",
            self.boxes,
            smaller.join(" and ")
        )
    }
}

pub fn print_boxes(
    part: &PartCheck,
    boxes: &BoxCheck,
    anchored: Option<&Anchored>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "  boxes          {} of {} classes in {} of {} images, at most {} in one",
        boxes.boxes,
        boxes.by_class.len(),
        part.images.saturating_sub(boxes.without_boxes),
        part.images,
        boxes.most_boxes
    )?;
    let names = boxes
        .by_class
        .iter()
        .map(|class| class.name.chars().count());
    let width = names.max().unwrap_or(0);
    for class in boxes.by_class.iter().take(LISTED) {
        let told = match class.boxes {
            0 => "absent".to_owned(),
            count => format!("{count:>6} boxes, {} images", class.images),
        };
        writeln!(out, "    {:width$}  {told}", class.name)?;
    }
    if boxes.by_class.len() > LISTED {
        writeln!(
            out,
            "    and {} classes more (--json lists all)",
            boxes.by_class.len() - LISTED
        )?;
    }
    for (title, text) in facts(boxes, anchored) {
        writeln!(out, "  {title:<13}  {text}")?;
    }
    Ok(())
}

/// What else is to be said of the boxes, each with a title.
pub fn facts(boxes: &BoxCheck, anchored: Option<&Anchored>) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if boxes.without_boxes > 0 {
        facts.push(("no boxes", format!("in {} images", boxes.without_boxes)));
    }
    if boxes.crowds + boxes.difficult > 0 {
        facts.push((
            "set aside",
            format!(
                "{} crowds and {} difficult boxes: not learnt, and not to be found",
                boxes.crowds, boxes.difficult
            ),
        ));
    }
    let sizes = &boxes.sizes;
    facts.push((
        "sizes",
        format!(
            "{} small (below 32² pixels), {} medium (below 96²), {} large, as COCO counts them",
            sizes.small, sizes.medium, sizes.large
        ),
    ));
    facts.push(("longer side", lengths(boxes)));
    if let Some(anchored) = anchored.filter(|anchored| anchored.boxes > 0) {
        facts.push(("anchors", anchored.sentence()));
    }
    facts
}

/// `as a share of the image's: 3 below 1/64, …, 12 from 1/2`.
fn lengths(boxes: &BoxCheck) -> String {
    let steps = boxes.lengths.len();
    let last = steps.saturating_sub(1);
    let told: Vec<String> = boxes
        .lengths
        .iter()
        .enumerate()
        .map(|(step, count)| match step == last {
            true => format!("{count} from 1/2"),
            false => format!("{count} below 1/{}", 1usize << (last - step)),
        })
        .collect();
    format!("as a share of the image's: {}", told.join(", "))
}
