//! What a study found, as a document in Markdown.

use std::fmt::Write as _;

use super::{
    found::StudyResults,
    row::study_rows,
    text::study_markdown,
    words::{cautions, sentences, title},
};
use crate::numbers::{count, fixed, short};

/// Title, what was compared, the table of gains, how to make it again.
pub fn study_document(results: &StudyResults) -> String {
    let rows = study_rows(results);
    let mut text = format!("# {}\n\n{}\n", results.name, title(&rows, results));
    for sentence in sentences(results, &rows) {
        let _ = writeln!(text, "\n{sentence}");
    }
    let setting = setting(results);
    if !setting.is_empty() {
        let _ = writeln!(text, "\n{}", setting.join("\n"));
    }
    if results.null.is_none() {
        let _ = write!(text, "\n{}", study_markdown(results));
    }
    let cautions = cautions(results, &rows);
    if !cautions.is_empty() {
        text.push_str("\n## What speaks against it\n\n");
        for caution in cautions {
            let _ = writeln!(text, "- {caution}");
        }
    }
    text.push_str("\n## How it was made\n\n");
    let _ = writeln!(text, "```sh\n{}\n```", results.command);
    if let Some(cell) = results.cells.last() {
        let _ = writeln!(
            text,
            "\nOne cell, with its teacher and what it is compared with, is made again by its name, `{}` here:\n\n\
             ```sh\n{}\n```",
            cell.name,
            results.command_of(cell)
        );
    }
    let machine = results.environment.iter();
    let machine: Vec<String> = machine
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    if !machine.is_empty() {
        let _ = writeln!(
            text,
            "\nThe same kind of processor gives the same numbers: {}.",
            machine.join(", ")
        );
    }
    let _ = writeln!(text, "\n```toml\n{}\n```", results.recipe.trim());
    text
}

/// Data, teachers and students, a line each.
fn setting(results: &StudyResults) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut add = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for cell in results.cells.iter().filter(|cell| !cell.runs.is_empty()) {
        add(format!(
            "- Data: {}, {} images to train on, {} to test on.",
            cell.data,
            count(cell.train as u64),
            count(cell.test as u64)
        ));
    }
    if let Some(measure) = &results.measure {
        for teacher in &results.teachers {
            add(format!(
                "- Teacher: {} ({} parameters), {} {}.",
                teacher.network,
                short(teacher.params),
                measure.title,
                fixed(teacher.value, 1)
            ));
        }
    }
    for cell in results.cells.iter().filter(|cell| cell.params > 0) {
        add(format!(
            "- Student: {} ({} parameters, {} multiply-accumulates), {} epochs.",
            cell.student,
            short(cell.params),
            short(cell.macs),
            cell.epochs
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::testing::study;

    #[test]
    fn a_document_says_what_was_found_and_how_to_make_it_again() {
        let text = study_document(&study());
        for part in [
            "# few-labels\n\nOf 3 pairs of method and student, 1 is better than its baseline, none worse.",
            "- Data: shapes, 100 images to train on, 200 to test on.",
            "| kd | 3 |",
            "- rkd-resnet8 failed with seed 3",
            "limbeck study few.toml --out few-labels --cell rkd-resnet8",
            "```toml\n[study]\nseeds = 4\n```",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }
}
