use std::cell::Cell;

use super::*;
use crate::model::known_weights::BUILT_IN_WEIGHTS;

/// An engine on the CPU that believes it runs on a GPU.
fn pretending() -> Engine {
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    engine.device = DeviceChoice::Cuda(0);
    engine
}

#[test]
fn a_device_that_dies_is_replaced_by_the_cpu_and_it_is_said() {
    for panics in [false, true] {
        let mut engine = pretending();
        let tries = Cell::new(0);
        let answer = engine.on_device(|_| {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 if panics => panic!("libcuda.so is gone"),
                1 => device::caught(|| panic!("CUDA_ERROR_ILLEGAL_ADDRESS")),
                _ => Ok(42),
            }
        });
        assert_eq!((answer.unwrap(), tries.get()), (42, 2));
        assert_eq!(engine.device(), DeviceChoice::Cpu);
        let said = engine.notices().join(" ");
        let reason = if panics {
            "libcuda.so is gone"
        } else {
            "ILLEGAL_ADDRESS"
        };
        assert!(
            said.contains(reason) && said.contains("Running on the CPU instead."),
            "{said}"
        );
        // It continues to work.
        let cat = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
        assert!(engine.analyze(&cat, Framing::Whole).is_ok());
    }
}

/// The result of a device failure for an engine whose file was `changed` before.
fn after_failure(changed: impl FnOnce(&Path)) -> (Engine, Result<Analysis, EngineError>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("efficientnet.safetensors");
    std::fs::write(&path, BUILT_IN_WEIGHTS).unwrap();
    let mut engine = Engine::open(&ModelChoice::File(path.clone()), DeviceChoice::Cpu).unwrap();
    engine.device = DeviceChoice::Cuda(0);
    changed(&path);
    let fails = Cell::new(true);
    let result = engine.on_device(|_| {
        if fails.take() {
            device::caught(|| panic!("CUDA_ERROR_LAUNCH_FAILED"))
        } else {
            Ok(())
        }
    });
    let cat = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    let analysis = result.and_then(|()| engine.analyze(&cat, Framing::Whole));
    (engine, analysis)
}

#[test]
fn after_a_failure_the_same_weights_run() {
    let (engine, analysis) = after_failure(|_| ());
    assert_eq!(engine.device(), DeviceChoice::Cpu);
    let sha256 = crate::model::weights::hex_sha256(BUILT_IN_WEIGHTS);
    assert_eq!(analysis.unwrap().model.sha256, sha256);
}

#[test]
fn after_a_failure_no_other_weights_run_under_the_old_name() {
    let (engine, analysis) = after_failure(|path| {
        let mut bytes = BUILT_IN_WEIGHTS.to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(path, bytes).unwrap();
    });
    let said = analysis.map(|_| ()).unwrap_err().to_string();
    for words in [
        "CUDA 0 failed",
        "efficientnet.safetensors",
        "has changed on the disk",
        "Open",
    ] {
        assert!(said.contains(words), "{said}");
    }
    // The engine must not use the changed file under the old name.
    assert_eq!(engine.device(), DeviceChoice::Cuda(0));
}

#[test]
fn after_a_failure_a_file_that_is_gone_is_named() {
    let (_, analysis) = after_failure(|path| std::fs::remove_file(path).unwrap());
    let said = analysis.map(|_| ()).unwrap_err().to_string();
    assert!(said.contains("efficientnet.safetensors"), "{said}");
}

#[test]
fn a_choice_is_resolved_once() {
    let built_in = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    assert_eq!(
        exactly(&ModelChoice::Auto, &built_in.model),
        ModelChoice::BuiltIn
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("efficientnet.safetensors");
    std::fs::write(&path, BUILT_IN_WEIGHTS).unwrap();
    let file = ModelChoice::File(path);
    let engine = Engine::open(&file, DeviceChoice::Cpu).unwrap();
    for choice in [
        ModelChoice::Auto,
        ModelChoice::ResNet18,
        ModelChoice::Hub("x".into()),
    ] {
        assert_eq!(exactly(&choice, &engine.model), file);
    }
}

#[test]
fn memory_that_runs_have_taken_is_not_asked_for_again() {
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let huge = (1 << 20, 1 << 20);
    let said = engine.check_memory(huge).unwrap_err().to_string();
    assert!(
        said.contains("1048576×1048576 pixels needs about"),
        "{said}"
    );
    engine.check_memory((224, 224)).unwrap();
    assert!(engine.taken > 0);
    engine.taken = u64::MAX;
    engine.check_memory(huge).unwrap();
}
