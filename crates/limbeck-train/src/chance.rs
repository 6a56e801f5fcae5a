//! Whether a teacher knows more of the data than guessing does, and what is likely wrong if not.

use std::fmt;

use limbeck_data::Part;
use limbeck_report::Measure;

use crate::metric::Choice;

/// A teacher is at chance where it has gone less than this share of the way from guessing to
/// knowing everything.
const LEAST_GAIN: f64 = 0.1;

/// Share of the images called by one class from which on a network looks blind.
const ONE_CLASS: f64 = 0.9;

/// Share of right choices under the best renaming of classes from which on their order looks wrong.
const RENAMED: f64 = 0.6;

/// Images for each class that a renaming takes: with fewer, chance alone finds a good one.
const IMAGES_PER_CLASS: usize = 10;

/// A teacher that does no better than guessing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtChance {
    /// Images it was asked about.
    pub images: usize,
    /// What it gets right, in percent.
    pub right: f64,
    /// What the same answer for every image gets right, the best one, in percent.
    pub guessing: f64,
    /// What is likely wrong.
    pub likely: Likely,
}

/// What may be wrong with a teacher at chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likely {
    /// It calls nearly all images by one class.
    OneClass,
    /// Its choices go with the labels, under other numbers.
    OtherOrder,
    /// Nothing stands out.
    Unknown,
}

/// Compares a teacher's `choices` with the `labels` of the same images, of `classes` classes; `None`
/// where it is better than guessing, or there are no labels.
#[must_use]
pub fn at_chance(choices: &[Choice], labels: &[usize], classes: usize) -> Option<AtChance> {
    let images = choices.len().min(labels.len());
    if images == 0 || classes == 0 {
        return None;
    }
    let mut together = vec![0usize; classes * classes];
    let (mut chosen, mut there) = (vec![0usize; classes], vec![0usize; classes]);
    for (choice, &label) in choices.iter().zip(labels) {
        if choice.class < classes && label < classes {
            together[choice.class * classes + label] += 1;
            chosen[choice.class] += 1;
            there[label] += 1;
        }
    }
    let share = |count: usize| count as f64 / images as f64;
    let most = |counts: &[usize]| share(counts.iter().copied().max().unwrap_or(0));
    let right = share(
        (0..classes)
            .map(|class| together[class * classes + class])
            .sum(),
    );
    let guessing = most(&there).max(1.0 / classes as f64);
    if right - guessing >= LEAST_GAIN * (1.0 - guessing) {
        return None;
    }
    let renamed: usize = together
        .chunks_exact(classes)
        .filter_map(|row| row.iter().max())
        .sum();
    let enough = images >= IMAGES_PER_CLASS * classes;
    let likely = if most(&chosen) > ONE_CLASS {
        Likely::OneClass
    } else if enough && share(renamed) > RENAMED {
        Likely::OtherOrder
    } else {
        Likely::Unknown
    };
    Some(AtChance {
        images,
        right: 100.0 * right,
        guessing: 100.0 * guessing,
        likely,
    })
}

/// The same of a teacher's `choices` for all images of `part`.
pub(crate) fn at_chance_on(choices: &[Choice], part: &Part) -> Option<AtChance> {
    let labels: Vec<usize> = (0..part.len()).filter_map(|i| part.class(i)).collect();
    at_chance(choices, &labels, part.classes().len())
}

/// The same of what was `measured` of a teacher, where single choices tell nothing: of masks, whose
/// pixels are right for the most part where one class fills them.
pub(crate) fn measured_at_chance(measured: &Measure) -> Option<String> {
    let chance = measured.chance?;
    (measured.value - chance < LEAST_GAIN * (100.0 - chance)).then(|| {
        format!(
            "THE TEACHER DOES NO BETTER THAN GUESSING: its {} is {}, and the same answer everywhere \
             gives {}",
            measured.title,
            measured.write(measured.value, 1),
            measured.write(chance, 1)
        )
    })
}

impl fmt::Display for AtChance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "THE TEACHER DOES NO BETTER THAN GUESSING: it is {:.1} % right on {} images, and guessing \
             gives {:.1} %",
            self.right, self.images, self.guessing
        )
    }
}

impl Likely {
    /// What to look at, of a teacher whose weights come from elsewhere.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::OneClass => {
                "it calls nearly all of them by one class: are its images normalised as in its \
                 training (--teacher-normalisation), and its weights the right ones?"
            }
            Self::OtherOrder => {
                "its choices go with the labels, under other numbers: its classes are in another \
                 order than the data's"
            }
            Self::Unknown => {
                "are its normalisation, its class order and its weights the right ones?"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choices(classes: impl IntoIterator<Item = usize>) -> Vec<Choice> {
        let choice = |class| Choice {
            class,
            probability: 1.0,
        };
        classes.into_iter().map(choice).collect()
    }

    #[test]
    fn a_teacher_that_knows_something_is_left_alone() {
        let labels: Vec<usize> = (0..100).map(|i| i % 10).collect();
        let choices = choices((0..100).map(|i| if i % 3 == 0 { i % 10 } else { 0 }));
        assert_eq!(at_chance(&choices, &labels, 10), None);
        assert_eq!(at_chance(&choices, &[], 10), None);
    }

    #[test]
    fn one_class_for_all_images_is_told_from_classes_in_another_order() {
        let labels: Vec<usize> = (0..100).map(|i| i % 10).collect();
        let blind = at_chance(&choices([3; 100]), &labels, 10).unwrap();
        assert_eq!(blind.likely, Likely::OneClass);
        assert!((blind.right - 10.0).abs() < 1e-9 && (blind.guessing - 10.0).abs() < 1e-9);
        let turned = choices((0..100).map(|i| (i + 1) % 10));
        let turned = at_chance(&turned, &labels, 10).unwrap();
        assert_eq!((turned.right, turned.likely), (0.0, Likely::OtherOrder));
        let random = choices((0..100).map(|i| (i / 10 + 3 * i) % 10));
        let random = at_chance(&random, &labels, 10).unwrap();
        assert_eq!(random.likely, Likely::Unknown);
    }

    #[test]
    fn guessing_knows_the_most_frequent_class() {
        let labels: Vec<usize> = (0..100).map(|i| usize::from(i % 10 == 0)).collect();
        let always = at_chance(&choices([0; 100]), &labels, 2).unwrap();
        assert!((always.guessing - 90.0).abs() < 1e-9);
    }

    #[test]
    fn masks_are_guessed_where_the_measure_is_what_one_class_everywhere_gives() {
        let miou = |value| Measure::percent("miou", "mean IoU", "", value).with_chance(20.0);
        let told = measured_at_chance(&miou(21.0)).unwrap();
        assert!(told.contains("mean IoU is 21.0\u{a0}%"), "{told}");
        assert_eq!(measured_at_chance(&miou(40.0)), None);
        let without = Measure::percent("miou", "", "", 1.0);
        assert_eq!(measured_at_chance(&without), None);
    }
}
