//! Pictures with what networks have made of them: those on which student and baseline, or without one
//! student and teacher, differ most.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use limbeck_data::{Annotation, Labelling, Mask, Part, VOID};
use limbeck_report::{DrawnMask, Palette, SegmentedPicture, mask_png};

use crate::{
    TrainError,
    metric::{
        PartAnswers,
        pixels::{ClassPixels, mean_of},
    },
    picture::{base64_png, shown_size, shrunk},
    segment::RunLengths,
};

/// How many pictures are kept.
const PICTURES: usize = 12;
/// Greatest side of a picture that is shown, in pixels.
const LARGEST: usize = 384;

/// What networks made of the test part, the first seed's.
pub(super) struct Made<'a> {
    pub student: &'a PartAnswers,
    pub baseline: Option<&'a PartAnswers>,
    pub teacher: Option<&'a PartAnswers>,
}

/// The pictures on which two of them differ most, the most different first. Those of files are
/// named from the folder `data` on: a run that is resumed may know it by another path.
///
/// # Errors
/// An image or a mask that cannot be read.
pub(super) fn segmented(
    test: &Part,
    data: &Path,
    made: &Made<'_>,
    classes: &[String],
) -> Result<Vec<SegmentedPicture>, TrainError> {
    let Some(other) = made.baseline.or(made.teacher) else {
        return shown(
            test,
            data,
            made,
            classes,
            (0..PICTURES.min(made.student.masks.len())).collect(),
        );
    };
    let mut all = Vec::new();
    for (index, (student, other)) in made.student.masks.iter().zip(&other.masks).enumerate() {
        let truth = truth(test, index)?;
        all.push((
            differing(&student.mask(), &other.mask(), truth.as_ref()),
            index,
        ));
    }
    all.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    let most = all.into_iter().take(PICTURES).map(|(_, index)| index);
    shown(test, data, made, classes, most.collect())
}

fn truth(test: &Part, index: usize) -> Result<Option<Mask>, TrainError> {
    Ok(match test.labelling() {
        Labelling::Masks => match test.annotation(index)? {
            Annotation::Mask(mask) => Some(mask),
            _ => None,
        },
        _ => None,
    })
}

/// Share of the pixels that are not void of which two masks say different things.
fn differing(one: &Mask, other: &Mask, truth: Option<&Mask>) -> f64 {
    let (mut differing, mut all) = (0usize, 0usize);
    for (pixel, (one, other)) in one.ids.iter().zip(&other.ids).enumerate() {
        if truth.is_none_or(|truth| truth.ids.get(pixel) != Some(&VOID)) {
            all += 1;
            differing += usize::from(one != other);
        }
    }
    differing as f64 / all.max(1) as f64
}

fn shown(
    test: &Part,
    data: &Path,
    made: &Made<'_>,
    classes: &[String],
    indices: Vec<usize>,
) -> Result<Vec<SegmentedPicture>, TrainError> {
    let palette = Palette::of(classes);
    indices
        .into_iter()
        .map(|index| {
            let image = test.image(index)?;
            let size = shown_size([image.height, image.width], LARGEST);
            let draw = |mask: &Mask, miou: Option<f64>| {
                let reduced = reduced(mask, size);
                let file = mask_png(&reduced, size, &palette);
                DrawnMask {
                    miou,
                    png: file.map_or_else(|_| String::new(), |file| STANDARD.encode(file)),
                }
            };
            let of = |answers: &PartAnswers| {
                let mask = answers.masks.get(index).map(RunLengths::mask)?;
                let pixels = answers.pixels.get(index);
                let miou = pixels.and_then(|all| mean_of(all.iter().map(ClassPixels::iou)));
                Some(draw(&mask, miou))
            };
            Ok(SegmentedPicture {
                index,
                name: name_within(data, test.name(index)),
                size,
                png: base64_png(&shrunk(image, LARGEST)),
                truth: truth(test, index)?.map(|mask| draw(&mask, None)),
                teacher: made.teacher.and_then(of),
                student: of(made.student),
                baseline: made.baseline.and_then(of),
            })
        })
        .collect()
}

/// The part of a file's `name` that lies within the folder `data`; other names as they are.
pub(super) fn name_within(data: &Path, name: String) -> String {
    match Path::new(&name).strip_prefix(data) {
        Ok(within) if !within.as_os_str().is_empty() => within.display().to_string(),
        _ => name,
    }
}

/// The ids of a mask at `[height, width]`, of each pixel that at its centre.
fn reduced(mask: &Mask, [height, width]: [usize; 2]) -> Vec<u8> {
    let source = |place: usize, of: usize, all: usize| (2 * place + 1) * all / (2 * of);
    let mut ids = Vec::with_capacity(height * width);
    for y in 0..height {
        for x in 0..width {
            let (x, y) = (source(x, width, mask.width), source(y, height, mask.height));
            ids.push(mask.id(x, y));
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_reduced_to_the_ids_at_the_centres() {
        let mask = Mask {
            width: 4,
            height: 2,
            ids: vec![0, 1, 2, 3, 4, 5, 6, 7],
        };
        assert_eq!(reduced(&mask, [1, 2]), [5, 7]);
        assert_eq!(reduced(&mask, [2, 4]), mask.ids);
    }

    #[test]
    fn void_pixels_do_not_differ() {
        let of = |ids: [u8; 4]| Mask {
            width: 2,
            height: 2,
            ids: ids.to_vec(),
        };
        let (one, other) = (of([0, 1, 1, 0]), of([1, 1, 1, 1]));
        assert_eq!(differing(&one, &other, None), 0.5);
        assert_eq!(differing(&one, &other, Some(&of([VOID, 1, 1, VOID]))), 0.0);
    }
}
