//! Any bytes as a file of `torch.save`, zip or legacy: an error or tensors that can be decoded.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use limbeck_nn::weights::StateDict;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = StateDict::from_bytes(Path::new("fuzz.pth"), bytes.to_vec(), None) {
        for (_, tensor) in state.iter() {
            assert_eq!(tensor.to_f64().len(), tensor.count());
        }
    }
});
