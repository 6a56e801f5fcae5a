//! Any bytes as an image file: an error, or as many numbers as pixels have channels.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use limbeck_data::decode;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = decode(bytes, Path::new("fuzz.jpg")) {
        let numbers = image.width * image.height * image.channels;
        assert_eq!(image.pixels.len(), numbers);
    }
});
