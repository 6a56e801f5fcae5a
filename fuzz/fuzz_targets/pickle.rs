//! Any bytes as a pickle: an error or a value that can be walked, compared and printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbeck_pickle::{Limits, parse_prefix};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        nodes: 100_000,
        ..Limits::default()
    };
    if let Ok((value, length)) = parse_prefix(bytes, limits) {
        assert!(length <= bytes.len());
        assert!(value.walk().count() <= limits.nodes);
        let _ = value.global_outside(&[]);
        let _ = format!("{value:?}");
        let _ = value == value.clone();
    }
});
