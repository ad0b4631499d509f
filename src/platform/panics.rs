//! Panics that are caught: in words, and without noise where they are expected.

use std::any::Any;
use std::cell::Cell;
use std::panic;
use std::panic::AssertUnwindSafe;

use crate::text::printable;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs other people's code on data of unknown origin: a panic in it is an error like any
/// other. What the work has changed until then must not be used again.
///
/// # Errors
/// What the panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = EXPECTED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    // Decoders quote the file in what they say.
    result.map_err(|panic| printable::quotation(message(panic.as_ref())))
}

/// Has the panics that [`caught`] catches logged (`RUST_LOG=warn`) instead of printed.
pub fn log_expected_ones() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if EXPECTED.get() {
            log::warn!("caught: {}", printable::message(&info.to_string()));
        } else {
            print(info);
        }
    }));
}

/// A panic in words for the user. Where it was, the standard library has told stderr.
#[must_use]
pub fn mistake(panic: &(dyn Any + Send)) -> String {
    let cause = printable::quotation(message(panic));
    log::error!("caught: {cause}");
    format!("camlens made a mistake ({cause}). Try again, or another photo; please report it.")
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no reason given"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_said_is_the_error() {
        assert_eq!(caught(|| 42), Ok(42));
        let number = 7;
        let said = caught(|| -> u8 { panic!("no {number}") });
        assert_eq!(said, Err("no 7".into()));
        assert_eq!(caught(|| -> u8 { panic!("plain") }), Err("plain".into()));
        assert!(!EXPECTED.get());
    }
}
