//! How a run shows itself: a live line on a terminal, one line an epoch elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use limbeck::report::{AGREEMENT, EpochRow, Evaluation, Measure};
use limbeck::train::observer::{Moment, Observer};

/// Writes to standard error, so that standard output stays free for `--json`.
pub struct Progress {
    /// Live lines, one for each training that goes on and one for the teacher's work.
    bars: Option<MultiProgress>,
    teacher: Option<ProgressBar>,
    quiet: bool,
    /// Trainings that go on.
    live: Vec<Live>,
    /// Names of those that have been told of.
    told: BTreeSet<String>,
    /// Whether several have gone on at the same time.
    mixed: bool,
}

/// A training that goes on.
struct Live {
    name: String,
    bar: Option<ProgressBar>,
    started: Instant,
    /// Epochs that were done when it went on; a part of one, too.
    begun: Option<f64>,
    /// Columns of its last header.
    header: Vec<String>,
}

impl Live {
    /// Seconds to its end, at the pace since it went on; `done` of `epochs` are.
    fn left(&mut self, done: f64, epochs: usize) -> f64 {
        let begun = *self.begun.get_or_insert(done);
        let pace = self.started.elapsed().as_secs_f64() / (done - begun).max(1e-9);
        match done > begun {
            true => pace * (epochs as f64 - done),
            false => f64::INFINITY,
        }
    }
}

impl Progress {
    /// Live on a terminal, plain lines elsewhere, nothing but warnings if `quiet`.
    pub fn new(quiet: bool) -> Self {
        let live = !quiet && std::io::stderr().is_terminal();
        let draw = || MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self {
            bars: live.then(draw),
            teacher: None,
            quiet,
            live: Vec::new(),
            told: BTreeSet::new(),
            mixed: false,
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// What the lines of the training called `name` begin with: its name where others are, or were, told of
    /// between them.
    fn prefix(&self, name: &str) -> String {
        let longest = self.told.iter().map(String::len).max();
        match longest.filter(|_| self.mixed) {
            Some(width) => format!("{name:width$} "),
            None => String::new(),
        }
    }

    fn live(&mut self, name: &str) -> Option<&mut Live> {
        self.live.iter_mut().find(|live| live.name == name)
    }
}

/// A live line of `length`.
fn bar(bars: &MultiProgress, length: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(length));
    match ProgressStyle::with_template("{bar:24.cyan/dim} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
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
        let Some(bars) = &self.bars else {
            return;
        };
        let bar = self.teacher.get_or_insert_with(|| bar(bars, all));
        bar.set_length(all);
        bar.set_position(done);
        bar.set_message(format!("teacher: {done} of {all} images"));
    }

    fn job(&mut self, name: &str, index: usize, count: usize, epochs: usize) {
        if let Some(bar) = self.teacher.take() {
            bar.finish_and_clear();
        }
        self.live.push(Live {
            name: name.to_owned(),
            bar: self
                .bars
                .as_ref()
                .map(|bars| bar(bars, epochs as u64 * 1000)),
            started: Instant::now(),
            begun: None,
            header: Vec::new(),
        });
        self.mixed |= self.live.len() > 1;
        // One that has stood still goes on without a word.
        if self.told.insert(name.to_owned()) && !self.quiet {
            self.line(&format!("\n{name} ({index} of {count})"));
        }
    }

    fn job_end(&mut self, name: &str) {
        self.live.retain(|live| {
            let ends = live.name == name;
            if let Some(bar) = live.bar.as_ref().filter(|_| ends) {
                bar.finish_and_clear();
            }
            !ends
        });
    }

    fn stage(&mut self, job: &str, name: &str, index: usize, count: usize) {
        if let Some(live) = self.live(job) {
            live.header.clear();
        }
        if !self.quiet {
            let prefix = self.prefix(job);
            self.line(&format!("{prefix}stage {name} ({index} of {count})"));
        }
    }

    fn step(&mut self, moment: &Moment) {
        let prefix = self.prefix(&moment.job);
        let Some(live) = self.live(&moment.job) else {
            return;
        };
        let share = moment.step as f64 / moment.steps.max(1) as f64;
        let done = (moment.epoch - 1) as f64 + share;
        let left = live.left(done, moment.epochs);
        let Some(bar) = &live.bar else {
            return;
        };
        bar.set_position((done * 1000.0) as u64);
        let stage = match moment.stage.as_str() {
            "" => String::new(),
            name => format!("{name}  "),
        };
        bar.set_message(format!(
            "{prefix}{stage}epoch {}/{}  {:.0} images/s  wait {:.0}%  {}  left {}",
            moment.epoch,
            moment.epochs,
            moment.images_per_second,
            moment.data_wait,
            terms(&moment.terms),
            duration(left),
        ));
    }

    fn epoch(&mut self, job: &str, row: &EpochRow, measured: &Evaluation, epochs: usize) {
        if self.quiet {
            return;
        }
        let prefix = self.prefix(job);
        let Some(live) = self.live(job) else {
            return;
        };
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
        let left = live.left(row.epoch as f64, epochs);
        let known = live.header.clone();
        // Networks that take long to measure are not measured after every epoch.
        let skipped = measures.is_empty() && known.starts_with(&header);
        let shown = if skipped { known.clone() } else { header };
        if shown != known {
            live.header.clone_from(&shown);
            self.line(&format!(
                "{prefix}{:>9}{}{:>10}{:>8}{:>9}",
                "epoch",
                shown.concat(),
                "images/s",
                "wait %",
                "left"
            ));
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
            let missing = shown.iter().skip(row.terms.len());
            measures = " ".repeat(missing.map(|name| name.chars().count()).sum());
        }
        self.line(&format!(
            "{prefix}{:>9}{terms}{measures}{:>10.0}{:>8.1}{:>9}",
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
        let bars = self.live.iter().filter_map(|live| live.bar.as_ref());
        for bar in bars.chain(&self.teacher) {
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
