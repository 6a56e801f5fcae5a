//! What a comparison of runs shows, in one sentence or two.

use super::row::{Row, difference, pairs, same_test};
use crate::headline::{Verdict, verdict};
use crate::measure::Measure;
use crate::numbers::{counted, interval, signed};
use crate::side::decimals;

/// A title and what is to be said below it.
pub fn sentences(rows: &[Row]) -> (String, Vec<String>) {
    let Some(first) = rows.first() else {
        return ("There are no runs to compare.".into(), Vec::new());
    };
    if rows.len() == 1 {
        let title = format!(
            "{} alone: there is nothing to compare it with.",
            name(first)
        );
        return (title, Vec::new());
    }
    let runs = counted(rows.len(), "run");
    if !rows.iter().all(|row| same_test(row.results, first.results)) {
        return (
            format!(
                "{runs}, tested on different images or by different measures: they cannot be compared."
            ),
            vec!["Gains over the baseline can: each is measured inside its own run.".into()],
        );
    }
    let mut order: Vec<&Row> = rows.iter().filter(|row| row.value.is_some()).collect();
    order.sort_by(|a, b| {
        let score = |row: &Row| {
            let measure = row.measure.zip(row.value);
            measure.map_or(f64::NEG_INFINITY, |(measure, value)| measure.turned(value))
        };
        score(b).total_cmp(&score(a))
    });
    let [best, second, ..] = order.as_slice() else {
        return (format!("{runs}, too few of them tested."), Vec::new());
    };
    match best.measure {
        Some(measure) => leaders(measure, best, second, rows.len()),
        None => (format!("{runs}, too few of them tested."), Vec::new()),
    }
}

fn leaders(measure: &Measure, best: &Row, second: &Row, runs: usize) -> (String, Vec<String>) {
    let digits = decimals(best.results);
    let reached = |row: &Row| measure.write(row.value.unwrap_or(f64::NAN), digits);
    let leads = format!(
        "Of {}, {} has the best test {}: {}",
        counted(runs, "run"),
        name(best),
        measure.title,
        reached(best)
    );
    let flattered = (runs > 2).then(|| {
        format!(
            "Picking the best of {runs} by their test results flatters it a little: the more runs, the \
             more luck is in the best."
        )
    });
    let Some(lead) = difference(best.results, second.results) else {
        let sentence = format!(
            "{} follows with {}. The two have no seed in common, so there is no paired interval.",
            name(second),
            reached(second)
        );
        let sentences = std::iter::once(sentence).chain(flattered).collect();
        return (format!("{leads}."), sentences);
    };
    let seeds = counted(pairs(best.results, second.results).len(), "seed");
    let points = format!(
        "With the {seeds} that both have, it differs from {} by {} {}",
        name(second),
        signed(lead.mean, measure.digits(digits)),
        measure.difference_unit()
    );
    let ends = lead
        .ci95
        .map_or(String::new(), |ends| interval(ends, measure.digits(digits)));
    let (title, sentence) = match verdict(&lead) {
        Verdict::Better => (
            format!("{leads}."),
            format!("{points}; the paired 95 % interval, {ends}, lies above zero."),
        ),
        Verdict::OneSeed => (
            format!("{leads}; its lead is not sure."),
            format!("{points}. One seed cannot tell a lead from luck."),
        ),
        Verdict::Unclear => (
            format!("{leads}; its lead is not sure."),
            format!(
                "{points}; the paired 95 % interval, {ends}, holds zero, so the order of these two is open."
            ),
        ),
        Verdict::Worse | Verdict::Broken => (
            format!("{leads}; its lead is not sure."),
            format!("{points}, so its higher mean comes from other seeds."),
        ),
    };
    let sentences = std::iter::once(sentence).chain(flattered).collect();
    (title, sentences)
}

fn name(row: &Row) -> String {
    format!("{} (run {})", row.results.run, row.number)
}
