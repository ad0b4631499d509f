//! Detects slowdowns without a clock: counts the instructions of the forward pass and of a class
//! change with valgrind (with AVX2, because valgrind does not support AVX-512).
//!
//! The counts are in `tests/instructions.txt`; more than 5 % above them is a failure. They
//! belong to a compiler and to the test profile: with another compiler write them again with
//! `CAMLENS_COUNT=write cargo test --test instructions -- --ignored`.

#![allow(clippy::unwrap_used)]

mod common;

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
use common::needs::Need;

/// The file with the expected counts.
const COUNTS: &str = "tests/instructions.txt";
/// A larger increase than this share is a failure.
const TOLERANCE: f64 = 0.05;
/// Set in the process under valgrind: what to run and how often.
const WORK: &str = "CAMLENS_WORK";
/// All cases, and the number of runs from which each count is computed.
const CASES: [(&str, u64); 3] = [
    ("efficientnet-lite0 forward", 1),
    ("resnet-18 layers", 1),
    ("class change", 5),
];

#[test]
#[ignore = "needs valgrind, and the compiler of tests/instructions.txt"]
fn instructions_stay_as_few_as_they_are() {
    // This program runs itself under valgrind.
    if let Ok(work) = env::var(WORK) {
        do_work(&work);
        return;
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    let counts =
        cfg!(target_arch = "x86_64") && valgrind.is_ok_and(|output| output.status.success());
    if !Need::Valgrind.is_met(counts, "valgrind, on x86-64") {
        return;
    }
    let writes = env::var("CAMLENS_COUNT").is_ok_and(|wish| wish == "write");
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler.map(|output| String::from_utf8(output.stdout).unwrap());
    let compiler = compiler.unwrap_or_default().trim().to_owned();
    let written = fs::read_to_string(COUNTS).unwrap();
    let mut lines = written.lines();
    let written_by = lines.next().unwrap();
    let same = writes || written_by == compiler;
    if !Need::Compiler.is_met(same, &format!("{written_by} (this is {compiler})")) {
        return;
    }
    let counts: BTreeMap<&str, u64> = thread::scope(|scope| {
        let started = CASES.map(|(case, runs)| {
            // The work before the first run is in both counts and cancels.
            let [more, less] = [runs + 1, 1].map(|n| scope.spawn(move || count(case, n)));
            (case, runs, more, less)
        });
        let difference = |(case, runs, more, less): (_, u64, Counting, Counting)| {
            (case, (more.join().unwrap() - less.join().unwrap()) / runs)
        };
        started.map(difference).into_iter().collect()
    });
    if writes {
        let mut lines = vec![compiler];
        lines.extend(
            counts
                .iter()
                .map(|(case, count)| format!("{case}: {count}")),
        );
        fs::write(COUNTS, lines.join("\n") + "\n").unwrap();
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

/// Number of instructions of this program when it runs a case `runs` times.
fn count(case: &str, runs: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "instructions_stay_as_few_as_they_are"])
        .args(["--ignored", "--test-threads=1"])
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

/// The code that runs under valgrind.
fn do_work(work: &str) {
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

/// Both maps of a class as pixels for the screen; returns the number of pixels.
fn show(analysis: &Analysis, class: ClassId) -> usize {
    let layer_gradients = analysis.layer_gradients(class).unwrap();
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

/// One layer of each kind in a ResNet-18 at 224×224 (we may not distribute its weights here).
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
        let window = ConvGeometry::square(
            (side, side),
            (output, output),
            kernel,
            stride,
            (kernel / 2, kernel / 2),
        );
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
