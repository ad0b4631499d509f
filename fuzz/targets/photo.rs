#![no_main]

#[path = "../../tests/hostile/inputs.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inputs::photo(bytes));
