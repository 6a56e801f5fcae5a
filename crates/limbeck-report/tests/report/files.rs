//! What a run found, through its files.

use limbeck_report::{ResultsError, compare_text, from_files, render, to_files};

use crate::checked;
use crate::sample::{distilled, plain, unlabelled};

#[test]
fn what_was_written_is_read_again() {
    for results in [distilled(10, 3, 6), plain(), unlabelled()] {
        let (text, details) = to_files(&results).unwrap();
        assert!(text.contains("\"version\": 2"));
        let read = from_files(&text, Some(&details)).unwrap();
        assert_eq!(render(&read), render(&results));
    }
}

#[test]
fn results_stay_small_whatever_the_number_of_classes() {
    let (text, details) = to_files(&distilled(1_000, 3, 100)).unwrap();
    let (few, _) = to_files(&distilled(10, 3, 100)).unwrap();
    // What grows with the classes are their names.
    assert!(text.len() < few.len() + 40_000, "{} bytes", text.len());
    let (text, _) = to_files(&distilled(1_000, 3, 10)).unwrap();
    assert!(text.len() < 100_000, "{} bytes", text.len());
    assert!(details.len() < 1_000_000, "{} bytes", details.len());
}

#[test]
fn results_without_their_details_are_a_page_without_those_sections() {
    let (text, _) = to_files(&distilled(10, 3, 6)).unwrap();
    let page = checked("no-details", render(&from_files(&text, None).unwrap()));
    assert!(page.contains("id=\"seeds\"") && !page.contains("id=\"confusion\""));
}

#[test]
fn details_of_another_run_are_refused() {
    let (text, _) = to_files(&distilled(10, 3, 6)).unwrap();
    let (_, other) = to_files(&distilled(10, 2, 6)).unwrap();
    let error = from_files(&text, Some(&other)).unwrap_err();
    assert!(matches!(error, ResultsError::OtherDetails));
}

#[test]
fn results_of_a_later_limbeck_are_refused_with_what_to_do() {
    let (text, _) = to_files(&plain()).unwrap();
    let later = text.replace("\"version\": 2", "\"version\": 3");
    let error = from_files(&later, None).unwrap_err().to_string();
    assert!(
        error.contains("format 3")
            && error.contains("up to 2")
            && error.contains("use the Limbeck"),
        "{error}"
    );
    assert!(from_files("{", None).is_err());
}

#[test]
fn results_without_a_version_are_still_shown() {
    let old = from_files(include_str!("old/classes.json"), None).unwrap();
    let page = checked("old", render(&old));
    for part in [
        "id=\"confusion\"",
        "id=\"classes\"",
        "id=\"calibration\"",
        "Loss term kd",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2);
    assert_eq!(old.compared_by().unwrap().name, "top1");
    let mean = old
        .students
        .iter()
        .map(|seed| seed.test.score())
        .sum::<f64>()
        / 2.0;
    let text = compare_text(std::slice::from_ref(&old));
    assert!(text.contains(&format!("{mean:.2}")), "{text}");
    assert!(old.students[0].epochs[0].validation("top1").is_some());
    // They are written in the format of now.
    let (text, details) = to_files(&old).unwrap();
    assert_eq!(render(&from_files(&text, Some(&details)).unwrap()), page);
}

#[test]
fn old_results_by_recall_are_compared_by_it() {
    let old = from_files(include_str!("old/recall.json"), None).unwrap();
    assert_eq!(old.compared_by().unwrap().title, "Recall@1");
    let page = checked("old-recall", render(&old));
    assert!(page.contains("Recall@1 on the test images"));
    assert_eq!(
        old.students[0].epochs[0].validation("recall_at_1"),
        Some(51.0)
    );
}
