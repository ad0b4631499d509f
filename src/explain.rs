//! From a photo to the maps that explain an answer: analysis, engine, CAM methods, regions.

pub mod analysis;
pub mod cam;
pub mod class_correlation;
pub mod engine;
pub mod region;
