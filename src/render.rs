//! From a map to pixels: heat, colors, contours, overlays, and the words of the legend.

pub mod colormap;
pub mod contour;
pub mod display_options;
pub mod heatmap;
pub mod legend;
pub mod overlay;
pub mod rendered_map;
