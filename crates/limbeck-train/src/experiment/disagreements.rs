//! Pictures on which student and teacher choose different classes.

use std::collections::BTreeMap;

use limbeck_data::Part;
use limbeck_report::Disagreement;

use crate::{TrainError, metric::Choice, picture::base64_png};

/// How many pictures of disagreement are kept.
const DISAGREEMENTS: usize = 24;
/// How many of them may have the same right class and the same choice of the student.
const ALIKE: usize = 2;

/// The pictures on which student and teacher choose different classes, those first on which both are surest,
/// a few of each kind.
pub(super) fn disagreements(
    test: &Part,
    student: &[Choice],
    teacher: &[Choice],
) -> Result<Vec<Disagreement>, TrainError> {
    let mut found: Vec<usize> = (0..student.len().min(teacher.len()))
        .filter(|&index| student[index].class != teacher[index].class)
        .collect();
    let certainty = |&index: &usize| student[index].probability * teacher[index].probability;
    found.sort_by(|a, b| certainty(b).total_cmp(&certainty(a)).then(a.cmp(b)));
    let mut alike = BTreeMap::new();
    found.retain(|&index| {
        let count: &mut usize = alike
            .entry((test.class(index), student[index].class))
            .or_default();
        *count += 1;
        *count <= ALIKE
    });
    found
        .into_iter()
        .take(DISAGREEMENTS)
        .map(|index| {
            Ok(Disagreement {
                index,
                label: test.class(index),
                student: (student[index].class, student[index].probability),
                teacher: (teacher[index].class, teacher[index].probability),
                png: base64_png(&test.image(index)?),
            })
        })
        .collect()
}
