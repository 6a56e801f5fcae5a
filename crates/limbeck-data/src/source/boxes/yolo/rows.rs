//! YOLO's file of labels: an object a line, by the number of its class and numbers from 0 to 1.

use std::path::Path;

use super::Description;
use crate::DataError;
use crate::source::boxes::files::read_text;
use crate::source::boxes::problem::{BoxPosition, BoxProblem, Problems};
use crate::source::boxes::settle::RawBox;

/// Most bytes of a file.
const MAX_BYTES: u64 = 16 << 20;

/// Greatest value that may stand for a place in an image: 1, and what rounding adds.
const MAX_VALUE: f64 = 1.01;

/// The objects of a file, in pixels of an image of `[width, height]`.
///
/// # Errors
/// A line that is none of this format, by its number.
pub(super) fn read(
    file: &Path,
    size: [usize; 2],
    description: &Description,
    problems: &mut Problems,
) -> Result<Vec<RawBox>, DataError> {
    let text = read_text(file, MAX_BYTES)?;
    let mut boxes = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let position = BoxPosition::Line(number);
        let row = row(line, description)
            .map_err(|reason| DataError::corrupt(file, format!("line {number}: {reason}")))?;
        match row {
            Some((class, corners)) => {
                let [width, height] = size.map(|side| side as f64);
                let [left, top, right, bottom] = corners;
                let corners = [left * width, top * height, right * width, bottom * height];
                boxes.push(RawBox::new(class, corners, position));
            }
            None => problems.add(BoxProblem::NotFinite, file, position),
        }
    }
    Ok(boxes)
}

/// Class and borders of an object, in shares of the image; `None` where a number is infinite or none.
fn row(line: &str, description: &Description) -> Result<Option<(usize, [f64; 4])>, String> {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default();
    // Some programs write all numbers with a point.
    let class = first
        .parse::<f64>()
        .ok()
        .filter(|class| class.fract() == 0.0);
    let class = class.ok_or_else(|| format!("`{first}` is not the number of a class"))?;
    let classes = description.classes.len();
    if class < 0.0 || class >= classes as f64 {
        return Err(format!(
            "its class is {class}, and {} has {classes}: 0 to {}",
            description.path.display(),
            classes.saturating_sub(1)
        ));
    }
    let numbers: Vec<f64> = words
        .map(|word| word.parse().map_err(|_| format!("`{word}` is no number")))
        .collect::<Result<_, _>>()?;
    let numbers = match description.keypoints {
        true => numbers.get(..4).unwrap_or(&numbers),
        false => &numbers,
    };
    if numbers.iter().any(|number| !number.is_finite()) {
        return Ok(None);
    }
    if let Some(great) = numbers.iter().find(|number| **number > MAX_VALUE) {
        return Err(format!(
            "`{great}` is greater than 1: places are shares of the image's width and height; if these \
             are pixels, divide x and width by the image's width, y and height by its height"
        ));
    }
    let corners = match *numbers {
        [x, y, width, height] => [
            x - width / 2.0,
            y - height / 2.0,
            x + width / 2.0,
            y + height / 2.0,
        ],
        _ if numbers.len() >= 6 && numbers.len().is_multiple_of(2) => bounds(numbers),
        _ => {
            return Err(format!(
                "{} numbers follow the class; a box has 4 (centre, width, height), an outline 2 for \
                 each of 3 points or more",
                numbers.len()
            ));
        }
    };
    Ok(Some((class as usize, corners)))
}

/// The box around the points of an outline, each x and then y.
fn bounds(points: &[f64]) -> [f64; 4] {
    let start = [
        f64::INFINITY,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NEG_INFINITY,
    ];
    points
        .chunks_exact(2)
        .fold(start, |[left, top, right, bottom], point| {
            [
                left.min(point[0]),
                top.min(point[1]),
                right.max(point[0]),
                bottom.max(point[1]),
            ]
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn description(keypoints: bool) -> Description {
        Description {
            path: "data.yaml".into(),
            base: ".".into(),
            classes: vec!["a".to_owned(), "b".to_owned()],
            parts: Vec::new(),
            keypoints,
            notes: Vec::new(),
        }
    }

    fn read_row(line: &str) -> Result<Option<(usize, [f64; 4])>, String> {
        row(line, &description(false))
    }

    #[test]
    fn boxes_and_outlines_are_read() {
        assert_eq!(
            read_row("1 0.5 0.5 0.5 0.25"),
            Ok(Some((1, [0.25, 0.375, 0.75, 0.625])))
        );
        assert_eq!(
            read_row("1.0\t.5 .5 1 1"),
            Ok(Some((1, [0.0, 0.0, 1.0, 1.0])))
        );
        let outline = "0 0.5 0.25 0.75 0.5 0.25 0.625";
        assert_eq!(read_row(outline), Ok(Some((0, [0.25, 0.25, 0.75, 0.625]))));
        assert_eq!(read_row("0 nan 0.5 0.5 0.5"), Ok(None));
        let with_points = "0 0.5 0.5 1 1 0.1 0.2 2 0 0 0";
        let body = row(with_points, &description(true));
        assert_eq!(body, Ok(Some((0, [0.0, 0.0, 1.0, 1.0]))));
    }

    #[test]
    fn what_is_no_such_line_is_refused_with_the_reason() {
        let error = |line| read_row(line).unwrap_err();
        assert!(error("0 320 240 100 50").contains("if these are pixels"));
        assert!(error("2 0.5 0.5 0.5 0.5").contains("its class is 2, and data.yaml has 2: 0 to 1"));
        assert!(error("-1 0.5 0.5 0.5 0.5").contains("its class is -1"));
        assert!(error("dog 0.5 0.5 0.5 0.5").contains("`dog` is not the number"));
        assert!(error("0 0.5 0.5 0.5 x").contains("`x` is no number"));
        assert!(error("0 0.5 0.5 0.5").contains("3 numbers follow"));
        assert!(error("0 0.5 0.5 0.5 0.5 0.9").contains("5 numbers follow"));
        assert!(error("1e400 0.5 0.5 0.5 0.5").contains("number of a class"));
    }

    proptest! {
        #[test]
        fn any_text_never_panics(line in ".{0,60}", numbers in "[0-9eE+.\\- nif]{0,60}") {
            let _ = read_row(&line);
            if let Ok(Some((class, corners))) = read_row(&numbers) {
                prop_assert!(class < 2 && corners.iter().all(|corner| corner.is_finite()));
            }
        }
    }
}
