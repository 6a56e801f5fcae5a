//! The networks that stand side by side in a report: teacher, student, baseline, upper bound.

use maud::{Markup, html};

use super::chart::Ink;
use super::statistics::{interval95, mean};
use crate::evaluation::Evaluation;
use crate::measure::Measure;
use crate::results::{NetworkSummary, Results};

/// Which part a network plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What was learnt from.
    Teacher,
    /// What was distilled; of a plain training run, what was trained.
    Student,
    /// The student's network, trained on labels alone.
    Baseline,
    /// The same, trained on the labels of the domain that the student adapts to.
    UpperBound,
}

impl Role {
    /// Colour in charts.
    pub fn ink(self) -> Ink {
        match self {
            Self::Teacher => Ink::Teacher,
            Self::Student => Ink::Student,
            Self::Baseline => Ink::Baseline,
            Self::UpperBound => Ink::UpperBound,
        }
    }
}

/// One network of a run, with all that was measured of it.
#[derive(Clone, Debug)]
pub struct Side<'a> {
    /// Its part.
    pub role: Role,
    /// Its part in a word, with a capital: `Teacher`, `Student`, `Baseline`, `Upper bound`,
    /// `Network`.
    pub title: &'static str,
    /// The network and its cost.
    pub network: &'a NetworkSummary,
    /// What it did on the test part, one for each seed; one or none for a teacher.
    pub tests: Vec<&'a Evaluation>,
}

impl Side<'_> {
    /// The measure called `name` for each seed; NaN where it was not taken.
    pub fn values(&self, name: &str) -> Vec<f64> {
        let value = |test: &&Evaluation| test.value(name).unwrap_or(f64::NAN);
        self.tests.iter().map(value).collect()
    }

    /// Mean of one measure over seeds.
    pub fn mean(&self, name: &str) -> Option<f64> {
        mean(&self.values(name))
    }

    /// 95 % interval of that mean.
    pub fn interval(&self, name: &str) -> Option<[f64; 2]> {
        interval95(&self.values(name))
    }

    /// What was measured, in the order in which it is told.
    pub fn measures(&self) -> &[Measure] {
        self.tests.first().map_or(&[], |test| &test.measures)
    }
}

/// The networks of a run: teacher (if any), student, baseline and upper bound (if any).
pub fn sides(results: &Results) -> Vec<Side<'_>> {
    let mut sides = Vec::new();
    if let Some(teacher) = &results.teacher {
        sides.push(Side {
            role: Role::Teacher,
            title: "Teacher",
            network: teacher,
            tests: teacher.test.iter().collect(),
        });
    }
    sides.push(Side {
        role: Role::Student,
        title: if is_plain(results) {
            "Network"
        } else {
            "Student"
        },
        network: &results.student,
        tests: results.students.iter().map(|seed| &seed.test).collect(),
    });
    if !results.baselines.is_empty() {
        sides.push(Side {
            role: Role::Baseline,
            title: "Baseline",
            network: &results.student,
            tests: results.baselines.iter().map(|seed| &seed.test).collect(),
        });
    }
    if !results.bounds.is_empty() {
        sides.push(Side {
            role: Role::UpperBound,
            title: "Upper bound",
            network: &results.student,
            tests: results.bounds.iter().map(|seed| &seed.test).collect(),
        });
    }
    sides
}

/// The student's side.
pub fn student(results: &Results) -> Side<'_> {
    Side {
        role: Role::Student,
        title: "Student",
        network: &results.student,
        tests: results.students.iter().map(|seed| &seed.test).collect(),
    }
}

/// What the teacher reaches in what networks are compared by, on the test part.
pub fn teacher_value(results: &Results) -> Option<f64> {
    let test = results.teacher.as_ref()?.test.as_ref()?;
    let value = test.value(&results.compared_by()?.name)?;
    value.is_finite().then_some(value)
}

/// The side that plays that part.
pub fn side(results: &Results, role: Role) -> Option<Side<'_>> {
    sides(results).into_iter().find(|side| side.role == role)
}

/// Whose weights were kept and why; `None` where that was not told.
pub fn choice(results: &Results) -> Option<&str> {
    let seed = results.students.first()?;
    Some(seed.choice.as_str()).filter(|choice| !choice.is_empty())
}

/// Whether the run trained a network on labels alone, with nothing to compare it with.
pub fn is_plain(results: &Results) -> bool {
    results.is_baseline() && results.teacher.is_none() && results.baselines.is_empty()
}

/// Decimals that the size of the test part allows for a percentage.
pub fn decimals(results: &Results) -> usize {
    if results.data.test >= 1000 { 2 } else { 1 }
}

/// What the colours and shapes of charts mean.
pub fn legend(sides: &[Side]) -> Markup {
    html! {
        ul.legend {
            @for side in sides {
                li { (swatch(side.role)) (side.title) }
            }
        }
    }
}

/// A role's colour and shape, as in the charts.
pub fn swatch(role: Role) -> Markup {
    let colour = role.ink().variable();
    html! {
        svg.swatch viewBox="0 0 26 12" aria-hidden="true" {
            @match role {
                Role::Teacher => {
                    path d="M1 6H25" stroke=(colour) stroke-width="2" stroke-dasharray="5 3.5" {}
                    path d="M13 1L18 6L13 11L8 6Z" fill=(colour) {}
                }
                Role::Student => {
                    path d="M1 6H25" stroke=(colour) stroke-width="2" {}
                    circle cx="13" cy="6" r="4.5" fill=(colour) {}
                }
                Role::Baseline => {
                    path d="M1 6H25" stroke=(colour) stroke-width="2" {}
                    circle cx="13" cy="6" r="3.5" fill="var(--ground)" stroke=(colour) stroke-width="2" {}
                }
                Role::UpperBound => {
                    path d="M1 6H25" stroke=(colour) stroke-width="2" {}
                    path d="M13 1L18 10.5H8Z" fill=(colour) {}
                }
            }
        }
    }
}
