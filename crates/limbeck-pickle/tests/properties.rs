//! Random and damaged pickles never panic, never run away, and integers survive.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

use limbeck_pickle::{Limits, Value, parse, parse_prefix};
use proptest::prelude::*;

/// `pickle.dumps({"state_dict": OrderedDict(w=[1, -300, 2**40], b=(0.5, None, True)), "s": {7},
/// "n": b"ab"}, protocol=n)` for n in (0, 2, 4).
const SEEDS: [&[u8]; 3] = [
    b"(dp0\nVstate_dict\np1\nccollections\nOrderedDict\np2\n(tRp3\nVw\np4\n(lp5\nI1\naI-300\naL1099511627776L\nasVb\np6\n(F0.5\nNI01\ntp7\nssVs\np8\nc__builtin__\nset\np9\n((lp10\nI7\natp11\nRp12\nsVn\np13\nc_codecs\nencode\np14\n(Vab\np15\nVlatin1\np16\ntp17\nRp18\ns.",
    b"\x80\x02}q\x00(X\n\x00\x00\x00state_dictq\x01ccollections\nOrderedDict\nq\x02)Rq\x03(X\x01\x00\x00\x00wq\x04]q\x05(K\x01J\xd4\xfe\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01eX\x01\x00\x00\x00bq\x06G?\xe0\x00\x00\x00\x00\x00\x00N\x88\x87q\x07uX\x01\x00\x00\x00sq\x08c__builtin__\nset\nq\x09]q\nK\x07a\x85q\x0bRq\x0cX\x01\x00\x00\x00nq\x0dc_codecs\nencode\nq\x0eX\x02\x00\x00\x00abq\x0fX\x06\x00\x00\x00latin1q\x10\x86q\x11Rq\x12u.",
    b"\x80\x04\x95p\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\nstate_dict\x94\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\x01w\x94]\x94(K\x01J\xd4\xfe\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01e\x8c\x01b\x94G?\xe0\x00\x00\x00\x00\x00\x00N\x88\x87\x94u\x8c\x01s\x94\x8f\x94(K\x07\x90\x8c\x01n\x94C\x02ab\x94u.",
];

const TIGHT: Limits = Limits {
    bytes: 4096,
    operations: 4096,
    depth: 64,
    nodes: 65_536,
};

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse_prefix(&bytes, TIGHT);
    }

    #[test]
    fn random_opcodes_never_panic(
        bytes in proptest::collection::vec(
            prop::sample::select(b"(.012NIKJRQabcdeghijlopqrstu]})}\x00\x01\n\x81\x85\x86\x87\x88\
                \x8f\x90\x91\x92\x93\x94".as_slice()),
            0..256,
        )
    ) {
        if let Ok((value, length)) = parse_prefix(&bytes, TIGHT) {
            prop_assert!(length <= bytes.len());
            // A value can be walked, compared and printed whatever it is made of.
            let _ = value.global_outside(&[]);
            let _ = format!("{value:?}");
            let _ = value == value.clone();
        }
    }

    #[test]
    fn damaged_pickles_never_panic(
        seed in prop::sample::select(SEEDS.as_slice()),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = seed.to_vec();
        for (index, byte) in flips {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let _ = parse(&bytes, TIGHT);
    }

    #[test]
    fn integers_survive_in_binary_and_in_decimal(number in any::<i64>()) {
        let mut binary = b"\x8a\x08".to_vec();
        binary.extend(number.to_le_bytes());
        binary.push(b'.');
        prop_assert_eq!(parse(&binary, TIGHT), Ok(Value::Int(number)));
        let decimal = format!("L{number}L\n.");
        prop_assert_eq!(parse(decimal.as_bytes(), TIGHT), Ok(Value::Int(number)));
    }

    #[test]
    fn long_integers_are_the_same_in_binary_and_in_decimal(number in any::<i128>()) {
        let mut binary = b"\x8a\x10".to_vec();
        binary.extend(number.to_le_bytes());
        binary.push(b'.');
        let decimal = format!("I{number}\n.");
        prop_assert_eq!(parse(&binary, TIGHT), parse(decimal.as_bytes(), TIGHT));
    }
}

#[test]
fn every_truncation_is_an_error() {
    for seed in SEEDS {
        assert!(parse(seed, TIGHT).is_ok());
        for length in 0..seed.len() {
            assert!(parse(&seed[..length], TIGHT).is_err(), "{length}");
        }
    }
}
