//! Other people's checkpoints: every ResNet against PyTorch at every layer, by every
//! method, and files that must be refused.

// A test that can't go on should stop where it is.
#![allow(clippy::unwrap_used)]

mod agreement;
mod beside;
mod limits;
mod modules;
mod networks;
mod refusals;
mod torch_save;
mod whole;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use camlens::explain::analysis::{Analysis, Gradients, Layer};
use camlens::explain::cam;
use camlens::explain::cam::{Method, Recipe};
use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, Input, Placement};
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::layers::Backend;
use camlens::model::preprocessing::Preprocessing;
use camlens::model::{Model, ModelChoice, Selection, device};
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

fn open(path: &Path) -> Result<Engine, String> {
    Engine::open(&ModelChoice::File(path.into()), DeviceChoice::Cpu).map_err(|e| e.to_string())
}

/// As the command line chooses a network within a file.
fn selected(path: &Path, key: Option<&str>, prefix: Option<&str>) -> ModelChoice {
    let selection = Selection {
        key: key.map(str::to_owned),
        prefix: prefix.map(str::to_owned),
        head: None,
    };
    ModelChoice::Within(path.into(), Box::new(selection))
}

fn answer(path: &Path) -> Analysis {
    open(path).unwrap().run(&input(), Framing::Whole).unwrap()
}
