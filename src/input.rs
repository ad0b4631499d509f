//! Photos, how they are cut to the network's input, and resizing.

pub mod framing;
pub mod photo;
pub(crate) mod resample;
