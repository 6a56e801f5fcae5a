//! Writes what `torch.save` would: nested dictionaries of single-precision tensors.

use std::io::{Cursor, Write};
use std::path::Path;

use limbeck::nn::weights::StateDict;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Names, shapes and numbers of a state dict.
pub type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// What a dictionary holds under a key.
pub enum Item {
    Whole(i32),
    Tensors(Tensors),
    Dictionary(Vec<(&'static str, Item)>),
}

/// The tensors of a weights file.
pub fn tensors_of(file: &Path) -> Tensors {
    let state = StateDict::read(file).unwrap();
    let tensors = state.iter().map(|(name, tensor)| {
        let numbers = tensor.to_f64().into_iter().map(|value| value as f32);
        (name.to_owned(), tensor.shape().to_vec(), numbers.collect())
    });
    tensors.collect()
}

/// The same with `prefix` before each name.
pub fn prefixed(tensors: &Tensors, prefix: &str) -> Tensors {
    let named = tensors.iter().cloned();
    named
        .map(|(name, shape, numbers)| (format!("{prefix}{name}"), shape, numbers))
        .collect()
}

/// The same with all numbers zero.
pub fn zeros(tensors: &Tensors) -> Tensors {
    let emptied = tensors.iter().cloned();
    emptied
        .map(|(name, shape, numbers)| (name, shape, vec![0.0; numbers.len()]))
        .collect()
}

/// The bytes of `torch.save(item)`.
pub fn torch_file(item: &Item) -> Vec<u8> {
    let mut pickle = Pickle::default();
    pickle.bytes.extend(b"\x80\x02");
    pickle.item(item);
    pickle.bytes.push(b'.');
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: &str, bytes: &[u8]| {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    };
    entry("archive/data.pkl", &pickle.bytes);
    for (key, storage) in pickle.storages.iter().enumerate() {
        let bytes: Vec<u8> = storage
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        entry(&format!("archive/data/{key}"), &bytes);
    }
    entry("archive/version", b"3\n");
    zip.finish().unwrap().into_inner()
}

/// A pickle of protocol 2 in the making, and the storages that it refers to.
#[derive(Default)]
struct Pickle {
    bytes: Vec<u8>,
    storages: Vec<Vec<f32>>,
}

impl Pickle {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Whole(value) => self.whole(*value),
            Item::Tensors(tensors) => {
                self.bytes.extend(b"}(");
                for (name, shape, numbers) in tensors {
                    self.text(name);
                    self.tensor(shape, numbers);
                }
                self.bytes.push(b'u');
            }
            Item::Dictionary(items) => {
                self.bytes.extend(b"}(");
                for (key, item) in items {
                    self.text(key);
                    self.item(item);
                }
                self.bytes.push(b'u');
            }
        }
    }

    /// `_rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`.
    fn tensor(&mut self, shape: &[usize], numbers: &[f32]) {
        self.bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.bytes.extend(b"ctorch\nFloatStorage\n");
        self.text(&self.storages.len().to_string());
        self.text("cpu");
        self.whole(numbers.len() as i32);
        self.bytes.extend(b"tQ");
        self.whole(0);
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        for sizes in [shape, &strides] {
            self.bytes.push(b'(');
            for &size in sizes {
                self.whole(size as i32);
            }
            self.bytes.push(b't');
        }
        self.bytes.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        self.storages.push(numbers.to_vec());
    }

    fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend((text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
    }

    fn whole(&mut self, value: i32) {
        self.bytes.push(b'J');
        self.bytes.extend(value.to_le_bytes());
    }
}
