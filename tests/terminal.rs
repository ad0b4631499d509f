//! Text from files can't control the terminal, wherever it appears: in file names or contents, and
//! in errors, reports, or JSON.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use camlens::input::photo::Photo;
use camlens::labels::Labels;
use camlens::model::weights::Checkpoint;
use common::needs::Need;
use common::resnet;
use serde_json::Value;

const CAT: &str = "assets/samples/cat.png";
/// Sets the color to red, clears the screen, ends the line, sets a title, changes the reading
/// direction, and contains characters without width.
const EVIL: &str = "\u{1b}[31mred\u{1b}[2J\nsecond line\r\u{9b}31m\u{7f}\u{1b}]0;title\u{7}\u{202e}gnp\u{2066}\u{200b}";

/// stdout, stderr, and whether the call succeeded.
fn camlens(arguments: &[&str]) -> (String, String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.success(),
    )
}

fn explain(arguments: &[&str]) -> (String, String, bool) {
    let fixed = ["explain", "--device", "cpu"];
    camlens(&[&fixed, arguments].concat())
}

#[track_caller]
fn harmless(text: &str) {
    let commands = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let found: Vec<char> = text.chars().filter(|c| commands(*c)).collect();
    assert!(found.is_empty(), "{found:?} in {text:?}");
}

/// Checks that stderr is one line of limited length.
#[track_caller]
fn refused((stdout, stderr, well): (String, String, bool)) -> String {
    assert!(!well && stdout.is_empty(), "{stdout}");
    harmless(&stderr);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.chars().count() <= 2010,
        "{} characters",
        stderr.chars().count()
    );
    stderr
}

/// A safetensors file of empty tensors with these names.
fn with_names(path: &Path, names: impl Iterator<Item = String>) {
    let entry = |name: String| {
        let about = serde_json::json!({"dtype": "F32", "shape": [0], "data_offsets": [0, 0]});
        (name, about)
    };
    let header: serde_json::Map<String, Value> = names.map(entry).collect();
    let header = serde_json::to_vec(&header).unwrap();
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    fs::write(path, bytes).unwrap();
}

#[test]
fn names_of_tensors_are_escaped_and_short() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.safetensors");
    // The longest name that is accepted.
    let long = "A".repeat(200);
    let cases: [(&str, Vec<String>); 6] = [
        ("one name that commands", vec![EVIL.into()]),
        ("one long name", vec![format!("{EVIL}{long}")]),
        (
            "one name of 100 kB",
            vec![format!("{EVIL}{}", "A".repeat(100_000))],
        ),
        (
            "thousands of networks",
            (0..20_000)
                .map(|n| format!("{EVIL}{n}.layer1.0.conv1.weight"))
                .collect(),
        ),
        (
            "a network that lacks all",
            vec![format!("{EVIL}{long}.layer1.0.conv1.weight")],
        ),
        (
            "a tensor too much",
            vec![
                "layer1.0.conv1.weight".into(),
                format!("layer1.{EVIL}{long}"),
            ],
        ),
    ];
    for (what, names) in cases {
        with_names(&path, names.into_iter());
        let said = refused(explain(&[CAT, "--model", path.to_str().unwrap()]));
        assert!(said.contains("evil.safetensors"), "{what}: {said}");
        // The window shows the text of the error itself.
        let error = match Checkpoint::open(&path, None) {
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        assert!(error.chars().count() <= 2000, "{what}");
        harmless(&error);
    }
}

#[test]
fn the_error_itself_is_short_for_the_window() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil.safetensors");
    let network = |n: usize| format!("{EVIL}{n}.layer1.0.conv1.weight");
    // The remedy is at the end of the message.
    for (names, remedy) in [
        (
            vec![format!("{EVIL}{}", "A".repeat(200))],
            "camlens opens ONNX files",
        ),
        (
            vec![format!("{EVIL}{}", "A".repeat(100_000))],
            "Give a .safetensors file",
        ),
        ((0..50).map(network).collect(), "Choose one"),
        (
            (0..500).map(network).collect(),
            "save one of them on its own",
        ),
    ] {
        with_names(&path, names.into_iter());
        let choice = camlens::model::ModelChoice::File(path.clone());
        let device = camlens::model::device::DeviceChoice::Cpu;
        let error = camlens::explain::engine::Engine::open(&choice, device)
            .map(|_| ())
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.chars().count() <= 2000,
            "{} characters",
            error.chars().count()
        );
        harmless(&error);
        assert_eq!(error.lines().count(), 1);
        assert!(error.contains(remedy), "{error}");
    }
}

#[test]
fn names_of_classes_are_escaped_in_the_report_and_whole_in_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("labels.json");
    let names: Vec<String> = (0..1000).map(|n| format!("{EVIL} {n}")).collect();
    fs::write(&path, serde_json::to_vec(&names).unwrap()).unwrap();
    let fixed = [
        CAT,
        "--model",
        "efficientnet-lite0",
        "--labels",
        path.to_str().unwrap(),
    ];
    let (plain, _, _) = explain(&fixed[..3]);
    let (report, said, well) = explain(&fixed);
    assert!(well, "{said}");
    harmless(&report);
    harmless(&said);
    assert_eq!(
        report.lines().count(),
        plain.lines().count(),
        "a line for each class"
    );
    assert!(report.contains("\\u001b[31mred"), "{report}");

    let (json, _, well) = explain(&[&fixed[..], &["--json"]].concat());
    assert!(well);
    harmless(&json);
    let report: Value = serde_json::from_str(&json).unwrap();
    let label = report["class"]["label"].as_str().unwrap();
    assert!(names.iter().any(|name| name == label), "{label:?}");

    let said = refused(explain(
        &[&fixed[..], &["--class", "\u{1b}[31mred"]].concat(),
    ));
    assert!(said.contains("class called"), "{said}");
    let error = Labels::open(&path, 3).unwrap_err().to_string();
    harmless(&error);
}

#[cfg(unix)]
#[test]
fn names_of_files_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    // A file name has at most 255 bytes.
    let photo = folder.path().join(format!("{EVIL}.png"));
    fs::copy(CAT, &photo).unwrap();
    let fixed = ["--model", "efficientnet-lite0"];
    let (report, said, well) = explain(&[&[photo.to_str().unwrap()], &fixed[..]].concat());
    assert!(well, "{said}");
    harmless(&report);
    let (json, _, _) = explain(&[&[photo.to_str().unwrap(), "--json"], &fixed[..]].concat());
    harmless(&json);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["photo"]["path"], photo.to_str().unwrap());
    for (name, bytes) in [("weights", &b"nonsense"[..]), ("empty", b"")] {
        let path = folder.path().join(format!("{name}{EVIL}"));
        fs::write(&path, bytes).unwrap();
        refused(explain(&[path.to_str().unwrap()]));
        refused(explain(&[CAT, "--model", path.to_str().unwrap()]));
        refused(explain(
            &[&[CAT], &fixed[..], &["--labels", path.to_str().unwrap()]].concat(),
        ));
        refused(explain(&["--manifest", path.to_str().unwrap()]));
        let error = Photo::open(&path).map(|_| ()).unwrap_err().to_string();
        harmless(&error);
    }
    refused(explain(&[&format!("{}{EVIL}", "x".repeat(5000))]));
    refused(camlens(&["fetch", EVIL]));
    refused(camlens(&[&format!("--{EVIL}")]));
    refused(camlens(&["explain", CAT, "--method", EVIL]));
}

#[cfg(unix)]
#[test]
fn weights_with_such_a_name_run_and_the_report_keeps_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{EVIL}.safetensors"));
    fs::write(&path, resnet::file(resnet::RESNET18, false)).unwrap();
    // A file of names with the wrong number of names, which is reported in a notice.
    fs::write(folder.path().join("labels.txt"), EVIL).unwrap();
    let (report, said, well) = explain(&[CAT, "--model", path.to_str().unwrap()]);
    assert!(well, "{said}");
    harmless(&report);
    harmless(&said);
    assert!(
        said.lines().count() == 1 && said.contains("labels.txt"),
        "{said}"
    );
}

#[test]
#[ignore = "needs ../shared"]
fn the_reviewers_file_is_one_short_line() {
    let path = "../shared/notes/checkpoints-review/evilnames-only.safetensors";
    if !Need::Shared.is_met(Path::new(path).exists(), path) {
        return;
    }
    let said = refused(explain(&[CAT, "--model", path]));
    assert!(
        said.contains("evilnames-only") && said.contains("a name in it has 100015 characters"),
        "{said}"
    );
}
