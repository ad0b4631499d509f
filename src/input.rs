//! Photos, framing (how a photo becomes the network's input), and resizing.

pub mod framing;
pub mod photo;
pub(crate) mod resample;
