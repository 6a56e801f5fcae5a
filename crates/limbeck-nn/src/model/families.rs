//! The names of a task's models in a line.

use super::{MODELS, ModelEntry};
use crate::TaskKind;

/// Models for `task` family by family, each in a few words: its name, `vgg8` to `vgg19` where names
/// count up, or what its names begin with, `pspnet_…`.
pub fn families(task: TaskKind) -> Vec<String> {
    let fits = |entry: &&ModelEntry| entry.task == task;
    let mut families = Vec::new();
    for family in MODELS {
        let names: Vec<&str> = family.iter().filter(fits).map(|entry| entry.name).collect();
        for names in names.chunk_by(|one, other| begin(one) == begin(other)) {
            families.push(in_words(names));
        }
    }
    families
}

/// What the names of a family have in common: all up to the first `_`, or, without one, to the first
/// digit. A letter for the size behind a number is left out: `yolov5s_focus` begins with `yolov5`.
fn begin(name: &str) -> &str {
    let word = name.find('_').map_or(name, |end| &name[..end]);
    let stem = word.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if stem.ends_with(|c: char| c.is_ascii_digit()) && word.len() == stem.len() + 1 {
        return stem;
    }
    match name.contains('_') {
        true => word,
        false => {
            let digit = name.find(|c: char| c.is_ascii_digit());
            digit.map_or(name, |end| &name[..end])
        }
    }
}

fn in_words(names: &[&str]) -> String {
    let stem = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first, .., last] => {
            let common = &first[..stem(first)];
            let counted = |name: &&str| &name[..stem(name)] == common && name.len() > common.len();
            match names.iter().all(counted) {
                true => format!("`{first}` to `{last}`"),
                false => {
                    let line = first[begin(first).len()..].starts_with('_');
                    format!("`{}{}…`", begin(first), if line { "_" } else { "" })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_in_a_family_and_a_line_holds_them() {
        let dense = families(TaskKind::Segmentation);
        assert_eq!(
            dense,
            [
                "`pspnet_…`",
                "`deeplabv3_…`",
                "`deeplabv3plus_…`",
                "`lraspp_mobilenet_v2`",
                "`segformer_b0` to `segformer_b5`",
            ]
        );
        assert_eq!(families(TaskKind::Detection), ["`yolov5…`"]);
        let plain = families(TaskKind::Classification);
        assert!(plain.contains(&"`resnet…`".to_owned()), "{plain:?}");
        assert!(plain.contains(&"`vgg8` to `vgg19`".to_owned()), "{plain:?}");
        for entry in MODELS.iter().flat_map(|family| family.iter()) {
            let begins = format!("`{}", begin(entry.name));
            let words = families(entry.task);
            assert!(
                words.iter().any(|family| family.starts_with(&begins)),
                "{} in {words:?}",
                entry.name
            );
        }
        assert!(
            plain.len() < 24 && plain.join(", ").len() < 600,
            "{plain:?}"
        );
    }
}
