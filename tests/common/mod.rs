//! Code shared by several test programs.

// Each of them uses only a part of it.
#![allow(dead_code)]

pub mod needs;
pub mod resnet;
