//! What a user says of a weights file that does not tell it itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use limbeck_data::Normalisation;
use serde::Deserialize;

use crate::TrainError;

/// What a user says of a weights file that does not tell it itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelFacts {
    /// Name of the network.
    pub model: Option<String>,
    /// How its images were normalised; see [`parse_normalisation`].
    pub normalisation: Option<String>,
    /// A file with the names of its classes; see [`read_classes`].
    pub classes: Option<PathBuf>,
    /// Which of the file's state dicts is read.
    pub weights_key: Option<String>,
    /// Height and width of its images.
    pub size: Option<usize>,
}

/// Mean and standard deviation of usual normalisations, of values from 0 to 1.
const NORMALISATIONS: &[(&str, [f64; 3], [f64; 3])] = &[
    // torchvision's and timm's for ImageNet.
    ("imagenet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    // Of the training images, as measured by everybody who measured.
    ("cifar10", [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]),
    // RepDistiller's and mdistiller's.
    (
        "cifar100",
        [0.5071, 0.4867, 0.4408],
        [0.2675, 0.2565, 0.2761],
    ),
    // TensorFlow's and timm's "Inception" one: values from -1 to 1.
    ("half", [0.5; 3], [0.5; 3]),
    // `ToTensor` alone: values from 0 to 1.
    ("none", [0.0; 3], [1.0; 3]),
];

/// What can be written for a normalisation.
const NORMALISATION_FORMS: &str = "imagenet, cifar10, cifar100, half (0.5/0.5), none (0/1), or \
                                   MEAN/STD such as 0.485,0.456,0.406/0.229,0.224,0.225";

/// The normalisation that `text` stands for, for images of `channels` channels: `imagenet`,
/// `cifar10`, `cifar100`, `half`, `none`, or mean and standard deviation of values from 0 to 1,
/// `MEAN/STD`, each a number for all channels or numbers joined by commas.
///
/// # Errors
/// Anything else, other numbers of channels, deviations that are not above 0.
pub fn parse_normalisation(text: &str, channels: usize) -> Result<Normalisation, TrainError> {
    let wrong = |reason: String| {
        TrainError::Setting(format!(
            "the normalisation must be {NORMALISATION_FORMS}; {reason}"
        ))
    };
    let known = text.trim().to_lowercase();
    if let Some((name, mean, std)) = NORMALISATIONS.iter().find(|(name, ..)| *name == known) {
        return match channels {
            3 => Ok((mean.to_vec(), std.to_vec())),
            _ if mean.iter().all(|value| *value == mean[0]) => {
                Ok((vec![mean[0]; channels], vec![std[0]; channels]))
            }
            _ => Err(wrong(format!(
                "`{name}` is for 3 channels, the model takes {channels}"
            ))),
        }
        .map(|(mean, std)| Normalisation { mean, std });
    }
    let Some((mean, std)) = text.split_once('/') else {
        return Err(wrong(format!("found `{text}`")));
    };
    let numbers = |list: &str| -> Result<Vec<f64>, TrainError> {
        let numbers: Option<Vec<f64>> = list
            .split(',')
            .map(|number| number.trim().parse().ok())
            .map(|number: Option<f64>| number.filter(|number| number.is_finite()))
            .collect();
        match numbers {
            Some(numbers) if numbers.len() == channels => Ok(numbers),
            Some(numbers) if numbers.len() == 1 => Ok(vec![numbers[0]; channels]),
            Some(numbers) => Err(wrong(format!(
                "found {} numbers in `{list}` for {channels} channel(s)",
                numbers.len()
            ))),
            None => Err(wrong(format!("found `{text}`"))),
        }
    };
    let (mean, std) = (numbers(mean)?, numbers(std)?);
    if std.iter().any(|deviation| *deviation <= 0.0) {
        return Err(wrong(format!("the deviations in `{text}` must be above 0")));
    }
    Ok(Normalisation { mean, std })
}

/// What a JSON file of class names may hold.
#[derive(Deserialize)]
#[serde(untagged)]
enum ClassFile {
    /// Names in order.
    Names(Vec<String>),
    /// Index to name.
    ByIndex(BTreeMap<String, String>),
    /// Index to synset and name: torchvision's and Keras's `imagenet_class_index.json`.
    BySynset(BTreeMap<String, (String, String)>),
    /// Name to index: torchvision's `class_to_idx`.
    ByName(BTreeMap<String, usize>),
}

/// Class names in the order of the logits from a text file with one name a line, or a JSON file
/// with a list of names, `{"0": "cat", …}`, `{"cat": 0, …}` or `{"0": ["n02123045", "tabby"], …}`.
///
/// # Errors
/// A file that cannot be read or is none of these.
pub fn read_classes(file: &Path) -> Result<Vec<String>, TrainError> {
    let text = std::fs::read_to_string(file).map_err(TrainError::io(file))?;
    let text = text.trim_start_matches('\u{feff}');
    let wrong = |reason: &str| {
        TrainError::Setting(format!(
            "`{}` holds no class names: {reason}; expected one name a line, or JSON with a list \
             of names or {{\"0\": \"name\", …}}",
            file.display()
        ))
    };
    let names: Vec<String> = if text.trim_start().starts_with(['[', '{']) {
        let found: ClassFile =
            serde_json::from_str(text).map_err(|_| wrong("its JSON is of another form"))?;
        let place = |index: &str| {
            let counted = index.parse::<usize>();
            counted.map_err(|_| wrong(&format!("`{index}` is no index")))
        };
        let pairs: BTreeMap<usize, String> = match found {
            ClassFile::Names(names) => names.into_iter().enumerate().collect(),
            ClassFile::ByIndex(names) => names
                .into_iter()
                .map(|(index, name)| Ok((place(&index)?, name)))
                .collect::<Result<_, TrainError>>()?,
            ClassFile::BySynset(names) => names
                .into_iter()
                .map(|(index, (_, name))| Ok((place(&index)?, name)))
                .collect::<Result<_, TrainError>>()?,
            ClassFile::ByName(indices) => indices
                .into_iter()
                .map(|(name, index)| (index, name))
                .collect(),
        };
        if pairs
            .keys()
            .enumerate()
            .any(|(place, index)| place != *index)
        {
            return Err(wrong("its indices do not count up from 0"));
        }
        pairs.into_values().collect()
    } else {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect()
    };
    if names.is_empty() {
        return Err(wrong("it is empty"));
    }
    Ok(names)
}

/// How the class names of a model differ from those of the data; `None` where they are the same in
/// the same order. Both have as many.
pub fn name_difference(model: &[String], data: &[String]) -> Option<String> {
    let differ = |place: &usize| model[*place] != data[*place];
    let places: Vec<usize> = (0..model.len().min(data.len())).filter(differ).collect();
    let &first = places.first()?;
    let order = match model.iter().collect::<BTreeSet<_>>() == data.iter().collect() {
        true => "they are the data's names in another order",
        false => "are they the same classes, in the same order?",
    };
    Some(format!(
        "{} of {} classes have other names than the data's, the first class {first}: `{}`, the data's is `{}`; {order}",
        places.len(),
        model.len(),
        model[first],
        data[first]
    ))
}

/// How many classes a message lists.
const LISTED: usize = 5;

/// Where the classes of a model are in the data, if both have the same names in different places:
/// which class is where. `None` where the names are others, or in the same order.
pub fn moved_classes(model: &[String], data: &[String]) -> Option<String> {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    if model == data || sorted(model) != sorted(data) {
        return None;
    }
    let moved: Vec<String> = (model.iter().zip(data).enumerate())
        .filter(|(_, (model, data))| model != data)
        .filter_map(|(place, (name, _))| {
            let there = data.iter().position(|other| other == name)?;
            Some(format!(
                "`{name}` is its class {place} and the data's {there}"
            ))
        })
        .collect();
    let more = match moved.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let first = &moved[..moved.len().min(LISTED)];
    Some(format!("{}{more}", first.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalisations_have_names_or_numbers() {
        let parse = |text: &str| parse_normalisation(text, 3).unwrap();
        assert_eq!(parse("imagenet").mean, [0.485, 0.456, 0.406]);
        assert_eq!(parse("CIFAR100").std, [0.2675, 0.2565, 0.2761]);
        assert_eq!(parse("half"), parse("0.5/0.5"));
        assert_eq!(parse("none"), parse("0/1"));
        let given = parse("0.485, 0.456,0.406/0.229,0.224,0.225");
        assert_eq!(given, parse("imagenet"));
        assert_eq!(parse_normalisation("half", 1).unwrap().mean, [0.5]);
        for (text, channels, reason) in [
            ("imagenett", 3, "found `imagenett`"),
            ("imagenet", 1, "3 channels"),
            ("0.5,0.5/0.5", 3, "2 numbers"),
            ("0.5/0", 3, "above 0"),
            ("0.5/nan", 3, "0.5/nan"),
            ("a/b", 3, "a/b"),
        ] {
            let error = parse_normalisation(text, channels).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn names_that_differ_are_counted_and_the_first_is_named() {
        let names = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let data = names("ant bee cat");
        assert_eq!(name_difference(&data, &data), None);
        let moved = name_difference(&names("ant cat bee"), &data).unwrap();
        assert!(moved.starts_with("2 of 3 classes"), "{moved}");
        assert!(
            moved.contains("class 1: `cat`, the data's is `bee`"),
            "{moved}"
        );
        assert!(moved.ends_with("in another order"), "{moved}");
        assert_eq!(
            moved_classes(&names("ant cat bee"), &data).unwrap(),
            "`cat` is its class 1 and the data's 2, `bee` is its class 2 and the data's 1"
        );
        assert_eq!(moved_classes(&data, &data), None);
        assert_eq!(moved_classes(&names("ant bee dog"), &data), None);
        let many = names("a b c d e f g h");
        let turned = names("h a b c d e f g");
        let told = moved_classes(&turned, &many).unwrap();
        assert!(told.ends_with("the data's 3, and 3 more"), "{told}");
        let other = name_difference(&names("ant bee dog"), &data).unwrap();
        assert!(
            other.starts_with("1 of 3") && other.ends_with('?'),
            "{other}"
        );
    }

    #[test]
    fn class_names_come_line_by_line_or_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("classes");
        let read = |text: &str| {
            std::fs::write(&file, text).unwrap();
            read_classes(&file)
        };
        let expected = ["cat", "great dog"];
        for text in [
            "\u{feff}cat\r\ngreat dog\r\n\r\n",
            r#"["cat", "great dog"]"#,
            r#"{"0": "cat", "1": "great dog"}"#,
            r#"{"great dog": 1, "cat": 0}"#,
            r#"{"0": ["n1", "cat"], "1": ["n2", "great dog"]}"#,
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        for text in ["", "\n", "[1, 2]", r#"{"1": "cat"}"#, "{"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("holds no class names"), "{text}: {error}");
        }
    }
}
