//! Small files that stand for much: all are refused, or read, in no time and little memory.

use std::sync::mpsc;
use std::thread;

use super::torch_save::{Py, archive, pickle, text, torch_save};
use super::*;
use camlens::model::weights::Checkpoint;

/// For one file; all take a tenth of a second at most. What grows exponentially never ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens a model on a thread of its own.
fn open_in_time(path: &Path, what: &str) -> Result<Vec<String>, String> {
    let (send, receive) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        let notices = open(&path).map(|engine| engine.notices().clone());
        let _ = send.send(notices);
    });
    let result = receive.recv_timeout(PATIENCE);
    result.unwrap_or_else(|_| panic!("{what} takes too long"))
}

/// A dictionary that was memorised under a number, and one more around it `levels` times, each
/// with the one before under all of these keys.
fn nested(keys: &[&str], levels: usize, start: &[u8], end: &[u8]) -> Vec<u8> {
    let put = |key: usize, out: &mut Vec<u8>| {
        out.push(b'r');
        out.extend(u32::try_from(key).unwrap().to_le_bytes());
    };
    let mut out = b"\x80\x02}".to_vec();
    put(0, &mut out);
    for level in 1..=levels {
        out.extend(start);
        out.extend(b"}(");
        for key in keys {
            text(key, &mut out);
            out.push(b'j');
            out.extend(u32::try_from(level - 1).unwrap().to_le_bytes());
        }
        out.push(b'u');
        out.extend(end);
        put(level, &mut out);
    }
    out.push(b'.');
    out
}

const WRAPPERS: [&str; 12] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
    "ema",
];

/// One pickled value repeated: a list of `count` times `item`.
fn repeated(before: &[u8], item: &[u8], count: usize, after: &[u8]) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    out.extend(before);
    for _ in 0..count {
        out.extend(item);
    }
    out.extend(after);
    out.push(b'.');
    out
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn small_pickles_that_stand_for_much_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let names: Vec<String> = (0..20).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let module = b"c__main__\nNet\n)\x81}X\x08\x00\x00\x00_modules";
    // A parameter whose tensor is itself.
    let itself = b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_parameter\n]q\x00Rq\x01h\x00h\x01a0s";
    let itself_in_list = b"}q\x02X\x01\x00\x00\x00a]q\x00h\x00h\x00a0ctorch._utils\n_rebuild_parameter\nh\x00Rq\x01h\x00h\x01a00h\x02X\x01\x00\x00\x00bh\x01s";
    // A name of 40,000 characters, 20,000 times: 800 MB of names.
    let mut long_names = b"}q\x01(".to_vec();
    text(&"n".repeat(40_000), &mut long_names);
    long_names.extend(b"q\x00");
    let tensor = pickle(&Py::Tensor(vec![1]));
    let tensor = &tensor[2..tensor.len() - 1];
    long_names.extend(tensor);
    long_names.extend(b"q\x02");
    let mut shape = b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    text("storage", &mut shape);
    shape.extend(b"ctorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00(");
    let mut many_names = b"}(".to_vec();
    text("state_dict", &mut many_names);
    many_names.extend(b"}X\x01\x00\x00\x00w");
    many_names.extend(tensor);
    many_names.push(b's');
    text("classes", &mut many_names);
    many_names.push(b'(');
    text(&"x".repeat(1 << 20), &mut many_names);
    many_names.extend(b"q\x00");
    let mut class_names = Vec::new();
    text(&"m".repeat(1 << 20), &mut class_names);
    class_names.extend(b"q\x000");
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "shared dictionaries",
            nested(&WRAPPERS, 22, b"", b""),
            "no weights",
        ),
        (
            "shared modules",
            nested(&names, 22, module, b"sb"),
            "more than 20000 modules",
        ),
        (
            "a parameter that is within itself",
            repeated(itself, b"", 0, b""),
            "no weights",
        ),
        (
            "another one",
            repeated(itself_in_list, b"", 0, b""),
            "no weights",
        ),
        (
            "dictionaries within each other without end",
            nested(&["model"], 1000, b"", b""),
            "no weights",
        ),
        (
            "modules within each other",
            nested(&["a"], 1000, module, b"sb"),
            "nested too deeply",
        ),
        (
            "many values",
            repeated(b"(", b"]", 2_000_000, b"t"),
            "more than 1048576 values",
        ),
        (
            "many that are remembered",
            repeated(b"]", b"\x94", 4_000_000, b""),
            "remembers more than",
        ),
        (
            "a long pickle",
            repeated(b"(", b"N", 40_000_000, b"t"),
            "at most 4194304 are read",
        ),
        (
            "many of nothing",
            repeated(b"(", b"N", 4_000_000, b"t"),
            "no weights",
        ),
        (
            "many marks",
            repeated(b"", b"(", 4_000_000, b"N"),
            "no weights",
        ),
        (
            "a long class name, many times",
            repeated(&class_names, b"h\x00h\x00\x93", 500_000, b""),
            "no weights",
        ),
        (
            "a long tensor name, many times",
            repeated(&long_names, b"h\x00h\x02", 20_000, b"u"),
            "a name in it has 40000 characters",
        ),
        (
            "many dimensions",
            repeated(&shape, b"K\x01", 1_000_000, b"tNtRs"),
            "is described in an unknown way",
        ),
        (
            "a long class name in a list, many times",
            repeated(&many_names, b"h\x00", 1_000_000, b"tu"),
            "no network that camlens knows",
        ),
    ];
    let mut faults = Vec::new();
    for (what, pickle, words) in cases {
        torch_save(&path, "m", &pickle, &[("0", &[0; 64])]);
        match open_in_time(&path, what) {
            Ok(_) => faults.push(format!("{what}: opened")),
            Err(problem) if problem.contains(words) && problem.len() < 1000 => {}
            Err(problem) => faults.push(format!("{what}: {problem:.1000}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// PyTorch puts the name that a file is saved under before the name of every entry.
#[test]
fn a_file_saved_under_any_name_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.pth");
    let state = Py::Dict(vec![("a".into(), Py::Tensor(vec![2]))]);
    let pickle = pickle(&state);
    let numbers: Vec<u8> = [1f32, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for length in 1..=64 {
        torch_save(&path, &"x".repeat(length), &pickle, &[("0", &numbers)]);
        let mut file = Checkpoint::open(&path, None)
            .unwrap_or_else(|problem| panic!("a name of {length} characters: {problem}"));
        assert_eq!(file.tensor("a", &[2]), [1.0, 2.0]);
    }
    torch_save(&path, "data", &pickle, &[("0", &numbers)]);
    assert!(Checkpoint::open(&path, None).is_ok());
}

#[test]
fn two_entries_for_the_same_numbers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.pth");
    let pickle = pickle(&Py::Dict(vec![("a".into(), Py::Tensor(vec![2]))]));
    let zeros = [0; 8];
    for (second, words) in [
        ("zzz/data/0", "zzz/data/0 is there twice"),
        ("base/data/0", "two entries of one name"),
        ("zzz/data.pkl", "zzz/data.pkl is there twice"),
    ] {
        let entries = [
            ("base/data.pkl".to_owned(), &pickle[..]),
            ("base/data/0".to_owned(), &zeros),
            (second.to_owned(), &zeros),
        ];
        fs::write(&path, archive(&entries)).unwrap();
        let problem = open(&path).err().unwrap();
        assert!(problem.contains(words), "{problem}");
    }
}

#[test]
fn an_archive_of_very_many_entries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.pth");
    let entries: Vec<(String, &[u8])> = (0..150_000)
        .map(|index| (format!("m/data/{index}"), &b""[..]))
        .collect();
    fs::write(&path, archive(&entries)).unwrap();
    let problem = open_in_time(&path, "150,000 entries").unwrap_err();
    assert!(
        problem.contains("no directory within 4194304 bytes"),
        "{problem}"
    );
}

#[test]
fn safetensors_with_odd_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.safetensors");
    let one = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let long = format!("{}layer1.0.conv1.weight", "a.".repeat(2_200_000));
    let dimensions = "1,".repeat(500_000);
    for (header, words) in [
        (
            format!(r#"{{"{}":{one}}}"#, &long[1_000_000..]),
            "characters",
        ),
        (format!(r#"{{"{long}":{one}}}"#), "at most 4194304 are read"),
        (format!(r#"{{"a":{one},"a":{one}}}"#), "it has a twice"),
        (
            format!(r#"{{"a":{{"dtype":"F32","shape":[{dimensions}1],"data_offsets":[0,4]}}}}"#),
            "a has 500001 dimensions",
        ),
        (r#"{"a":"#.repeat(100_000), "safetensors header"),
    ] {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend([0; 4]);
        fs::write(&path, bytes).unwrap();
        let problem = open_in_time(&path, words).unwrap_err();
        assert!(problem.contains(words), "{problem}");
        assert!(problem.len() < 1000, "{} bytes", problem.len());
    }
}

/// What is called `config.json` need not be a file, nor small.
#[test]
fn a_config_json_that_is_no_small_file_is_ignored_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let config = folder.path().join("config.json");
    write(&path, &state(&resnet18(2)));
    let notice = |what: &str| {
        let notices = open_in_time(&path, what).unwrap();
        assert_eq!(notices.len(), 1, "{what}: {notices:?}");
        assert!(
            notices[0].starts_with("config.json beside the weights was not used: "),
            "{notices:?}"
        );
        notices[0].clone()
    };
    fs::File::create(&config).unwrap().set_len(3 << 30).unwrap();
    assert!(notice("3 GB").contains("3221225472 bytes"));
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    assert!(notice("a folder").contains("not a regular file"));
    fs::remove_dir(&config).unwrap();
    #[cfg(unix)]
    {
        let made = std::process::Command::new("mkfifo").arg(&config).status();
        assert!(made.unwrap().success());
        assert!(notice("a pipe").contains("not a regular file"));
        fs::remove_file(&config).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &config).unwrap();
        assert!(notice("zeros without end").contains("not a regular file"));
        fs::remove_file(&config).unwrap();
    }
    assert!(open_in_time(&path, "none").unwrap().is_empty());
}
