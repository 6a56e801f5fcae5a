//! Any header and data as a safetensors file: an error or tensors that can be decoded. The length
//! of the header is set right, so that mutations reach the header itself.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use limbeck_nn::weights::StateDict;

fuzz_target!(|input: (&str, &[u8])| {
    let (header, data) = input;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    if let Ok(state) = StateDict::from_bytes(Path::new("fuzz.safetensors"), bytes, None) {
        for (_, tensor) in state.iter() {
            assert_eq!(tensor.to_f64().len(), tensor.count());
        }
    }
});
