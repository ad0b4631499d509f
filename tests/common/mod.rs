//! What several test programs use.

// Each of them uses a part of it.
#![allow(dead_code)]

pub mod needs;
pub mod resnet;
