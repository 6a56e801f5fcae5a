//! The orders that rows of a study can be looked at in.

use super::row::StudyRow;
use crate::measure::Measure;

/// One order. Rows stand in the page by their gains; others are a place for each.
pub(super) struct Order {
    /// Its name in the page's style sheet.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) title: &'static str,
    /// What stands first.
    pub(super) first: &'static str,
    /// For each row, by their gains, its place in this order, from 1.
    pub(super) places: Vec<usize>,
}

/// A number of a row.
type Number = fn(&StudyRow<'_>) -> Option<f64>;

/// Every order that says something: by name always, by what at least two rows have.
pub(super) fn orders(rows: &[StudyRow<'_>], measure: &Measure) -> Vec<Order> {
    if rows.len() < 2 {
        return Vec::new();
    }
    let mut by_name: Vec<usize> = (0..rows.len()).collect();
    by_name.sort_by_key(|&row| {
        let cell = rows[row].cell;
        (&cell.method, &cell.student, &cell.name)
    });
    let mut found = vec![Order {
        id: "name",
        title: "name",
        first: "by method, then by student",
        places: places(&by_name),
    }];
    let numbers: [(_, _, Number, f64); 3] = [
        (
            "value",
            "the best first",
            |row| row.value,
            measure.turned(-1.0),
        ),
        ("time", "the shortest first", |row| row.seconds, 1.0),
        ("memory", "the least first", |row| row.memory, 1.0),
    ];
    for (id, first, of, sign) in numbers {
        let number = |row: usize| of(&rows[row]).filter(|number| number.is_finite());
        if (0..rows.len()).filter_map(number).count() < 2 {
            continue;
        }
        // Rows without the number stand last.
        let key = |row: usize| number(row).map_or(f64::INFINITY, |number| sign * number);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
        found.push(Order {
            id,
            title: id,
            first,
            places: places(&order),
        });
    }
    found
}

/// The place of each row, from 1, of the rows in their order.
fn places(order: &[usize]) -> Vec<usize> {
    let mut places = vec![0; order.len()];
    for (place, &row) in order.iter().enumerate() {
        places[row] = place + 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{row::study_rows, testing::study};

    /// Rows by gain: kd (65.5, 3 s, 1.5 MB), at (61.5, 2.5 s), rkd (61.3, 3 s).
    #[test]
    fn rows_have_a_place_by_name_value_and_time() {
        let results = study();
        let measure = results.measure.as_ref().unwrap();
        let rows = study_rows(&results);
        let found = orders(&rows, measure);
        let told: Vec<(&str, &[usize])> = (found.iter())
            .map(|order| (order.id, order.places.as_slice()))
            .collect();
        // One row alone has its memory counted.
        assert_eq!(
            told,
            [
                ("name", &[2, 1, 3][..]),
                ("value", &[1, 2, 3][..]),
                ("time", &[2, 1, 3][..])
            ]
        );
        assert!(orders(&rows[..1], measure).is_empty());
    }

    #[test]
    fn the_best_loss_is_the_least() {
        let mut results = study();
        let measure = Measure::cost("top1", "loss", "", "nats", 0.0);
        results.measure = Some(measure.clone());
        let rows = study_rows(&results);
        let value = &orders(&rows, &measure)[1];
        let best = value.places.iter().position(|&place| place == 1).unwrap();
        assert_eq!(rows[best].cell.method, "rkd");
    }
}
