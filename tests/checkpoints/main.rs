//! Other people's checkpoints: every ResNet against PyTorch at every layer, by every
//! method, and files that must be refused.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

mod agreement;
mod beside;
#[path = "../common/mod.rs"]
mod common;
mod limits;
mod modules;
mod networks;
mod refusals;
mod torch_save;
mod whole;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::{Method, Recipe};
use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, Input, Placement};
use camlens::model::activations::Gradients;
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::layers::Backend;
use camlens::model::preprocessing::{Preprocessing, PreprocessingSource};
use camlens::model::target_layer::LayerId;
use camlens::model::{Model, ModelChoice, ModelInfo, Scores, Selection, device};
use candle_core::Device;
use common::resnet;
use common::resnet::{made_up, noise};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

const HEIGHT: usize = 64;
const WIDTH: usize = 96;

/// A state dict: shapes by name.
type Shapes = BTreeMap<String, Vec<usize>>;

/// The tensors of a ResNet as torchvision names them.
fn shapes(counts: [usize; 4], bottleneck: bool, classes: usize) -> Shapes {
    let shapes = resnet::shapes(counts, bottleneck, classes);
    shapes.into_iter().collect()
}

fn resnet18(classes: usize) -> Shapes {
    shapes(resnet::RESNET18, false, classes)
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

/// A layer of a model by its name.
fn layer(model: &ModelInfo, name: &str) -> LayerId {
    model.need_layer(&name.into()).unwrap()
}

/// What a layer is called in the golden values.
fn key(model: &ModelInfo, layer: LayerId) -> &str {
    if Some(layer) == model.last_conv() {
        "last_conv"
    } else {
        model.layer_name(layer)
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
        ..Selection::default()
    };
    ModelChoice::Within(path.into(), Box::new(selection))
}

fn answer(path: &Path) -> Analysis {
    open(path).unwrap().run(&input(), Framing::Whole).unwrap()
}
