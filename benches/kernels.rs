//! Compares the kernels with the limit of the processor: `cargo bench --bench kernels`.
//!
//! The floor is the time that the multiply-adds of a layer or network would take at the rate of the
//! best large matrix product that `gemm` (used by candle) reaches on the same threads, measured in
//! turn with everything else. Winograd's method needs fewer multiply-adds, so a layer can be faster
//! than its floor.

use std::path::PathBuf;
use std::time::Instant;

use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, InputSize};
use camlens::input::photo::Photo;
use camlens::model::cpu::{
    Activation, ConvGeometry, Cpu, Epilogue, Image, Isa, Panels, Size, Winograd, dense,
    dense_and_pool, depthwise, use_physical_cores,
};
use camlens::model::device::DeviceChoice;
use camlens::model::{ModelChoice, known_weights};
use candle_core::{Device, Tensor};

/// Number of rounds; each round runs every case once.
const ROUNDS: usize = 40;
/// Side of the matrices used to measure the floor.
const MATRIX: usize = 1024;
/// Multiply-adds at 224×224, as published by torchvision and TensorFlow.
const RESNET18: f64 = 1.814e9;
const EFFICIENTNET_LITE0: f64 = 0.407e9;

/// A timed case.
struct Case {
    name: String,
    multiply_adds: f64,
    run: Box<dyn FnMut()>,
    times: Vec<f64>,
}

impl Case {
    fn new(name: impl Into<String>, multiply_adds: f64, run: impl FnMut() + 'static) -> Self {
        Self {
            name: name.into(),
            multiply_adds,
            run: Box::new(run),
            times: Vec::new(),
        }
    }

    fn median(&mut self) -> f64 {
        self.times.sort_by(f64::total_cmp);
        self.times[self.times.len() / 2]
    }
}

fn main() {
    use_physical_cores();
    let cpu = Cpu::new(Isa::chosen());
    let mut cases = vec![floor()];
    cases.extend(layers(&cpu));
    cases.extend(networks());
    for round in 0..=ROUNDS {
        for case in &mut cases {
            let started = Instant::now();
            (case.run)();
            if round > 0 {
                case.times.push(1e3 * started.elapsed().as_secs_f64());
            }
        }
    }
    let rate = cases[0].multiply_adds / cases[0].median();
    println!(
        "{} threads, {}; gemm's best rate {:.0} GFLOP/s",
        rayon::current_num_threads(),
        cpu.level.name(),
        2e-6 * rate
    );
    println!("{:44} {:>9} {:>9} {:>9}", "", "median", "best", "floor");
    for case in &mut cases[1..] {
        let (median, best) = (case.median(), case.times[0]);
        let share = 100.0 * case.multiply_adds / rate / median;
        let name = &case.name;
        println!("{name:44} {median:6.2} ms {best:6.2} ms {share:7.0} %");
    }
}

fn floor() -> Case {
    let matrix = || Tensor::rand(-1f32, 1f32, (MATRIX, MATRIX), &Device::Cpu).expect("memory");
    let (left, right) = (matrix(), matrix());
    Case::new("floor", (MATRIX as f64).powi(3), move || {
        left.matmul(&right).expect("a product");
    })
}

/// The types of layers in a ResNet-18 at 224×224, and two of EfficientNet-Lite0.
fn layers(cpu: &Cpu) -> Vec<Case> {
    let f = (Some(Size::F4), Some(Size::F2));
    [
        ("7×7/2, 3 → 64, and pooling", 224, 3, 64, 7, 2, None),
        ("3×3, 64 → 64 at 56, F(4×4)", 56, 64, 64, 3, 1, f.0),
        ("3×3, 64 → 64 at 56, direct", 56, 64, 64, 3, 1, None),
        ("3×3/2, 64 → 128 at 56", 56, 64, 128, 3, 2, None),
        ("3×3, 128 → 128 at 28, F(4×4)", 28, 128, 128, 3, 1, f.0),
        ("3×3, 256 → 256 at 14, F(2×2)", 14, 256, 256, 3, 1, f.1),
        ("3×3, 512 → 512 at 7, direct", 7, 512, 512, 3, 1, None),
        ("1×1, 24 → 144 at 56", 56, 24, 144, 1, 1, None),
        ("1×1, 672 → 192 at 7", 7, 672, 192, 1, 1, None),
    ]
    .into_iter()
    .map(|(name, side, cin, cout, kernel, stride, size)| {
        let (cpu, taps) = (cpu.clone(), kernel * kernel);
        let window = window(side, kernel, stride);
        let image = Image::from_values(&cpu, &noise(side * side * cin), (side, side));
        let weight = noise(cout * cin * taps);
        let panels = Panels::of_kernel(&weight, &vec![1.0; cout], cin, taps);
        let winograd = size.and_then(|size| Winograd::new(size, &panels));
        let bias = noise(cout);
        let multiply_adds = (window.pixels() * cin * cout * taps) as f64;
        Case::new(name, multiply_adds, move || {
            let finish = finish(&bias);
            let _ = match &winograd {
                Some(winograd) => winograd.convolve(&cpu, &image, window, finish),
                None if kernel == 7 => dense_and_pool(&cpu, &image, &panels, window, finish),
                None => dense(&cpu, &image, &panels, window, finish),
            };
        })
    })
    .chain(
        [(56, 144, 3, 1), (28, 240, 5, 1)].map(|(side, channels, kernel, stride)| {
            let (cpu, taps) = (cpu.clone(), kernel * kernel);
            let window = window(side, kernel, stride);
            let image = Image::from_values(&cpu, &noise(side * side * channels), (side, side));
            let (weight, bias) = (noise(taps * channels), noise(channels));
            let name = format!("{kernel}×{kernel} depthwise, {channels} at {side}");
            let multiply_adds = (window.pixels() * channels * taps) as f64;
            Case::new(name, multiply_adds, move || {
                let _ = depthwise(&cpu, &image, &weight, window, finish(&bias));
            })
        }),
    )
    .collect()
}

fn finish(bias: &[f32]) -> Epilogue<'_> {
    Epilogue {
        bias,
        residual: None,
        activation: Activation::Relu,
    }
}

fn window(side: usize, kernel: usize, stride: usize) -> ConvGeometry {
    let before = kernel / 2;
    let output = (side + 2 * before - kernel) / stride + 1;
    ConvGeometry::square(
        (side, side),
        (output, output),
        kernel,
        stride,
        (before, before),
    )
}

/// Whole forward passes.
fn networks() -> Vec<Case> {
    let resnet = std::env::var_os("CAMLENS_RESNET18")
        .map(PathBuf::from)
        .or_else(|| known_weights::find_resnet18().iter().next().cloned());
    let mut models = vec![(
        "EfficientNet-Lite0",
        ModelChoice::BuiltIn,
        EFFICIENTNET_LITE0,
    )];
    models.extend(resnet.map(|path| ("ResNet-18", ModelChoice::File(path), RESNET18)));
    let cat = Photo::open("assets/samples/cat.png".as_ref()).expect("the sample exists");
    let mut cases = Vec::new();
    for (name, choice, multiply_adds) in models {
        for (framing, side) in [
            (Framing::Crop, 224),
            (Framing::Whole, 224),
            (Framing::Crop, 448),
        ] {
            let mut engine = Engine::open(&choice, DeviceChoice::Cpu).expect("a usable model");
            let size = InputSize::of_side(side).expect("a size");
            let input = framing.frame(&cat, size);
            let (width, height) = input.placement.input;
            let share = (width * height) as f64 / (224.0 * 224.0);
            let name = format!("{name}, {width}×{height}");
            cases.push(Case::new(name, multiply_adds * share, move || {
                engine.run(&input, framing).expect("a run");
            }));
        }
    }
    cases
}

fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
