//! How a run shows itself: a live line on a terminal, one line an epoch elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use limbeck::report::{AGREEMENT, EpochRow, Evaluation, Measure};
use limbeck::train::observer::{Moment, Observer};

/// Writes to standard error, so that standard output stays free for `--json`.
pub struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    jobs: String,
    started: Instant,
    header: Vec<String>,
}

impl Progress {
    /// Live on a terminal, plain lines elsewhere, nothing but warnings if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        Self {
            bar: live.then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())),
            quiet,
            jobs: String::new(),
            started: Instant::now(),
            header: Vec::new(),
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Observer for Progress {
    fn note(&mut self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    fn warn(&mut self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn teacher(&mut self, done: u64, all: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(format!("teacher: {done} of {all} images"));
        }
    }

    fn job(&mut self, name: &str, index: usize, count: usize, epochs: usize) {
        self.jobs = format!("{name} ({index} of {count})");
        self.started = Instant::now();
        self.header.clear();
        if self.quiet {
            return;
        }
        self.line(&format!("\n{}", self.jobs));
        if let Some(bar) = &self.bar {
            bar.reset();
            bar.set_length(epochs as u64 * 1000);
            let template = "{bar:24.cyan/dim} {msg}";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
        }
    }

    fn stage(&mut self, name: &str, index: usize, count: usize) {
        self.header.clear();
        if !self.quiet {
            self.line(&format!("stage {name} ({index} of {count})"));
        }
    }

    fn step(&mut self, moment: &Moment) {
        let Some(bar) = &self.bar else {
            return;
        };
        let share = moment.step as f64 / moment.steps.max(1) as f64;
        let done = (moment.epoch - 1) as f64 + share;
        bar.set_position((done * 1000.0) as u64);
        let left =
            self.started.elapsed().as_secs_f64() / done.max(1e-9) * (moment.epochs as f64 - done);
        let stage = match moment.stage.as_str() {
            "" => String::new(),
            name => format!("{name}  "),
        };
        bar.set_message(format!(
            "{stage}epoch {}/{}  {:.0} images/s  wait {:.0}%  {}  left {}",
            moment.epoch,
            moment.epochs,
            moment.images_per_second,
            moment.data_wait,
            terms(&moment.terms),
            duration(left),
        ));
    }

    fn epoch(&mut self, _job: &str, row: &EpochRow, measured: &Evaluation, epochs: usize) {
        if self.quiet {
            return;
        }
        let measures = columns(row, measured);
        let header: Vec<String> = row
            .terms
            .keys()
            .map(|name| format!("{name:>width$}", width = width(row)))
            .chain(
                measures
                    .iter()
                    .map(|(name, _)| format!("{name:>width$}", width = name.len() + 2)),
            )
            .collect();
        // Networks that take long to measure are not measured after every epoch.
        let skipped = measures.is_empty() && self.header.starts_with(&header);
        if header != self.header && !skipped {
            self.line(&format!(
                "{:>9}{}{:>10}{:>8}{:>9}",
                "epoch",
                header.concat(),
                "images/s",
                "wait %",
                "left"
            ));
            self.header = header;
        }
        let terms: String = row
            .terms
            .iter()
            .map(|(name, value)| term(row, name, *value))
            .collect();
        let mut measures: String = measures
            .iter()
            .map(|(name, value)| format!("{value:>width$}", width = name.len() + 2))
            .collect();
        if skipped {
            let missing = self.header.iter().skip(row.terms.len());
            measures = " ".repeat(missing.map(|name| name.chars().count()).sum());
        }
        let done = row.epoch as f64;
        let left = self.started.elapsed().as_secs_f64() / done * (epochs as f64 - done);
        self.line(&format!(
            "{:>9}{terms}{measures}{:>10.0}{:>8.1}{:>9}",
            format!("{}/{epochs}", row.epoch),
            row.images_per_second,
            row.data_wait,
            duration(left),
        ));
    }
}

/// What an epoch's line shows of the measures, by name: the first one, on the training images too
/// where it was measured there, and the agreement with the teacher.
fn columns(row: &EpochRow, measured: &Evaluation) -> Vec<(String, String)> {
    let write = |value: f64, measure: &Measure| measure.bare(value, 1);
    let mut columns = Vec::new();
    for (place, measure) in measured.measures.iter().enumerate() {
        let name = &measure.name;
        if let Some(value) = row.train(name) {
            columns.push((format!("train {name}"), write(value, measure)));
        }
        if place == 0 {
            columns.push((format!("valid {name}"), write(measure.value, measure)));
        } else if name == AGREEMENT {
            columns.push((name.clone(), write(measure.value, measure)));
        }
    }
    columns
}

/// Something that is counted: a live line on a terminal, a line each tenth elsewhere.
pub struct Counted {
    what: &'static str,
    quiet: bool,
    bar: Option<ProgressBar>,
    started: Instant,
    tenth: u64,
}

impl Counted {
    /// Counts `what`, such as `records`; says nothing if `quiet`.
    pub fn new(what: &'static str, quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        Self {
            what,
            quiet,
            bar: live.then(|| {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                match ProgressStyle::with_template("{bar:24.cyan/dim} {msg}") {
                    Ok(style) => bar.with_style(style),
                    Err(_) => bar,
                }
            }),
            started: Instant::now(),
            tenth: 0,
        }
    }

    /// `done` of `all`.
    pub fn show(&mut self, done: u64, all: u64) {
        if self.quiet {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let left = seconds / done.max(1) as f64 * all.saturating_sub(done) as f64;
        let text = format!(
            "{done} of {all} {}  {:.0}/s  left {}",
            self.what,
            done as f64 / seconds.max(1e-9),
            duration(left)
        );
        if let Some(bar) = &self.bar {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(text);
            return;
        }
        let tenth = 10 * done / all.max(1);
        if tenth > self.tenth {
            self.tenth = tenth;
            eprintln!("{text}");
        }
    }

    /// Takes the line away; gives the seconds that it took.
    pub fn finish(&mut self) -> f64 {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        self.started.elapsed().as_secs_f64()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Width of a term's column.
fn width(row: &EpochRow) -> usize {
    let share = if row.terms.len() > 1 { 6 } else { 0 };
    let longest = row.terms.keys().map(String::len).max().unwrap_or(0);
    (10 + share).max(longest + 2)
}

/// A term and, where it is not the only one, its share of the loss in percent.
fn term(row: &EpochRow, name: &str, value: f64) -> String {
    let width = width(row);
    match row.shares.get(name) {
        Some(share) if row.terms.len() > 1 => {
            format!("{} {share:>4.0}%", fitted(value, width - 6))
        }
        _ => fitted(value, width),
    }
}

/// `value` in `width` characters, of which the first is a space: with four decimals, or with a
/// power of ten where that is too long.
fn fitted(value: f64, width: usize) -> String {
    let text = format!("{value:.4}");
    match text.len() < width {
        true => format!("{text:>width$}"),
        false => format!("{:>width$}", format!("{value:.2e}")),
    }
}

fn terms(terms: &BTreeMap<String, f64>) -> String {
    terms
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"))
        .collect::<Vec<_>>()
        .join("  ")
}

/// Such as `45s`, `3m20s`, `2h05m`.
pub fn duration(seconds: f64) -> String {
    let seconds = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{duration, fitted};

    #[test]
    fn numbers_stay_in_their_column() {
        assert_eq!(fitted(1.5, 10), "    1.5000");
        assert_eq!(fitted(1234.5, 10), " 1234.5000");
        for value in [123_456.0, -98_765.432_1, 1e30, -1e300, f64::MAX] {
            let text = fitted(value, 10);
            assert!(text.len() == 10 && text.starts_with(' '), "{text}");
        }
    }

    #[test]
    fn durations_are_short_and_readable() {
        assert_eq!(duration(45.4), "45s");
        assert_eq!(duration(200.0), "3m20s");
        assert_eq!(duration(7500.0), "2h05m");
        assert_eq!(duration(f64::MAX), duration(1e9));
    }
}
