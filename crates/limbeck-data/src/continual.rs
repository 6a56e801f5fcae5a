//! Classes that are learnt one group after the other, and what the masks of each step show of them.
//!
//! Cermelli, Mancini, Rota Bulò, Ricci, Caputo. "Modeling the Background for Incremental Learning in
//! Semantic Segmentation". CVPR 2020, section 4.1 (splits, overlapped and disjoint).

use std::ops::Range;
use std::sync::Arc;

use crate::source::{Annotation, Relabelled};
use crate::{DataError, Part, VOID};

/// Names that the class of everything else goes by.
const BACKGROUND: [&str; 6] = [
    "background",
    "_background_",
    "bg",
    "other",
    "others",
    "ground",
];

/// Which images a step learns from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContinualSetting {
    /// All that show a class of the step; those of later steps are background in them.
    #[default]
    Overlapped,
    /// Those of them that show no class of a later step.
    Disjoint,
}

/// Classes in the order in which they are learnt: the step of each is a range of their numbers, and
/// background, the class 0, is in the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSplit {
    /// Number of classes of the first step without background, and of each further one.
    text: String,
    steps: Vec<Range<usize>>,
}

/// Why classes cannot be learnt in such steps.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// Not two numbers with a dash between them.
    #[error(
        "`{text}` is no split of classes; write the classes of the first step and of each further \
         one, background left out, such as 15-1 or 10-5"
    )]
    Form {
        /// What was given.
        text: String,
    },
    /// A step without classes.
    #[error("the split {text} leaves a step without classes: both numbers must be at least 1")]
    Empty {
        /// What was given.
        text: String,
    },
    /// Numbers that do not add up to the classes.
    #[error(
        "the split {text} does not add up: besides background there are {classes} classes, and \
         {classes} − {first} is no multiple of {further} above 0; splits that fit: {fitting}"
    )]
    Sum {
        /// What was given.
        text: String,
        /// Classes, background left out.
        classes: usize,
        /// Of the first step.
        first: usize,
        /// Of each further one.
        further: usize,
        /// A few that would add up.
        fitting: String,
    },
    /// The first class is not everything else.
    #[error(
        "continual segmentation needs a background class, since a step calls the classes of all \
         others so: class 0 is called `{found}`; make it `background` (the names come from classes.txt, \
         and ids are mapped by `map` in it)"
    )]
    NoBackground {
        /// Name of class 0.
        found: String,
    },
    /// No image to learn from.
    #[error(
        "step {step} of the split {text} ({classes}) has no image to learn from{}",
        if *disjoint { " that shows no class of a later step; `overlapped` takes those too" } else { "" }
    )]
    NoImages {
        /// What was given.
        text: String,
        /// Number of the step, from 0.
        step: usize,
        /// Names of its classes.
        classes: String,
        /// Whether images with later classes were left out.
        disjoint: bool,
    },
}

impl TaskSplit {
    /// `15-1` of these classes: background and 15 others in the first step, then one in each.
    ///
    /// # Errors
    /// No background, a form that is not this one, numbers that do not add up.
    pub fn parse(text: &str, classes: &[String]) -> Result<Self, SplitError> {
        let form = || SplitError::Form {
            text: text.to_owned(),
        };
        let (first, further) = text.trim().split_once('-').ok_or_else(form)?;
        let number = |digits: &str| digits.parse::<usize>().map_err(|_| form());
        let (first, further) = (number(first)?, number(further)?);
        if first == 0 || further == 0 {
            return Err(SplitError::Empty {
                text: text.to_owned(),
            });
        }
        let found = classes.first().cloned().unwrap_or_default();
        if !BACKGROUND.contains(&found.to_lowercase().as_str()) {
            return Err(SplitError::NoBackground { found });
        }
        let count = classes.len() - 1;
        let left = count.checked_sub(first).filter(|&left| left > 0);
        let Some(steps) = left.filter(|left| left.is_multiple_of(further)) else {
            return Err(SplitError::Sum {
                text: text.to_owned(),
                classes: count,
                first,
                further,
                fitting: fitting(count),
            });
        };
        let begins = (first + 1..first + 1 + steps).step_by(further);
        let later = begins.map(|begin| begin..begin + further);
        Ok(Self {
            text: text.trim().to_owned(),
            steps: std::iter::once(0..first + 1).chain(later).collect(),
        })
    }

    /// Classes of each step; the first has background, the class 0.
    #[must_use]
    pub fn steps(&self) -> &[Range<usize>] {
        &self.steps
    }

    /// The images of `part` that step `step` learns from, with masks that show its own classes and
    /// call all others background. Classes that were learnt before are counted, so that numbers stay.
    /// `shown` is of the same part.
    ///
    /// # Errors
    /// No image with a class of the step.
    pub fn training(
        &self,
        part: &Part,
        shown: &ShownClasses,
        step: usize,
        setting: ContinualSetting,
    ) -> Result<Part, SplitError> {
        let own = self.steps[step].clone();
        let disjoint = setting == ContinualSetting::Disjoint;
        let numbered = part.indices.iter().zip(&shown.0);
        let chosen = numbered.filter(|(_, shown)| {
            let of = |range: Range<usize>| range.into_iter().any(|class| shown[class]);
            of(own.start.max(1)..own.end) && !(disjoint && of(own.end..usize::from(VOID)))
        });
        let indices: Vec<usize> = chosen.map(|(&index, _)| index).collect();
        if indices.is_empty() {
            let names = part.source.classes().get(own).unwrap_or_default();
            return Err(SplitError::NoImages {
                text: self.text.clone(),
                step,
                classes: names.join(", "),
                disjoint,
            });
        }
        let source = Arc::new(Relabelled::showing(
            part.source.clone(),
            own.clone(),
            own.end,
        ));
        Ok(Part { source, indices })
    }

    /// The images of `part` with masks that show all classes up to step `step`, and call those of
    /// later steps background.
    #[must_use]
    pub fn measured(&self, part: &Part, step: usize) -> Part {
        let end = self.steps[step].end;
        Part {
            source: Arc::new(Relabelled::showing(part.source.clone(), 0..end, end)),
            indices: part.indices.clone(),
        }
    }
}

/// Which classes each image of a part shows.
#[derive(Clone, Debug)]
pub struct ShownClasses(Vec<[bool; 256]>);

impl ShownClasses {
    /// Looks at all masks of `part`.
    ///
    /// # Errors
    /// A mask that cannot be read.
    pub fn of(part: &Part) -> Result<Self, DataError> {
        let positions = 0..part.len();
        let shown = positions.map(|position| {
            let mut shown = [false; 256];
            if let Annotation::Mask(mask) = part.annotation(position)? {
                for id in mask.ids {
                    shown[usize::from(id)] = true;
                }
            }
            Ok(shown)
        });
        Ok(Self(shown.collect::<Result<_, DataError>>()?))
    }
}

/// A few splits of so many classes.
fn fitting(classes: usize) -> String {
    let splits = (1..classes).rev().flat_map(|first| {
        let left = classes - first;
        let steps = (1..=left).filter(move |&further| left.is_multiple_of(further));
        steps.map(move |further| (first, further))
    });
    let some: Vec<String> = splits
        .take(4)
        .map(|(first, further)| format!("{first}-{further}"))
        .collect();
    match some.is_empty() {
        true => "none".to_owned(),
        false => some.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Labelling, Pairing, Source};
    use crate::{Image, Mask};

    const OVERLAPPED: ContinualSetting = ContinualSetting::Overlapped;
    const DISJOINT: ContinualSetting = ContinualSetting::Disjoint;

    /// Background and classes `c1`, `c2`, …
    fn names(count: usize) -> Vec<String> {
        let others = (1..count).map(|class| format!("c{class}"));
        std::iter::once("background".to_owned())
            .chain(others)
            .collect()
    }

    fn error(text: &str, classes: &[String]) -> String {
        TaskSplit::parse(text, classes).unwrap_err().to_string()
    }

    #[test]
    fn a_split_gives_background_to_the_first_step_and_every_class_to_one() {
        let split = TaskSplit::parse("15-1", &names(21)).unwrap();
        assert_eq!(split.steps().len(), 6);
        assert_eq!(split.steps()[0], 0..16);
        assert_eq!(split.steps()[5], 20..21);
        let split = TaskSplit::parse(" 4-2 ", &names(9)).unwrap();
        assert_eq!(split.steps(), [0..5, 5..7, 7..9]);
    }

    #[test]
    fn splits_that_do_not_fit_are_refused_with_some_that_do() {
        for text in ["15", "a-1", "15-", "-1", "3-x", ""] {
            assert!(
                error(text, &names(21)).contains("is no split of classes"),
                "{text}"
            );
        }
        for text in ["0-1", "15-0"] {
            assert!(
                error(text, &names(21)).contains("a step without classes"),
                "{text}"
            );
        }
        let found = error("15-2", &names(21));
        assert!(found.contains("20 − 15 is no multiple of 2"), "{found}");
        assert!(found.contains("19-1, 18-1, 18-2, 17-1"), "{found}");
        assert!(error("20-1", &names(21)).contains("does not add up"));
        assert!(error("25-1", &names(21)).contains("does not add up"));
        let mut without = names(5);
        without[0] = "road".to_owned();
        let found = error("2-1", &without);
        assert!(found.contains("class 0 is called `road`"), "{found}");
        assert!(error("1-1", &[]).contains("needs a background class"));
    }

    /// Masks of one row.
    #[derive(Debug)]
    struct Rows(Vec<String>, Vec<Vec<u8>>, Pairing);

    impl Source for Rows {
        fn labelling(&self) -> Labelling {
            Labelling::Masks
        }

        fn classes(&self) -> &[String] {
            &self.0
        }

        fn len(&self) -> usize {
            self.1.len()
        }

        fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
            let ids = self.1[index].clone();
            Ok(Annotation::Mask(Mask {
                width: ids.len(),
                height: 1,
                ids,
            }))
        }

        fn mask_file(&self, index: usize) -> Option<std::path::PathBuf> {
            Some(format!("{index}.png").into())
        }

        fn pairing(&self) -> Option<&Pairing> {
            Some(&self.2)
        }

        fn image(&self, index: usize) -> Result<Image, DataError> {
            let width = self.1[index].len();
            Ok(Image {
                width,
                height: 1,
                channels: 1,
                pixels: vec![0; width],
            })
        }
    }

    fn part() -> Part {
        let masks = [
            vec![0, 1, 2, VOID],
            vec![0, 3, 1, VOID],
            vec![3, 4, 0, 2],
            vec![0, 0, VOID, 0],
            vec![4, 4, 4, 4],
        ];
        Part::all(Arc::new(Rows(names(5), masks.to_vec(), Pairing::default())))
    }

    fn ids(part: &Part) -> Vec<Vec<u8>> {
        let of = |position| match part.annotation(position).unwrap() {
            Annotation::Mask(mask) => mask.ids,
            other => panic!("{other:?}"),
        };
        (0..part.len()).map(of).collect()
    }

    fn training(
        split: &TaskSplit,
        step: usize,
        setting: ContinualSetting,
    ) -> Result<Part, SplitError> {
        let part = part();
        let shown = ShownClasses::of(&part).unwrap();
        split.training(&part, &shown, step, setting)
    }

    #[test]
    fn a_step_sees_images_of_its_classes_and_calls_all_others_background() {
        let split = TaskSplit::parse("2-1", &names(5)).unwrap();
        let first = training(&split, 0, OVERLAPPED).unwrap();
        assert_eq!(first.source.classes(), names(3));
        assert_eq!(first.indices, [0, 1, 2]);
        let expected = [[0, 1, 2, VOID], [0, 0, 1, VOID], [0, 0, 0, 2]];
        assert_eq!(ids(&first), expected);
        let second = training(&split, 1, OVERLAPPED).unwrap();
        assert_eq!(second.source.classes(), names(4));
        assert_eq!(ids(&second), [[0, 3, 0, VOID], [3, 0, 0, 0]]);
        let third = training(&split, 2, OVERLAPPED).unwrap();
        assert_eq!(ids(&third), [[0, 4, 0, 0], [4, 4, 4, 4]]);
    }

    #[test]
    fn disjoint_steps_leave_out_images_with_later_classes() {
        let split = TaskSplit::parse("2-1", &names(5)).unwrap();
        let indices = |step| training(&split, step, DISJOINT).unwrap().indices;
        assert_eq!(indices(0), [0]);
        assert_eq!(indices(1), [1]);
        assert_eq!(indices(2), [2, 4]);
        let split = TaskSplit::parse("1-1", &names(5)).unwrap();
        let found = training(&split, 0, DISJOINT).unwrap_err().to_string();
        assert!(
            found.contains("step 0 of the split 1-1 (background, c1)"),
            "{found}"
        );
        assert!(found.contains("`overlapped` takes those too"), "{found}");
    }

    #[test]
    fn what_is_measured_shows_all_classes_so_far_and_all_images() {
        let split = TaskSplit::parse("2-1", &names(5)).unwrap();
        let second = split.measured(&part(), 1);
        assert_eq!(second.len(), 5);
        assert_eq!(second.source.classes(), names(4));
        assert_eq!(ids(&second)[2], [3, 0, 0, 2]);
        assert_eq!(ids(&second)[4], [0, 0, 0, 0]);
        // What the masks' files are is known in every step.
        assert_eq!(second.source.mask_file(3), Some("3.png".into()));
        assert!(second.source.pairing().is_some());
        let digest = |step| split.measured(&part(), step).source.digest();
        assert_ne!(digest(0), digest(1));
        assert_eq!(digest(1), digest(1));
    }
}
