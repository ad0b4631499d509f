//! What a user waits for, step by step: `cargo bench`.
//!
//! ResNet-18 is measured if its weights are found (`weights/`, or the path in
//! `CAMLENS_RESNET18`).

use std::path::PathBuf;
use std::sync::Arc;

use camlens::analysis::Analysis;
use camlens::cam::{self, Method};
use camlens::colormap::Colormap;
use camlens::engine::Engine;
use camlens::framing::Framing;
use camlens::heatmap::{Heatmap, Scaling};
use camlens::labels::ClassId;
use camlens::model::device::DeviceChoice;
use camlens::model::layers::Backend;
use camlens::model::weights::Checkpoint;
use camlens::model::{Model, ModelChoice, catalog};
use camlens::overlay::{self, Opacity};
use camlens::photo::Photo;
use candle_core::Device;
use divan::Bencher;

fn main() {
    divan::main();
}

fn cat() -> Photo {
    Photo::open("assets/samples/cat.png".as_ref()).expect("the sample is there")
}

/// 4000×3000 pixels, as a phone takes them.
fn twelve_megapixels() -> Photo {
    let rgb = (0..4000 * 3000 * 3u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8);
    Photo::from_rgb("12 MP", 4000, 3000, rgb.collect())
}

fn choices() -> Vec<(&'static str, ModelChoice)> {
    let mut choices = vec![("EfficientNet-Lite0", ModelChoice::BuiltIn)];
    let resnet = std::env::var_os("CAMLENS_RESNET18")
        .map(PathBuf::from)
        .or_else(catalog::find_resnet18);
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
    let input = Framing::Crop.frame(&cat());
    bencher.bench_local(|| engine.run(&input, Framing::Crop));
}

/// The same up to the target layer with candle's own operations instead of ours.
#[divan::bench(args = names(), sample_count = 20)]
fn forward_224_by_candle(bencher: Bencher, name: &str) {
    let backend = Backend::Candle(Device::Cpu);
    let model = match choices().into_iter().find(|(n, _)| *n == name) {
        Some((_, ModelChoice::File(path))) => {
            let checkpoint = Checkpoint::open(&path).expect("readable weights");
            Model::load(checkpoint, name.into(), backend)
        }
        _ => Model::built_in(backend),
    };
    let model = model.expect("a usable model");
    let input = Framing::Crop.frame(&cat());
    bencher.bench_local(|| model.features(&input));
}

#[divan::bench(args = names())]
fn forward_whole_384x256(bencher: Bencher, name: &str) {
    let mut engine = engine(name);
    let input = Framing::Whole.frame(&cat());
    bencher.bench_local(|| engine.run(&input, Framing::Whole));
}

#[divan::bench(args = Framing::ALL)]
fn frame_12_megapixels(bencher: Bencher, framing: Framing) {
    let photo = twelve_megapixels();
    bencher.bench(|| framing.frame(&photo));
}

#[divan::bench(args = Framing::ALL)]
fn frame_451x300(bencher: Bencher, framing: Framing) {
    let photo = cat();
    bencher.bench(|| framing.frame(&photo));
}

fn analysis(name: &str) -> Arc<Analysis> {
    let analysis = engine(name).analyse(&cat(), Framing::Whole);
    Arc::new(analysis.expect("the sample can be analysed"))
}

/// Both maps of a class, cells only.
#[divan::bench(args = names())]
fn both_maps(bencher: Bencher, name: &str) {
    let analysis = analysis(name);
    bencher.bench(|| {
        Method::ALL.map(|m| cam::explain(m, &analysis.features, &analysis.head, analysis.top()))
    });
}

/// A class change: both maps, upsampled to the screen's grid and coloured.
#[divan::bench(args = names())]
fn class_change(bencher: Bencher, name: &str) {
    let analysis = analysis(name);
    let mut classes = ClassId::all(analysis.logits.len()).cycle();
    let size = overlay::screen_grid(&analysis.placement);
    bencher.bench_local(|| {
        let class = classes.next().expect("a cycle does not end");
        Method::ALL.map(|method| {
            let map = cam::explain(method, &analysis.features, &analysis.head, class);
            let heat = Heatmap::new(&map, Scaling::Max, &analysis.placement, size);
            heat.map(|heat| overlay::colours(&heat, Colormap::Turbo))
        })
    });
}

/// One overlay at full size, as `explain --out` and Export write it.
#[divan::bench]
fn overlay_12_megapixels(bencher: Bencher) {
    let photo = twelve_megapixels();
    let mut engine = engine("EfficientNet-Lite0");
    let analysis = engine.analyse(&photo, Framing::Whole).expect("a run");
    let map = cam::explain(
        Method::GradCam,
        &analysis.features,
        &analysis.head,
        analysis.top(),
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
