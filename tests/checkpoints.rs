//! Other people's checkpoints: every ResNet against PyTorch at every layer, by every
//! method, and files that must be refused.

// A test that can't go on should stop where it is.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use camlens::analysis::{Analysis, Gradients, Layer};
use camlens::cam::{self, Method, Recipe};
use camlens::engine::Engine;
use camlens::framing::{Framing, Input, Placement};
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::layers::Backend;
use camlens::model::preprocessing::Preprocessing;
use camlens::model::{Model, ModelChoice};
use candle_core::Device;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

const HEIGHT: usize = 64;
const WIDTH: usize = 96;

/// 0..1, from a name, as in `tools/reference_checkpoints.py`.
fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let start = name.bytes().fold(2_166_136_261u32, |h, byte| {
        (h ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    (0..u32::try_from(count).unwrap()).map(move |index| {
        let mut x = start.wrapping_add(index.wrapping_mul(2_654_435_761));
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        f64::from(x ^ (x >> 16)) / f64::from(u32::MAX).mul_add(1.0, 1.0)
    })
}

#[allow(clippy::cast_possible_truncation)] // as numpy rounds
fn made_up(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let bound = (3.0 / fan_in as f64).sqrt();
    noise(name, shape.iter().product())
        .map(|u| {
            let value = if name.ends_with("running_var") {
                0.5 + u
            } else if name.ends_with("running_mean") || name.ends_with("bias") {
                0.2 * (u - 0.5)
            } else if shape.len() == 1 {
                0.4 + 0.4 * u
            } else {
                2.0 * (u - 0.5) * bound
            };
            value as f32
        })
        .collect()
}

/// A state dict: shapes by name.
type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors of a ResNet as torchvision names them.
fn shapes(counts: [usize; 4], bottleneck: bool, classes: usize) -> Shapes {
    let mut shapes = Shapes::new();
    let mut add = |conv: String, norm: String, shape: [usize; 4]| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.insert(format!("{norm}.{part}"), vec![shape[0]]);
        }
        shapes.insert(format!("{conv}.weight"), shape.to_vec());
    };
    add("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut cin = 64;
    for (stage, count) in counts.into_iter().enumerate() {
        let width = 64 << stage;
        let cout = if bottleneck { 4 * width } else { width };
        for block in 0..count {
            let at = format!("layer{}.{block}", stage + 1);
            let convs = if bottleneck {
                vec![
                    [width, cin, 1, 1],
                    [width, width, 3, 3],
                    [cout, width, 1, 1],
                ]
            } else {
                vec![[width, cin, 3, 3], [width, width, 3, 3]]
            };
            for (n, shape) in (1..).zip(convs) {
                add(format!("{at}.conv{n}"), format!("{at}.bn{n}"), shape);
            }
            if cin != cout || (block == 0 && stage > 0) {
                let shape = [cout, cin, 1, 1];
                add(
                    format!("{at}.downsample.0"),
                    format!("{at}.downsample.1"),
                    shape,
                );
            }
            cin = cout;
        }
    }
    shapes.insert("fc.weight".into(), vec![classes, cin]);
    shapes.insert("fc.bias".into(), vec![classes]);
    shapes
}

fn resnet18(classes: usize) -> Shapes {
    shapes([2, 2, 2, 2], false, classes)
}

/// Tensors with made-up values, for `edit` to change.
type State = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn state(shapes: &Shapes) -> State {
    let value = |(name, shape): (&String, &Vec<usize>)| {
        (name.clone(), (shape.clone(), made_up(name, shape)))
    };
    shapes.iter().map(value).collect()
}

fn write(path: &Path, state: &State) {
    let bytes: Vec<Vec<u8>> = state
        .values()
        .map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let views = state.iter().zip(&bytes).map(|((name, (shape, _)), bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

fn input() -> Input {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below 256
    let planes: Vec<u8> = noise("pixels", 3 * HEIGHT * WIDTH)
        .map(|u| (u * 256.0) as u8)
        .collect();
    let pixels = HEIGHT * WIDTH;
    let size = (WIDTH, HEIGHT);
    Input {
        placement: Placement {
            photo: size,
            resized: size,
            offset: (0, 0),
            input: size,
        },
        rgb: (0..pixels)
            .flat_map(|p| [0, 1, 2].map(|c| planes[c * pixels + p]))
            .collect(),
    }
}

fn reference(file: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap();
    let chunks = tensor.data().as_chunks().0;
    chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

fn assert_close(ours: &[f32], theirs: &[f32], relative: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!(
            (a - b).abs() <= relative * largest,
            "{what}: {a} and {b} of {largest}"
        );
    }
}

fn key(layer: Layer) -> &'static str {
    match layer {
        Layer::Layer1 => "layer1",
        Layer::Layer2 => "layer2",
        Layer::Layer3 => "layer3",
        Layer::Last => "layer4",
        Layer::LastConv => "last_conv",
    }
}

#[test]
fn every_resnet_agrees_with_pytorch_at_every_layer() {
    let bytes = fs::read("tests/golden/checkpoints.safetensors").unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (name, counts, bottleneck, classes) in [
        ("resnet18", [2, 2, 2, 2], false, 3),
        ("resnet34", [3, 4, 6, 3], false, 2),
        ("resnet50", [3, 4, 6, 3], true, 5),
        ("resnet101", [3, 4, 23, 3], true, 4),
    ] {
        let path = folder.path().join(format!("{name}.safetensors"));
        write(&path, &state(&shapes(counts, bottleneck, classes)));
        let mut engine = Engine::open(&ModelChoice::File(path), DeviceChoice::Cpu).unwrap();
        let found = engine.model().architecture.name();
        assert_eq!(found.replace("ResNet-", "resnet"), name);
        let analysis = engine.run(&input(), Framing::Whole).unwrap();
        assert_close(
            &analysis.logits,
            &reference(&golden, &format!("{name}/logits")),
            1e-4,
            name,
        );
        for class in [0, classes - 1] {
            let layers = analysis.model.architecture.layers();
            let class = analysis.model.labels.class(class).unwrap();
            for evidence in engine.evidence(class, layers).unwrap() {
                for method in Method::ALL {
                    let what = format!("{name}/{class}/{}/{}", key(evidence.layer), method.id());
                    let ours = cam::explain(method, &evidence).cells;
                    // Before a batch-norm activations nearly cancel, and XGrad-CAM divides by
                    // their sum: PyTorch's own f32 sum is off by as much.
                    let unstable = evidence.layer == Layer::LastConv && method == Method::XGradCam;
                    let tolerance = if unstable { 1e-2 } else { 1e-4 };
                    assert_close(&ours, &reference(&golden, &what), tolerance, &what);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 4 * 2 * 5 * 5);
}

/// Our own way back through the network, and candle's autograd.
#[test]
fn both_backends_agree_on_every_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet50.safetensors");
    let mut state = state(&shapes([3, 4, 6, 3], true, 5));
    // As many networks start: the last batch-norm of a block gives exact zeros, where
    // candle's own ReLU would pass gradients.
    for value in &mut state.get_mut("layer4.1.bn3.weight").unwrap().1 {
        *value = 0.0;
    }
    for value in &mut state.get_mut("layer4.1.bn3.bias").unwrap().1 {
        *value = 0.0;
    }
    write(&path, &state);
    #[allow(clippy::cast_possible_truncation)] // any numbers will do
    let at_last: Vec<f32> = noise("gradient", 2048).map(|u| u as f32 - 0.5).collect();
    let [ours, candles] = [Backend::Fused, Backend::Candle(Device::Cpu)].map(|backend| {
        let model = Model::open(&path, None, backend, None).unwrap();
        let trace = model
            .forward(&input(), &model.info.preprocessing, Precision::Double)
            .unwrap();
        let mut all = model.gradients(&trace, &at_last, Layer::Layer1).unwrap();
        let (features, gradient) = model.before_last_batch_norm(&trace, &at_last).unwrap();
        all.push((Layer::LastConv, gradient));
        all.push((Layer::LastConv, Gradients::PerCell(features.values)));
        all
    });
    assert_eq!(ours.len(), 5);
    for ((layer, a), (other, b)) in ours.iter().zip(&candles) {
        assert_eq!(layer, other);
        let (Gradients::PerCell(a), Gradients::PerCell(b)) = (a, b) else {
            panic!("one value for each cell");
        };
        assert_close(a, b, 1e-4, key(*layer));
    }
}

fn open(path: &Path) -> Result<Engine, String> {
    Engine::open(&ModelChoice::File(path.into()), DeviceChoice::Cpu).map_err(|e| e.to_string())
}

fn answer(path: &Path) -> Analysis {
    open(path).unwrap().run(&input(), Framing::Whole).unwrap()
}

type Rename = fn(&str) -> String;

#[test]
fn prefixes_and_other_heads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let plain = state(&resnet18(3));
    write(&path, &plain);
    let expected = answer(&path);
    let cases: [(&str, Rename); 6] = [
        ("module.", |name| format!("module.{name}")),
        ("module.model.", |name| format!("module.model.{name}")),
        ("_orig_mod.", |name| format!("_orig_mod.{name}")),
        ("backbone. and its own head", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("head.{rest}"),
                None => format!("backbone.{name}"),
            }
        }),
        ("model.backbone., head one up", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("model.classifier.{rest}"),
                None => format!("model.backbone.{name}"),
            }
        }),
        ("dropout before the linear layer", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("fc.1.{rest}"),
                None => name.to_owned(),
            }
        }),
    ];
    for (what, rename) in cases {
        let renamed = plain
            .iter()
            .map(|(name, value)| (rename(name), value.clone()));
        write(&path, &renamed.collect());
        let found = answer(&path);
        assert_eq!(found.logits, expected.logits, "{what}");
        assert!(found.model.notices.is_empty(), "{what}");
    }
    let mut more = plain.clone();
    more.insert("criterion.weight".into(), (vec![3], vec![1.0; 3]));
    write(&path, &more);
    let notices = answer(&path).model.notices.clone();
    assert!(
        notices[0].contains("1 tensors of the file are not part of ResNet-18"),
        "{notices:?}"
    );
}

/// An edit that must be refused, and words that the message must have.
type Case<'a> = (&'a str, &'a dyn Fn(&mut State), &'a [&'a str]);

#[test]
#[allow(clippy::too_many_lines)] // a table
fn broken_checkpoints_are_refused_at_once_and_name_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    let rename = |state: &mut State, from: &str, to: &str| {
        let value = state.remove(from).unwrap();
        state.insert(to.into(), value);
    };
    let cases: [Case; 13] = [
        (
            "a missing layer",
            &|state| state.retain(|name, _| !name.starts_with("layer3.1.")),
            &[
                "layer3.1.conv1.weight is missing",
                "more problems",
                "ResNet-18",
            ],
        ),
        (
            "no head",
            &|state| state.retain(|name, _| !name.starts_with("fc.")),
            &["fc.weight is missing"],
        ),
        (
            "no bias",
            &|state| _ = state.remove("fc.bias"),
            &["fc.bias is missing"],
        ),
        (
            "NaN",
            &|state| state.get_mut("layer2.0.conv1.weight").unwrap().1[5] = f32::NAN,
            &["layer2.0.conv1.weight has values that are not finite"],
        ),
        (
            "infinity",
            &|state| state.get_mut("bn1.bias").unwrap().1[0] = f32::INFINITY,
            &["bn1.bias has values that are not finite"],
        ),
        (
            "a negative variance",
            &|state| state.get_mut("bn1.running_var").unwrap().1[0] = -1.0,
            &["bn1.running_var has a negative value"],
        ),
        (
            "another shape",
            &|state| _ = state.insert("conv1.weight".into(), (vec![64, 1, 7, 7], vec![0.0; 3136])),
            &["conv1.weight has shape [64, 1, 7, 7] instead of [64, 3, 7, 7]"],
        ),
        (
            "one class",
            &|state| _ = state.insert("fc.weight".into(), (vec![1, 512], vec![0.0; 512])),
            &["fc.weight has 1 classes"],
        ),
        (
            "squeeze and excitation",
            &|state| _ = state.insert("layer1.0.se.fc1.weight".into(), (vec![1], vec![0.0])),
            &["squeeze-and-excitation"],
        ),
        (
            "something more in a block",
            &|state| _ = state.insert("layer2.1.attention.weight".into(), (vec![1], vec![0.0])),
            &["layer2.1.attention.weight is not a tensor of ResNet-18"],
        ),
        (
            "two linear layers",
            &|state| {
                rename(state, "fc.weight", "fc.0.weight");
                rename(state, "fc.bias", "fc.0.bias");
                state.insert("fc.2.weight".into(), (vec![2, 3], vec![0.0; 6]));
            },
            &["2 linear layers (fc.0.weight, fc.2.weight)"],
        ),
        (
            "batch-norm in the head",
            &|state| {
                rename(state, "fc.weight", "fc.1.weight");
                rename(state, "fc.bias", "fc.1.bias");
                state.insert("fc.0.weight".into(), (vec![512], vec![1.0; 512]));
            },
            &["fc.0.weight is not a tensor of ResNet-18"],
        ),
        (
            "two networks",
            &|state| {
                let twice: Vec<_> = state
                    .iter()
                    .map(|(k, v)| (format!("ema.{k}"), v.clone()))
                    .collect();
                state.extend(twice);
            },
            &["2 networks (, ema.)"],
        ),
    ];
    for (what, edit, words) in cases {
        let mut state = state(&resnet18(3));
        edit(&mut state);
        write(&path, &state);
        let started = Instant::now();
        let message = open(&path).err().expect(what);
        assert!(
            started.elapsed() < Duration::from_secs(1),
            "{what} took {:?}",
            started.elapsed()
        );
        for words in words {
            assert!(message.contains(words), "{what}: {message}");
        }
    }
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write_file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = folder.path().join("whole.safetensors");
    write(&whole, &state(&resnet18(2)));
    let whole = fs::read(whole).unwrap();
    let cases = [
        (
            write_file("text.pth", b"these are no weights"),
            "neither safetensors nor a zip",
        ),
        (write_file("empty.safetensors", b""), "too short"),
        (
            write_file("cut.safetensors", &whole[..whole.len() - 1]),
            "cut short",
        ),
        (write_file("header.safetensors", &whole[..100]), "cut short"),
        (write_file("huge.safetensors", &[0xff; 64]), "cut short"),
        (
            write_file("zip.pth", b"PK\x03\x04 and no more"),
            "zip archive",
        ),
        (write_file("old.pt", b"\x80\x02}q\x00."), "before 1.6"),
        (folder.path().join("nowhere.pth"), "Can't read the weights"),
        (folder.path().to_owned(), "it is a folder"),
    ];
    for (path, words) in cases {
        let message = open(&path).err().unwrap();
        assert!(message.contains(words), "{}: {message}", path.display());
    }
}

/// A zip archive as PyTorch writes it, with any pickle in it.
fn archive(path: &Path, pickle: &[u8], method: zip::CompressionMethod) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [
        ("m/data.pkl", pickle),
        ("m/data/0", &[0; 24]),
        ("m/version", b"3\n"),
    ] {
        writer.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn hostile_pickles_are_named_and_run_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let trace = folder.path().join("was-run");
    let command = format!("cposix\nsystem\n(S'touch {}'\ntR.", trace.display());
    for (pickle, words) in [
        (command.as_bytes(), "posix.system"),
        (
            b"\x80\x02c__builtin__\neval\nX\x02\x00\x00\x0011\x85R.",
            "__builtin__.eval",
        ),
        (
            b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff\xf1.",
            "opcode 0xf1",
        ),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "cut short"),
        (b"\x80\x02}q\x00h\x00h\x00h\x00s.", "no weights"), // a dictionary within itself
        (b"\xfe\xed", "opcode 0xfe"),
    ] {
        archive(&path, pickle, zip::CompressionMethod::Stored);
        let message = open(&path).err().unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert!(!trace.exists(), "the pickle was run");
}

/// Compressed entries are never unpacked, so that a small file can't become a large one.
#[test]
fn compressed_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    archive(&path, b"}.", zip::CompressionMethod::Stored);
    let mut bytes = fs::read(&path).unwrap();
    // The method stands 8 bytes into a local header, 10 into one of the directory.
    for (mark, at) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let places: Vec<usize> = (0..bytes.len() - 4)
            .filter(|&i| &bytes[i..i + 4] == mark)
            .collect();
        assert_eq!(places.len(), 3);
        for place in places {
            bytes[place + at] = 8; // deflate
        }
    }
    fs::write(&path, &bytes).unwrap();
    let message = open(&path).err().unwrap();
    assert!(message.contains("compressed or encrypted"), "{message}");
}

#[test]
fn class_names_come_from_beside_the_file_or_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.safetensors");
    write(&path, &state(&resnet18(3)));
    let names = |engine: &Engine| {
        let labels = &engine.model().labels;
        (0..3)
            .map(|i| labels.full(labels.class(i).unwrap()).to_owned())
            .collect::<Vec<_>>()
    };
    let engine = open(&path).unwrap();
    assert_eq!(names(&engine), ["class 0", "class 1", "class 2"]);

    let beside = folder.path().join("labels.txt");
    fs::write(&beside, "cat\ndog\n").unwrap();
    let engine = open(&path).unwrap();
    assert_eq!(names(&engine)[0], "class 0");
    assert!(
        engine.notices()[0].contains("2 names and the model 3 classes"),
        "{:?}",
        engine.notices()
    );
    fs::write(&beside, "cat\ndog\nbird\n").unwrap();
    let mut engine = open(&path).unwrap();
    assert_eq!(names(&engine), ["cat", "dog", "bird"]);
    assert_eq!(engine.model().labels_from, "labels.txt");
    assert!(engine.notices().is_empty());

    let by_hand = folder.path().join("mine.json");
    fs::write(&by_hand, r#"{"0": "a", "1": "b", "2": "c"}"#).unwrap();
    engine.name_classes(Some(&by_hand)).unwrap();
    assert_eq!(names(&engine), ["a", "b", "c"]);
    fs::write(&by_hand, r#"["a"]"#).unwrap();
    let message = engine.name_classes(Some(&by_hand)).unwrap_err().to_string();
    assert!(
        message.contains("1 names and the model 3 classes"),
        "{message}"
    );
    assert_eq!(names(&engine), ["a", "b", "c"], "the old ones stay");
    engine.name_classes(None).unwrap();
    assert_eq!(names(&engine), ["cat", "dog", "bird"]);
}

#[test]
fn timms_config_beside_the_file_gives_the_preprocessing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &state(&resnet18(2)));
    let config = r#"{"architecture": "resnet18", "label_names": ["no", "yes"], "pretrained_cfg":
        {"input_size": [3, 192, 192], "crop_pct": 1.0, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let engine = open(&path).unwrap();
    let Preprocessing { mean, std, size } = engine.preprocessing();
    assert!((mean[0] - 0.5).abs() < 1e-6 && (std[2] - 0.25).abs() < 1e-6);
    assert_eq!((size.crop, size.short), (192, 192));
    assert_eq!(engine.model().preprocessing_from, "config.json");
    assert_eq!(engine.model().labels.find("yes").unwrap().index(), 1);
}

#[test]
fn layers_can_be_asked_for_after_a_run_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &state(&resnet18(2)));
    let mut engine = open(&path).unwrap();
    let class = engine.model().labels.class(1).unwrap();
    assert!(engine.evidence(class, &[Layer::Layer1]).is_err());
    engine.run(&input(), Framing::Whole).unwrap();
    let all = engine
        .evidence(class, &[Layer::Layer3, Layer::Last, Layer::Layer3])
        .unwrap();
    assert_eq!(
        all.iter().map(|e| e.layer).collect::<Vec<_>>(),
        [Layer::Layer3, Layer::Last, Layer::Layer3]
    );
    let maps: Vec<_> = all
        .iter()
        .map(|e| cam::explain(Recipe::from(Method::GradCam), e))
        .collect();
    assert_eq!(maps[0], maps[2]);

    let mut lite = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let analysis = lite.run(&input(), Framing::Whole).unwrap();
    let message = lite
        .evidence(analysis.top(), &[Layer::Layer2])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("EfficientNet-Lite0 has no layer"),
        "{message}"
    );
}
