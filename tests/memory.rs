//! What the engine says it needs, against what it takes.

// A test that can't go on should stop where it is.
#![allow(clippy::unwrap_used)]

#[path = "common/resnet.rs"]
mod resnet;

use camlens::engine::Engine;
use camlens::framing::{Framing, InputSize};
use camlens::model::ModelChoice;
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::preprocessing::PreprocessChoice;
use camlens::photo::Photo;
use std::fs;

fn status(key: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap();
    line.split_whitespace()
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}

#[test]
fn estimates_are_above_what_is_taken() {
    camlens::allocator::return_large_blocks();
    let folder = tempfile::tempdir().unwrap();
    let photo = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    for (name, blocks, bottleneck) in [
        ("lite0", None, false),
        ("r18", Some([2, 2, 2, 2]), false),
        ("r34", Some([3, 4, 6, 3]), false),
        ("r50", Some([3, 4, 6, 3]), true),
        ("r152", Some([3, 8, 36, 3]), true),
    ] {
        let choice = match blocks {
            None => ModelChoice::BuiltIn,
            Some(blocks) => {
                let path = folder.path().join(name).with_extension("safetensors");
                fs::write(&path, resnet::file(blocks, bottleneck)).unwrap();
                ModelChoice::File(path)
            }
        };
        for side in [224, 448, 896] {
            for precision in [Precision::Single, Precision::Double] {
                for all in [false, true] {
                    let before = status("VmRSS:");
                    fs::write("/proc/self/clear_refs", "5").unwrap();
                    let mut engine = Engine::open(&choice, DeviceChoice::Cpu).unwrap();
                    let loaded = status("VmHWM:") - before;
                    let held = status("VmRSS:") - before;
                    let mut own = engine.model().preprocessing;
                    own.size = InputSize::of_side(side).unwrap();
                    engine.preprocess(PreprocessChoice::Custom(own));
                    engine.run_in(precision);
                    let started = std::time::Instant::now();
                    let analysis = engine.analyse(&photo, Framing::Crop).unwrap();
                    if all {
                        engine
                            .evidence(analysis.top(), analysis.model.architecture.layers())
                            .unwrap();
                    }
                    let peak = status("VmHWM:").saturating_sub(before);
                    println!(
                        "{name} {side} {precision:?} all={all}: loading {:.1}, held {:.1}, peak {:.1} MB, {:.1} s",
                        loaded as f64 / 1e6,
                        held as f64 / 1e6,
                        peak as f64 / 1e6,
                        started.elapsed().as_secs_f64()
                    );
                }
            }
        }
    }
}
