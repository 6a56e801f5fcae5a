//! What a run was worth, in plain words and no stronger than its numbers allow.

use super::cautions::cautions;
use super::numbers::{counted, fixed, interval, percent, signed, significant};
use super::side::{decimals, is_plain, student};
use crate::results::{Gain, RECALL_NAME, Results};

/// What a run was worth, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Headline {
    /// One sentence.
    pub title: String,
    /// How sure that is, and what it cost.
    pub sentences: Vec<String>,
    /// What a careful reader should know before believing it.
    pub cautions: Vec<String>,
}

/// What the gain's interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The interval lies above zero.
    Better,
    /// The interval holds zero.
    Unclear,
    /// The interval lies below zero.
    Worse,
    /// One seed: there is no interval.
    OneSeed,
    /// The difference is not a finite number.
    Broken,
}

/// Reads a gain's interval.
pub fn verdict(gain: &Gain) -> Verdict {
    match gain.ci95 {
        _ if !gain.mean.is_finite() => Verdict::Broken,
        None => Verdict::OneSeed,
        Some([low, high]) if !(low.is_finite() && high.is_finite()) => Verdict::Broken,
        Some([low, _]) if low > 0.0 => Verdict::Better,
        Some([_, high]) if high < 0.0 => Verdict::Worse,
        Some(_) => Verdict::Unclear,
    }
}

/// What a run was worth.
pub fn headline(results: &Results) -> Headline {
    let mut sentences = certainty(results);
    sentences.extend(beside_the_teacher(results));
    Headline {
        title: title(results),
        sentences,
        cautions: cautions(results),
    }
}

fn title(results: &Results) -> String {
    let digits = decimals(results);
    let name = &results.student.name;
    let Some(score) = student(results).mean(|test| test.score()) else {
        return format!("There is no test result of {name}.");
    };
    let subject = if results.method == "none" {
        name.clone()
    } else {
        format!("Trained with {}, {name}", results.method)
    };
    let reached = format!(
        "{subject} {} {} of the test images{}",
        if by_recall(results) {
            "finds another image of the class next to"
        } else {
            "gets"
        },
        percent(score, digits),
        if by_recall(results) { "" } else { " right" }
    );
    if let Some(gain) = &results.gain {
        let points = format!("{} points", fixed(gain.mean.abs(), digits));
        let rival = "the same network trained on labels alone";
        return match verdict(gain) {
            Verdict::Better => format!("{reached}, {points} more than {rival}."),
            Verdict::Worse => format!("{reached}, {points} fewer than {rival}."),
            Verdict::Unclear => format!("{reached}; no sure difference to {rival}."),
            Verdict::OneSeed => {
                let difference = compared(gain.mean, digits);
                format!("{reached}, {difference} {rival}, with a single seed.")
            }
            Verdict::Broken => format!("{reached}; the gain could not be computed."),
        };
    }
    match teacher_score(results) {
        Some(teacher) => {
            let difference = compared(score - teacher, digits);
            format!("{reached}, {difference} its teacher.")
        }
        None => format!("{reached}."),
    }
}

/// How sure the title is.
fn certainty(results: &Results) -> Vec<String> {
    let digits = decimals(results);
    let seeds = counted(results.students.len(), "seed");
    if let Some(gain) = &results.gain {
        let interval = gain.ci95.map_or(String::new(), |ci| interval(ci, digits));
        return match verdict(gain) {
            Verdict::Better => vec![format!(
                "The 95 % interval of this gain is {interval} points ({seeds}, paired). All of \
                 it lies above zero, so the choice of seeds is an unlikely explanation."
            )],
            Verdict::Worse => vec![format!(
                "The 95 % interval of this difference is {interval} points ({seeds}, paired). All \
                 of it lies below zero: distillation did harm here."
            )],
            Verdict::Unclear => vec![format!(
                "The mean difference is {} points, and its 95 % interval, {interval} ({seeds}, \
                 paired), holds zero: a gain, a loss and no effect at all are possible. More seeds \
                 would narrow it.",
                signed(gain.mean, digits)
            )],
            Verdict::OneSeed => vec![
                "One pair of runs cannot tell a gain from luck: runs that differ in nothing but \
                 the seed can lie as far apart. Three seeds or more give an interval."
                    .into(),
            ],
            Verdict::Broken => vec![
                "A run ended without a finite accuracy, so student and baseline cannot be compared."
                    .into(),
            ],
        };
    }
    let side = student(results);
    let mut sentences = Vec::new();
    match side.interval(|test| test.score()) {
        Some([low, high]) => sentences.push(format!(
            "That is the mean of {seeds}; its 95 % interval is {} to {}.",
            fixed(low, digits),
            percent(high, digits)
        )),
        None if results.students.len() == 1 => sentences
            .push("That is a single seed: how far other seeds would lie off is unknown.".into()),
        None => {}
    }
    if !is_plain(results) && !results.students.is_empty() && results.baselines.is_empty() {
        sentences.push(
            "What the method added is unknown: no baseline was trained. Run it again with \
             --baseline to find out."
                .into(),
        );
    }
    sentences
}

/// What the student keeps of its teacher, and at which size.
fn beside_the_teacher(results: &Results) -> Vec<String> {
    let (Some(teacher), Some(teacher_score)) = (&results.teacher, teacher_score(results)) else {
        return Vec::new();
    };
    let digits = decimals(results);
    let Some(score) = student(results).mean(|test| test.score()) else {
        return Vec::new();
    };
    let size = match ratio(teacher.params, results.student.params) {
        Some(ratio) if ratio >= 1.05 => {
            format!(", with {} times fewer parameters", significant(ratio))
        }
        Some(ratio) if ratio <= 0.95 => {
            format!(
                ", with {} times as many parameters",
                significant(1.0 / ratio)
            )
        }
        Some(_) => ", with about as many parameters".into(),
        None => String::new(),
    };
    let against = if score >= teacher_score {
        format!(
            "{} its teacher's {}",
            compared_short(score - teacher_score, digits),
            percent(teacher_score, digits)
        )
    } else {
        format!(
            "{} of its teacher's {} of {}",
            percent(score / teacher_score * 100.0, 1),
            if by_recall(results) {
                results.score_name()
            } else {
                "accuracy"
            },
            percent(teacher_score, digits)
        )
    };
    let verb = if score >= teacher_score {
        "scores"
    } else {
        "keeps"
    };
    let mut sentences = vec![format!("The student {verb} {against}{size}.")];
    if let Some(share) = closed_gap(results, score, teacher_score) {
        sentences.push(format!(
            "Of the gap between baseline and teacher, distillation closes {}.",
            percent(share, 0)
        ));
    }
    sentences
}

/// Share of the gap from baseline to teacher that a sure gain closes, in percent.
fn closed_gap(results: &Results, score: f64, teacher: f64) -> Option<f64> {
    let gain = results.gain.as_ref()?;
    let gap = teacher - (score - gain.mean);
    let sure = verdict(gain) == Verdict::Better && score < teacher && gap > 0.0;
    sure.then(|| gain.mean / gap * 100.0)
}

/// Whether networks are compared by recall.
fn by_recall(results: &Results) -> bool {
    results.score_name() == RECALL_NAME
}

/// The teacher's accuracy, or its recall, on the test part, in percent.
pub fn teacher_score(results: &Results) -> Option<f64> {
    let teacher = results.teacher.as_ref()?.test.as_ref()?.score();
    teacher.is_finite().then_some(teacher)
}

/// How many times `teacher` is `student`; `None` where one was not measured.
pub fn ratio(teacher: u64, student: u64) -> Option<f64> {
    (teacher > 0 && student > 0).then(|| teacher as f64 / student as f64)
}

/// `1.92 points more than`, `0.40 points fewer than`, `as many as`.
fn compared(difference: f64, digits: usize) -> String {
    let points = fixed(difference.abs(), digits);
    if points == fixed(0.0, digits) {
        "as many as".into()
    } else if difference > 0.0 {
        format!("{points} points more than")
    } else {
        format!("{points} points fewer than")
    }
}

fn compared_short(difference: f64, digits: usize) -> String {
    let points = fixed(difference, digits);
    if points == fixed(0.0, digits) {
        "exactly".into()
    } else {
        format!("{points} points above")
    }
}
