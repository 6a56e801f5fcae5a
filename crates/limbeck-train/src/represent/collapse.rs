//! Saying that all images have come to have one embedding.

use limbeck_report::{EpochRow, Evaluation};

use super::COLLAPSED;

/// Name of the measure.
pub(crate) const SPREAD: &str = "spread";

/// What is wrong with the networks called `who`, whose embeddings have a spread of `spread` at the least,
/// and what to do; `None` where they have not collapsed.
pub fn collapse(who: &str, spread: f64) -> Option<String> {
    (spread < COLLAPSED).then(|| {
        format!(
            "{who}: the embeddings of different images have become one (spread {spread:.4}, a collapse \
             below {COLLAPSED}), and nothing can be told from them; train anew with a smaller \
             optimizer.learning_rate, a longer schedule.warmup_epochs or larger batches (data.batch)"
        )
    })
}

/// Whether some epoch of `rows` has told of a collapse.
pub(crate) fn has_collapsed(rows: &[EpochRow]) -> bool {
    let spreads = rows.iter().filter_map(|row| row.validation(SPREAD));
    spreads.into_iter().any(|spread| spread < COLLAPSED)
}

/// The same in one sentence of all networks of a run that have collapsed in the end: their names, and what
/// they reach on the test part.
pub(crate) fn collapsed<'a>(
    networks: impl Iterator<Item = (String, &'a Evaluation)>,
) -> Option<String> {
    let mut who = Vec::new();
    let mut least = f64::INFINITY;
    for (name, test) in networks {
        if let Some(spread) = test.value(SPREAD).filter(|spread| *spread < COLLAPSED) {
            who.push(name);
            least = least.min(spread);
        }
    }
    collapse(&who.join(", "), least)
}

#[cfg(test)]
mod tests {
    use limbeck_report::Measure;

    use super::*;

    fn with_spread(value: f64) -> Evaluation {
        Evaluation {
            measures: vec![Measure {
                name: SPREAD.to_owned(),
                value,
                ..Measure::default()
            }],
            ..Evaluation::default()
        }
    }

    #[test]
    fn one_sentence_names_all_that_have_collapsed_and_what_to_do() {
        let tests = [0.004, 0.5, 0.0012].map(with_spread);
        let names = ["student-0", "student-1", "baseline-0"];
        let networks = || names.map(str::to_owned).into_iter().zip(&tests);
        let told = collapsed(networks()).unwrap();
        assert!(told.starts_with("student-0, baseline-0: "), "{told}");
        assert!(told.contains("0.0012") && told.contains("optimizer.learning_rate"));
        assert_eq!(collapsed(networks().skip(1).take(1)), None);
        // Of a single image there is no spread.
        assert_eq!(collapse("student-0", f64::NAN), None);
    }

    #[test]
    fn an_epoch_that_was_not_measured_tells_nothing() {
        let mut rows = vec![EpochRow::default(); 2];
        assert!(!has_collapsed(&rows));
        rows[1]
            .measures
            .insert("validation_spread".to_owned(), 0.001);
        assert!(has_collapsed(&rows));
    }
}
