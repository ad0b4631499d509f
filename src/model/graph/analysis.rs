//! What a graph tells about itself: where its logits are, which values are images, where maps can
//! be taken, and what follows the target layer.

mod cuts;
mod head;
mod layers;
mod logits;
mod normalization;
mod roles;

pub use crate::model::graph::analysis::cuts::Relevant;
pub use crate::model::graph::analysis::head::{HeadKind, head};
pub use crate::model::graph::analysis::layers::{Layer, Layers, layers};
pub use crate::model::graph::analysis::logits::{Logits, Scale, logits};
pub use crate::model::graph::analysis::normalization::{InputRange, input_range};
pub use crate::model::graph::analysis::roles::{Roles, Space, SpaceAxes, roles};
