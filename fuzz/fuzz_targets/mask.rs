//! Any bytes as a mask file: an error, or as many ids as there are pixels.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use limbeck_data::decode_mask;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mask) = decode_mask(bytes, Path::new("fuzz.png"))
        && let Ok(ids) = mask.ids()
    {
        assert_eq!(ids.len(), mask.width * mask.height);
    }
});
