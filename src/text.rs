//! Prepares text from files and users for display.

pub(crate) mod elide;
pub mod printable;
