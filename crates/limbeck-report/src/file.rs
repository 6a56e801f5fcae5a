//! What a run found, as files: `results.json`, which stays small, and `details.json` beside it, which
//! grows with the classes and the pictures.

use serde::{Deserialize, Serialize};

use crate::evaluation::{Details, Evaluation};
use crate::old;
use crate::pretraining::Pretrained;
use crate::prototypes::Prototype;
use crate::results::{DetectedPicture, GeneratedImage, Results, SeedResult, SegmentedPicture};
use crate::version::VERSION;

/// Name of the file with everything but the details.
pub const RESULTS_FILE: &str = "results.json";
/// Name of the file with the details of each evaluation, and the pictures.
pub const DETAILS_FILE: &str = "details.json";

/// Why results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// Written by a later Limbeck.
    #[error(
        "results of format {found}, and this program reads formats up to {VERSION}: use the Limbeck \
         that wrote them, or a later one"
    )]
    Later {
        /// Version that was found.
        found: u64,
    },
    /// Not what it should be.
    #[error("the results cannot be read ({0})")]
    Damaged(#[from] serde_json::Error),
    /// Details that belong to other results.
    #[error("`{DETAILS_FILE}` has other networks or pictures than `{RESULTS_FILE}`")]
    OtherDetails,
}

/// Contents of `details.json`: what `results.json` leaves out, in its order.
#[derive(Debug, Default, Serialize, Deserialize)]
struct DetailsFile {
    teacher: Option<Part>,
    students: Vec<Part>,
    baselines: Vec<Part>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bounds: Vec<Part>,
    /// PNG files, base64.
    pictures: Vec<String>,
    /// Those of pictures with masks: the picture, then its masks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    segmented: Vec<Vec<String>>,
    /// Pictures with boxes, which are nothing without their boxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    detected: Vec<DetectedPicture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pretrained: Option<Pretrained>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    prototypes: Vec<Prototype>,
    /// Those of images that were made: the guide, then the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    generated: Vec<[String; 2]>,
}

/// What one evaluation has besides its measures.
#[derive(Debug, Serialize, Deserialize)]
struct Part {
    per_class: Vec<Option<f64>>,
    details: Details,
}

/// The contents of both files, `results.json` first.
///
/// # Errors
/// None that results of a run can have; what JSON cannot carry is written as `null`.
pub fn to_files(results: &Results) -> Result<(String, String), ResultsError> {
    let mut slim = results.clone();
    let take = |test: &mut Evaluation| Part {
        per_class: std::mem::take(&mut test.per_class),
        details: std::mem::take(&mut test.details),
    };
    let of = |seeds: &mut [SeedResult]| seeds.iter_mut().map(|seed| take(&mut seed.test)).collect();
    let details = DetailsFile {
        teacher: slim
            .teacher
            .as_mut()
            .and_then(|teacher| teacher.test.as_mut())
            .map(take),
        students: of(&mut slim.students),
        baselines: of(&mut slim.baselines),
        bounds: of(&mut slim.bounds),
        pictures: slim
            .disagreements
            .iter_mut()
            .map(|case| std::mem::take(&mut case.png))
            .collect(),
        segmented: slim
            .segmented
            .iter_mut()
            .map(|case| files_of(case).map(std::mem::take).collect())
            .collect(),
        detected: std::mem::take(&mut slim.detected),
        pretrained: slim.pretrained.take(),
        prototypes: std::mem::take(&mut slim.prototypes),
        generated: slim
            .generated
            .iter_mut()
            .map(|case| both_of(case).map(std::mem::take))
            .collect(),
    };
    Ok((
        serde_json::to_string_pretty(&slim)?,
        serde_json::to_string(&details)?,
    ))
}

/// Reads `results.json` of any version, and `details.json` where there is one.
///
/// # Errors
/// A later version, damaged text, details of other results.
pub fn from_files(results: &str, details: Option<&str>) -> Result<Results, ResultsError> {
    #[derive(Deserialize)]
    struct Head {
        version: Option<u64>,
    }
    match serde_json::from_str::<Head>(results)?.version {
        None | Some(1) => return Ok(old::read(results)?),
        Some(VERSION) => {}
        Some(found) => return Err(ResultsError::Later { found }),
    }
    let mut results: Results = serde_json::from_str(results)?;
    if let Some(details) = details {
        fill(&mut results, serde_json::from_str(details)?)?;
    }
    Ok(results)
}

fn fill(results: &mut Results, details: DetailsFile) -> Result<(), ResultsError> {
    let teacher = results
        .teacher
        .as_mut()
        .and_then(|teacher| teacher.test.as_mut());
    let fits = details.teacher.is_some() == teacher.is_some()
        && details.students.len() == results.students.len()
        && details.baselines.len() == results.baselines.len()
        && details.bounds.len() == results.bounds.len()
        && details.pictures.len() == results.disagreements.len()
        && details.segmented.len() == results.segmented.len()
        && details.generated.len() == results.generated.len();
    if !fits {
        return Err(ResultsError::OtherDetails);
    }
    let seeds = results.students.iter_mut().chain(&mut results.baselines);
    let seeds = seeds.chain(&mut results.bounds);
    let tests = teacher.into_iter().chain(seeds.map(|seed| &mut seed.test));
    let parts = details
        .teacher
        .into_iter()
        .chain(details.students)
        .chain(details.baselines)
        .chain(details.bounds);
    for (test, part) in tests.zip(parts) {
        test.per_class = part.per_class;
        test.details = part.details;
    }
    for (case, picture) in results.disagreements.iter_mut().zip(details.pictures) {
        case.png = picture;
    }
    for (case, files) in results.segmented.iter_mut().zip(details.segmented) {
        let mut files = files.into_iter();
        for (place, file) in files_of(case).zip(&mut files) {
            *place = file;
        }
    }
    results.detected = details.detected;
    results.pretrained = details.pretrained;
    results.prototypes = details.prototypes;
    for (case, files) in results.generated.iter_mut().zip(details.generated) {
        for (place, file) in both_of(case).into_iter().zip(files) {
            *place = file;
        }
    }
    Ok(())
}

/// The guide, then the image.
fn both_of(case: &mut GeneratedImage) -> [&mut String; 2] {
    [&mut case.guide, &mut case.png]
}

/// The picture, then its masks.
fn files_of(case: &mut SegmentedPicture) -> impl Iterator<Item = &mut String> {
    let masks = [
        &mut case.truth,
        &mut case.teacher,
        &mut case.student,
        &mut case.baseline,
    ];
    let masks = masks.into_iter().flatten().map(|mask| &mut mask.png);
    std::iter::once(&mut case.png).chain(masks)
}
