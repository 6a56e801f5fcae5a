//! The content of a COCO file, as far as boxes need it.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use crate::DataError;
use crate::source::boxes::files;

/// Most bytes of a file; that of COCO's images to train on has 450 MB.
const MAX_BYTES: u64 = 2 << 30;

/// Greatest width and height, as of images.
const MAX_SIDE: f64 = 65_535.0;

/// A number that stands for something, which some programs write as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Text(id) => write!(f, "`{id}`"),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Whole(i64),
    Number(f64),
    Truth(bool),
    Text(String),
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Scalar::deserialize(deserializer)? {
            Scalar::Whole(id) => Self::Number(id),
            // Whole numbers of 53 bits are exact.
            Scalar::Number(id) if id.fract() == 0.0 && id.abs() < 9e15 => Self::Number(id as i64),
            Scalar::Number(id) => Self::Text(id.to_string()),
            Scalar::Truth(id) => Self::Text(id.to_string()),
            Scalar::Text(id) => match id.trim().parse() {
                Ok(number) => Self::Number(number),
                Err(_) => Self::Text(id),
            },
        })
    }
}

/// The lists of a file.
#[derive(Clone, Debug)]
pub(super) struct Instances {
    pub images: Vec<Listed>,
    pub annotations: Vec<Annotation>,
    pub categories: Vec<Category>,
}

/// An image of a file.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "RawListed")]
pub(super) struct Listed {
    pub id: Id,
    pub file_name: String,
    /// Width and height, where the file gives both.
    pub size: Option<[usize; 2]>,
}

#[derive(Deserialize)]
struct RawListed {
    id: Id,
    file_name: String,
    width: Option<f64>,
    height: Option<f64>,
}

impl From<RawListed> for Listed {
    fn from(raw: RawListed) -> Self {
        let side = |side: Option<f64>| side.filter(|side| (1.0..=MAX_SIDE).contains(side));
        let size = || Some([side(raw.width)? as usize, side(raw.height)? as usize]);
        Self {
            size: size(),
            id: raw.id,
            file_name: raw.file_name,
        }
    }
}

/// An object on an image.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Annotation {
    pub id: Option<Id>,
    pub image_id: Id,
    pub category_id: Option<Id>,
    /// Left, top, width and height.
    pub bbox: Option<Vec<f64>>,
    pub area: Option<f64>,
    #[serde(default, rename = "iscrowd", deserialize_with = "flag")]
    pub crowd: bool,
}

/// A kind of objects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Category {
    pub id: Id,
    pub name: String,
}

/// 0 or 1, true or false, or nothing.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(match Option::<Scalar>::deserialize(deserializer)? {
        None => false,
        Some(Scalar::Whole(flag)) => flag != 0,
        Some(Scalar::Number(flag)) => flag != 0.0,
        Some(Scalar::Truth(flag)) => flag,
        Some(Scalar::Text(flag)) => ["1", "true"].contains(&flag.trim()),
    })
}

#[derive(Deserialize)]
struct Lists {
    images: Option<Vec<Listed>>,
    annotations: Option<Vec<Annotation>>,
    categories: Option<Vec<Category>>,
}

/// Reads a file; `None` where it lacks one of the lists, as files for other tasks do.
///
/// # Errors
/// What is no JSON, or has something else than COCO has in its place.
pub(super) fn read(file: &Path) -> Result<Option<Instances>, DataError> {
    let bytes = files::read(file, MAX_BYTES)?;
    parse(file, bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))
}

fn parse(file: &Path, bytes: &[u8]) -> Result<Option<Instances>, DataError> {
    let lists: Lists = serde_json::from_slice(bytes).map_err(|e| {
        let kind = if e.is_data() {
            "no COCO file"
        } else {
            "no JSON"
        };
        DataError::corrupt(file, format!("it is {kind}: {e}"))
    })?;
    let Lists {
        images: Some(images),
        annotations: Some(annotations),
        categories: Some(categories),
    } = lists
    else {
        return Ok(None);
    };
    Ok(Some(Instances {
        images,
        annotations,
        categories,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"{"info": {}, "images": [{"id": "7", "file_name": "a.jpg", "width": 40,
        "height": 30.0}, {"id": 8.0, "file_name": "b.jpg", "width": 0}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": "3", "bbox": [1, 2.5, 3, 4],
        "iscrowd": null, "segmentation": {"counts": [1, 2], "size": [3, 4]}},
        {"image_id": "x", "iscrowd": 1, "area": null}],
        "categories": [{"id": 3, "name": "dog", "supercategory": "animal"}]}"#;

    fn read_text(text: &str) -> Result<Option<Instances>, String> {
        parse(Path::new("a.json"), text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn numbers_may_be_text_and_flags_may_be_missing() {
        let read = read_text(WHOLE).unwrap().unwrap();
        assert_eq!(read.images[0].id, Id::Number(7));
        assert_eq!(read.images[0].size, Some([40, 30]));
        assert_eq!(
            (&read.images[1].id, read.images[1].size),
            (&Id::Number(8), None)
        );
        let [first, second] = read.annotations.as_slice() else {
            panic!("{read:?}");
        };
        assert_eq!(first.category_id, Some(Id::Number(3)));
        assert_eq!(first.bbox.as_deref(), Some(&[1.0, 2.5, 3.0, 4.0][..]));
        assert!(!first.crowd && second.crowd);
        assert_eq!(
            (&second.image_id, &second.bbox),
            (&Id::Text("x".to_owned()), &None)
        );
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_its_place() {
        assert!(
            read_text(r#"{"images": [], "annotations": []}"#)
                .unwrap()
                .is_none()
        );
        for cut in [0, 1, 90, WHOLE.len() - 1] {
            let error = read_text(&WHOLE[..cut]).unwrap_err();
            assert!(
                error.contains("no JSON") && error.contains("line"),
                "{error}"
            );
        }
        let error = read_text(r#"{"images": [{"id": 1}]}"#).unwrap_err();
        assert!(
            error.contains("no COCO file: missing field `file_name`"),
            "{error}"
        );
        assert!(read_text(&"[".repeat(100_000)).is_err());
        assert!(read_text(r#"{"annotations": [{"image_id": 1, "bbox": [NaN]}]}"#).is_err());
    }

    proptest! {
        #[test]
        fn changed_bytes_never_panic(
            changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..8),
            cut in any::<usize>(),
        ) {
            let mut bytes = WHOLE.as_bytes().to_vec();
            for (place, value) in changes {
                let len = bytes.len();
                bytes[place % len] = value;
            }
            bytes.truncate(cut % (2 * bytes.len()));
            let _ = parse(Path::new("a.json"), &bytes);
        }
    }
}
