use std::cell::Cell;

use super::*;

/// An engine on the CPU that takes it for a GPU.
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
        // And it goes on working.
        let cat = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
        assert!(engine.analyse(&cat, Framing::Whole).is_ok());
    }
}
