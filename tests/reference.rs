//! Compares framing, logits and maps with PyTorch, stage by stage.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::{Map, Method, Recipe, Variant};
use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, Input, InputSize};
use camlens::input::photo::Photo;
use camlens::model::ModelChoice;
use camlens::model::device::DeviceChoice;
use camlens::model::preprocessing::{PreprocessChoice, Preset};
use camlens::render::heatmap::{Heatmap, Scaling};
use common::needs::Need;
use half::f16;
use safetensors::SafeTensors;

const PHOTOS: [&str; 4] = ["astronaut", "cat", "coffee", "rocket"];
const FRAMINGS: [(Framing, &str); 2] = [(Framing::Crop, "crop"), (Framing::Squash, "squash")];

/// The tensors of a reference file whose names begin with a prefix.
struct Reference<'a> {
    file: SafeTensors<'a>,
    prefix: String,
}

impl<'a> Reference<'a> {
    /// All tensors of a file.
    fn whole(bytes: &'a [u8]) -> Self {
        Self::with_prefix(bytes, String::new())
    }

    fn with_prefix(bytes: &'a [u8], prefix: String) -> Self {
        let file = SafeTensors::deserialize(bytes).unwrap();
        Self { file, prefix }
    }

    fn bytes(&self, name: &str) -> &[u8] {
        let name = format!("{}{name}", self.prefix);
        self.file.tensor(&name).unwrap().data()
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        let chunks = self.bytes(name).as_chunks().0;
        chunks.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    fn f16s(&self, name: &str) -> Vec<f32> {
        let chunks = self.bytes(name).as_chunks().0;
        chunks
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect()
    }

    /// The classes of all names `TAG/CLASS/LAYER/ENDING`.
    fn classes(&self, tag: &str, layer: &str, ending: &str) -> Vec<usize> {
        let start = format!("{}{tag}/", self.prefix);
        let end = format!("/{layer}/{ending}");
        let names = self.file.names();
        let middle = |name: &&str| name.strip_prefix(&start)?.strip_suffix(&end)?.parse().ok();
        let mut classes: Vec<usize> = names.iter().filter_map(middle).collect();
        classes.sort_unstable();
        classes
    }
}

fn photo(name: &str) -> Photo {
    Photo::open(Path::new(&format!("assets/samples/{name}.png"))).unwrap()
}

/// The reference's input, converted from channels first to interleaved.
fn input(reference: &Reference, tag: &str, framing: Framing, photo: &Photo) -> Input {
    let planes = reference.bytes(&format!("{tag}/input_u8"));
    let pixels = planes.len() / 3;
    let rgb = (0..pixels)
        .flat_map(|p| [0, 1, 2].map(|c| planes[c * pixels + p]))
        .collect();
    Input {
        placement: framing.place(photo.width, photo.height, InputSize::default()),
        rgb,
    }
}

fn assert_close(ours: &[f32], theirs: &[f32], tolerance: f32, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let worst = ours
        .iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        worst <= tolerance,
        "{what}: off by {worst}, allowed {tolerance}"
    );
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |m, v| m.max(v.abs()))
}

fn map_of(analysis: &Analysis, method: Method, class: usize) -> Map {
    let class = analysis.model.labels.class(class).unwrap();
    cam::explain(method, &analysis.layer_gradients(class).unwrap())
}

/// Compares framing, logits and maps of one photo; returns the number of maps compared.
fn compare(engine: &mut Engine, reference: &Reference, name: &str, layer: &str) -> usize {
    let photo = photo(name);
    let mut compared = 0;
    for (framing, tag) in FRAMINGS {
        let theirs = input(reference, tag, framing, &photo);
        assert!(
            framing.frame(&photo, InputSize::default()).rgb == theirs.rgb,
            "{name}: {tag} is not Pillow's"
        );

        let analysis = engine.run(&theirs, framing).unwrap();
        let what = format!("{name}, {tag}");
        assert_close(
            &analysis.logits,
            &reference.f32s(&format!("{tag}/logits")),
            1e-3,
            &what,
        );

        for class in reference.classes(tag, layer, "grad_cam_signed") {
            for (method, key) in [
                (Method::GradCam, "grad_cam_signed"),
                (Method::GradCamPlusPlus, "grad_cam_plus_plus"),
            ] {
                let theirs = reference.f32s(&format!("{tag}/{class}/{layer}/{key}"));
                let ours = map_of(&analysis, method, class).cells;
                let what = format!("{name}, {tag}, class {class}, {key}");
                assert_close(&ours, &theirs, 1e-4 * largest(&theirs), &what);
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn efficientnet_lite0_agrees_with_pytorch() {
    let bytes = fs::read("tests/golden/efficientnet_lite0.safetensors").unwrap();
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    for name in PHOTOS {
        let reference = Reference::with_prefix(&bytes, format!("{name}/"));
        assert_eq!(compare(&mut engine, &reference, name, "last"), 2 * 3 * 2);
    }
}

#[test]
#[ignore = "needs ../shared"]
fn resnet18_agrees_with_pytorch() {
    let Some(mut engine) = resnet18() else {
        return;
    };
    for name in PHOTOS {
        let bytes = shared_reference(name);
        let reference = Reference::whole(&bytes);
        assert_eq!(compare(&mut engine, &reference, name, "layer4"), 2 * 3 * 2);
    }
}

/// Opens ResNet-18 from the developers' folder; elsewhere prints a message and returns `None`.
fn resnet18() -> Option<Engine> {
    let weights = Path::new("../shared/weights/resnet18-imagenet1k.safetensors");
    if !Need::Shared.is_met(weights.exists(), "ResNet-18's weights in ../shared/weights") {
        return None;
    }
    let choice = ModelChoice::File(weights.into());
    Some(Engine::open(&choice, DeviceChoice::Cpu).unwrap())
}

fn shared_reference(name: &str) -> Vec<u8> {
    fs::read(format!("../shared/golden/resnet18-{name}.safetensors")).unwrap()
}

#[test]
#[ignore = "needs ../shared"]
fn resnet18_agrees_with_pytorch_at_earlier_layers() {
    let Some(mut engine) = resnet18() else {
        return;
    };
    let mut compared = 0;
    for name in PHOTOS {
        let bytes = shared_reference(name);
        let reference = Reference::whole(&bytes);
        let input = input(&reference, "crop", Framing::Crop, &photo(name));
        let analysis = engine.run(&input, Framing::Crop).unwrap();
        for layer_name in ["layer1", "layer2", "layer3", "layer4"] {
            let layer = analysis.model.need_layer(&layer_name.into()).unwrap();
            for class in reference.classes("crop", layer_name, "grad_cam_signed") {
                let id = analysis.model.labels.class(class).unwrap();
                let layer_gradients = engine.layer_gradients(id, &[layer]).unwrap().remove(0);
                for (method, key) in [
                    (Method::GradCam, "grad_cam_signed"),
                    (Method::GradCamPlusPlus, "grad_cam_plus_plus"),
                ] {
                    let theirs = reference.f32s(&format!("crop/{class}/{layer_name}/{key}"));
                    let ours = cam::explain(method, &layer_gradients).cells;
                    let what = format!("{name}, class {class}, {layer_name}, {key}");
                    assert_close(&ours, &theirs, 1e-4 * largest(&theirs), &what);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 4 * 4 * 3 * 2);
}

/// The tutorial's script as written: squash, no normalization, `layer4[1].conv2` before its batch
/// norm, its own sum in the denominator, ReLU, division by the maximum.
#[test]
#[ignore = "needs ../shared"]
fn the_tutorials_preset_gives_the_tutorials_map() {
    let Some(mut engine) = resnet18() else {
        return;
    };
    engine.preprocess(PreprocessChoice::Preset(Preset::Tutorial));
    for name in PHOTOS {
        let bytes = shared_reference(name);
        let reference = Reference::whole(&bytes);
        let class = reference.bytes("tutorial/class");
        let class = i64::from_le_bytes(class.try_into().unwrap());
        let analysis = engine.analyze(&photo(name), Framing::Squash).unwrap();
        assert_close(
            &analysis.logits,
            &reference.f32s("tutorial/logits"),
            1e-3,
            name,
        );
        let top = analysis.top();
        let layer = analysis.model.last_conv().unwrap();
        assert_eq!(i64::try_from(top.index()), Ok(class), "{name}");
        let layer_gradients = engine.layer_gradients(top, &[layer]).unwrap().remove(0);
        let recipe = Recipe::new(Method::GradCamPlusPlus, Variant::TutorialSum);
        let map = cam::explain(recipe, &layer_gradients);
        let high = map.max();
        let shown: Vec<f32> = map.cells.iter().map(|cell| cell.max(0.0) / high).collect();
        assert_close(&shown, &reference.f32s("tutorial/cam"), 1e-3, name);
    }
}

/// The grad-cam package's Grad-CAM++ has an epsilon of its own; with the variant named after it,
/// the picture is the same.
#[test]
#[ignore = "needs ../shared"]
fn the_packages_variant_gives_the_packages_picture() {
    let Some(mut engine) = resnet18() else {
        return;
    };
    let mut compared = 0;
    for name in PHOTOS {
        let bytes = shared_reference(name);
        let reference = Reference::whole(&bytes);
        let input = input(&reference, "crop", Framing::Crop, &photo(name));
        let photo = Photo::from_rgb(name, 224, 224, input.rgb);
        let analysis = engine.analyze(&photo, Framing::Squash).unwrap();
        for layer_name in ["layer2", "layer3", "layer4"] {
            let layer = analysis.model.need_layer(&layer_name.into()).unwrap();
            let ending = "grad_cam_plus_plus/pytorch_grad_cam_224";
            for class in reference.classes("crop", layer_name, ending) {
                let id = analysis.model.labels.class(class).unwrap();
                let layer_gradients = engine.layer_gradients(id, &[layer]).unwrap().remove(0);
                let recipe = Recipe::new(Method::GradCamPlusPlus, Variant::PytorchGradCam);
                let map = cam::explain(recipe, &layer_gradients);
                let theirs = reference.f16s(&format!("crop/{class}/{layer_name}/{ending}"));
                let ours = as_the_package(&map, &analysis).unwrap();
                let what = format!("{name}, class {class}, {layer_name}");
                assert_close(&ours, &theirs, 3e-3, &what);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 4 * 3 * 3);
}

/// Min-max scaling, bilinear resizing to 224×224, min-max scaling again.
fn as_the_package(map: &Map, analysis: &Analysis) -> Option<Vec<f32>> {
    let heat = Heatmap::new(map, Scaling::MinMax, &analysis.placement, (224, 224))?;
    let values = heat.values();
    let (low, high) = values
        .iter()
        .fold((1.0f32, 0.0f32), |(l, h), &v| (l.min(v), h.max(v)));
    let stretched = values.iter().map(|v| (v - low) / (high - low));
    Some(stretched.collect())
}

/// The grad-cam package's picture of a Grad-CAM map: ReLU, min-max, bilinear to 224×224, min-max
/// again, in f16. Its Grad-CAM has no epsilon.
#[test]
#[ignore = "needs ../shared"]
fn upsampling_agrees_with_the_grad_cam_package() {
    let golden = Path::new("../shared/golden");
    if !Need::Shared.is_met(
        golden.exists(),
        "the package's pictures in ../shared/golden",
    ) {
        return;
    }
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let mut compared = 0;
    for name in PHOTOS {
        let bytes = fs::read(format!(
            "../shared/golden/efficientnet_lite0-{name}.safetensors"
        ))
        .unwrap();
        let reference = Reference::whole(&bytes);
        let mut photo = photo(name);
        let input = input(&reference, "squash", Framing::Squash, &photo);
        // On a photo with the input's size, each photo pixel is an input pixel.
        photo = Photo::from_rgb(name, 224, 224, input.rgb);
        let analysis = engine.analyze(&photo, Framing::Squash).unwrap();
        let ending = "grad_cam/pytorch_grad_cam_224";
        for class in reference.classes("squash", "last", ending) {
            let map = map_of(&analysis, Method::GradCam, class);
            let theirs = reference.f16s(&format!("squash/{class}/last/{ending}"));
            let Some(ours) = as_the_package(&map, &analysis) else {
                assert!(theirs.iter().all(|&value| value == 0.0));
                continue;
            };
            assert_close(&ours, &theirs, 2e-3, &format!("{name}, class {class}"));
            compared += 1;
        }
    }
    assert!(compared >= 8, "only {compared} maps were compared");
}
