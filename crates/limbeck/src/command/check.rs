//! `limbeck check`: what a data set holds, what is wrong with it, and whether a teacher knows it.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::{Context, bail};
use limbeck::data::check::{DataCheck, Duplicates, Examples, MaskCheck, PartCheck};
use limbeck::data::{Found, OpenOptions, SaliencySource, find_labelled};
use limbeck::train::chance::at_chance;
use limbeck::train::evaluate::choices;
use limbeck::train::metric::Choice;
use limbeck::train::{TrainError, files};
use serde::Serialize;
use serde_json::json;

use super::check_boxes::{Anchored, anchored, print_boxes};
use super::{classes::by_class_of_model, data_page, predict::load_model, threads};
use crate::arguments::{CheckArguments, TaskName};

/// Images that a teacher is asked about.
const ASKED: usize = 200;

/// Most classes whose counts are printed one by one.
const LISTED_CLASSES: usize = 20;

/// What a teacher makes of some of the images.
#[derive(Serialize)]
struct TeacherCheck {
    model: String,
    images: usize,
    /// Right choices, in percent; `None` where there are no labels.
    right: Option<f64>,
    /// Mean probability of its choices, in percent.
    sure: f64,
    /// How many different classes it chooses.
    classes_chosen: usize,
    /// Number of its classes.
    classes: usize,
    /// Share of the class that it chooses most often, in percent.
    most_chosen: f64,
    warning: Option<String>,
}

/// Reads everything, and prints what was found.
pub fn run(arguments: &CheckArguments, quiet: bool) -> anyhow::Result<()> {
    if let Some(path) = &arguments.out
        && path.exists()
    {
        bail!("`{}` exists; choose another name", path.display());
    }
    let threads = threads::set(arguments.threads)?;
    let wanted = arguments.task.and_then(TaskName::labels);
    let found = find_labelled(Path::new(&arguments.data), wanted).map_err(TrainError::from)?;
    let check = found.check(threads).map_err(TrainError::from)?;
    let anchors = anchored(&found)?;
    if let Some(path) = &arguments.out {
        let saliency = arguments.saliency.as_deref();
        let saliency = saliency.map(|from| match from {
            "files" => SaliencySource::Files,
            _ => SaliencySource::Estimated,
        });
        let page = data_page::of(&found, &check, &anchors, saliency)?;
        files::write_whole(path, page.as_bytes())
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    let teacher = match &arguments.teacher {
        None => None,
        Some(teacher) => Some(ask(teacher, found, arguments, quiet)?),
    };
    let mut out = stdout().lock();
    if arguments.json {
        writeln!(
            out,
            "{:#}",
            json!({ "data": check, "anchors": anchors, "teacher": teacher })
        )?;
    } else {
        print(&check, &anchors, teacher.as_ref(), &mut out)?;
    }
    match check.unreadable() {
        0 => Ok(()),
        1 => bail!("one image cannot be used"),
        images => bail!("{images} images cannot be used"),
    }
}

/// Asks the teacher about some of the images.
fn ask(
    text: &str,
    found: Found,
    arguments: &CheckArguments,
    quiet: bool,
) -> anyhow::Result<TeacherCheck> {
    let which = found.usually_measured(false);
    let part = found
        .measured(which, &OpenOptions::default())
        .map_err(TrainError::from)?
        .spread(ASKED);
    let usual = part.source.usual_shape();
    let size = usual.map(|[_, height, width]| [height, width]);
    let model = load_model(text, &arguments.teacher_file.facts(), size, quiet)?;
    let part = match part.classes().is_empty() {
        true => part,
        false => by_class_of_model(part, &model, text)?,
    };
    let labels: Vec<usize> = (0..part.len()).filter_map(|i| part.class(i)).collect();
    let images = part.len();
    let augment = model.augment()?;
    let chosen = threads::compute(|| choices(&model.network, part, &augment))?;
    let classes = model.network.input().classes;
    Ok(TeacherCheck::of(
        &chosen,
        &labels,
        classes,
        model.network.name(),
        images,
    ))
}

impl TeacherCheck {
    fn of(chosen: &[Choice], labels: &[usize], classes: usize, model: &str, images: usize) -> Self {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for choice in chosen {
            *counts.entry(choice.class).or_default() += 1;
        }
        let percent = |count: f64| 100.0 * count / images.max(1) as f64;
        let right = chosen
            .iter()
            .zip(labels)
            .filter(|(choice, label)| choice.class == **label);
        let right = (!labels.is_empty()).then(|| percent(right.count() as f64));
        let most_chosen = percent(counts.values().copied().max().unwrap_or(0) as f64);
        let warning = match at_chance(chosen, labels, classes) {
            Some(chance) => Some(format!("{chance}: {}", chance.likely.advice())),
            None if labels.is_empty() && classes > 1 && most_chosen > 90.0 => Some(
                "THE TEACHER CALLS NEARLY ALL IMAGES BY ONE CLASS: are they normalised as in its \
                 training (--teacher-normalisation), and do they show what it knows?"
                    .to_owned(),
            ),
            None => None,
        };
        Self {
            model: model.to_owned(),
            images,
            right,
            sure: percent(chosen.iter().map(|choice| choice.probability).sum()),
            classes_chosen: counts.len(),
            classes,
            most_chosen,
            warning,
        }
    }
}

fn print(
    check: &DataCheck,
    anchors: &[Anchored],
    teacher: Option<&TeacherCheck>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(out, "{}", check.name)?;
    for note in &check.notes {
        writeln!(out, "  {note}")?;
    }
    for part in &check.parts {
        print_part(part, anchors, out)?;
    }
    if check.duplicates.is_empty() {
        writeln!(out, "duplicates: none")?;
    }
    for duplicates in &check.duplicates {
        print_duplicates(duplicates, out)?;
    }
    if let Some(teacher) = teacher {
        writeln!(
            out,
            "teacher {} on {} images",
            teacher.model, teacher.images
        )?;
        if let Some(right) = teacher.right {
            writeln!(out, "  right          {right:.1} %")?;
        }
        writeln!(
            out,
            "  sure           {:.1} % on average; chooses {} of {} classes, one of them for {:.1} % \
             of the images",
            teacher.sure, teacher.classes_chosen, teacher.classes, teacher.most_chosen
        )?;
        if let Some(warning) = &teacher.warning {
            writeln!(out, "  WARNING        {warning}")?;
        }
    }
    Ok(())
}

fn print_part(part: &PartCheck, anchors: &[Anchored], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{}: {} images", part.part, part.images)?;
    if let Some(sizes) = &part.sizes {
        let size = |[height, width]: [usize; 2]| format!("{height}×{width}");
        match sizes.different {
            1 => writeln!(out, "  size           {} pixels", size(sizes.smallest))?,
            different => writeln!(
                out,
                "  sizes          {different}, from {} to {} pixels, most often {} ({} images)",
                size(sizes.smallest),
                size(sizes.largest),
                size(sizes.most_frequent),
                sizes.with_it
            )?,
        }
    }
    match (&part.masks, &part.boxes) {
        (Some(masks), _) => print_masks(part, masks, out)?,
        (None, Some(boxes)) => {
            let own = anchors.iter().find(|one| one.part == part.part);
            print_boxes(part, boxes, own, out)?;
        }
        (None, None) => print_classes(part, out)?,
    }
    let numbers = |values: &[f64]| {
        let texts: Vec<String> = values.iter().map(|value| format!("{value:.4}")).collect();
        texts.join(", ")
    };
    if !part.mean.is_empty() {
        writeln!(out, "  mean           {}", numbers(&part.mean))?;
        writeln!(out, "  deviation      {}", numbers(&part.deviation))?;
    }
    if part.grey > 0 && part.grey < part.images {
        writeln!(out, "  grey           {} images", part.grey)?;
    }
    if part.near_constant.count > 0 {
        writeln!(
            out,
            "  of one colour  {} images: {}",
            part.near_constant.count,
            listed(&part.near_constant, Clone::clone)
        )?;
    }
    if part.unreadable.count > 0 {
        writeln!(
            out,
            "  NOT USABLE     {} images: {}",
            part.unreadable.count,
            listed(&part.unreadable, |bad| bad.reason.clone())
        )?;
    }
    Ok(())
}

fn print_masks(part: &PartCheck, masks: &MaskCheck, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "  masks          {} classes; {:.1} % of the pixels are void",
        masks.classes.len(),
        masks.void
    )?;
    let names = masks
        .classes
        .iter()
        .map(|class| class.class.chars().count());
    let width = names.max().unwrap_or(0);
    for class in &masks.classes {
        let share = match class.images {
            0 => "absent".to_owned(),
            images => format!("{:6.2} % of the pixels, {images} images", class.pixels),
        };
        writeln!(out, "    {:>3}  {:width$}  {share}", class.id, class.class)?;
    }
    for line in mask_cautions(part, masks) {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// What is odd about the masks of a part, a line each.
pub(super) fn mask_cautions(part: &PartCheck, masks: &MaskCheck) -> Vec<String> {
    let mut lines = Vec::new();
    for foreign in &masks.foreign_ids {
        lines.push(format!(
            "FOREIGN ID     {}, which is no class: {} pixels in {} images, the first of them {}",
            foreign.id, foreign.pixels, foreign.images, foreign.image
        ));
    }
    for (what, paths) in [
        ("NO MASK        ", &masks.images_without_mask),
        ("NO IMAGE       ", &masks.masks_without_image),
        ("JPEG MASKS     ", &masks.jpeg),
    ] {
        if paths.count > 0 {
            lines.push(format!(
                "{what}{}: {}",
                paths.count,
                listed(paths, Clone::clone)
            ));
        }
    }
    if masks.other_size.count > 0 {
        let text = listed(&masks.other_size, |other| {
            format!(
                "{} ({}×{}, its mask {}×{})",
                other.image, other.size[0], other.size[1], other.mask[0], other.mask[1]
            )
        });
        lines.push(format!(
            "OTHER SIZE     {} masks: {text}",
            masks.other_size.count
        ));
    }
    if masks.all_void.count > 0 {
        lines.push(format!(
            "ALL VOID       {} masks, from which nothing is learnt: {}",
            masks.all_void.count,
            listed(&masks.all_void, Clone::clone)
        ));
    }
    if masks.one_class.count > 0 {
        lines.push(format!(
            "one class      {} of {} masks have one class alone, or nearly: {}",
            masks.one_class.count,
            part.images,
            listed(&masks.one_class, Clone::clone)
        ));
    }
    lines
}

fn print_classes(part: &PartCheck, out: &mut impl Write) -> anyhow::Result<()> {
    let counts = || part.classes.iter().map(|class| class.images);
    let (Some(least), Some(most)) = (counts().min(), counts().max()) else {
        return Ok(writeln!(out, "  labels         none")?);
    };
    let number = part.classes.len();
    if least == most {
        return Ok(writeln!(
            out,
            "  classes        {number}, {least} images each"
        )?);
    }
    if number <= LISTED_CLASSES {
        let each: Vec<String> = part
            .classes
            .iter()
            .map(|class| format!("{} {}", class.class, class.images))
            .collect();
        return Ok(writeln!(
            out,
            "  classes        {number}: {}",
            each.join(", ")
        )?);
    }
    let empty = counts().filter(|&count| count == 0).count();
    Ok(writeln!(
        out,
        "  classes        {number}, {least} to {most} images each; {empty} without images"
    )?)
}

fn print_duplicates(duplicates: &Duplicates, out: &mut impl Write) -> anyhow::Result<()> {
    let Duplicates {
        of,
        again_in,
        same_file,
        same_pixels,
        other_class,
    } = duplicates;
    let count = same_file.count + same_pixels.count;
    let example = same_file
        .examples
        .iter()
        .chain(&same_pixels.examples)
        .next();
    let example = example.map_or_else(String::new, |pair| {
        format!(", such as {} and {}", pair.image, pair.again)
    });
    let labels = match other_class {
        0 => String::new(),
        count => format!(", {count} UNDER ANOTHER CLASS"),
    };
    let place = match of == again_in {
        true => format!("{count} images of {of} are there once more"),
        false => format!("{count} images of {again_in} ARE ALSO IN {of}"),
    };
    Ok(writeln!(
        out,
        "duplicates: {place}: {} equal files, {} with equal pixels alone{labels}{example}",
        same_file.count, same_pixels.count
    )?)
}

/// The first few, and that there are more.
pub(super) fn listed<T>(examples: &Examples<T>, text: impl Fn(&T) -> String) -> String {
    let mut texts: Vec<String> = examples.examples.iter().map(text).collect();
    if examples.count > texts.len() {
        texts.push(format!("and {} more", examples.count - texts.len()));
    }
    texts.join("; ")
}
