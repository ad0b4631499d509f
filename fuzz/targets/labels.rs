#![no_main]

#[path = "../../tests/hostile/inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(
    // Its own hook ends the program at a panic that is caught, too. One that is not still
    // ends it: libfuzzer-sys catches it last.
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| inputs::labels(bytes)
);
