//! Answers as JSON, and exports: overlays, figures, tables, manifests.

pub mod answer;
pub mod export;
