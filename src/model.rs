//! Models: a network with its weights, its description, and how it is recognized in a file.
//!
//! Every network implements the trait [`Network`](network::Network). Only this module
//! knows candle.

pub mod activations;
mod architecture;
mod assumed;
mod batch_norm;
mod classifier_head;
pub mod cpu;
mod declared;
pub mod device;
mod efficientnet_lite;
mod families;
mod file_selection;
mod gradient_check;
pub mod graph;
pub mod hub;
pub mod known_weights;
pub mod layers;
mod leftovers;
mod linear;
mod model_choice;
mod model_info;
pub mod needs;
pub mod network;
pub mod onnx;
mod open;
mod outside;
pub mod preprocessing;
mod recognize;
mod resnet;
mod scores;
mod selection;
mod standard;
pub mod state_dict;
pub mod target_layer;
pub mod weights;

pub use crate::model::architecture::Architecture;
pub use crate::model::file_selection::Selection;
pub use crate::model::gradient_check::GradientCheck;
pub use crate::model::model_choice::ModelChoice;
pub use crate::model::model_info::{ModelInfo, OutputInfo};
pub use crate::model::open::{Model, ModelError};
pub use crate::model::scores::Scores;
