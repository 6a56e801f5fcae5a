//! The logs of a job hold each epoch once, whatever is killed, and people's tools read them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Place, bytes, kill_and_resume, text, tiny};

const EPOCHS: usize = 4;

/// Prints tag, step and value of every number that TensorBoard's own reader finds in a folder, and
/// refuses a step that is there twice.
const READER: &str = r#"
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
for tag in sorted(events.Tags()["scalars"]):
    scalars = events.Scalars(tag)
    assert [s.step for s in scalars] == list(range(1, len(scalars) + 1)), (tag, scalars)
    assert all(s.wall_time > 1.6e9 for s in scalars)
    print(tag, *[repr(s.value) for s in scalars])
"#;

fn job(place: &Place) -> std::path::PathBuf {
    let arguments = |out: &str| {
        let mut arguments = tiny("train", &["--model", "resnet8", "--out", out]);
        arguments.extend(["--set".to_owned(), format!("train.epochs={EPOCHS}")]);
        arguments
    };
    kill_and_resume(place, arguments, 3);
    place.path("killed/jobs/student-0")
}

/// The column called `name` of a table without quoted cells.
fn column(table: &str, name: &str) -> Vec<String> {
    let mut lines = table.lines().map(|line| line.split(','));
    let place = lines.next().unwrap().position(|column| column == name);
    let place = place.unwrap_or_else(|| panic!("no column {name}:\n{table}"));
    lines
        .map(|mut cells| cells.nth(place).unwrap().to_owned())
        .collect()
}

fn read_by_tensorboard(folder: &Path) -> Option<String> {
    // A Python that has the `tensorboard` package; `.ci/run` makes one.
    let python = std::env::var("LIMBECK_TENSORBOARD_PYTHON");
    let python = python.unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python)
        .args(["-c", "import tensorboard"])
        .output();
    if !has.is_ok_and(|has| has.status.success()) {
        println!("skipped: `{python}` has no package tensorboard");
        return None;
    }
    let read = Command::new(&python)
        .args(["-c", READER, text(folder)])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{told}");
    Some(String::from_utf8(read.stdout).unwrap())
}

#[test]
fn a_killed_run_logs_each_epoch_once_in_lines_table_and_events() {
    let place = Place::new();
    let folder = job(&place);
    let lines = String::from_utf8(bytes(&folder.join("metrics.jsonl"))).unwrap();
    assert_eq!(lines.lines().count(), EPOCHS);
    let table = String::from_utf8(bytes(&folder.join("metrics.csv"))).unwrap();
    assert_eq!(column(&table, "epoch"), ["1", "2", "3", "4"]);
    let losses = column(&table, "loss");
    for (line, loss) in lines.lines().zip(&losses) {
        assert!(line.contains(&format!("\"loss\":{loss},")), "{line}");
    }
    let Some(read) = read_by_tensorboard(&folder) else {
        return;
    };
    let tag = |name: &str| -> Vec<f64> {
        let line = read
            .lines()
            .find(|line| line.split(' ').next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no tag {name}:\n{read}"));
        let values = line.split(' ').skip(1);
        values.map(|value| value.parse().unwrap()).collect()
    };
    for (name, column_of) in [("loss", "loss"), ("terms/task", "terms.task")] {
        let expected = column(&table, column_of);
        assert_eq!(tag(name).len(), EPOCHS, "{name}");
        for (found, expected) in tag(name).iter().zip(&expected) {
            let expected = f64::from(expected.parse::<f64>().unwrap() as f32);
            assert_eq!(*found, expected, "{name}");
        }
    }
}
