#![no_main]

#[path = "../../tests/hostile/inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(
    // libfuzzer-sys's panic hook aborts even on panics that are caught. Without it, uncaught panics
    // still abort, because libfuzzer-sys catches them at the end.
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| inputs::manifest(bytes)
);
