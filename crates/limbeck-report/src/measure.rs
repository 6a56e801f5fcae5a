//! A measure of a network on one part of the data: a number that says what it is.

use serde::{Deserialize, Serialize};

use crate::numbers;

/// The measure of how often student and teacher give the same answer, right or wrong. Every task
/// has it; a page shows it apart from the others.
pub const AGREEMENT: &str = "agreement";

/// Which way is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Such as an accuracy.
    #[default]
    Higher,
    /// Such as a loss.
    Lower,
}

/// A measure and its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// Key that machines find it by, such as `top1`.
    pub name: String,
    /// What people call it, in the middle of a sentence, such as `top-1 accuracy`.
    pub title: String,
    /// What it says, in a few words, such as `most probable class is right`.
    pub meaning: String,
    /// What it is measured in, such as `%` or `nats`; empty for a plain number.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// Its value where answers are guessed; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// The value.
    #[serde(deserialize_with = "number")]
    pub value: f64,
}

impl Measure {
    /// A share in percent, the more the better.
    pub fn percent(name: &str, title: &str, meaning: &str, value: f64) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            meaning: meaning.into(),
            unit: "%".into(),
            better: Better::Higher,
            chance: None,
            value,
        }
    }

    /// A quantity in `unit`, the less the better.
    pub fn cost(name: &str, title: &str, meaning: &str, unit: &str, value: f64) -> Self {
        Self {
            unit: unit.into(),
            better: Better::Lower,
            ..Self::percent(name, title, meaning, value)
        }
    }

    /// The same where less is better.
    #[must_use]
    pub fn lower_is_better(self) -> Self {
        Self {
            better: Better::Lower,
            ..self
        }
    }

    /// The same with the value that guessing gives.
    #[must_use]
    pub fn with_chance(self, chance: f64) -> Self {
        Self {
            chance: Some(chance),
            ..self
        }
    }

    /// The value turned so that more is better: what epochs are chosen by and gains are taken of.
    pub fn score(&self) -> f64 {
        self.turned(self.value)
    }

    /// `value` of this measure turned so that more is better.
    pub fn turned(&self, value: f64) -> f64 {
        match self.better {
            Better::Higher => value,
            Better::Lower => -value,
        }
    }

    /// Whether `value` of this measure is about what guessing gives: less than one and a half
    /// times as much, and below 60 % where it is a share.
    pub fn is_near_chance(&self, value: f64) -> bool {
        self.chance.is_some_and(|chance| match self.better {
            Better::Higher => value <= 1.5 * chance && (self.unit != "%" || value < 60.0),
            Better::Lower => value >= chance / 1.5,
        })
    }

    /// `value` of this measure with its unit: `75.31 %`, with `digits` decimals; what is no
    /// percentage has one more.
    pub fn write(&self, value: f64, digits: usize) -> String {
        match self.unit.as_str() {
            "%" => numbers::percent(value, digits),
            unit => numbers::with_unit(self.bare(value, digits), value, unit),
        }
    }

    /// The same without the unit.
    pub fn bare(&self, value: f64, digits: usize) -> String {
        numbers::fixed(value, self.digits(digits))
    }

    /// A difference of two values, with `points` for percentages: `1.92 points`.
    pub fn write_difference(&self, difference: f64, digits: usize) -> String {
        format!(
            "{} {}",
            numbers::fixed(difference, self.digits(digits)),
            self.difference_unit()
        )
        .trim_end()
        .into()
    }

    /// What differences are in: `points` for percentages.
    pub fn difference_unit(&self) -> &str {
        match self.unit.as_str() {
            "%" => "points",
            unit => unit,
        }
    }

    /// Decimals where a percentage has `digits`.
    pub fn digits(&self, digits: usize) -> usize {
        digits + usize::from(self.unit != "%")
    }

    /// The title with a capital.
    pub fn heading(&self) -> String {
        let mut letters = self.title.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(letters).collect()
        })
    }
}

/// Reads a number; `null`, which is how JSON carries what is not finite, is NaN.
pub(crate) fn number<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(reader)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_higher_where_the_measure_is_better() {
        let loss = |value| Measure::cost("loss", "loss", "", "nats", value);
        assert!(loss(0.2).score() > loss(0.3).score());
        let top1 = |value| Measure::percent("top1", "top-1 accuracy", "", value);
        assert!(top1(80.0).score() > top1(79.0).score());
    }

    #[test]
    fn values_are_written_in_their_unit() {
        let top1 = Measure::percent("top1", "top-1 accuracy", "", 0.0);
        assert_eq!(top1.write(75.314, 2), "75.31\u{a0}%");
        assert_eq!(top1.write_difference(1.92, 2), "1.92 points");
        assert_eq!(top1.heading(), "Top-1 accuracy");
        let loss = Measure::cost("loss", "cross entropy", "", "nats", 0.0);
        assert_eq!(loss.write(0.5, 2), "0.500\u{a0}nats");
        assert_eq!(loss.write_difference(0.5, 2), "0.500 nats");
        assert_eq!(loss.write(f64::NAN, 2), "not finite");
    }

    #[test]
    fn guessing_is_told_from_knowing() {
        let top1 = Measure::percent("top1", "", "", 0.0).with_chance(10.0);
        assert!(top1.is_near_chance(12.0) && !top1.is_near_chance(16.0));
        // Of two classes, 70 % is more than guessing though 1.5 times chance is 75 %.
        let two = Measure::percent("top1", "", "", 0.0).with_chance(50.0);
        assert!(two.is_near_chance(52.0) && !two.is_near_chance(70.0));
        assert!(!Measure::percent("top1", "", "", 0.0).is_near_chance(0.0));
    }

    #[test]
    fn what_json_cannot_carry_is_read_as_not_a_number() {
        let measure = Measure::percent("top1", "", "", f64::INFINITY);
        let text = serde_json::to_string(&measure).unwrap();
        let read: Measure = serde_json::from_str(&text).unwrap();
        assert!(read.value.is_nan());
    }
}
