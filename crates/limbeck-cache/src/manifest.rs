//! What is in a cache and what it was made from.

use std::{fmt, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    CacheError, files,
    layout::Layout,
    record::{Output, Section},
};

/// The version of the format that is written; no other one is read.
pub const FORMAT: u32 = 1;

/// Bytes of a manifest at the most: the names of all classes of the largest data sets take two.
const LARGEST: u64 = 64 << 20;

/// The teacher whose outputs are stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherFacts {
    /// Its network, such as `resnet32x4`.
    pub name: String,
    /// SHA-256 of its weights' file, hexadecimal.
    pub weights_sha256: String,
    /// Mean of its normalisation, `[C]`.
    pub mean: Vec<f64>,
    /// Standard deviation of its normalisation, `[C]`.
    pub std: Vec<f64>,
    /// Channels, height and width of what goes in.
    pub input: [usize; 3],
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// Names of its classes, in the order of its logits.
    pub classes: Vec<String>,
    /// Of a detector, width and height in pixels of the anchors of each level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchors: Option<Vec<Vec<[f64; 2]>>>,
}

/// The images that it was asked about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// As it was named; not compared, since the same data may be elsewhere on the next machine.
    pub name: String,
    /// Changes with the images.
    pub fingerprint: String,
    /// Which of them each section has, as the recipe tells it.
    pub split: Value,
    /// Names of the classes, in the order of the labels.
    pub classes: Vec<String>,
}

/// All that has to be the same for a cache to be right, and how its files are laid out.
///
/// The file `manifest.json` holds these fields. Every shard carries the SHA-256 of that file, so a
/// manifest is never edited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// Version of Limbeck that drew the views.
    pub limbeck: String,
    /// The teacher.
    pub teacher: TeacherFacts,
    /// The data set.
    pub data: DataFacts,
    /// How views are made, as the recipe tells it.
    pub augment: Value,
    /// How pictures are shown to a teacher that segments when it is measured, as the recipe tells it.
    /// Missing where it is not measured, or classifies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate: Option<Value>,
    /// Seed of the views. A view is a function of seed, number and sample, so nothing is stored
    /// for it.
    pub view_seed: u64,
    /// The positions, one section after the other; see [`Manifest::position`].
    pub sections: Vec<Section>,
    /// What each record holds, in this order.
    pub outputs: Vec<Output>,
    /// Records of every shard but the last; see [`crate::shard_records`].
    pub shard_records: u64,
}

impl Manifest {
    /// Records in all.
    ///
    /// # Errors
    /// A manifest that [`Manifest::check`] refuses.
    pub fn records(&self) -> Result<u64, CacheError> {
        Ok(self.layout()?.records)
    }

    /// Shards in all.
    ///
    /// # Errors
    /// A manifest that [`Manifest::check`] refuses.
    pub fn shards(&self) -> Result<u64, CacheError> {
        Ok(self.layout()?.shards)
    }

    /// Bytes that the finished cache takes: shards and manifest.
    ///
    /// # Errors
    /// A manifest that [`Manifest::check`] refuses.
    pub fn bytes(&self) -> Result<u64, CacheError> {
        let layout = self.layout()?;
        Ok(layout.bytes() + self.to_bytes()?.len() as u64)
    }

    /// Which output is called `name`.
    pub fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.name == name)
    }

    /// Which section is called `name`.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Position of a record: sections follow one another, within a section all samples of the
    /// first view come before those of the second.
    ///
    /// # Errors
    /// A section, view or sample that the cache does not have.
    pub fn position(&self, section: &str, view: u64, sample: u64) -> Result<u64, CacheError> {
        let mut start: u64 = 0;
        for found in &self.sections {
            if found.name == section {
                if view >= found.views || sample >= found.samples {
                    return Err(CacheError::Unknown {
                        what: format!("view {view} of sample {sample} in `{section}`"),
                        known: format!("{} views of {} samples", found.views, found.samples),
                    });
                }
                return Ok(start + view * found.samples + sample);
            }
            // A manifest that was not checked may hold anything.
            start = start.saturating_add(found.samples.saturating_mul(found.views));
        }
        Err(CacheError::Unknown {
            what: format!("section `{section}`"),
            known: names(self.sections.iter().map(|section| &section.name)),
        })
    }

    /// The section, view and sample at a position; the opposite of [`Manifest::position`].
    pub fn place(&self, position: u64) -> Option<(&Section, u64, u64)> {
        let mut rest = position;
        for section in &self.sections {
            let records = section.samples.saturating_mul(section.views);
            if rest < records {
                return Some((section, rest / section.samples, rest % section.samples));
            }
            rest -= records;
        }
        None
    }

    /// The first field in which the two differ, such as `augment.crop` or `teacher.mean`; `other`
    /// is what a run would have made. `data.name` is not compared.
    ///
    /// A run that uses a part of what is stored compares with a copy of the cache's own manifest
    /// in which only what must agree is the run's.
    pub fn difference(&self, other: &Self) -> Option<Difference> {
        let without_name = |manifest: &Self| {
            let mut manifest = manifest.clone();
            manifest.data.name.clear();
            manifest
        };
        let fields = |manifest: &Self| -> Vec<(&str, Value)> {
            let manifest = without_name(manifest);
            let value = |field: Result<Value, serde_json::Error>| field.unwrap_or_default();
            vec![
                ("format", manifest.format.into()),
                ("limbeck", manifest.limbeck.into()),
                ("data", value(serde_json::to_value(manifest.data))),
                ("teacher", value(serde_json::to_value(manifest.teacher))),
                ("augment", manifest.augment),
                ("evaluate", manifest.evaluate.unwrap_or_default()),
                ("view_seed", manifest.view_seed.into()),
                ("sections", value(serde_json::to_value(manifest.sections))),
                ("outputs", value(serde_json::to_value(manifest.outputs))),
                ("shard_records", manifest.shard_records.into()),
            ]
        };
        let pairs = fields(self).into_iter().zip(fields(other));
        pairs
            .map(|((field, cache), (_, run))| difference(field.to_owned(), &cache, &run))
            .find_map(|difference| difference)
    }

    /// Refuses what cannot be stored or read: an unknown format, no outputs, names twice, shapes
    /// whose product is too large, encodings that do not fit, more shards than there may be.
    ///
    /// # Errors
    /// [`CacheError::Plan`] with what is wrong and what was expected.
    pub fn check(&self) -> Result<(), CacheError> {
        self.layout().map(|_| ())
    }

    pub(crate) fn layout(&self) -> Result<Layout, CacheError> {
        self.places().map_err(CacheError::Plan)
    }

    /// The layout, or what is wrong and what was expected.
    fn places(&self) -> Result<Layout, String> {
        if self.format != FORMAT {
            return Err(format!(
                "format {} is not known, only {FORMAT}",
                self.format
            ));
        }
        Layout::new(&self.sections, &self.outputs, self.shard_records)
    }

    /// The file's content.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, CacheError> {
        let mut bytes =
            serde_json::to_vec_pretty(self).map_err(|error| CacheError::Plan(error.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads and checks the manifest of the cache in `folder`; `None` where there is none. With it
    /// the SHA-256 of the file.
    pub(crate) fn read(folder: &Path) -> Result<Option<(Self, [u8; 32])>, CacheError> {
        let path = files::manifest(folder);
        let Some(bytes) = files::read_bounded(&path, LARGEST)? else {
            return Ok(None);
        };
        let bad = |reason| CacheError::BadManifest {
            path: path.clone(),
            reason,
        };
        // First the version alone: a later format may have any fields.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        if version.format != FORMAT {
            return Err(bad(format!(
                "it has format {}, this version of Limbeck reads format {FORMAT}",
                version.format
            )));
        }
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        manifest.places().map_err(bad)?;
        Ok(Some((manifest, Sha256::digest(&bytes).into())))
    }
}

/// A field in which a cache is not what a run needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Such as `augment.crop`.
    pub field: String,
    /// What the cache has, as JSON.
    pub cache: String,
    /// What the run has, as JSON.
    pub run: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is {} in the cache, {} is asked for",
            self.field, self.cache, self.run
        )
    }
}

/// The first difference of two values, depth first; `field` is what they are called.
pub(crate) fn difference(field: String, cache: &Value, run: &Value) -> Option<Difference> {
    match (cache, run) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.into_iter().find_map(|key| {
                let [a, b] = [a, b].map(|map| map.get(key).unwrap_or(&Value::Null));
                difference(within(&field, key), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => (a.iter().zip(b))
            .enumerate()
            .find_map(|(i, (a, b))| difference(within(&field, &i.to_string()), a, b)),
        (Value::Number(a), Value::Number(b)) if same_number(a, b) => None,
        (a, b) if a == b => None,
        (a, b) => Some(Difference {
            field,
            cache: shortened(a),
            run: shortened(b),
        }),
    }
}

/// The name of a part of a field.
fn within(field: &str, part: &str) -> String {
    match field {
        "" => part.to_owned(),
        _ => format!("{field}.{part}"),
    }
}

/// Whether two numbers are the same: writing one as text and reading it again may cost the last
/// binary digit.
fn same_number(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if a.is_f64() || b.is_f64() => {
            (x - y).abs() <= 4.0 * f64::EPSILON * x.abs().max(y.abs())
        }
        _ => a == b,
    }
}

/// As JSON, cut where it is long.
fn shortened(value: &Value) -> String {
    const LONGEST: usize = 120;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Names as a list in a message.
fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    names.join(", ")
}
