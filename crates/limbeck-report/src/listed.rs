//! Names in a sentence.

/// Names that a sentence lists at the most.
const LISTED: usize = 8;

/// `a, b or c`; of many, the first.
pub fn listed(names: &[String], last: &str) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., end] if names.len() <= LISTED => format!("{} {last} {end}", first.join(", ")),
        _ => format!(
            "{} {last} {} others",
            names[..LISTED].join(", "),
            names.len() - LISTED
        ),
    }
}
