//! What is wrong with boxes, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::check::Examples;

/// What is wrong with a box, a file or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxProblem {
    /// The box has no width or no height.
    ZeroSize,
    /// Its width or height is below 0.
    NegativeSize,
    /// A coordinate is infinite or no number.
    NotFinite,
    /// Nothing of it lies in the image.
    Outside,
    /// The same box of the same class comes again.
    Duplicate,
    /// The object has no box and no outline that one could be drawn around.
    NoBox,
    /// Its class is not among the classes that the file lists.
    UnknownClass,
    /// It is marked as something not to look at.
    Ignored,
    /// It is on an image that the file does not list.
    UnlistedImage,
    /// Boxes of an image that is not there.
    MissingImage,
    /// The file of labels belongs to no image that is there.
    LabelsWithoutImage,
    /// The image is there and cannot be read.
    UnreadableImage,
    /// Nobody has said which objects the image has.
    NotAnnotated,
    /// The image is in the list of a part more than once.
    RepeatedImage,
    /// The box reaches beyond the image, by more than a pixel.
    Clipped,
    /// The corners are given in the wrong order.
    SwappedCorners,
    /// The class is spelled in another way elsewhere.
    Spelling,
    /// Another object has the same number.
    RepeatedId,
    /// The image has another size than the file says.
    SizeDiffers,
    /// The file names another image than the one that belongs to it.
    OtherName,
    /// The path of the image leads nowhere, and the end of it does.
    OtherPlace,
    /// The image has no file of labels.
    NoLabels,
}

impl BoxProblem {
    /// What is wrong and what was done about it, for people, after a number.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::ZeroSize => "boxes without width or height, left out",
            Self::NegativeSize => "boxes with a width or height below 0, left out",
            Self::NotFinite => "boxes with a coordinate that is no number, left out",
            Self::Outside => "boxes outside their image, left out",
            Self::Duplicate => "boxes that are there twice, left out once",
            Self::NoBox => "objects without a box, left out",
            Self::UnknownClass => "boxes of a class that is not listed, left out",
            Self::Ignored => "shapes that are marked to be ignored, left out",
            Self::UnlistedImage => "boxes on images that are not listed, left out",
            Self::MissingImage => "images that are named and not there, left out with their boxes",
            Self::LabelsWithoutImage => "files of labels without an image, left out",
            Self::UnreadableImage => "images that cannot be read, left out",
            Self::NotAnnotated => "images without annotations, left out",
            Self::RepeatedImage => "images that are listed again, left out once",
            Self::Clipped => "boxes that reach beyond their image, cut off at its border",
            Self::SwappedCorners => "boxes whose corners are in the wrong order, put in order",
            Self::Spelling => {
                "boxes of a class that is spelled otherwise elsewhere, taken for the same"
            }
            Self::RepeatedId => "objects with the number of another, kept",
            Self::SizeDiffers => "images of another size than their annotations say, kept",
            Self::OtherName => "annotations that name another image than their own, kept",
            Self::OtherPlace => {
                "images that lie elsewhere than is said, found by the end of their paths"
            }
            Self::NoLabels => "images without a file of labels, kept as images without objects",
        }
    }

    /// Whether something is left out for it.
    #[must_use]
    pub fn leaves_out(self) -> bool {
        self < Self::Clipped
    }
}

/// Where in a file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxPosition {
    /// It is about all of the file.
    Whole,
    /// A line, counted from 1.
    Line(usize),
    /// An object of the file's list, counted from 1.
    Object(usize),
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoxPlace {
    /// The file.
    pub file: PathBuf,
    /// Where in it.
    pub position: BoxPosition,
}

impl fmt::Display for BoxPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.position {
            BoxPosition::Whole => Ok(()),
            BoxPosition::Line(line) => write!(f, ", line {line}"),
            BoxPosition::Object(object) => write!(f, ", object {object}"),
        }
    }
}

/// What is wrong with the boxes of a part, by kind: how often, and the first few places.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Problems(BTreeMap<BoxProblem, Examples<BoxPlace>>);

impl Problems {
    pub fn add(&mut self, problem: BoxProblem, file: &Path, position: BoxPosition) {
        self.0.entry(problem).or_default().add(|| BoxPlace {
            file: file.to_owned(),
            position,
        });
    }

    pub fn iter(&self) -> impl Iterator<Item = (BoxProblem, &Examples<BoxPlace>)> {
        self.0.iter().map(|(problem, places)| (*problem, places))
    }

    /// Adds all of another list.
    pub fn join(&mut self, other: Self) {
        for (problem, places) in other.0 {
            self.0.entry(problem).or_default().join(places);
        }
    }

    #[cfg(test)]
    pub fn count(&self, problem: BoxProblem) -> usize {
        self.0.get(&problem).map_or(0, |places| places.count)
    }

    /// A line for each kind.
    pub fn lines(&self) -> Vec<String> {
        let line = |(problem, places): (&BoxProblem, &Examples<BoxPlace>)| {
            let named: Vec<String> = places.examples.iter().map(BoxPlace::to_string).collect();
            let more = match places.count - named.len() {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            let (count, text) = (places.count, problem.text());
            format!("{count} {text}: {}{more}", named.join("; "))
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_few_places_are_named_and_the_rest_is_counted() {
        let mut problems = Problems::default();
        for line in 1..=7 {
            problems.add(
                BoxProblem::ZeroSize,
                Path::new("a.txt"),
                BoxPosition::Line(line),
            );
        }
        problems.add(
            BoxProblem::NotAnnotated,
            Path::new("b.jpg"),
            BoxPosition::Whole,
        );
        let lines = problems.lines();
        assert!(lines[0].starts_with("7 boxes without width or height, left out: a.txt, line 1; "));
        assert!(lines[0].ends_with("a.txt, line 5; and 2 more"));
        assert_eq!(lines[1], "1 images without annotations, left out: b.jpg");
        assert!(BoxProblem::ZeroSize.leaves_out() && !BoxProblem::Clipped.leaves_out());
    }
}
