//! A guard against slowness that is not a clock: how many instructions the forward pass and
//! a class change take, counted by valgrind (with AVX2: valgrind knows no AVX-512).
//!
//! The counts are in `tests/instructions.txt`; more than 5 % above them is a failure. They
//! belong to a compiler and to the test profile: with another compiler write them anew by
//! `CAMLENS_COUNT=write cargo test --test instructions`.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;
use std::{env, fs, thread};

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::Method;
use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, InputSize};
use camlens::input::photo::Photo;
use camlens::labels::ClassId;
use camlens::model::ModelChoice;
use camlens::model::cpu::{
    Activation, ConvGeometry, Cpu, Epilogue, Image, Isa, Panels, Size, Winograd, dense,
    dense_and_pool,
};
use camlens::model::device::DeviceChoice;
use camlens::render::colormap::Colormap;
use camlens::render::heatmap::{Heatmap, Scaling};
use camlens::render::overlay;

/// Where the counts are.
const COUNTS: &str = "tests/instructions.txt";
/// So much more is a failure.
const TOLERANCE: f64 = 0.05;
/// In a process under valgrind: what to do and how often.
const WORK: &str = "CAMLENS_WORK";
/// Everything that is counted, and how many runs the count is taken from.
const CASES: [(&str, u64); 3] = [
    ("efficientnet-lite0 forward", 1),
    ("resnet-18 layers", 1),
    ("class change", 5),
];

#[test]
fn instructions_stay_as_few_as_they_are() {
    if env::var_os(WORK).is_some() {
        return;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    if !cfg!(target_arch = "x86_64") || !valgrind.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: instructions are counted with valgrind on x86-64");
        return;
    }
    let counts: BTreeMap<&str, u64> = thread::scope(|scope| {
        let started = CASES.map(|(case, runs)| {
            // What comes before the first run is in both.
            let [more, less] = [runs + 1, 1].map(|n| scope.spawn(move || count(case, n)));
            (case, runs, more, less)
        });
        let difference = |(case, runs, more, less): (_, u64, Counting, Counting)| {
            (case, (more.join().unwrap() - less.join().unwrap()) / runs)
        };
        started.map(difference).into_iter().collect()
    });
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler.map(|output| String::from_utf8(output.stdout).unwrap());
    let compiler = compiler.unwrap_or_default().trim().to_owned();
    if env::var("CAMLENS_COUNT").is_ok_and(|wish| wish == "write") {
        let mut lines = vec![compiler];
        lines.extend(
            counts
                .iter()
                .map(|(case, count)| format!("{case}: {count}")),
        );
        fs::write(COUNTS, lines.join("\n") + "\n").unwrap();
        return;
    }
    let written = fs::read_to_string(COUNTS).unwrap();
    let mut lines = written.lines();
    if lines.next() != Some(&compiler) {
        eprintln!("skipped: {COUNTS} was written by another compiler than {compiler}");
        return;
    }
    let expected: BTreeMap<&str, u64> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(case, count)| (case, count.parse().unwrap()))
        .collect();
    assert_eq!(expected.len(), CASES.len());
    let mut worse = Vec::new();
    for (case, count) in counts {
        let ratio = count as f64 / expected[case] as f64;
        println!("{case}: {count} instructions, {ratio:.3} of the count written down");
        if ratio > 1.0 + TOLERANCE {
            worse.push(format!(
                "{case}: {count}, {ratio:.3} times {}",
                expected[case]
            ));
        }
    }
    assert!(worse.is_empty(), "more instructions than before: {worse:?}");
}

type Counting<'a> = thread::ScopedJoinHandle<'a, u64>;

/// Instructions of this program when it does something so often.
fn count(case: &str, runs: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "work", "--test-threads=1"])
        .env(WORK, format!("{case}/{runs}"))
        .env("RAYON_NUM_THREADS", "1")
        .env_remove("CAMLENS_SIMD")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.contains("Collected :"));
    let count = line.and_then(|line| line.rsplit(' ').next());
    count.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// What runs under valgrind; nothing in an ordinary test run.
#[test]
fn work() {
    let Ok(work) = env::var(WORK) else {
        return;
    };
    let (case, runs) = work.split_once('/').unwrap();
    let runs: usize = runs.parse().unwrap();
    match case {
        "efficientnet-lite0 forward" => {
            let input = Framing::Crop.frame(&cat(), InputSize::default());
            let mut engine = built_in();
            for _ in 0..runs {
                engine.run(&input, Framing::Crop).unwrap();
            }
        }
        "resnet-18 layers" => resnet_layers(runs),
        "class change" => {
            let analysis = built_in().analyze(&cat(), Framing::Whole).unwrap();
            let classes = ClassId::all(analysis.logits.len());
            let pixels: usize = classes.take(runs).map(|class| show(&analysis, class)).sum();
            assert!(pixels > 100_000);
        }
        other => panic!("{other} is not counted"),
    }
}

fn cat() -> Photo {
    Photo::open("assets/samples/cat.png".as_ref()).unwrap()
}

fn built_in() -> Engine {
    Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap()
}

/// Both maps of a class as pixels for the screen; how many there are.
fn show(analysis: &Analysis, class: ClassId) -> usize {
    let layer_gradients = analysis.layer_gradients(class);
    let cells = (analysis.features.width, analysis.features.height);
    let size = overlay::screen_grid(&analysis.placement, cells);
    let table = Colormap::Turbo.table();
    let pixels = Method::DEFAULT.map(|method| {
        let map = cam::explain(method, &layer_gradients);
        let heat = Heatmap::new(&map, Scaling::Max, &analysis.placement, size);
        heat.map_or(0, |heat| overlay::colors(&heat, &table).len())
    });
    pixels.iter().sum()
}

/// One layer of each kind that a ResNet-18 has at 224×224 (its weights are not ours to keep
/// here).
fn resnet_layers(runs: usize) {
    let cpu = Cpu::new(Isa::chosen());
    let layers = [
        (224, 3, 64, 7, 2, None),
        (56, 64, 64, 3, 1, Some(Size::F4)),
        (56, 64, 128, 3, 2, None),
        (56, 64, 128, 1, 2, None),
        (14, 256, 256, 3, 1, Some(Size::F2)),
        (7, 512, 512, 3, 1, None),
    ];
    for (side, cin, cout, kernel, stride, size) in layers {
        let image = Image::from_values(&cpu, &vec![0.5; side * side * cin], (side, side));
        let weight = vec![0.25; cout * cin * kernel * kernel];
        let panels = Panels::of_kernel(&weight, &vec![1.0; cout], cin, kernel * kernel);
        let winograd = size.map(|size| Winograd::new(size, &panels).unwrap());
        let output = (side + 2 * (kernel / 2) - kernel) / stride + 1;
        let window = ConvGeometry {
            input: (side, side),
            output: (output, output),
            kernel,
            stride,
            before: (kernel / 2, kernel / 2),
        };
        let bias = vec![0.0; cout];
        let finish = Epilogue {
            bias: &bias,
            residual: None,
            activation: Activation::Relu,
        };
        for _ in 0..runs {
            let out = match &winograd {
                Some(winograd) => winograd.convolve(&cpu, &image, window, finish),
                None if kernel == 7 => dense_and_pool(&cpu, &image, &panels, window, finish),
                None => dense(&cpu, &image, &panels, window, finish),
            };
            assert!(out.values()[0] > 0.0);
        }
    }
}
