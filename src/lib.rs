//! camlens shows *why* an image classifier answered as it did.
//!
//! Data flows one way, and each stage is a type that the next one takes:
//! `file → Photo → Framing + Input → (network) → Analysis → Map → Heatmap →
//! pixels`. The network runs once for each photo; classes, methods, scaling,
//! colors and opacity only need what an [`Analysis`](analysis::Analysis) holds.
//!
//! ```
//! use camlens::{cam, colormap::Colormap, engine::Engine, framing::Framing};
//! use camlens::{heatmap::{Heatmap, Scaling}, overlay, photo::Photo};
//!
//! let photo = Photo::open("assets/samples/cat.png".as_ref())?;
//! let mut engine = Engine::open(&Default::default(), Default::default())?;
//! let analysis = engine.analyze(&photo, Framing::Whole)?;
//! let class = analysis.top();
//! let layer = analysis.model.default_layer;
//! let map = cam::explain(cam::Method::GradCam, &engine.evidence(class, &[layer])?[0]);
//! let size = (photo.width, photo.height);
//! let heat = Heatmap::new(&map, Scaling::Max, &analysis.placement, size);
//! let picture = overlay::blend(&photo, &analysis.placement, heat.as_ref(), Colormap::Turbo, Default::default());
//! assert!(analysis.model.labels.name(class).ends_with("cat"));
//! assert_ne!(picture.rgb, photo.rgb);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod explain;
pub mod input;
pub mod labels;
pub mod platform;
pub mod render;
pub mod report;
pub mod text;

pub mod model;

pub mod cli;

pub mod worker;

pub mod app;
