//! Compares the estimated memory of networks with their actual memory (Linux only).

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use camlens::explain::engine::Engine;
use camlens::input::framing::{Framing, InputSize};
use camlens::input::photo::Photo;
use camlens::model::cpu::Precision;
use camlens::model::device::DeviceChoice;
use camlens::model::preprocessing::PreprocessChoice;
use camlens::model::target_layer::LayerId;
use camlens::model::{Architecture, ModelChoice, needs};
use common::needs::Need;
use common::resnet;

/// A line of this process's status, in bytes.
fn status(key: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The peak of resident memory while `work` runs, minus what was resident before.
fn taken<T>(work: impl FnOnce() -> T) -> (T, u64) {
    // Reset the peak to what is resident now (proc(5)).
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status("VmRSS:").unwrap();
    let made = work();
    (made, status("VmHWM:").unwrap().saturating_sub(before))
}

#[test]
#[ignore = "needs Linux's /proc/self/clear_refs"]
fn estimates_are_above_what_is_taken_and_not_far() {
    let can_reset = fs::write("/proc/self/clear_refs", "5").is_ok();
    if !Need::ClearRefs.is_met(can_reset, "a /proc/self/clear_refs that can be written") {
        return;
    }
    camlens::platform::allocator::return_large_blocks();
    let folder = tempfile::tempdir().unwrap();
    let photo = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    for (name, network) in [
        ("lite0", None),
        ("resnet18", Some((resnet::RESNET18, false))),
        ("resnet50", Some(([3, 4, 6, 3], true))),
    ] {
        let choice = match network {
            None => ModelChoice::BuiltIn,
            Some((blocks, bottleneck)) => {
                let path = folder.path().join(name).with_extension("safetensors");
                fs::write(&path, resnet::file(blocks, bottleneck)).unwrap();
                ModelChoice::File(path)
            }
        };
        let open = || Engine::open(&choice, DeviceChoice::Cpu).unwrap();
        let (engine, loading) = taken(open);
        let named = |it: &Architecture| it.name() == engine.model().architecture;
        let architecture = Architecture::ALL.into_iter().find(named).unwrap();
        drop(engine);
        check(
            &format!("loading {name}"),
            needs::to_load(architecture),
            loading,
        );
        for precision in [Precision::Single, Precision::Double] {
            for side in [224, 448] {
                // A separate engine, because buffers of an earlier run would count as this one's.
                let mut engine = open();
                let mut own = engine.model().preprocessing;
                own.size = InputSize::of_side(side).unwrap();
                engine.preprocess(PreprocessChoice::Custom(own));
                engine.run_in(precision);
                let ((), running) = taken(|| {
                    let analysis = engine.analyze(&photo, Framing::Crop).unwrap();
                    if precision == Precision::Double {
                        let layers: Vec<LayerId> = analysis.model.layer_ids().collect();
                        engine.layer_gradients(analysis.top(), &layers).unwrap();
                    }
                });
                let estimate = needs::to_run(architecture, (side, side), precision);
                check(
                    &format!("{name} at {side}, {precision:?}"),
                    estimate,
                    running,
                );
            }
        }
    }
}

/// An estimate must not be below the actual memory, and not above three times that plus what every
/// process needs.
fn check(what: &str, estimate: u64, taken: u64) {
    let beside = 40_000_000;
    println!(
        "{what}: {} of {} MB",
        taken / 1_000_000,
        estimate / 1_000_000
    );
    assert!(
        taken <= estimate,
        "{what}: {taken} bytes, estimated {estimate}"
    );
    assert!(
        estimate <= 3 * taken + beside,
        "{what}: {taken} bytes, estimated {estimate}"
    );
}
