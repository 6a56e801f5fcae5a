//! What a run that pre-trains has to show: pictures, neighbours and maps of its first seed.

use limbeck_data::Part;
use limbeck_report::{
    EmbeddingMap, Neighbour, Neighbourhood, Plane, Pretrained, Prototype, Reconstructed, Redrawn,
};

use super::Plan;
use crate::{
    TrainError,
    evaluate::{EvaluationSet, Specimens},
    job::{self, Exhibits},
    metric::PartAnswers,
    picture::{base64_png, shrunk},
};

/// Greatest side of an image that is reconstructed, in pixels.
const RECONSTRUCTED: usize = 160;
/// Greatest side of an image that stands among others.
const SMALL: usize = 64;

/// What the networks of the first seed made of the test part.
pub(super) struct Seen<'a> {
    pub teacher: Option<&'a PartAnswers>,
    pub student: &'a PartAnswers,
    pub baseline: Option<&'a PartAnswers>,
}

/// The pictures; `None` where `test` is of another task. Those of the jobs come from `student` and
/// `baseline`.
///
/// # Errors
/// An image that cannot be read.
pub(super) fn pretrained(
    plan: &Plan,
    test: &EvaluationSet,
    seen: &Seen<'_>,
    student: &Exhibits,
    baseline: Option<&Exhibits>,
) -> Result<Option<Pretrained>, TrainError> {
    let Some(specimens) = test.specimens() else {
        return Ok(None);
    };
    Ok(Some(Pretrained {
        classes: plan.dataset.classes.clone(),
        reconstructions: reconstructions(student, baseline),
        standardised: student.standardised,
        neighbourhoods: neighbourhoods(plan, &specimens, seen)?,
        map: map(&specimens, seen),
    }))
}

fn reconstructions(student: &Exhibits, baseline: Option<&Exhibits>) -> Vec<Reconstructed> {
    let picture = |image: &limbeck_data::Image| base64_png(&shrunk(image.clone(), RECONSTRUCTED));
    let redrawn = |made: &job::Reconstructed| Redrawn {
        png: picture(&made.made),
        error: made.error,
    };
    let beside = |made: &job::Reconstructed| {
        let all = baseline.map_or(&[][..], |baseline| &baseline.reconstructions);
        // Compared are reconstructions of the same image from the same patches.
        let same = all.iter().find(|other| {
            other.position == made.position && other.masked.pixels == made.masked.pixels
        });
        same.map(redrawn)
    };
    let all = student.reconstructions.iter();
    all.map(|made| Reconstructed {
        index: made.position,
        png: picture(&made.image),
        masked: picture(&made.masked),
        student: redrawn(made),
        baseline: beside(made),
    })
    .collect()
}

fn neighbourhoods(
    plan: &Plan,
    specimens: &Specimens<'_>,
    seen: &Seen<'_>,
) -> Result<Vec<Neighbourhood>, TrainError> {
    let picture = |part: &Part, position: usize| {
        let image = plan.augment.plain(part.image(position)?);
        Ok::<_, TrainError>(base64_png(&shrunk(image, SMALL)))
    };
    let near = |answers: Option<&PartAnswers>, place: usize| {
        let glimpse = answers.and_then(|answers| answers.glimpse.as_ref());
        let near = glimpse.and_then(|glimpse| glimpse.neighbours.get(place));
        let near = near.into_iter().flatten();
        near.map(|&(position, cosine)| {
            Ok(Neighbour {
                label: specimens.bank.class(position),
                cosine: f64::from(cosine),
                png: picture(specimens.bank, position)?,
            })
        })
        .collect::<Result<Vec<Neighbour>, TrainError>>()
    };
    let shown = specimens.shown.iter().enumerate();
    shown
        .map(|(place, &position)| {
            Ok(Neighbourhood {
                index: position,
                label: specimens.part.class(position),
                png: picture(specimens.part, position)?,
                teacher: near(seen.teacher, place)?,
                student: near(Some(seen.student), place)?,
                baseline: near(seen.baseline, place)?,
            })
        })
        .collect()
}

fn map(specimens: &Specimens<'_>, seen: &Seen<'_>) -> EmbeddingMap {
    let plane = |answers: Option<&PartAnswers>| -> Option<Plane> {
        Some(answers?.glimpse.as_ref()?.plane.clone())
    };
    let labels = specimens.mapped.iter();
    let labels: Option<Vec<usize>> = labels.map(|&it| specimens.part.class(it)).collect();
    EmbeddingMap {
        labels: labels.unwrap_or_default(),
        teacher: plane(seen.teacher),
        student: plane(Some(seen.student)),
        baseline: plane(seen.baseline),
    }
}

/// A job's prototypes as pictures.
pub(super) fn prototypes(exhibits: &Exhibits) -> Vec<Prototype> {
    let all = exhibits.prototypes.iter();
    all.map(|prototype| Prototype {
        number: prototype.number,
        share: prototype.share,
        parts: prototype
            .parts
            .iter()
            .map(|part| base64_png(&shrunk(part.clone(), SMALL)))
            .collect(),
    })
    .collect()
}
