//! Measures each step that a user waits for: `cargo bench`.
//!
//! ResNet-18 is measured if its weights are found (in `weights/`, or at the path in
//! `CAMLENS_RESNET18`).

use std::path::PathBuf;
use std::sync::Arc;

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::{LayerMaps, Method};
use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, InputSize};
use camlens::input::photo::Photo;
use camlens::labels::ClassId;
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::layers::Backend;
use camlens::model::{Model, ModelChoice, known_weights};
use camlens::render::colormap::Colormap;
use camlens::render::heatmap::{Heatmap, Scaling};
use camlens::render::overlay;
use camlens::render::overlay::Opacity;
use candle_core::Device;
use divan::Bencher;

fn main() {
    // The same settings as in the program.
    camlens::platform::allocator::return_large_blocks();
    camlens::model::cpu::use_physical_cores();
    divan::main();
}

fn cat() -> Photo {
    Photo::open("assets/samples/cat.png".as_ref()).expect("the sample exists")
}

/// 4000×3000 pixels, the size of a phone's photo.
fn twelve_megapixels() -> Photo {
    let rgb = (0..4000 * 3000 * 3u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    Photo::from_rgb("12 MP", 4000, 3000, rgb.collect())
}

fn choices() -> Vec<(&'static str, ModelChoice)> {
    let mut choices = vec![("EfficientNet-Lite0", ModelChoice::BuiltIn)];
    let resnet = std::env::var_os("CAMLENS_RESNET18")
        .map(PathBuf::from)
        .or_else(|| known_weights::find_resnet18().iter().next().cloned());
    if let Some(path) = resnet {
        choices.push(("ResNet-18", ModelChoice::File(path)));
    }
    choices
}

fn engine(name: &str) -> Engine {
    let (_, choice) = choices()
        .into_iter()
        .find(|(n, _)| *n == name)
        .expect("listed");
    Engine::open(&choice, DeviceChoice::Cpu).expect("a usable model")
}

/// A photo of 12 megapixels as JPEG, in memory.
fn jpeg() -> Vec<u8> {
    let photo = cat();
    let (width, height) = (4000, 3000);
    let rgb = (0..width * height).flat_map(|n| {
        let (x, y) = (
            n % width * photo.width / width,
            n / width * photo.height / height,
        );
        let at = 3 * (y * photo.width + x);
        // Some noise, as from a camera.
        let grain = (n.wrapping_mul(2_654_435_761) >> 28).to_le_bytes()[0] & 7;
        [0, 1, 2].map(|channel| photo.rgb[at + channel].saturating_add(grain))
    });
    let picture = image::RgbImage::from_raw(4000, 3000, rgb.collect()).expect("12 megapixels");
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90);
    picture.write_with_encoder(encoder).expect("memory");
    bytes
}

fn names() -> Vec<&'static str> {
    choices().into_iter().map(|(name, _)| name).collect()
}

#[divan::bench(args = names(), sample_count = 30)]
fn load_model(bencher: Bencher, name: &str) {
    bencher.bench(|| engine(name));
}

#[divan::bench(args = names())]
fn forward_224(bencher: Bencher, name: &str) {
    let mut engine = engine(name);
    let input = Framing::Crop.frame(&cat(), InputSize::default());
    bencher.bench_local(|| engine.run(&input, Framing::Crop));
}

/// The same up to the target layer, with candle's own operations instead of our kernels.
#[divan::bench(args = names(), sample_count = 20)]
fn forward_224_by_candle(bencher: Bencher, name: &str) {
    let backend = Backend::Candle(Device::Cpu);
    let model = match choices().into_iter().find(|(n, _)| *n == name) {
        Some((_, ModelChoice::File(path))) => Model::open(&path, None, backend, None),
        _ => Model::built_in(None, backend),
    };
    let model = model.expect("a usable model");
    let input = Framing::Crop.frame(&cat(), InputSize::default());
    let preprocessing = model.info.preprocessing;
    bencher.bench_local(|| model.forward(&input, &preprocessing, Precision::Single));
}

#[divan::bench(args = names())]
fn forward_448(bencher: Bencher, name: &str) {
    let mut engine = engine(name);
    let size = InputSize::of_side(448).expect("a size");
    let input = Framing::Crop.frame(&cat(), size);
    bencher.bench_local(|| engine.run(&input, Framing::Crop));
}

#[divan::bench(args = names())]
fn forward_whole_384x256(bencher: Bencher, name: &str) {
    let mut engine = engine(name);
    let input = Framing::Whole.frame(&cat(), InputSize::default());
    bencher.bench_local(|| engine.run(&input, Framing::Whole));
}

#[divan::bench(args = Framing::ALL)]
fn frame_12_megapixels(bencher: Bencher, framing: Framing) {
    let photo = twelve_megapixels();
    bencher.bench(|| framing.frame(&photo, InputSize::default()));
}

#[divan::bench(args = Framing::ALL)]
fn frame_451x300(bencher: Bencher, framing: Framing) {
    let photo = cat();
    bencher.bench(|| framing.frame(&photo, InputSize::default()));
}

fn analysis(name: &str) -> Arc<Analysis> {
    let analysis = engine(name).analyze(&cat(), Framing::Whole);
    Arc::new(analysis.expect("the sample can be analyzed"))
}

/// Both maps of a class, cells only.
#[divan::bench(args = names())]
fn both_maps(bencher: Bencher, name: &str) {
    let analysis = analysis(name);
    bencher.bench(|| {
        let layer_gradients = analysis.layer_gradients(analysis.top()).expect("a head");
        Method::DEFAULT.map(|method| cam::explain(method, &layer_gradients))
    });
}

/// A class change: both maps, upsampled to the screen's grid and colored.
#[divan::bench(args = names())]
fn class_change(bencher: Bencher, name: &str) {
    let analysis = analysis(name);
    let mut classes = ClassId::all(analysis.logits.len()).cycle();
    let cells = (analysis.features.width, analysis.features.height);
    let size = overlay::screen_grid(&analysis.placement, cells);
    // In the same format as the window's colors.
    let table = Colormap::Turbo.table().map(|[r, g, b]| [r, g, b, 255]);
    bencher.bench_local(|| {
        let class = classes.next().expect("a cycle does not end");
        let layer_gradients = analysis.layer_gradients(class).expect("a head");
        Method::DEFAULT.map(|method| {
            let map = cam::explain(method, &layer_gradients);
            let heat = Heatmap::new(&map, Scaling::Max, &analysis.placement, size);
            heat.map(|heat| overlay::colors(&heat, &table))
        })
    });
}

/// A class change at an earlier layer of a ResNet with framing `crop`: one backward pass to that
/// layer, and all maps at that layer and later ones.
#[divan::bench(args = ["layer1", "layer2", "layer3", "last-conv"])]
fn layer_224(bencher: Bencher, layer: &str) {
    let Some((name, _)) = choices()
        .into_iter()
        .find(|(name, _)| name.starts_with("ResNet"))
    else {
        return;
    };
    let mut engine = engine(name);
    let layer = engine.model().find_layer(&layer.into());
    let layer = layer.expect("a ResNet's layer");
    let analysis = engine.analyze(&cat(), Framing::Crop).expect("a run");
    let mut classes = ClassId::all(analysis.logits.len()).cycle();
    bencher.bench_local(|| {
        let class = classes.next().expect("a cycle does not end");
        let layer_gradients = engine.layer_gradients(class, &[layer]).expect("gradients");
        LayerMaps::new(&layer_gradients)
    });
}

/// Decoding a JPEG of 12 megapixels, which comes before the network, and decoding the same file
/// with the image crate.
#[divan::bench(sample_count = 20)]
fn decode_12_megapixels(bencher: Bencher) {
    let bytes = jpeg();
    bencher.bench(|| Photo::decode("12 MP", &bytes));
}

#[divan::bench(sample_count = 20)]
fn decode_12_megapixels_by_image(bencher: Bencher) {
    let bytes = jpeg();
    bencher.bench(|| image::load_from_memory(&bytes));
}

/// From a JPEG of 12 megapixels to both maps.
#[divan::bench(args = names(), sample_count = 20)]
fn end_to_end_12_megapixels(bencher: Bencher, name: &str) {
    let bytes = jpeg();
    let mut engine = engine(name);
    bencher.bench_local(|| {
        let photo = Photo::decode("12 MP", &bytes).expect("a photo");
        let analysis = engine.analyze(&photo, Framing::Whole).expect("a run");
        let layer_gradients = analysis.layer_gradients(analysis.top()).expect("a head");
        Method::DEFAULT.map(|method| cam::explain(method, &layer_gradients))
    });
}

/// From a decoded photo to both maps.
#[divan::bench(args = names())]
fn end_to_end_451x300(bencher: Bencher, name: &str) {
    let photo = cat();
    let mut engine = engine(name);
    bencher.bench_local(|| {
        let analysis = engine.analyze(&photo, Framing::Whole).expect("a run");
        let layer_gradients = analysis.layer_gradients(analysis.top()).expect("a head");
        Method::DEFAULT.map(|method| cam::explain(method, &layer_gradients))
    });
}

/// One overlay at full size, as `explain --out` and Export write it.
#[divan::bench]
fn overlay_12_megapixels(bencher: Bencher) {
    let photo = twelve_megapixels();
    let mut engine = engine("EfficientNet-Lite0");
    let analysis = engine.analyze(&photo, Framing::Whole).expect("a run");
    let map = cam::explain(
        Method::GradCam,
        &analysis.layer_gradients(analysis.top()).expect("a head"),
    );
    bencher.bench(|| {
        let heat = Heatmap::new(
            &map,
            Scaling::Max,
            &analysis.placement,
            (photo.width, photo.height),
        );
        overlay::blend(
            &photo,
            &analysis.placement,
            heat.as_ref(),
            Colormap::Turbo,
            Opacity::default(),
        )
    });
}
