use super::*;

#[test]
fn values_are_shared_through_the_memo() {
    // {"a": d, "b": d} with d = {"x": 7}, which is filled after it was put into the memo.
    let bytes =
        b"\x80\x02}q\x00(X\x01\x00\x00\x00a}q\x01X\x01\x00\x00\x00xK\x07sX\x01\x00\x00\x00bh\x01u.";
    let pickle = Pickle::parse(bytes).unwrap();
    for key in ["a", "b"] {
        let inner = pickle.get(pickle.root(), key).unwrap();
        let seven = pickle.get(inner, "x").unwrap();
        assert_eq!(pickle.size(seven), Some(7), "{key}");
    }
}

#[test]
fn calls_become_objects_and_suspicious_ones_are_named() {
    let pickle = Pickle::parse(b"ccollections\nOrderedDict\n)R.").unwrap();
    let (module, name, arguments) = pickle.call(pickle.root()).unwrap();
    assert_eq!(
        (module, name, arguments.len()),
        ("collections", "OrderedDict", 0)
    );
    for hostile in [
        &b"cposix\nsystem\n(S'touch /tmp/x'\ntR."[..],
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x01x\x85R.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(S'x'\nios\nsystem\n.",
    ] {
        assert!(Pickle::parse(hostile).unwrap().suspicious().is_some());
    }
    // Packages of training scripts.
    for harmless in [
        &b"ccode.models\nNet\n)R."[..],
        b"chttp.classifier\nNet\n)R.",
        b"csys.net\nNet\n)R.",
        b"c__builtin__\nset\n)R.",
    ] {
        assert_eq!(Pickle::parse(harmless).unwrap().suspicious(), None);
    }
}

#[test]
fn broken_streams_are_errors() {
    for (bytes, words) in [
        (&b""[..], "cut short"),
        (b"\x80\x02}", "cut short"),
        (b".", "not there"),
        (b"K\x01\x85.", ""), // a valid pickle
        (b"\x87.", "not there"),
        (b"(0.", "not there"),
        (b"h\x05.", "refers to"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "cut short"),
        (b"B\xff\xff\xff\xff.", "cut short"),
        (b"(K\x01d.", "without a value"),
        (b"\xf0.", "opcode 0xf0 at byte 0"),
    ] {
        match Pickle::parse(bytes) {
            Ok(_) => assert!(words.is_empty(), "{bytes:?} was read"),
            Err(problem) => {
                let (Refusal::Format(problem) | Refusal::TooMuch(problem)) = problem;
                assert!(!words.is_empty() && problem.contains(words), "{problem}");
            }
        }
    }
}
