//! Panics that were caught, in words.

use std::any::Any;

/// For the user. Where it was, the standard library has told stderr.
#[must_use]
pub fn mistake(panic: &(dyn Any + Send)) -> String {
    let cause = message(panic);
    log::error!("caught: {cause}");
    format!("camlens made a mistake ({cause}). Try again, or another photo; please report it.")
}

/// What a panic said.
#[must_use]
pub fn message(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no reason given"
    }
}
