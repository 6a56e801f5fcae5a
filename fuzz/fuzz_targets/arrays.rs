//! Any bytes as a file of arrays, and any header of NumPy's: an error or arrays that can be decoded.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use limbeck_nn::weights::ArrayFile;

fn look(bytes: Vec<u8>) {
    if let Ok(file) = ArrayFile::from_bytes(Path::new("fuzz.npz"), bytes) {
        for (_, array) in file.iter() {
            assert_eq!(array.to_f64().len(), array.count());
        }
    }
}

fuzz_target!(|input: (&str, &[u8])| {
    let (header, data) = input;
    look(data.to_vec());
    let mut array = b"\x93NUMPY\x02\x00".to_vec();
    array.extend((header.len() as u32).to_le_bytes());
    array.extend(header.as_bytes());
    array.extend(data);
    look(array);
});
