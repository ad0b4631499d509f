//! Tests of the program without a window.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const CAT: &str = "assets/samples/cat.png";

fn camlens(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_camlens"))
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap()
}

/// Runs `explain` with the built-in model; returns what it printed.
fn explain(arguments: &[&str]) -> String {
    let fixed = [
        "explain",
        "--model",
        "efficientnet-lite0",
        "--device",
        "cpu",
    ];
    let output = camlens(&[&fixed, arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&explain(&[arguments, &["--json"]].concat())).unwrap()
}

/// The single line on stderr of a call that must fail.
fn refusal(arguments: &[&str]) -> String {
    let output = camlens(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

#[test]
fn json_holds_what_the_readme_says() {
    let report = json(&[CAT]);
    assert_eq!(report["photo"]["width"], 451);
    assert_eq!(report["photo"]["path"], CAT);
    assert_eq!(report["model"]["architecture"], "EfficientNet-Lite0");
    assert_eq!(report["model"]["classes"], 1000);
    assert_eq!(report["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(
        (&report["device"], &report["framing"]),
        (&"cpu".into(), &"whole".into())
    );
    let top = report["top"].as_array().unwrap();
    assert_eq!(top.len(), 5);
    assert_eq!(top[0]["label"], "Egyptian cat");
    assert_eq!(report["class"], top[0]);
    assert!(
        top.windows(2)
            .all(|pair| pair[0]["logit"].as_f64() >= pair[1]["logit"].as_f64())
    );
    assert_eq!(report["layer"], "last");
    let maps = report["maps"].as_array().unwrap();
    let methods: Vec<&str> = maps
        .iter()
        .map(|map| map["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["grad-cam", "grad-cam++"]);
    assert_eq!(
        (&maps[0]["height"], &maps[0]["width"]),
        (&8.into(), &12.into())
    );
    assert!(maps.iter().all(|map| map["state"] == "ok"));
    for step in ["decode", "frame", "forward", "explain", "render"] {
        assert!(
            report["timings_ms"][step].as_f64().unwrap() >= 0.0,
            "{step}"
        );
    }
    assert!(report["timings_ms"].get("repeats").is_none());
}

#[test]
fn repeated_runs_give_the_same_answer_and_their_median_times() {
    let once: Value = serde_json::from_str(&explain(&[CAT, "--json"])).unwrap();
    let often: Value = serde_json::from_str(&explain(&[CAT, "--json", "--repeat", "3"])).unwrap();
    assert_eq!(often["timings_ms"]["repeats"], 3);
    assert!(often["timings_ms"]["forward"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&often["top"], &often["maps"]),
        (&once["top"], &once["maps"])
    );
}

#[test]
fn the_overlay_has_the_photos_size_and_its_ends_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.png");
    let path = out.to_str().unwrap();
    let photo = image::open(CAT).unwrap().into_rgb8();

    explain(&[CAT, "--out", path]);
    let both = image::open(&out).unwrap();
    assert_eq!((both.width(), both.height()), (2 * 451 + 8, 300));

    explain(&[CAT, "--method", "grad-cam", "--opacity", "0", "--out", path]);
    assert_eq!(image::open(&out).unwrap().into_rgb8(), photo);

    explain(&[
        CAT,
        "--method",
        "grad-cam++",
        "--colormap",
        "gray",
        "--opacity",
        "1",
        "--out",
        path,
    ]);
    let gray = image::open(&out).unwrap().into_rgb8();
    assert!(gray.pixels().all(|p| p[0] == p[1] && p[1] == p[2]));
    assert!(gray.pixels().any(|p| p[0] > 240) && gray.pixels().any(|p| p[0] < 80));
}

#[test]
fn the_cells_are_written_for_numpy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map.npy");
    let arguments = [
        CAT,
        "--method",
        "grad-cam",
        "--class",
        "tiger cat",
        "--map",
        file.to_str().unwrap(),
    ];
    let report = json(&arguments);
    assert_eq!(report["class"]["index"], 282);
    let bytes = fs::read(&file).unwrap();
    let array = npyz::NpyFile::new(&bytes[..]).unwrap();
    assert_eq!(array.shape(), [8, 12]);
    let cells: Vec<f32> = array.into_vec().unwrap();
    let sum: f64 = cells.iter().map(|&cell| f64::from(cell)).sum();
    assert!((sum - report["maps"][0]["sum"].as_f64().unwrap()).abs() < 1e-4);
    let least = cells.iter().copied().fold(f32::INFINITY, f32::min);
    assert!((f64::from(least) - report["maps"][0]["min"].as_f64().unwrap()).abs() < 1e-6);
}

#[test]
fn a_map_without_evidence_is_a_state_and_leaves_the_photo_bare() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.png");
    let arguments = [
        CAT,
        "--framing",
        "squash",
        "--class",
        "295",
        "--method",
        "grad-cam",
        "--out",
        out.to_str().unwrap(),
    ];
    let report = json(&arguments);
    assert_eq!(report["maps"][0]["state"], "no_positive_evidence");
    assert!(report["maps"][0]["max"].as_f64().unwrap() <= 0.0);
    assert_eq!(
        image::open(&out).unwrap().into_rgb8(),
        image::open(CAT).unwrap().into_rgb8()
    );
    assert!(explain(&arguments).contains("no positive evidence for American black bear"));
}

#[test]
fn framings_change_what_the_network_sees() {
    for (framing, cells) in [("whole", (8, 12)), ("crop", (7, 7)), ("squash", (7, 7))] {
        let report = json(&[CAT, "--framing", framing]);
        let map = &report["maps"][0];
        assert_eq!(
            (&map["height"], &map["width"]),
            (&cells.0.into(), &cells.1.into())
        );
    }
}

#[test]
fn the_report_reads_well() {
    let text = explain(&[CAT]);
    for words in [
        "451×300 pixels",
        "EfficientNet-Lite0 (built in) on cpu; 75.1 %",
        "Egyptian cat (285)",
        "8×12 cells",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn mistakes_are_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.png");
    fs::copy(CAT, &copy).unwrap();
    let copy = copy.to_str().unwrap();
    let weights = folder.path().join("w.safetensors");
    fs::write(&weights, b"nothing").unwrap();
    let cases: [(&[&str], &str); 11] = [
        (&["explain", "nope.png"], "Can't read nope.png"),
        (&["explain", "Cargo.toml"], "not an image"),
        (&["explain", "src"], "is a folder"),
        (&["explain", CAT, "--class", "1000"], "classes 0 to 999"),
        (&["explain", CAT, "--class", "lynxx"], "no class called"),
        (&["explain", CAT, "--opacity", "1.5"], "from 0 to 1"),
        (
            &["explain", CAT, "--model", "/nowhere/x.safetensors"],
            "Can't read the weights",
        ),
        (
            &["explain", CAT, "--model", weights.to_str().unwrap()],
            "not a weight file",
        ),
        (&["explain", CAT, "--map", "m.npy"], "add --method"),
        (&["explain", CAT, "--out", "m.jpg"], "ends in .png"),
        (&["explain", copy, "--out", copy], "the photo itself"),
    ];
    for (arguments, words) in cases {
        let line = refusal(arguments);
        assert!(line.contains(words), "{arguments:?}: {line}");
    }
    assert_eq!(
        fs::read(copy).unwrap(),
        fs::read(CAT).unwrap(),
        "the photo was not touched"
    );
    assert!(!Path::new("m.jpg").exists() && !Path::new("m.npy").exists());
}

#[test]
#[cfg(not(feature = "metal"))]
fn a_device_that_is_not_there_is_replaced_and_said() {
    let output = camlens(&[
        "explain", CAT, "--model", "built-in", "--device", "metal", "--json",
    ]);
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["device"], "cpu");
    assert!(
        report["notices"][0]
            .as_str()
            .unwrap()
            .contains("Metal can't be used")
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("Running on the CPU instead"));
}

#[test]
fn devices_are_listed_with_reasons() {
    let output = camlens(&["devices"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("CPU: usable\n"), "{text}");
    assert_eq!(text.lines().count(), 3);
}

/// Only Linux has no display when DISPLAY is not set.
#[test]
#[cfg(target_os = "linux")]
fn without_a_display_the_window_says_what_works_instead() {
    let line = refusal(&[]);
    assert!(line.contains("camlens explain PHOTO --out"), "{line}");
}

#[test]
fn why_not_is_a_difference_that_adds_up() {
    let report = json(&[CAT, "--against", "tiger cat"]);
    let number = |value: &Value| value.as_f64().unwrap();
    let (class, other) = (&report["class"], &report["against"]);
    assert_eq!(other["index"], 282);
    // sum = Δlogit − Δbias, and the two single maps have the same biases.
    let sum_of = |class: &str| number(&json(&[CAT, "--class", class])["maps"][0]["sum"]);
    let (a, b) = (sum_of("top"), sum_of("282"));
    let biases = (number(&class["logit"]) - a) - (number(&other["logit"]) - b);
    let logits = number(&class["logit"]) - number(&other["logit"]);
    let sum = number(&report["maps"][0]["sum"]);
    assert!((sum - (logits - biases)).abs() < 1e-4, "{sum}");
    assert!(report["maps"][0].get("sensitivity").is_none());
    let line = refusal(&["explain", CAT, "--class", "282", "--against", "tiger cat"]);
    assert!(line.contains("the explained class itself"), "{line}");
}

#[test]
fn regions_add_up_and_maps_say_how_much_they_depend_on_the_class() {
    let halves = [
        "--region",
        "left=0,0,200,300",
        "--region",
        "right=200,0,451,300",
    ];
    let report = json(&[&[CAT], &halves[..]].concat());
    for map in 0..2 {
        let part = |region: usize, what: &str| {
            let measures = &report["regions"][region]["measures"];
            measures[map][what].as_f64().unwrap()
        };
        let all = report["maps"][map]["sum"].as_f64().unwrap();
        assert!((part(0, "sum") + part(1, "sum") - all).abs() < 1e-4 * all);
        assert!((part(0, "share") + part(1, "share") - 1.0).abs() < 1e-6);
        assert!((part(0, "positive_share") + part(1, "positive_share") - 1.0).abs() < 1e-6);
    }
    assert_eq!(report["regions"][1]["name"], "right");
    let meter = |map: usize| report["maps"][map]["sensitivity"].clone();
    assert_eq!(meter(0)["classes"], 50);
    assert_eq!(meter(0)["class_insensitive"], false);
    assert_eq!(
        meter(1)["class_insensitive"],
        true,
        "Grad-CAM++: {}",
        meter(1)
    );
    let text = explain(&[&[CAT], &halves[..]].concat());
    assert!(
        text.contains("Region left") && text.contains("class-insensitive"),
        "{text}"
    );
}

/// The files of an export, and the same maps computed again from its manifest.
#[test]
fn an_export_is_made_again_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let path = out.to_str().unwrap();
    let region = [
        "--region",
        "face=100,50,300,250",
        "--lines",
        "contours,cells",
    ];
    explain(&[&[CAT, "--export", path, "--scale", "signed"], &region[..]].concat());
    let mut names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    let expected = [
        "1-grad-cam-cells.npy",
        "1-grad-cam-heat.png",
        "1-grad-cam-overlay.png",
        "1-grad-cam-scaled.npy",
        "2-grad-cam++-cells.npy",
        "2-grad-cam++-heat.png",
        "2-grad-cam++-overlay.png",
        "2-grad-cam++-scaled.npy",
        "figure.png",
        "figure.svg",
        "manifest.json",
    ];
    assert_eq!(names, expected);
    let heat = image::open(out.join("1-grad-cam-heat.png")).unwrap();
    assert_eq!((heat.width(), heat.height()), (451, 300));
    assert!(heat.color().has_alpha());
    let figure = image::open(out.join("figure.png")).unwrap().into_rgb8();
    assert!(figure.width() > 2000);
    assert!(
        figure.pixels().any(|pixel| pixel.0 == [34; 3]),
        "there is text"
    );
    let svg = fs::read_to_string(out.join("figure.svg")).unwrap();
    assert!(svg.contains("Grad-CAM++ · Egyptian cat") && svg.contains("add up to logit − bias"));

    // Existing files are not replaced by default.
    let refused = [
        "explain",
        CAT,
        "--model",
        "efficientnet-lite0",
        "--export",
        path,
    ];
    let line = refusal(&refused);
    assert!(
        line.contains("already exists") && line.contains("--overwrite"),
        "{line}"
    );
    explain(&[CAT, "--export", path, "--overwrite"]);
    explain(
        &[
            &[CAT, "--export", path, "--overwrite", "--scale", "signed"],
            &region[..],
        ]
        .concat(),
    );

    let manifest = out.join("manifest.json");
    let manifest = manifest.to_str().unwrap();
    let again =
        |arguments: &[&str]| camlens(&[&["explain", "--manifest", manifest], arguments].concat());
    let same = again(&[CAT]);
    let text = String::from_utf8(same.stdout).unwrap();
    assert!(
        same.status.success() && text.matches("the same, to the bit").count() == 2,
        "{text}"
    );

    // An export of the reproduced maps has the same pixels and numbers in every file.
    let second = folder.path().join("second");
    assert!(
        again(&[CAT, "--export", second.to_str().unwrap()])
            .status
            .success()
    );
    for name in expected {
        let read = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert!(read(&out) == read(&second), "{name} differs");
    }

    let other = again(&["assets/samples/coffee.png", "--json"]);
    assert_eq!(other.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&other.stdout).unwrap();
    assert_eq!(report["same"], false);
    let differences = report["differences"].to_string();
    assert!(differences.contains("the photo's pixels"), "{differences}");
    assert!(!differences.contains("weights"), "{differences}");
    let errors = String::from_utf8_lossy(&other.stderr);
    assert!(errors.contains("not those of the manifest"), "{errors}");
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    explain(&[CAT, "--export", folder.path().to_str().unwrap()]);
    let manifest = folder.path().join("manifest.json");
    let manifest = manifest.to_str().unwrap();
    let text = fs::read_to_string(manifest).unwrap();
    for (broken, words) in [
        (
            text.replace("\"format\": 1", "\"format\": 9"),
            "has format 9",
        ),
        (text[..text.len() / 2].to_owned(), "Can't read the manifest"),
        (
            text.replace("\"scaling\": \"max\"", "\"scaling\": \"odd\""),
            "odd",
        ),
    ] {
        fs::write(manifest, broken).unwrap();
        let line = refusal(&["explain", "--manifest", manifest]);
        assert!(line.contains(words), "{line}");
    }
}

/// Everything that an export wrote, by file name.
fn written(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read(path).unwrap())
    });
    files.collect()
}

/// The fixtures hold made-up data of a patient, which begin with SECRET, or the birth date.
#[test]
fn nothing_of_a_dicom_file_but_its_pixels_is_shown_or_exported() {
    let secrets = ["SECRET", "19010203", "MADEUP"];
    let clean = |name: &str, bytes: &[u8]| {
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{name} has {secret}");
        }
    };
    let file = "tests/dicom/ct.dcm";
    clean("the check", b"");
    let raw = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    assert!(secrets.iter().all(|secret| raw.contains(secret)));
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().join("export");
    let target = export.to_str().unwrap();
    let output = camlens(&[
        "explain",
        file,
        "--model",
        "efficientnet-lite0",
        "--device",
        "cpu",
        "--json",
        "--export",
        target,
    ]);
    assert!(output.status.success());
    clean("stdout", &output.stdout);
    clean("stderr", &output.stderr);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["photo"]["window_level"]["center"], 40.0);
    let files = written(&export);
    assert!(files.len() > 5, "{files:?}");
    for (name, bytes) in &files {
        clean(name, bytes);
    }
    // The chosen window is part of what is made again.
    let lung = folder.path().join("lung");
    let lung = lung.to_str().unwrap();
    let report = json(&[file, "--window-level", "-600,1500", "--export", lung]);
    assert_eq!(report["photo"]["window_level"]["center"], -600.0);
    let manifest = format!("{lung}/manifest.json");
    let again = camlens(&["explain", "--manifest", &manifest, file]);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(
        again.status.success() && text.contains("the same, to the bit"),
        "{text}"
    );
    let wrong = refusal(&["explain", CAT, "--window-level", "40,400"]);
    assert!(wrong.contains("--window-level is for DICOM"), "{wrong}");
}

#[test]
fn scores_are_as_asked() {
    let report = json(&[CAT, "--scores", "sigmoid"]);
    assert_eq!(report["scores"], "sigmoid");
    let top = &report["top"][0];
    let logit = top["logit"].as_f64().unwrap();
    let probability = top["probability"].as_f64().unwrap();
    assert!((probability - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-6);
    assert!(explain(&[CAT, "--scores", "sigmoid"]).contains("Sigmoid: each class has its own"));
    let usual = json(&[CAT]);
    assert_eq!(usual["scores"], "softmax");
    assert_eq!(usual["maps"][0]["max"], report["maps"][0]["max"]);
    let wrong = refusal(&["explain", CAT, "--scores", "one-logit"]);
    assert!(wrong.contains("give softmax or sigmoid"), "{wrong}");
}
