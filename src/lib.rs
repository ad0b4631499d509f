//! camlens shows *why* an image classifier answered as it did.
//!
//! Data flows one way, and each stage is a type that the next one takes:
//! `file → Photo → Framing + Input → (network) → Analysis → Map → Heatmap → pixels`.
//! The network runs once for each photo. Classes, methods, scaling, colors and opacity only need
//! what an [`Analysis`](explain::analysis::Analysis) holds.
//!
//! ```
//! use camlens::explain::{cam, engine::Engine};
//! use camlens::input::{framing::Framing, photo::Photo};
//! use camlens::render::{colormap::Colormap, heatmap::{Heatmap, Scaling}, overlay};
//!
//! let photo = Photo::open("assets/samples/cat.png".as_ref())?;
//! let mut engine = Engine::open(&Default::default(), Default::default())?;
//! let analysis = engine.analyze(&photo, Framing::Whole)?;
//! let class = analysis.top();
//! let layer = analysis.model.default_layer;
//! let map = cam::explain(cam::Method::GradCam, &engine.layer_gradients(class, &[layer])?[0]);
//! let size = (photo.width, photo.height);
//! let heat = Heatmap::new(&map, Scaling::Max, &analysis.placement, size);
//! let picture = overlay::blend(&photo, &analysis.placement, heat.as_ref(), Colormap::Turbo, Default::default());
//! assert!(analysis.model.labels.name(class).ends_with("cat"));
//! assert_ne!(picture.rgb, photo.rgb);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The modules shown here are the library. The rest of the crate is the program: its command line,
//! its worker thread, and its window, which needs the `gui` feature (on by default).

// From the bottom up: a module uses only those listed above it.
#[doc(hidden)]
pub mod text;

#[doc(hidden)]
pub mod platform;

pub mod input;

pub mod labels;

pub mod model;

pub mod explain;

pub mod render;

pub mod report;

#[doc(hidden)]
pub mod worker;

#[doc(hidden)]
pub mod cli;

#[doc(hidden)]
pub mod app;
