//! Pickles as Python 3.11 writes them are read back as the objects they were made from.
#![allow(clippy::unwrap_used, clippy::panic)]

use limbeck_pickle::{Limits, Value, parse};

fn read(bytes: &[u8]) -> Value {
    parse(bytes, Limits::default()).unwrap()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn list(items: &[Value]) -> Value {
    Value::List(items.into())
}

/// `pickle.dumps(o, protocol=n)` for n from 0 to 5, where `o` is
/// `{"a": [1, -2, 300, 70000, 2**40, -2**63, 2**70, -(2**64)], "t": (True, False, None),
/// "f": [0.5, float("inf")], "s": "Z\u00fcrich \\u0041 \U0001f600\n"}`.
const EVERYTHING: [&[u8]; 6] = [
    b"(dp0\nVa\np1\n(lp2\nI1\naI-2\naI300\naI70000\naL1099511627776L\naL-9223372036854775808L\naL1180591620717411303424L\naL-18446744073709551616L\nasVt\np3\n(I01\nI00\nNtp4\nsVf\np5\n(lp6\nF0.5\naFinf\nasVs\np7\nVZ\xfcrich \\u005cu0041 \\U0001f600\\u000a\np8\ns.",
    b"}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00L1099511627776L\nL-9223372036854775808L\nL1180591620717411303424L\nL-18446744073709551616L\neX\x01\x00\x00\x00tq\x03(I01\nI00\nNtq\x04X\x01\x00\x00\x00fq\x05]q\x06(G?\xe0\x00\x00\x00\x00\x00\x00G\x7f\xf0\x00\x00\x00\x00\x00\x00eX\x01\x00\x00\x00sq\x07X\x14\x00\x00\x00Z\xc3\xbcrich \\u0041 \xf0\x9f\x98\x80\nq\x08u.",
    b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xffeX\x01\x00\x00\x00tq\x03\x88\x89N\x87q\x04X\x01\x00\x00\x00fq\x05]q\x06(G?\xe0\x00\x00\x00\x00\x00\x00G\x7f\xf0\x00\x00\x00\x00\x00\x00eX\x01\x00\x00\x00sq\x07X\x14\x00\x00\x00Z\xc3\xbcrich \\u0041 \xf0\x9f\x98\x80\nq\x08u.",
    b"\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xffeX\x01\x00\x00\x00tq\x03\x88\x89N\x87q\x04X\x01\x00\x00\x00fq\x05]q\x06(G?\xe0\x00\x00\x00\x00\x00\x00G\x7f\xf0\x00\x00\x00\x00\x00\x00eX\x01\x00\x00\x00sq\x07X\x14\x00\x00\x00Z\xc3\xbcrich \\u0041 \xf0\x9f\x98\x80\nq\x08u.",
    b"\x80\x04\x95\x82\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xffe\x8c\x01t\x94\x88\x89N\x87\x94\x8c\x01f\x94]\x94(G?\xe0\x00\x00\x00\x00\x00\x00G\x7f\xf0\x00\x00\x00\x00\x00\x00e\x8c\x01s\x94\x8c\x14Z\xc3\xbcrich \\u0041 \xf0\x9f\x98\x80\n\x94u.",
    b"\x80\x05\x95\x82\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01J\xfe\xff\xff\xffM,\x01Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xffe\x8c\x01t\x94\x88\x89N\x87\x94\x8c\x01f\x94]\x94(G?\xe0\x00\x00\x00\x00\x00\x00G\x7f\xf0\x00\x00\x00\x00\x00\x00e\x8c\x01s\x94\x8c\x14Z\xc3\xbcrich \\u0041 \xf0\x9f\x98\x80\n\x94u.",
];

#[test]
fn every_protocol_gives_the_same_value() {
    let expected = Value::Dict(
        [
            (
                text("a"),
                list(&[
                    Value::Int(1),
                    Value::Int(-2),
                    Value::Int(300),
                    Value::Int(70_000),
                    Value::Int(1 << 40),
                    Value::Int(i64::MIN),
                    Value::BigInt([0, 0, 0, 0, 0, 0, 0, 0, 0x40].as_slice().into()),
                    Value::BigInt([0, 0, 0, 0, 0, 0, 0, 0, 0xff].as_slice().into()),
                ]),
            ),
            (
                text("t"),
                Value::Tuple([Value::Bool(true), Value::Bool(false), Value::None].into()),
            ),
            (
                text("f"),
                list(&[Value::Float(0.5), Value::Float(f64::INFINITY)]),
            ),
            (text("s"), text("Z\u{fc}rich \\u0041 \u{1f600}\n")),
        ]
        .into(),
    );
    for (protocol, bytes) in EVERYTHING.iter().enumerate() {
        assert_eq!(read(bytes), expected, "protocol {protocol}");
    }
}

/// `pickle.dumps([b"", b"\x00\xff\"\\n"], protocol=n)` for n in (0, 2, 3, 4, 5).
const BYTES: [&[u8]; 5] = [
    b"(lp0\nc__builtin__\nbytes\np1\n(tRp2\nac_codecs\nencode\np3\n(V\\u0000\xff\"\\u005cn\np4\nVlatin1\np5\ntp6\nRp7\na.",
    b"\x80\x02]q\x00(c__builtin__\nbytes\nq\x01)Rq\x02c_codecs\nencode\nq\x03X\x06\x00\x00\x00\x00\xc3\xbf\"\\nq\x04X\x06\x00\x00\x00latin1q\x05\x86q\x06Rq\x07e.",
    b"\x80\x03]q\x00(C\x00q\x01C\x05\x00\xff\"\\nq\x02e.",
    b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94(C\x00\x94C\x05\x00\xff\"\\n\x94e.",
    b"\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94(C\x00\x94C\x05\x00\xff\"\\n\x94e.",
];

#[test]
fn bytes_are_read_in_all_ways_of_writing_them() {
    for bytes in BYTES {
        let value = read(bytes);
        let items = value.as_sequence().unwrap();
        assert_eq!(items[0].to_bytes().unwrap().as_ref(), b"");
        assert_eq!(items[1].to_bytes().unwrap().as_ref(), b"\x00\xff\"\\n");
    }
    // pickle.dumps(bytearray(b"abc"), protocol=5)
    let array =
        b"\x80\x05\x95\x0e\x00\x00\x00\x00\x00\x00\x00\x96\x03\x00\x00\x00\x00\x00\x00\x00abc\x94.";
    assert_eq!(read(array), Value::Bytes(b"abc".as_slice().into()));
}

/// `pickle.dumps(OrderedDict([("w", 1), ("b", 2)]), protocol=n)` for n in (0, 2, 4).
const ORDERED: [&[u8]; 3] = [
    b"ccollections\nOrderedDict\np0\n(tRp1\nVw\np2\nI1\nsVb\np3\nI2\ns.",
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00wq\x02K\x01X\x01\x00\x00\x00bq\x03K\x02u.",
    b"\x80\x04\x950\x00\x00\x00\x00\x00\x00\x00\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94(\x8c\x01w\x94K\x01\x8c\x01b\x94K\x02u.",
];

#[test]
fn ordered_dictionaries_keep_their_order() {
    for bytes in ORDERED {
        let value = read(bytes);
        let pairs = value.to_pairs().unwrap();
        let names: Vec<_> = pairs.iter().filter_map(|(key, _)| key.as_text()).collect();
        assert_eq!(names, ["w", "b"]);
        assert_eq!(value.get("b"), Some(&Value::Int(2)));
        assert_eq!(value.get("c"), None);
    }
}

#[test]
fn ordered_dictionaries_and_strings_of_python_2_are_read() {
    // What Python 2.7 writes for OrderedDict([("w", 1), ("b", "x")]) under protocol 2: one
    // argument, a list of lists; 8-bit strings.
    let bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(]q\x02(U\x01wq\x03K\x01e]q\x04\
        (U\x01bq\x05U\x01xq\x06ee\x85q\x07Rq\x08.";
    let value = read(bytes);
    assert_eq!(value.get("w"), Some(&Value::Int(1)));
    assert_eq!(value.get("b").unwrap().as_text(), Some("x"));
    // And under protocol 0, with a quoted string: 'a\n\\\xe9' and "it's".
    let quoted = b"(lp0\nS'a\\n\\\\\\xe9'\np1\naS\"it's\"\np2\na.";
    assert_eq!(
        read(quoted),
        list(&[
            Value::Bytes(b"a\n\\\xe9".as_slice().into()),
            Value::Bytes(b"it's".as_slice().into()),
        ])
    );
}

#[test]
fn sets_are_read() {
    let seven = Value::Set([Value::Int(7)].into());
    // pickle.dumps({7}, protocol=4), pickle.dumps(frozenset([7]), protocol=4)
    assert_eq!(
        read(b"\x80\x04\x95\x07\x00\x00\x00\x00\x00\x00\x00\x8f\x94(K\x07\x90."),
        seven
    );
    assert_eq!(
        read(b"\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00(K\x07\x91\x94."),
        seven
    );
}

#[test]
fn shared_objects_are_held_once() {
    // s = ["x"]; pickle.dumps([s, s], protocol=2)
    let value = read(b"\x80\x02]q\x00(]q\x01X\x01\x00\x00\x00xq\x02ah\x01e.");
    let [Value::List(first), Value::List(second)] = value.as_sequence().unwrap() else {
        panic!("two lists expected");
    };
    assert!(std::sync::Arc::ptr_eq(first, second));
}

#[test]
fn calls_stay_symbols() {
    // class E: __reduce__ = lambda self: (os.system, ("echo run",)); protocols 0, 2 and 4
    let pickles: [&[u8]; 3] = [
        b"cposix\nsystem\np0\n(Vecho run\np1\ntp2\nRp3\n.",
        b"\x80\x02cposix\nsystem\nq\x00X\x08\x00\x00\x00echo runq\x01\x85q\x02Rq\x03.",
        b"\x80\x04\x95#\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x08echo run\x94\x85\x94R\x94.",
    ];
    for bytes in pickles {
        let value = read(bytes);
        let call = value.as_call("posix", "system").unwrap();
        assert_eq!(*call.arguments, [text("echo run")]);
        let refused = value.global_outside(&[("collections", "OrderedDict")]);
        assert_eq!(refused.unwrap().to_string(), "posix.system");
        assert_eq!(value.global_outside(&[("posix", "system")]), None);
    }
}

#[test]
fn states_items_pairs_and_keywords_stay_with_their_call() {
    // pickle.dumps(types.SimpleNamespace(lr=0.1), protocol=4)
    let namespace = read(b"\x80\x04\x952\x00\x00\x00\x00\x00\x00\x00\x8c\x05types\x94\x8c\x0fSimpleNamespace\x94\x93\x94)R\x94}\x94\x8c\x02lr\x94G?\xb9\x99\x99\x99\x99\x99\x9asb.");
    let call = namespace.as_call("types", "SimpleNamespace").unwrap();
    let state = call.state.as_ref().unwrap();
    assert_eq!(state.get("lr"), Some(&Value::Float(0.1)));

    // pickle.dumps(collections.deque([1, 2], 5), protocol=2)
    let deque = read(b"\x80\x02ccollections\ndeque\nq\x00)K\x05\x86q\x01Rq\x02(K\x01K\x02e.");
    let call = deque.as_call("collections", "deque").unwrap();
    assert_eq!(*call.arguments, [Value::Tuple([].into()), Value::Int(5)]);
    assert_eq!(call.items, [Value::Int(1), Value::Int(2)]);

    // pickle.dumps(collections.defaultdict(list, {1: [2]}), protocol=2)
    let dictionary = read(b"\x80\x02ccollections\ndefaultdict\nq\x00c__builtin__\nlist\nq\x01\x85q\x02Rq\x03K\x01]q\x04K\x02as.");
    let call = dictionary.as_call("collections", "defaultdict").unwrap();
    assert_eq!(call.pairs, [(Value::Int(1), list(&[Value::Int(2)]))]);
    assert_eq!(
        dictionary
            .global_outside(&[("collections", "defaultdict")])
            .unwrap()
            .to_string(),
        "__builtin__.list"
    );

    // A class m.K with __getnewargs_ex__ = lambda self: ((), {"k": 1}); protocol 4
    let object = read(b"\x80\x04\x95\x17\x00\x00\x00\x00\x00\x00\x00\x8c\x01m\x94\x8c\x01K\x94\x93\x94)}\x94\x8c\x01k\x94K\x01s\x92\x94.");
    let Value::Reduce(call) = &object else {
        panic!("a call expected");
    };
    assert_eq!(call.callable.as_global().unwrap().to_string(), "m.K");
    assert_eq!(
        call.keywords.as_ref().unwrap().get("k"),
        Some(&Value::Int(1))
    );
}

#[test]
fn persistent_identifiers_are_kept() {
    // Pickler.persistent_id = lambda self, o: ("storage", "0", 3); protocol 2
    let value = read(
        b"\x80\x02]q\x00X\x07\x00\x00\x00storageq\x01X\x01\x00\x00\x000q\x02K\x03\x87q\x03Qa.",
    );
    let identifier = Value::Tuple([text("storage"), text("0"), Value::Int(3)].into());
    assert_eq!(value, list(&[Value::Persistent(identifier.into())]));
    // Pickler.persistent_id = lambda self, o: "st0"; protocol 0
    let value = read(b"(lp0\nPst0\na.");
    assert_eq!(value, list(&[Value::Persistent(text("st0").into())]));
}

#[test]
fn old_style_instances_are_calls() {
    // Python 2's pickle of an old-style instance m.K(1): INST under protocol 0, OBJ under 1.
    for bytes in [b"(I1\nim\nK\n.".as_slice(), b"(cm\nK\nK\x01o."] {
        let value = read(bytes);
        assert_eq!(*value.as_call("m", "K").unwrap().arguments, [Value::Int(1)]);
    }
}

#[test]
fn a_walk_meets_every_part_once_in_order() {
    // pickle.dumps({"k": [1, (2, None)]}, protocol=4)
    let value = read(b"\x80\x04\x95\x13\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01k\x94]\x94(K\x01K\x02N\x86\x94es.");
    let kinds: Vec<_> = value.walk().map(Value::kind).collect();
    assert_eq!(
        kinds,
        [
            "a dictionary",
            "text",
            "a list",
            "an integer",
            "a tuple",
            "an integer",
            "None"
        ]
    );
}
