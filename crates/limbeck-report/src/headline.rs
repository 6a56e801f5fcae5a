//! What a run was worth, in plain words and no stronger than its numbers allow.

use super::cautions::cautions;
use super::numbers::{bytes, count, counted, interval, percent, signed, significant};
use super::side::{Role, decimals, side, student, teacher_value};
use crate::measure::{AGREEMENT, Better, Measure};
use crate::results::{Gain, Results};

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
    sentences.extend(over_images(results));
    sentences.extend(below_the_upper_bound(results));
    sentences.extend(beside_the_teacher(results));
    sentences.extend(in_few_bits(results));
    Headline {
        title: title(results),
        sentences,
        cautions: cautions(results),
    }
}

fn title(results: &Results) -> String {
    let digits = decimals(results);
    let name = &results.student.name;
    let tested = results.compared_by().zip(student_value(results));
    let Some((measure, value)) = tested else {
        return format!("There is no test result of {name}.");
    };
    let subject = if results.learns_from_labels_alone() {
        name.clone()
    } else {
        format!("Trained with {}, {name}", results.method)
    };
    let reached = format!(
        "{subject} reaches {} {} on the test images",
        measure.write(value, digits),
        measure.title
    );
    if let Some(gain) = &results.gain {
        let size = measure.write_difference(gain.mean.abs(), digits);
        let rival = match &results.beside {
            None => "the same network trained on labels alone".to_owned(),
            Some(method) => format!("the same network trained with {method} alone"),
        };
        return match verdict(gain) {
            Verdict::Better => format!("{reached}, {size} better than {rival}."),
            Verdict::Worse => format!("{reached}, {size} worse than {rival}."),
            Verdict::Unclear => format!("{reached}; no sure difference to {rival}."),
            Verdict::OneSeed => {
                let difference = compared(measure, gain.mean, digits);
                format!("{reached}, {difference} {rival}, with a single seed.")
            }
            Verdict::Broken => format!("{reached}; the gain could not be computed."),
        };
    }
    match teacher_value(results) {
        Some(teacher) => {
            let difference = measure.turned(value) - measure.turned(teacher);
            let difference = compared(measure, difference, digits);
            format!("{reached}, {difference} its teacher.")
        }
        None => format!("{reached}."),
    }
}

/// How sure the title is.
fn certainty(results: &Results) -> Vec<String> {
    let digits = decimals(results);
    let seeds = counted(results.students.len(), "seed");
    let Some(measure) = results.compared_by() else {
        return Vec::new();
    };
    if let Some(gain) = &results.gain {
        let unit = measure.difference_unit();
        let interval = gain.ci95.map_or(String::new(), |ci| {
            let ends = interval(ci, measure.digits(digits));
            format!("{ends} {unit}").trim_end().into()
        });
        return match verdict(gain) {
            Verdict::Better => vec![format!(
                "The 95 % interval of this gain is {interval} ({seeds}, paired). All of it lies above \
                 zero, so the choice of seeds is an unlikely explanation."
            )],
            Verdict::Worse => vec![format!(
                "The 95 % interval of this difference is {interval} ({seeds}, paired). All of it lies \
                 below zero: distillation did harm here."
            )],
            Verdict::Unclear => vec![format!(
                "The mean difference is {}, and its 95 % interval, {interval} ({seeds}, paired), holds \
                 zero: a gain, a loss and no effect at all are possible. More seeds would narrow it.",
                signed_difference(measure, gain.mean, digits)
            )],
            Verdict::OneSeed => vec![
                "One pair of runs cannot tell a gain from luck: runs that differ in nothing but \
                 the seed can lie as far apart. Three seeds or more give an interval."
                    .into(),
            ],
            Verdict::Broken => vec![
                "A run ended without a finite result, so student and baseline cannot be compared."
                    .into(),
            ],
        };
    }
    let side = student(results);
    let mut sentences = Vec::new();
    match side.interval(&measure.name) {
        Some([low, high]) => sentences.push(format!(
            "That is the mean of {seeds}; its 95 % interval is {} to {}.",
            measure.bare(low, digits),
            measure.write(high, digits)
        )),
        None if results.students.len() == 1 => sentences
            .push("That is a single seed: how far other seeds would lie off is unknown.".into()),
        None => {}
    }
    let labelled = measure.name != AGREEMENT;
    if labelled
        && !results.is_baseline()
        && !results.students.is_empty()
        && results.baselines.is_empty()
    {
        sentences.push(
            "What the method added is unknown: no baseline was trained. Run it again with \
             --baseline to find out."
                .into(),
        );
    }
    if !labelled {
        sentences.push(
            "The data has no labels: how often the student is right is unknown, and so is how often \
             its teacher is."
                .into(),
        );
    }
    sentences
}

/// How much the gain would move with other images.
fn over_images(results: &Results) -> Option<String> {
    let gain = results.gain.as_ref()?;
    let measure = results.compared_by()?;
    let drawn = gain.resampled.as_ref()?;
    let [low, high] = drawn.ci95;
    if !(gain.mean.is_finite() && low.is_finite() && high.is_finite()) {
        return None;
    }
    let ends = interval(drawn.ci95, measure.digits(decimals(results)));
    let unit = measure.difference_unit();
    let of = match drawn.unit.as_str() {
        "image" => "test images".into(),
        unit => format!("{unit}s of test images"),
    };
    let says = if low > 0.0 || high < 0.0 {
        "zero lies outside, so the choice of images is an unlikely explanation too"
    } else {
        "zero lies inside, so other images could show no difference, or the opposite one"
    };
    Some(format!(
        "With these networks and the {} {of} drawn anew, its 95 % interval is {}: {says}.",
        count(drawn.units as u64),
        format!("{ends} {unit}").trim_end(),
    ))
}

/// What the student keeps of its teacher, and at which size.
fn beside_the_teacher(results: &Results) -> Vec<String> {
    let (Some(teacher), Some(measure), Some(student_value)) = (
        &results.teacher,
        results.compared_by(),
        student_value(results),
    ) else {
        return Vec::new();
    };
    let digits = decimals(results);
    let size = match ratio(teacher.params, results.student.params) {
        Some(ratio) if ratio >= 1.05 => {
            format!(" with {} times fewer parameters", significant(ratio))
        }
        Some(ratio) if ratio <= 0.95 => {
            format!(
                " with {} times as many parameters",
                significant(1.0 / ratio)
            )
        }
        Some(_) => " with about as many parameters".into(),
        None => String::new(),
    };
    let Some(teacher_value) = teacher_value(results) else {
        // Such as an agreement, which a teacher has with itself.
        let mut sentences = match size.as_str() {
            "" => Vec::new(),
            size => vec![format!("The student does this{size}.")],
        };
        sentences.extend(teacher.of_other_classes());
        return sentences;
    };
    let lead = measure.turned(student_value) - measure.turned(teacher_value);
    let theirs = measure.write(teacher_value, digits);
    let against = if lead >= 0.0 {
        let lead = match is_nothing(measure, lead, digits) {
            true => "exactly".into(),
            false => format!("{} better than", measure.write_difference(lead, digits)),
        };
        format!("scores {lead} its teacher's {theirs}")
    } else if measure.better == Better::Higher && teacher_value > 0.0 {
        format!(
            "keeps {} of its teacher's {} of {theirs}",
            percent(student_value / teacher_value * 100.0, 1),
            measure.title
        )
    } else {
        let behind = measure.write_difference(-lead, digits);
        format!("scores {behind} worse than its teacher's {theirs}")
    };
    let comma = if size.is_empty() { "" } else { "," };
    let mut sentences = vec![format!("The student {against}{comma}{size}.")];
    if let Some(share) = closed_gap(results, lead) {
        sentences.push(format!(
            "Of the gap between baseline and teacher, distillation closes {}.",
            percent(share, 0)
        ));
    }
    sentences
}

/// What the target's labels would give, and how much of that adapting reaches.
fn below_the_upper_bound(results: &Results) -> Option<String> {
    let measure = results.compared_by()?;
    let bound = side(results, Role::UpperBound)?.mean(&measure.name)?;
    let lead = measure.turned(student_value(results)?) - measure.turned(bound);
    let closed = closed_gap(results, lead).map_or_else(String::new, |share| {
        format!(
            "; of the gap between baseline and upper bound, adaptation closes {}",
            percent(share, 0)
        )
    });
    Some(format!(
        "The upper bound, the same network trained on the target's labels, reaches {} {}{closed}.",
        measure.write(bound, decimals(results)),
        measure.title
    ))
}

/// What few bits save, and whether the file holds what was trained.
fn in_few_bits(results: &Results) -> Option<String> {
    let few = results.student.few_bits.as_ref()?;
    let times = |before, after| ratio(before, after).map_or("1".into(), significant);
    let saved = format!(
        "With weights of {} its numbers take {}, {} times fewer than in single precision, and an image \
         {} times fewer bit operations",
        few.bits,
        bytes(few.bytes),
        times(few.full_bytes, few.bytes),
        times(
            results.student.macs.saturating_mul(32 * 32),
            few.bit_operations
        ),
    );
    let read = few.read_back.zip(results.compared_by());
    let Some(([trained, read], measure)) = read else {
        return Some(format!("{saved}."));
    };
    let digits = decimals(results);
    let scores = |value: f64| match is_nothing(measure, value - trained, digits) {
        true => "the same as in training".to_owned(),
        false => format!(
            "{} ({} as it was trained)",
            measure.write(value, digits),
            measure.write(trained, digits)
        ),
    };
    let in_whole_numbers = few.in_whole_numbers.map_or_else(String::new, |value| {
        format!(
            ", and in whole numbers, as it runs where it is deployed, {}",
            scores(value)
        )
    });
    Some(format!(
        "{saved}; read from its file it scores {}{in_whole_numbers}.",
        scores(read)
    ))
}

/// Share of the gap from baseline to teacher, or to upper bound, that a sure gain closes, in percent; `lead`
/// is what the student is better by than that one.
fn closed_gap(results: &Results, lead: f64) -> Option<f64> {
    let gain = results.gain.as_ref()?;
    let gap = gain.mean - lead;
    let sure = verdict(gain) == Verdict::Better && lead < 0.0 && gap > 0.0;
    sure.then(|| gain.mean / gap * 100.0)
}

/// What students are compared by, as the mean over seeds.
fn student_value(results: &Results) -> Option<f64> {
    student(results).mean(&results.compared_by()?.name)
}

/// How many times `teacher` is `student`; `None` where one was not measured.
pub fn ratio(teacher: u64, student: u64) -> Option<f64> {
    (teacher > 0 && student > 0).then(|| teacher as f64 / student as f64)
}

/// `1.92 points better than`, `0.40 points worse than`, `as good as`.
fn compared(measure: &Measure, lead: f64, digits: usize) -> String {
    let size = measure.write_difference(lead.abs(), digits);
    if is_nothing(measure, lead, digits) {
        "as good as".into()
    } else if lead > 0.0 {
        format!("{size} better than")
    } else {
        format!("{size} worse than")
    }
}

/// Whether a difference is zero with the digits that are shown.
fn is_nothing(measure: &Measure, difference: f64, digits: usize) -> bool {
    measure.bare(difference.abs(), digits) == measure.bare(0.0, digits)
}

fn signed_difference(measure: &Measure, difference: f64, digits: usize) -> String {
    let number = signed(difference, measure.digits(digits));
    format!("{number} {}", measure.difference_unit())
        .trim_end()
        .into()
}
