//! Pickles that are damaged or made to do harm end in an error that says where and why.
#![allow(clippy::unwrap_used, clippy::panic)]

use limbeck_pickle::{Limits, PickleError, Reason, Value, parse, parse_prefix};

fn refused(bytes: &[u8]) -> PickleError {
    parse(bytes, Limits::default()).unwrap_err()
}

#[test]
fn errors_name_offset_and_opcode() {
    let error = refused(b"\x80\x02]K\x01R.");
    assert_eq!((error.offset, error.opcode), (5, Some("REDUCE")));
    assert_eq!(
        error.to_string(),
        "pickle is not readable at byte 5 (opcode REDUCE): expected a tuple of arguments on the \
         stack, found an integer"
    );
}

#[test]
fn each_kind_of_damage_has_its_reason() {
    let cases: [(&[u8], Reason); 17] = [
        (b"", Reason::Truncated),
        (b"\x80", Reason::Truncated),
        (b"\x80\x02]", Reason::Truncated),
        (b"X\xff\xff\xff\xffabc", Reason::Truncated),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffa", Reason::Truncated),
        (b"\x95\x09\0\0\0\0\0\0\0N.", Reason::Truncated),
        (b"I12", Reason::Truncated),
        (b"\x80\x06N.", Reason::UnknownProtocol(6)),
        (b"PK\x03\x04", Reason::Truncated),
        (b"\x89PNG", Reason::Truncated),
        (b"?", Reason::UnknownOpcode(b'?')),
        (b".", Reason::StackUnderflow),
        (b"N(.", Reason::StackUnderflow),
        (b"Nt.", Reason::NoMark),
        (b"h\x07.", Reason::NoMemo(7)),
        (b"(Nd.", Reason::OddPairs),
        (b"Ione\n.", Reason::Malformed("integer")),
    ];
    for (bytes, reason) in cases {
        assert_eq!(refused(bytes).reason, reason, "{bytes:?}");
    }
}

#[test]
fn text_that_is_no_text_is_refused() {
    assert_eq!(
        refused(b"X\x02\0\0\0\xff\xfe.").reason,
        Reason::Malformed("UTF-8 text")
    );
    // A lone surrogate, which Python's text may hold and Rust's may not.
    assert_eq!(
        refused(b"V\\ud800\n.").reason,
        Reason::Malformed("escaped text")
    );
    assert_eq!(
        refused(b"S'\\x4'\n.").reason,
        Reason::Malformed("quoted string")
    );
    assert_eq!(
        refused(b"S'open\n.").reason,
        Reason::Malformed("quoted string")
    );
}

#[test]
fn what_lies_outside_the_file_is_refused() {
    // pickle.dumps(PickleBuffer(b"abc"), protocol=5, buffer_callback=lambda buffer: None)
    assert!(matches!(
        refused(b"\x80\x05\x97\x98.").reason,
        Reason::External(_)
    ));
    assert!(matches!(refused(b"\x82\x01.").reason, Reason::External(_)));
}

#[test]
fn cycles_are_refused() {
    // l = []; l.append(l); pickle.dumps(l, protocol=2)
    assert_eq!(refused(b"\x80\x02]q\x00h\x00a.").reason, Reason::Cyclic);
    // t = ([],); t[0].append(t); pickle.dumps(t, protocol=2)
    assert_eq!(
        refused(b"\x80\x02]q\x00h\x00\x85q\x01a0h\x01.").reason,
        Reason::Cyclic
    );
    // An object that is its own state.
    assert_eq!(refused(b"cm\nK\n)Rq\x00h\x00b.").reason, Reason::Cyclic);
}

#[test]
fn lists_that_double_do_not_grow_without_bound() {
    // Each level is the pair of the level below, twice: 2^n leaves from 2 bytes a level.
    let doubled = |levels: usize| {
        let mut bytes = b"N".to_vec();
        for _ in 0..levels {
            bytes.extend(b"2\x86");
        }
        bytes.push(b'.');
        bytes
    };
    assert!(parse(&doubled(20), Limits::default()).is_ok());
    let error = refused(&doubled(100));
    assert!(
        matches!(
            error.reason,
            Reason::Limit {
                what: "objects",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn deep_nesting_is_refused_without_overflow_of_the_stack() {
    let nested = |levels: usize| {
        let mut bytes = vec![b'N'];
        bytes.resize(levels, 0x85);
        bytes.push(b'.');
        bytes
    };
    let generous = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    let value = parse(&nested(Limits::MAX_DEPTH), generous).unwrap();
    assert_eq!(value, value.clone());
    assert!(format!("{value:?}").contains("None"));
    drop(value);
    for levels in [Limits::MAX_DEPTH + 1, 1_000_000] {
        let error = parse(&nested(levels), generous).unwrap_err();
        assert_eq!(
            error.reason,
            Reason::Limit {
                what: "levels of nesting",
                limit: Limits::MAX_DEPTH
            }
        );
    }
}

#[test]
fn limits_hold() {
    let strict = Limits {
        bytes: 8,
        operations: 4,
        ..Limits::default()
    };
    let what = |bytes: &[u8]| match parse(bytes, strict).unwrap_err().reason {
        Reason::Limit { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(what(b"NNNN."), "operations");
    assert_eq!(what(b"X\x05\0\0\0abcde."), "bytes in one pickle");
    assert!(parse(b"NNN.", strict).is_ok());
}

#[test]
fn endless_integers_are_refused() {
    let mut decimal = b"L".to_vec();
    decimal.resize(100_000, b'9');
    decimal.extend(b"L\n.");
    assert!(matches!(refused(&decimal).reason, Reason::Limit { .. }));
    let mut binary = b"\x8b\xa0\x86\x01\0".to_vec();
    binary.resize(100_005, 1);
    binary.push(b'.');
    assert!(matches!(refused(&binary).reason, Reason::Limit { .. }));
}

#[test]
fn pickles_in_a_row_are_read_one_by_one() {
    let bytes = b"K\x01.\x80\x02K\x02.rest";
    assert_eq!(
        parse_prefix(bytes, Limits::default()),
        Ok((Value::Int(1), 3))
    );
    assert_eq!(
        parse_prefix(&bytes[3..], Limits::default()),
        Ok((Value::Int(2), 5))
    );
    assert_eq!(refused(b"K\x01.rest").reason, Reason::TrailingBytes(4));
}
