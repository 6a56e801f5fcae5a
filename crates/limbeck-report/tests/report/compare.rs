//! Comparisons of several runs.

use limbeck_report::{Results, compare, compare_text};

use crate::checked;
use crate::sample::{distilled, plain, self_distilled, unlabelled, value};

/// Three runs of three methods that can be compared.
fn alike() -> Vec<Results> {
    let first = distilled(10, 3, 30);
    let mut better = distilled(10, 3, 30);
    better.run = "dkd-resnet8x4-20261122-0830".into();
    better.method = "dkd".into();
    better.recipe = better
        .recipe
        .replace("name = \"kd\"", "name = \"dkd\"")
        .replace("temperature = 4.0\n", "temperature = 4.0\nbeta = 8.0\n");
    for (seed, more) in better.students.iter_mut().zip([0.52, 0.61, 0.57]) {
        *value(&mut seed.test, "top1") += more;
    }
    vec![first, better, self_distilled()]
}

#[test]
fn runs_that_can_be_compared_are_ordered_by_a_paired_interval() {
    let runs = alike();
    let page = checked("compare", compare(&runs));
    let text = compare_text(&runs);
    let whole = page.replace('\u{2011}', "-");
    for found in [&whole, &text] {
        assert!(
            found.contains(
                "Of 3 runs, dkd-resnet8x4-20261122-0830 (run 2) has the best test top-1 accuracy"
            ),
            "{text}"
        );
        // Differences 0.52, 0.61, 0.57: mean 0.567, half width 4.303 · 0.0451 / √3 = 0.112.
        assert!(
            found.contains("by +0.57 points; the paired 95 % interval, 0.45 to 0.68"),
            "{text}"
        );
        assert!(!found.contains("They "), "{text}");
    }
    assert!(page.contains("method.beta") && page.contains("Settings that differ"));
    assert!(!page.contains("method.temperature"));
    assert!(page.contains("Gain over the own baseline"));
}

#[test]
fn a_lead_whose_interval_holds_zero_is_not_sure() {
    let mut runs = alike();
    for (seed, less) in runs[1].students.iter_mut().zip([0.5, 0.9, 0.1]) {
        *value(&mut seed.test, "top1") -= less;
    }
    let text = compare_text(&runs[..2]);
    assert!(
        text.contains("its lead is not sure") && text.contains("holds zero"),
        "{text}"
    );
}

#[test]
fn what_differs_between_runs_is_warned_of() {
    let mut runs = alike();
    runs[0]
        .environment
        .insert("processor".into(), "another".into());
    runs[1].data.train = 1_000;
    runs[1].student.name = "resnet20".into();
    runs[1].students[2].seed = 9;
    runs[2].baselines.clear();
    for seed in &mut runs[2].students {
        seed.epochs.truncate(10);
    }
    let text = compare_text(&runs);
    let page = checked("compare-different", compare(&runs));
    for warning in [
        "different numbers of images: 54,000 images (runs 1 and 3), 1,000 images (run 2).",
        "different budgets: 30 epochs (runs 1 and 2), 10 epochs (run 3).",
        "different seeds: 0 1 2 (runs 1 and 3), 0 1 9 (run 2).",
        "different networks, which is part of any difference: resnet8x4 (runs 1 and 3), resnet20 (run 2).",
        "different processors: another (run 1), AMD EPYC 7B13 (runs 2 and 3).",
        "Without a baseline there is no gain: run 3.",
    ] {
        assert!(
            text.contains(&format!("{warning}\n")),
            "{warning} is missing in {text}"
        );
        assert!(page.contains(warning), "{warning} is missing");
    }
    assert_eq!(text.matches("warning: ").count(), 6, "{text}");
}

#[test]
fn accuracies_on_different_data_are_not_compared() {
    let mut runs = alike();
    runs[2].data.name = "cifar-10 (binary)".into();
    let text = compare_text(&runs);
    assert!(text.contains("they cannot be compared"), "{text}");
    assert!(!text.contains("the best"), "{text}");
    let row = text.lines().nth(3).unwrap();
    assert!(row.starts_with("3  dsr") && row.contains("  –  "), "{row}");
}

#[test]
fn the_table_for_the_terminal_is_in_columns() {
    let text = compare_text(&alike());
    let lines: Vec<&str> = text.lines().take(4).collect();
    let end = |line: &str| line.chars().count();
    assert!(
        lines.iter().all(|line| end(line) == end(lines[0])),
        "{text}"
    );
    assert!(lines[1].contains("kd-resnet8x4-20261121-2314") && lines[1].ends_with("5.62\u{a0}ms"));
    assert!(text.ends_with('\n'));
}

#[test]
fn comparisons_of_any_shape_are_pages() {
    checked("compare-none", compare(&[]));
    checked("compare-one", compare(&[plain()]));
    checked(
        "compare-empty",
        compare(&[Results::default(), Results::default()]),
    );
    let mut hostile = distilled(10, 1, 2);
    hostile.run = "<script>alert('x')</script>&".repeat(20);
    hostile.method = "\"onload=\"x".into();
    hostile.recipe = "not = = toml <b>".into();
    *value(&mut hostile.students[0].test, "top1") = f64::NAN;
    hostile.gain.as_mut().unwrap().mean = f64::NAN;
    let runs = [hostile, distilled(10, 2, 2), plain()];
    let page = checked("compare-hostile", compare(&runs));
    assert!(!page.contains("<script"));
    assert!(!compare_text(&runs).is_empty());
    checked(
        "compare-measures",
        compare(&[distilled(10, 2, 2), unlabelled()]),
    );
    let many: Vec<Results> = (0..30).map(|_| distilled(10, 2, 1)).collect();
    checked("compare-many", compare(&many));
}
