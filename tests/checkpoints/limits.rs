//! Small files that expand to very much: all are rejected, or read quickly with little memory.

use std::process::Command;
use std::sync::mpsc;
use std::{env, thread};

use super::torch_save::{Py, archive, pickle, text, torch_save};
use super::*;
use camlens::model::weights::Checkpoint;

/// Timeout for one file. Each takes a tenth of a second at most; exponential growth never ends.
const PATIENCE: Duration = Duration::from_secs(20);

/// Maximum memory of a whole process that opens one file.
const MEMORY: u64 = 200_000_000;
/// The environment variable that names the file for a child process.
const FILE: &str = "CAMLENS_TEST_FILE";

#[test]
#[ignore = "run by other tests, in a process of its own"]
fn opened_in_a_process_of_its_own() {
    let Some(path) = env::var_os(FILE) else {
        return;
    };
    let result = open(Path::new(&path));
    println!("\nresult: {}", result.err().unwrap_or_default());
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    println!("peak: {}", peak.unwrap_or_default() * 1024);
}

/// Opens a model in a separate process. Returns the error and the peak resident memory (0 if the
/// system does not report it).
fn open_in_a_process(path: &Path, what: &str) -> Result<(String, u64), String> {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", "limits::opened_in_a_process_of_its_own"])
        .args(["--ignored", "--nocapture"])
        .env(FILE, path);
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(child.output().unwrap()));
    let output = receive.recv_timeout(PATIENCE);
    let output = output.unwrap_or_else(|_| panic!("{what} takes too long"));
    let text = String::from_utf8_lossy(&output.stdout);
    let line = |start: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(start));
        found.map(str::to_owned).ok_or_else(|| {
            let problem = String::from_utf8_lossy(&output.stderr);
            format!("{}: {problem:.1000}", output.status)
        })
    };
    Ok((line("result: ")?, line("peak: ")?.parse().unwrap()))
}

/// Opens a model on its own thread.
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

/// A dictionary stored in the memo, wrapped `levels` times: each new dictionary contains the
/// previous one under all of these keys.
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

/// This many dictionaries with `count` entries that all refer to one tensor, under these names in
/// turn.
fn names_again(names: &[String], tensor: &[u8], dictionaries: usize, count: usize) -> Vec<u8> {
    let get = |index: usize, out: &mut Vec<u8>| {
        if let Ok(index) = u8::try_from(index) {
            out.extend([b'h', index]);
        } else {
            out.push(b'j');
            out.extend(u32::try_from(index).unwrap().to_le_bytes());
        }
    };
    let mut out = b"\x80\x02".to_vec();
    for name in names {
        text(name, &mut out);
        out.extend(b"\x940");
    }
    out.extend(tensor);
    out.extend(b"\x940}(");
    for index in 0..dictionaries {
        text(&format!("d{index}"), &mut out);
        out.extend(b"}(");
        for index in 0..count {
            get(index % names.len(), &mut out);
            get(names.len(), &mut out);
        }
        out.push(b'u');
    }
    out.extend(b"u.");
    out
}

/// A module that contains another module many times under a long name. The inner module has
/// attributes, each a long text, and a parameter.
fn shared_modules(count: usize, attributes: &[String], parameter: &[u8]) -> Vec<u8> {
    let class = format!("c{0}\n{0}\n)", "\u{1f600}".repeat(110)).into_bytes();
    let mut out = b"\x80\x02".to_vec();
    text(&"\u{1f600}".repeat(110), &mut out);
    out.extend(b"q\x000");
    text(&"n".repeat(280), &mut out);
    out.extend(b"q\x010");
    out.extend(&class);
    out.extend(b"\x81}(");
    text("_parameters", &mut out);
    out.extend(b"}(");
    text("w", &mut out);
    out.extend(parameter);
    out.push(b'u');
    text("_modules", &mut out);
    out.push(b'}');
    for attribute in attributes {
        text(attribute, &mut out);
        out.extend(b"h\x00");
    }
    out.extend(b"ubq\x020");
    out.extend(&class);
    out.extend(b"\x81}(");
    text("_modules", &mut out);
    out.extend(b"}(");
    for _ in 0..count {
        out.extend(b"h\x01h\x02");
    }
    out.extend(b"uub.");
    out
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn small_pickles_that_stand_for_much_are_refused_in_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let names: Vec<String> = (0..20).map(|i| i.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let module = b"c__main__\nNet\n)\x81}X\x08\x00\x00\x00_modules";
    // A parameter whose tensor is the parameter itself.
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
    let mut long_key = Vec::new();
    text(&"k".repeat(1 << 20), &mut long_key);
    long_key.extend(b"q\x000}(");
    let mut dictionary = b"}X\x01\x00\x00\x00w".to_vec();
    dictionary.extend(tensor);
    dictionary.push(b's');
    let dimensions = pickle(&Py::Tensor(vec![1; 16]));
    let dimensions = &dimensions[2..dimensions.len() - 1];
    let short_names: Vec<String> = (0..60_000).map(|index| format!("n{index}")).collect();
    let long_different: Vec<String> = (0..1_500).map(|index| format!("{index:0290}")).collect();
    let attributes: Vec<String> = [
        "stride",
        "padding",
        "dilation",
        "kernel_size",
        "padding_mode",
        "eps",
        "output_size",
        "pool_type",
        "ceil_mode",
    ]
    .map(str::to_owned)
    .to_vec();
    let much: Vec<String> = (0..600).map(|index| format!("a{index}")).collect();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "shared dictionaries",
            nested(&WRAPPERS, 22, b"", b""),
            "no weights",
        ),
        (
            "shared modules",
            nested(&names, 22, module, b"sb"),
            "more than 10000 modules",
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
            "more than 524288 values. Save the network's state_dict on its own",
        ),
        (
            "many values in the memo",
            repeated(b"]", b"\x94", 4_000_000, b""),
            "values in its memo",
        ),
        (
            "a long pickle",
            repeated(b"(", b"N", 40_000_000, b"t"),
            "at most 4194304 are read. Save the network's state_dict on its own",
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
            repeated(&shape, b"K\x01", 400_000, b"tNtRs"),
            "is described in an unknown way",
        ),
        (
            "a long class name in a list, many times",
            repeated(&many_names, b"h\x00", 1_000_000, b"tu"),
            "no network that camlens knows",
        ),
        (
            "a long key, many times",
            repeated(&long_key, b"h\x00}", 500_000, b"u"),
            "no weights",
        ),
        (
            "a long key around tensors",
            repeated(&long_key, &[b"h\x00", &dictionary[..]].concat(), 1, b"u"),
            "a name in it has 1048576 characters",
        ),
        (
            "long keys within each other",
            nested(&[&"k".repeat(100_000)], 22, b"", b""),
            "no weights",
        ),
        (
            "many dictionaries",
            repeated(
                &long_key,
                &[b"h\x00", &dictionary[..]].concat(),
                1_001,
                b"u",
            ),
            "more than 1000 dictionaries of tensors. Save the network's state_dict on its own",
        ),
        (
            "a name again and again",
            names_again(&["n".repeat(290)], dimensions, 10, 99_000),
            "twice",
        ),
        (
            "many tensors",
            names_again(&short_names, dimensions, 1, 60_000),
            "more than 50000 tensors. Save the network's state_dict on its own",
        ),
        (
            "long names in many dictionaries",
            names_again(&long_different, dimensions, 33, 1_500),
            "no network that camlens knows",
        ),
        (
            "many modules with long texts",
            shared_modules(9_000, &attributes, dimensions),
            "twice",
        ),
        (
            "many modules that share much",
            shared_modules(9_000, &much, b"N"),
            "too many references to each other. Save the network's state_dict on its own",
        ),
    ];
    let mut faults = Vec::new();
    for (what, pickle, words) in cases {
        torch_save(&path, "m", &pickle, &[("0", &[0; 64])]);
        let size = fs::metadata(&path).unwrap().len();
        match open_in_a_process(&path, what) {
            Ok((problem, _)) if !problem.contains(words) || problem.len() > 1000 => {
                faults.push(format!("{what}: {problem:.1000}"));
            }
            Ok((_, peak)) => {
                println!("{what}: {} MB of {size} bytes", peak / 1_000_000);
                if peak > MEMORY {
                    faults.push(format!("{what}: takes {peak} bytes of memory"));
                }
            }
            Err(problem) => faults.push(format!("{what}: {problem}")),
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
        ("zzz/data/0", "zzz/data/0 exists twice"),
        ("base/data/0", "two entries with the same name"),
        ("zzz/data.pkl", "zzz/data.pkl exists twice"),
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

/// A path called `config.json` may not be a file, and may not be small.
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
            notices[0].starts_with("config.json next to the weights was not used: "),
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
