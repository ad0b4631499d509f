//! Catching panics: as error messages, and logged quietly where they are expected.

use std::any::Any;
use std::cell::Cell;
use std::panic;
use std::panic::AssertUnwindSafe;

use crate::text::printable;

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// Runs third-party code on data of unknown origin, and returns a panic as an error. Data that the
/// work changed before the panic must not be used again.
///
/// # Errors
/// The message of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = EXPECTED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    EXPECTED.set(before);
    // The panic messages of decoders quote the file.
    result.map_err(|panic| printable::quotation(message(panic.as_ref())))
}

/// Makes the panics that [`caught`] catches go to the log (`RUST_LOG=warn`) instead of stderr.
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

/// A panic as a message for the user. The standard library has printed its location to stderr.
#[must_use]
pub fn mistake(panic: &(dyn Any + Send)) -> String {
    let cause = printable::quotation(message(panic));
    log::error!("caught: {cause}");
    format!(
        "Internal error: {cause}. Try again, or try another photo, and please report this error."
    )
}

/// The message of a panic.
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
