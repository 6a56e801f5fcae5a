//! A measure class by class: bars of teacher, student and baseline with their intervals.

use maud::{Markup, html};

use crate::evaluation::Evaluation;
use crate::listed::listed;
use crate::numbers::{MISSING, count, fixed, signed};
use crate::palette::Palette;
use crate::results::Results;
use crate::side::{Role, Side, decimals, legend, sides, swatch};
use crate::statistics::{interval95, mean};

/// Classes up to which all are listed.
const ALL: usize = 40;
/// Of more classes, how many are listed at each end.
const ENDS: usize = 12;

/// What is shown class by class.
pub struct ClassTable {
    /// The measure of which an evaluation has one value for each class, such as `IoU`.
    pub measure: &'static str,
    /// What it says, a sentence without its full stop.
    pub meaning: &'static str,
    /// What a second value of each class is called below the first.
    pub second: &'static str,
    /// What it says, a sentence.
    pub second_meaning: &'static str,
    /// What an evaluation has besides; `None` where it is of another task.
    pub of: fn(&Evaluation) -> Option<Found<'_>>,
    /// How often a class occurs, in words.
    pub occurs: fn(u64) -> String,
}

/// What an evaluation has of each class besides the measure; lists may be empty.
pub struct Found<'a> {
    /// 95 % intervals over images.
    pub intervals: &'a [Option<[f64; 2]>],
    /// The second value.
    pub second: &'a [Option<f64>],
    /// How often the class occurs in the test part.
    pub counts: &'a [u64],
}

impl ClassTable {
    /// What there is of each seed.
    fn found<'a>(&self, side: &Side<'a>) -> impl Iterator<Item = Found<'a>> {
        let of = self.of;
        side.tests.clone().into_iter().filter_map(of)
    }
}

/// One network's value in one class, in percent.
#[derive(Clone, Copy)]
struct Reached {
    role: Role,
    value: f64,
    /// 95 % interval.
    interval: Option<[f64; 2]>,
    second: Option<f64>,
}

/// One class.
struct Row {
    class: usize,
    /// In the order of the sides; `None` where a network has no value in it.
    reached: Vec<Option<Reached>>,
    /// Student minus rival, in points.
    difference: Option<f64>,
    /// How often it occurs.
    count: Option<u64>,
}

/// The table with its bars; nothing where nothing was measured.
pub fn class_table(results: &Results, table: &ClassTable) -> Markup {
    let sides = sides(results);
    let rival = rival(&sides);
    let mut rows = rows(table, &sides, rival.map(|side| side.role));
    if rows.is_empty() {
        return html! {};
    }
    rows.sort_by(|a, b| key(b).total_cmp(&key(a)));
    let hidden = rows.len().saturating_sub(2 * ENDS);
    let cut = rows.len() > ALL;
    let palette = Palette::of(&results.data.classes);
    let line = |row: &Row| line(results, table, row, &sides, rival.is_some(), &palette);
    let columns = sides.len() + 2 + usize::from(rival.is_some());
    html! {
        section #classes aria-labelledby="classes-title" {
            h2 #classes-title { "Class by class" }
            p {
                (table.meaning)
                @if let Some(rival) = rival {
                    ". The difference is the student's to the " (rival.title.to_lowercase()) ", in points"
                }
                @if cut { ": the " (ENDS) " classes at either end of " (rows.len()) }
                ". " (intervals(table, &sides))
                @if has_seconds(&rows) { (table.second_meaning) }
            }
            (without(results, &sides))
            (legend(&sides))
            div.scroll tabindex="0" role="region" aria-label={ (table.measure) " class by class" } {
                table.ious style={ "--networks:" (sides.len()) } {
                    thead { tr {
                        th scope="col" { "Class" }
                        @for side in &sides {
                            th.number scope="col" { (swatch(side.role)) (side.title) }
                        }
                        @if rival.is_some() { th.number.difference scope="col" { "Differ\u{ad}ence" } }
                        th.tracks scope="col" { span.unseen { "As bars from 0 to 100" } }
                    } }
                    @if cut {
                        tbody { @for row in &rows[..ENDS] { (line(row)) } }
                        tbody { tr.gap { td colspan=(columns) { (count(hidden as u64)) " classes between" } } }
                        tbody { @for row in &rows[rows.len() - ENDS..] { (line(row)) } }
                    } @else {
                        tbody { @for row in &rows { (line(row)) } }
                    }
                }
            }
        }
    }
}

/// What the rows are sorted by: the difference, without one the student's value.
fn key(row: &Row) -> f64 {
    let student = |reached: &&Reached| reached.role == Role::Student;
    let own = || {
        row.reached
            .iter()
            .flatten()
            .find(student)
            .map(|found| found.value)
    };
    row.difference.or_else(own).unwrap_or(f64::NEG_INFINITY)
}

/// What the student is compared with: the baseline, else the teacher.
fn rival<'a>(sides: &'a [Side<'a>]) -> Option<&'a Side<'a>> {
    [Role::Baseline, Role::Teacher]
        .into_iter()
        .find_map(|role| sides.iter().find(|side| side.role == role))
}

/// Whose interval is over what.
fn intervals(table: &ClassTable, sides: &[Side]) -> &'static str {
    let over_seeds = sides.iter().any(|side| side.tests.len() > 1);
    let over_images = sides.iter().any(|side| {
        let mut intervals = table.found(side).flat_map(|found| found.intervals);
        side.tests.len() == 1 && intervals.any(Option::is_some)
    });
    match (over_seeds, over_images) {
        (true, true) => {
            "Lines in the bars are 95 % intervals: over seeds where there are several, otherwise over \
             the test images. "
        }
        (true, false) => "Lines in the bars are 95 % intervals of the mean over seeds. ",
        (false, true) => "Lines in the bars are 95 % intervals over the test images. ",
        (false, false) => "",
    }
}

fn has_seconds(rows: &[Row]) -> bool {
    let mut reached = rows.iter().flat_map(|row| row.reached.iter().flatten());
    reached.any(|reached| reached.second.is_some())
}

/// The classes that do not occur.
fn without(results: &Results, sides: &[Side]) -> Markup {
    let student = sides.iter().find(|side| side.role == Role::Student);
    let absent = student.map(absent).unwrap_or_default();
    let names: Vec<String> = absent
        .iter()
        .map(|&class| results.data.class_name(class))
        .collect();
    html! {
        @if !names.is_empty() {
            p { "Absent from the test images, and so from the mean: " (listed(&names, "and")) "." }
        }
    }
}

fn rows(table: &ClassTable, sides: &[Side], rival: Option<Role>) -> Vec<Row> {
    let classes = sides.iter().map(classes_of).max().unwrap_or(0);
    let mut rows = Vec::new();
    for class in 0..classes {
        let reached: Vec<Option<Reached>> =
            sides.iter().map(|side| reach(table, side, class)).collect();
        if reached.iter().all(Option::is_none) {
            continue;
        }
        let of = |role: Role| {
            let found = reached.iter().flatten().find(|found| found.role == role);
            found.map(|found| found.value)
        };
        let difference = rival
            .and_then(|rival| of(Role::Student).zip(of(rival)))
            .map(|(student, rival)| student - rival);
        let count = sides
            .iter()
            .flat_map(|side| table.found(side))
            .find_map(|found| found.counts.get(class).copied());
        rows.push(Row {
            class,
            reached,
            difference,
            count,
        });
    }
    rows
}

/// Mean over the seeds with its interval, else that over images.
fn reach(table: &ClassTable, side: &Side, class: usize) -> Option<Reached> {
    let seeds = side.tests.iter();
    let values: Vec<f64> = seeds
        .filter_map(|test| *test.per_class.get(class)?)
        .collect();
    // Intervals over images, which each seed has its own of, stand for one network alone.
    let over_images = match side.tests.len() {
        1 => table
            .found(side)
            .find_map(|found| found.intervals.get(class).copied().flatten()),
        _ => None,
    };
    let seconds: Vec<f64> = table
        .found(side)
        .filter_map(|found| found.second.get(class).copied().flatten())
        .collect();
    Some(Reached {
        role: side.role,
        value: mean(&values)?,
        interval: interval95(&values).or(over_images),
        second: mean(&seconds),
    })
}

fn line(
    results: &Results,
    table: &ClassTable,
    row: &Row,
    sides: &[Side],
    compared: bool,
    palette: &Palette,
) -> Markup {
    let digits = decimals(results);
    let write = |value: f64| fixed(value, digits);
    html! {
        tr {
            th scope="row" {
                span.chip style={ "--colour:" (palette.hex(row.class)) } {}
                (results.data.class_name(row.class))
                @if let Some(count) = row.count { small { ((table.occurs)(count)) } }
            }
            @for (reached, side) in row.reached.iter().zip(sides) {
                td.number data-network=(side.title) {
                    (reached.map_or(MISSING.into(), |reached| write(reached.value)))
                    @if let Some(second) = reached.and_then(|reached| reached.second) {
                        small { (table.second) " " (write(second)) }
                    }
                }
            }
            @if compared {
                td.number.difference data-network="Difference" { (row.difference.map_or(MISSING.into(), |value| signed(value, digits))) }
            }
            td.tracks aria-hidden="true" {
                @for reached in row.reached.iter().flatten() { (track(reached)) }
            }
        }
    }
}

/// A bar from 0 to 100 with its interval.
fn track(reached: &Reached) -> Markup {
    let place = |value: f64| format!("{:.1}%", value.clamp(0.0, 100.0));
    let ends = reached
        .interval
        .filter(|[low, high]| low.is_finite() && high.is_finite());
    html! {
        div.track style={ "--ink:" (reached.role.ink().variable()) ";--value:" (place(reached.value)) } {
            @if let Some([low, high]) = ends {
                span.whisker style={ "--low:" (place(low)) ";--high:" (place(high)) } {}
            }
        }
    }
}

/// Number of classes that there are measures of.
pub fn classes_of(side: &Side) -> usize {
    let tests = side.tests.iter();
    tests.map(|test| test.per_class.len()).max().unwrap_or(0)
}

/// Classes without a value under any seed: they do not occur.
pub fn absent(side: &Side) -> Vec<usize> {
    let is_absent = |class: &usize| {
        side.tests
            .iter()
            .all(|test| test.per_class.get(*class).copied().flatten().is_none())
    };
    (0..classes_of(side)).filter(is_absent).collect()
}
