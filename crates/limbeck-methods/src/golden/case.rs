//! One golden file, read.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

/// A tensor of a golden file, or one to compare with it. Integers are kept as numbers too.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Empty for a scalar.
    pub shape: Vec<usize>,
    /// Row-major.
    pub numbers: Vec<f64>,
}

/// What a golden file is of.
pub struct Identity {
    /// Such as `kd`.
    pub method: String,
    /// Such as `loss`.
    pub case: String,
}

impl Identity {
    /// Reads the beginning of a golden file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let metadata = metadata(&bytes)?;
        Ok(Self {
            method: text(&metadata, "method")?,
            case: text(&metadata, "case")?,
        })
    }
}

/// A golden file: what goes in and what is to come out.
#[derive(Clone, Debug)]
pub struct Case {
    /// Hyper-parameters and shapes.
    pub config: Value,
    /// Everything else that the file says in words.
    pub metadata: HashMap<String, String>,
    /// All tensors by name.
    pub tensors: BTreeMap<String, Values>,
}

impl Case {
    /// Reads a golden file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        let metadata = metadata(&bytes)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let numbers = numbers(&view).ok_or(format!(
                "`{name}` has element type {:?}, which no golden uses",
                view.dtype()
            ))?;
            let shape = view.shape().to_vec();
            tensors.insert(name.to_owned(), Values { shape, numbers });
        }
        Ok(Self {
            config: serde_json::from_str(&text(&metadata, "config")?)
                .map_err(|error| error.to_string())?,
            metadata,
            tensors,
        })
    }

    /// Where goldens are computed.
    pub fn device() -> Device {
        Device::flex()
    }

    /// Whether the file has a tensor called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The tensor `name` with its shape.
    pub fn values(&self, name: &str) -> &Values {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("the file has no tensor `{name}`"))
    }

    /// The shape of the tensor `name`.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.values(name).shape
    }

    /// The tensor `name` in f64, without gradients.
    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let Values { shape, numbers } = self.values(name);
        assert_eq!(shape.len(), D, "`{name}` has shape {shape:?}");
        Tensor::from_data(
            TensorData::new(numbers.clone(), shape.clone()),
            (&Self::device(), DType::F64),
        )
    }

    /// The integers `name`.
    pub fn integers<const D: usize>(&self, name: &str) -> Tensor<D, Int> {
        let Values { shape, numbers } = self.values(name);
        let integers: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
        Tensor::from_data(
            TensorData::new(integers, shape.clone()),
            (&Self::device(), DType::I64),
        )
    }

    /// Length of the list `prefix.0`, `prefix.1`, …
    pub fn list_length(&self, prefix: &str) -> usize {
        (0..)
            .take_while(|i| self.has(&format!("{prefix}.{i}")))
            .count()
    }

    /// The value of `key` in the configuration.
    pub fn setting(&self, key: &str) -> &Value {
        self.config
            .get(key)
            .unwrap_or_else(|| panic!("the configuration has no `{key}`: {}", self.config))
    }

    /// The number behind `key`.
    pub fn number(&self, key: &str) -> f64 {
        let value = self.setting(key);
        value
            .as_f64()
            .unwrap_or_else(|| panic!("`{key}` is {value}, not a number"))
    }

    /// The natural number behind `key`.
    pub fn count(&self, key: &str) -> usize {
        let value = self.setting(key);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("`{key}` is {value}, not a natural number")) as usize
    }

    /// The `N` natural numbers behind `key`.
    pub fn counts<const N: usize>(&self, key: &str) -> [usize; N] {
        let value = self.setting(key);
        let counts: Vec<usize> = serde_json::from_value(value.clone()).unwrap_or_default();
        counts
            .try_into()
            .unwrap_or_else(|_| panic!("`{key}` is {value}, not {N} natural numbers"))
    }

    /// The truth behind `key`.
    pub fn flag(&self, key: &str) -> bool {
        let value = self.setting(key);
        value
            .as_bool()
            .unwrap_or_else(|| panic!("`{key}` is {value}, not true or false"))
    }

    /// The text behind `key`.
    pub fn text(&self, key: &str) -> &str {
        let value = self.setting(key);
        value
            .as_str()
            .unwrap_or_else(|| panic!("`{key}` is {value}, not a text"))
    }

    /// A table of settings made of these keys of the configuration, `(key there, name here)`.
    pub fn settings(&self, keys: &[(&str, &str)]) -> Value {
        keys.iter()
            .map(|(key, name)| ((*name).to_owned(), self.setting(key).clone()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

fn metadata(bytes: &[u8]) -> Result<HashMap<String, String>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let metadata = header.metadata().clone();
    metadata.ok_or("has no metadata".to_owned())
}

fn text(metadata: &HashMap<String, String>, key: &str) -> Result<String, String> {
    let text = metadata.get(key).cloned();
    text.ok_or(format!("metadata without `{key}`"))
}

fn numbers(view: &TensorView<'_>) -> Option<Vec<f64>> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F64 => chunks(bytes).map(f64::from_le_bytes).collect(),
        Dtype::F32 => chunks(bytes)
            .map(|b| f64::from(f32::from_le_bytes(b)))
            .collect(),
        Dtype::I64 => chunks(bytes)
            .map(|b| i64::from_le_bytes(b) as f64)
            .collect(),
        Dtype::I32 => chunks(bytes)
            .map(|b| f64::from(i32::from_le_bytes(b)))
            .collect(),
        Dtype::I16 => chunks(bytes)
            .map(|b| f64::from(i16::from_le_bytes(b)))
            .collect(),
        Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| f64::from(b)).collect(),
        _ => return None,
    })
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}
