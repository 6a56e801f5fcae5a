//! The list of methods.

use limbeck_nn::Builder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    At, Baseline, Criterion, Dkd, FitNet, Kd, MethodError, Probe, Rkd, at, dkd, fitnet, kd, none,
    rkd,
};

/// A method of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct MethodEntry {
    /// The paper's abbreviation, such as `reviewkd`.
    pub id: &'static str,
    /// Source text of the method's file; its header is the documentation page.
    source: &'static str,
    /// Whether it reads a teacher.
    pub needs_teacher: bool,
    /// All settings with their defaults.
    pub defaults: fn() -> Value,
    /// Builds it from a table of settings (missing ones take their defaults); its modules are
    /// made at the builder's level.
    pub build: Build,
}

type Build = fn(Value, &Probe, &mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError>;

macro_rules! method {
    ($id:literal, $file:literal, teacher: $teacher:literal, $config:ty, $method:ty) => {
        MethodEntry {
            id: $id,
            source: include_str!($file),
            needs_teacher: $teacher,
            defaults: defaults::<$config>,
            build: |settings, probe, builder| {
                let config = parse($id, settings)?;
                Ok(Box::new(<$method>::new(config, probe, builder)?))
            },
        }
    };
}

/// All methods: the baseline, then by name.
pub static METHODS: &[MethodEntry] = &[
    method!("none", "none.rs", teacher: false, none::BaselineConfig, Baseline),
    method!("at", "at.rs", teacher: true, at::AtConfig, At),
    method!("dkd", "dkd.rs", teacher: true, dkd::DkdConfig, Dkd),
    method!("fitnet", "fitnet.rs", teacher: true, fitnet::FitNetConfig, FitNet),
    method!("kd", "kd.rs", teacher: true, kd::KdConfig, Kd),
    method!("rkd", "rkd.rs", teacher: true, rkd::RkdConfig, Rkd),
];

impl MethodEntry {
    /// The documentation page, as Markdown.
    pub fn page(&self) -> String {
        self.source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The entry called `id`.
///
/// # Errors
/// [`MethodError::UnknownMethod`] with the nearest name.
pub fn find(id: &str) -> Result<&'static MethodEntry, MethodError> {
    METHODS
        .iter()
        .find(|entry| entry.id == id)
        .ok_or_else(|| MethodError::UnknownMethod {
            name: id.to_owned(),
            nearest: nearest(id).map(str::to_owned),
        })
}

/// The name that differs from `id` in the fewest letters, if less than half of them differ.
fn nearest(id: &str) -> Option<&'static str> {
    let id = id.to_lowercase();
    METHODS
        .iter()
        .map(|entry| (strsim::damerau_levenshtein(&id, entry.id), entry.id))
        .filter(|(distance, known)| 2 * distance < known.len().max(id.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn defaults<C: Default + Serialize>() -> Value {
    serde_json::to_value(C::default()).unwrap_or_default()
}

fn parse<C: DeserializeOwned>(id: &'static str, settings: Value) -> Result<C, MethodError> {
    serde_json::from_value(settings).map_err(|error| MethodError::Configuration {
        method: id.to_owned(),
        reason: error.to_string(),
    })
}
