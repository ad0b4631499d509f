//! Explains and exports every photo that opens, with every option and every value at least once.
//! The exports can be passed on: they contain no folder names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use camlens::cli;
use camlens::cli::Cli;
use camlens::explain::cam;
use camlens::explain::cam::Method;
use camlens::explain::engine::Engine;
use camlens::input::framing::Framing;
use camlens::input::photo::Photo;
use camlens::model::ModelChoice;
use camlens::model::device::DeviceChoice;
use camlens::render::display_options::DisplayOptions;
use camlens::render::heatmap::Scaling;
use camlens::render::rendered_map::{RenderedMap, Rendering};
use camlens::report::export;
use camlens::report::export::{Existing, ExportError, ExportScene, Manifest, MapView};
use clap::CommandFactory;

use super::common::resnet;

/// Options whose values clap does not list, with test values.
const VALUES: [(&str, &[&str]); 12] = [
    ("layer", &["last"]),
    ("mean", &["0.5", "0.4,0.5,0.6"]),
    ("std", &["0.25", "0.2,0.3,0.4"]),
    ("input-size", &["64", "240", "224"]),
    ("class", &["top", "282", "tiger cat"]),
    (
        "region",
        &[
            "all=-9,-9,90000,90000",
            "part=0,0,0.5,0.7",
            "猫 & <b>=0,0,1,1",
        ],
    ),
    ("opacity", &["0", "0.3", "1"]),
    ("threshold", &["0", "50", "95"]),
    ("repeat", &["1"]),
    ("max-megapixels", &["100"]),
    ("max-decoded-mb", &["512"]),
    ("max-file-mb", &["512"]),
];

/// The calls of `explain`, and which options and values they used.
#[derive(Default)]
struct Calls {
    used: BTreeSet<(String, String)>,
}

impl Calls {
    /// Runs `explain` in this process, in the same way as the program does.
    fn explain(&mut self, arguments: &[String]) -> anyhow::Result<String> {
        for (index, argument) in arguments.iter().enumerate() {
            if let Some(option) = argument.strip_prefix("--") {
                let value = arguments.get(index + 1).cloned().unwrap_or_default();
                self.used.insert((option.to_owned(), value));
            }
        }
        let words = ["camlens", "explain"].map(str::to_owned);
        let words = words.iter().chain(arguments).map(Into::into);
        let cli = cli::parse(words).map_err(|(text, _)| anyhow::anyhow!(text))?;
        cli::answer(&cli.command.unwrap())
    }

    /// Options of `explain` that no call used, and unused values of those with a list.
    fn missing(&self) -> Vec<String> {
        let command = Cli::command();
        let explain = command.find_subcommand("explain").unwrap();
        let mut missing = Vec::new();
        for argument in explain.get_arguments() {
            let Some(name) = argument.get_long().filter(|name| *name != "help") else {
                continue; // the photo argument
            };
            let had = |value: Option<&str>| {
                let mut used = self.used.iter().filter(|(option, _)| option == name);
                used.any(|(_, used)| value.is_none_or(|value| used.split(',').any(|v| v == value)))
            };
            let values = listed(argument);
            if values.is_empty() && !had(None) {
                missing.push(format!("--{name}"));
            }
            let unused = values.iter().filter(|value| !had(Some(value)));
            missing.extend(unused.map(|value| format!("--{name} {value}")));
        }
        missing
    }
}

/// The values of an option that clap lists.
fn listed(argument: &clap::Arg) -> Vec<String> {
    if !argument.get_action().takes_values() {
        return Vec::new();
    }
    let values = argument.get_possible_values();
    values
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect()
}

/// Options with lists of values, except the list that only ResNets support.
fn lists() -> Vec<(String, Vec<String>)> {
    let command = Cli::command();
    let explain = command.find_subcommand("explain").unwrap();
    let options = explain.get_arguments().filter_map(|argument| {
        let name = argument.get_long()?.to_owned();
        let values = listed(argument);
        (!values.is_empty() && name != "preset" && name != "method").then_some((name, values))
    });
    options.collect()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().copied().map(str::to_owned).collect()
}

/// The photos of the corpus that open, and photos with sizes at the limits, copied into a folder.
fn photos(folder: &Path) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let expected = fs::read_to_string(corpus.join("expected.txt")).unwrap();
    let names = expected.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let name = fields.next()?;
        (fields.next()? != "refused").then_some(name)
    });
    let mut photos: Vec<PathBuf> = names
        .map(|name| {
            let path = folder.join(name);
            fs::copy(corpus.join(name), &path).unwrap();
            path
        })
        .collect();
    assert!(photos.len() > 50, "the corpus has photos");
    for (width, height) in [(1, 32_768), (32_768, 1), (3, 3000), (3000, 3), (2, 7)] {
        let path = folder.join(format!("made-{width}x{height}.png"));
        let pixels = image::RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([x, y, x + y].map(|value| u8::try_from(value % 251).unwrap()))
        });
        pixels.save(&path).unwrap();
        photos.push(path);
    }
    photos
}

/// What must be true of every export: it is complete, limited in size, and contains no folder
/// names.
fn check_export(folder: &Path, photo: &Path, root: &Path) {
    let entries = fs::read_dir(folder).unwrap();
    let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 7, "{}", folder.display());
    let traces = [
        root.to_str().unwrap(),
        root.file_name().unwrap().to_str().unwrap(),
    ];
    for file in &files {
        // Invalid UTF-8 is replaced; ASCII text stays.
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for trace in traces {
            assert!(!text.contains(trace), "{} names {trace}", file.display());
        }
    }
    let size = image::image_dimensions(folder.join("figure.png")).unwrap();
    assert!(size.0 < 8000 && size.1 < 4000, "{size:?}");
    let photo = Photo::open(photo).unwrap();
    for file in files.iter().filter(|file| {
        let name = file.to_string_lossy();
        name.ends_with("-overlay.png") || name.ends_with("-heat.png")
    }) {
        let (width, height) = image::image_dimensions(file).unwrap();
        assert_eq!(
            (width as usize, height as usize),
            (photo.width, photo.height)
        );
    }
}

fn nothing_half_done_in(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with(".camlens-"), "{name} is left");
    }
}

#[test]
#[allow(clippy::too_many_lines)] // one call after the other
fn every_photo_is_exported_and_every_option_is_used() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let at = |name: &str| root.join(name).to_str().unwrap().to_owned();
    let names = (0..1000).map(|class| match class {
        282 => "tiger cat".to_owned(),
        class => format!("class, number {class}"),
    });
    let names: Vec<String> = names.collect();
    fs::write(at("names.txt"), names.join("\n")).unwrap();
    let lists = lists();
    let methods: Vec<&str> = Method::ALL.iter().map(|method| method.id()).collect();
    let mut calls = Calls::default();
    for (index, photo) in photos(root).iter().enumerate() {
        let out = format!("out-{index}");
        let mut arguments = vec![photo.to_str().unwrap().to_owned()];
        arguments.extend(strings(&[
            "--model",
            "efficientnet-lite0",
            "--device",
            "cpu",
        ]));
        arguments.extend(strings(&[
            "--export",
            &at(&out),
            "--method",
            methods[index % methods.len()],
        ]));
        for (option, values) in &lists {
            // Each option cycles at a different rate, so that values are combined.
            let value = &values[(index / (1 + option.len() % 3)) % values.len()];
            arguments.extend([format!("--{option}"), value.clone()]);
        }
        let options = VALUES.iter().enumerate();
        for (place, (option, values)) in options.filter(|(place, _)| (index + place) % 3 > 0) {
            let value = values[(index / (1 + place % 3)) % values.len()];
            arguments.extend([format!("--{option}"), value.to_owned()]);
        }
        arguments.extend(match index % 4 {
            0 => strings(&["--map", &at("cells.npy"), "--json"]),
            1 => strings(&[
                "--method",
                methods[(index + 1) % methods.len()],
                "--out",
                &at("out.png"),
            ]),
            2 => strings(&["--labels", &at("names.txt")]),
            _ => strings(&["--against", "7", "--overwrite"]),
        });
        let said = calls.explain(&arguments);
        let said = said.unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
        assert!(!said.is_empty());
        check_export(&root.join(&out), photo, root);
        nothing_half_done_in(root);
        if index % 8 == 0 {
            let manifest = root.join(&out).join("manifest.json");
            let again = calls.explain(&strings(&["--manifest", manifest.to_str().unwrap()]));
            let again = again.unwrap_or_else(|error| panic!("{arguments:?}: {error:#}"));
            assert!(again.contains("the same, to the bit"), "{again}");
        }
    }
    // Options that only ResNets support.
    let weights = at("made-up.safetensors");
    let shapes = resnet::shapes(resnet::RESNET18, false, 5);
    fs::write(&weights, resnet::file_of(&shapes, resnet::made_up)).unwrap();
    let photo = at("upright.png");
    for (index, options) in [
        ["--layer", "layer1"],
        ["--layer", "layer2"],
        ["--layer", "layer3"],
        ["--layer", "layer4"],
        ["--layer", "layer4.1.conv2"],
        ["--preset", "tutorial"],
        ["--key", ""],
        ["--prefix", ""],
        ["--head", "fc"],
        ["--scores", "softmax"],
        ["--scores", "sigmoid"],
        ["--crop-pct", "0.9"],
        ["--pad", "0,0,0"],
    ]
    .iter()
    .enumerate()
    {
        let out = at(&format!("resnet-{index}"));
        let mut arguments = strings(&[&photo, "--model", &weights, "--device", "cpu"]);
        arguments.extend(strings(options));
        arguments.extend(strings(&["--input-size", "64", "--export", &out]));
        arguments.extend(
            methods
                .iter()
                .flat_map(|method| strings(&["--method", method])),
        );
        calls.explain(&arguments).unwrap();
        check_export(Path::new(&out), Path::new(&photo), root);
        let manifest = format!("{out}/manifest.json");
        let again = calls.explain(&strings(&["--manifest", &manifest])).unwrap();
        assert_eq!(again.matches("the same, to the bit").count(), 5, "{again}");
    }
    // A network with one output has none to choose from.
    let message = calls.explain(&strings(&[
        &photo,
        "--model",
        &weights,
        "--output",
        "probabilities",
    ]));
    assert!(message.unwrap_err().to_string().contains("one output"));
    let said = calls.explain(&strings(&[
        "tests/dicom/ct.dcm",
        "--window-level",
        "40,400",
    ]));
    assert!(!said.unwrap().is_empty());
    let missing = calls.missing();
    assert!(missing.is_empty(), "never used: {}", missing.join(", "));
}

/// In a separate process, because a failed allocation ends the process, and with it a test.
#[test]
fn the_program_exports_the_longest_photos() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1x20000.png", "20000x1.png", "1x1.png"] {
        let photo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/corpus")
            .join(name);
        let out = folder.path().join(name);
        let output = Command::new(env!("CARGO_BIN_EXE_camlens"))
            .args([
                "explain",
                "--model",
                "efficientnet-lite0",
                "--device",
                "cpu",
            ])
            .args(["--lines", "contours,cells", "--region", "a=0,0,1,1"])
            .arg(&photo)
            .arg("--export")
            .arg(&out)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {message}");
        check_export(&out, &photo, folder.path());
        nothing_half_done_in(folder.path());
    }
}

fn scene(photo: Photo) -> ExportScene {
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let analysis = engine.analyze(&photo, Framing::Whole).unwrap();
    let class = analysis.top();
    let map = cam::explain(Method::GradCam, &analysis.layer_gradients(class).unwrap());
    let how = Rendering {
        scaling: Scaling::Max,
        range: None,
        display_options: &DisplayOptions::default(),
        placement: &analysis.placement,
        grid: analysis.placement.photo,
    };
    ExportScene {
        photo: Arc::new(photo),
        panes: vec![MapView {
            rendered: RenderedMap::new(map, &how),
            class,
            contrast_class: None,
        }],
        analysis: Arc::new(analysis),
        model: ModelChoice::BuiltIn,
        labels: None,
        display_options: DisplayOptions::default(),
        regions: Vec::new(),
    }
}

/// A user who raises the limits can open photos that are too large for a picture.
#[test]
fn what_is_too_large_is_refused_before_it_is_allocated() {
    let folder = tempfile::tempdir().unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut scene = scene(Photo::open(&corpus.join("upright.png")).unwrap());
    assert!(scene.check_size(5).is_ok());
    let mut photo = (*scene.photo).clone();
    (photo.width, photo.height) = (1_000_000, 1_000_000);
    scene.photo = Arc::new(photo);
    let refused = scene.overlays(&scene.panes).unwrap_err();
    let written =
        export::write_folder(&scene, &folder.path().join("out"), Existing::Keep, &|| true);
    for error in [refused, written.unwrap_err()] {
        assert!(matches!(error, ExportError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains("smaller photo"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A photo without a file, as from the clipboard, and files that have moved.
#[test]
fn a_manifest_finds_its_files_or_says_which_are_missing() {
    let root = tempfile::tempdir().unwrap();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut scene = scene(Photo::open(&corpus.join("upright.png")).unwrap());
    let out = root.path().join("out");
    let write = |scene: &ExportScene| {
        export::write_folder(scene, &out, Existing::Replace, &|| true).unwrap();
        Manifest::read(&out.join("manifest.json")).unwrap()
    };
    scene.labels = Some("/home/jane/names.txt".into());
    scene.model = ModelChoice::File("/home/jane/lesions.pth".into());
    let manifest = write(&scene);
    let fault = |error: export::ManifestError| error.to_string();
    let photo = fault(manifest.locate(&out, &[]).unwrap_err());
    let sha256 = manifest.photo.sha256.as_deref().unwrap();
    assert!(
        photo.contains("\"upright.png\"") && photo.contains(sha256),
        "{photo}"
    );
    let model = fault(manifest.locate_model(&out, &[]).unwrap_err());
    assert!(
        model.contains("\"lesions.pth\"") && model.contains("--model"),
        "{model}"
    );
    assert!(model.contains(&scene.analysis.model.sha256), "{model}");
    let labels = fault(manifest.locate_labels(&out, &[]).unwrap_err());
    assert!(
        labels.contains("\"names.txt\"") && labels.contains("--labels"),
        "{labels}"
    );
    for name in ["upright.png", "lesions.pth", "names.txt"] {
        fs::write(root.path().join(name), "x").unwrap();
    }
    let located = manifest.locate(&out, &[]).unwrap();
    assert_eq!(located.photo, root.path().join("upright.png"));
    assert_eq!(
        located.model,
        ModelChoice::File(root.path().join("lesions.pth"))
    );
    assert_eq!(located.labels, Some(root.path().join("names.txt")));

    let mut pasted = (*scene.photo).clone();
    pasted.path = None;
    scene.photo = Arc::new(pasted);
    let manifest = write(&scene);
    assert_eq!(
        manifest.locate_photo(&out, &[]).unwrap(),
        out.join("photo.png")
    );
    // As earlier versions wrote it.
    let mut manifest = write(&scene);
    manifest.photo.file = corpus.join("upright.png");
    assert_eq!(
        manifest.locate_photo(&out, &[]).unwrap(),
        corpus.join("upright.png")
    );
}
