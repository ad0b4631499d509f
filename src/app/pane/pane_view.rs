//! The view of the panes: zoom, the shape being drawn, what is under the pointer. No map and no
//! number depends on it, so it is not part of the state.

use crate::app::pane::camera::Cameras;
use crate::app::pane::probe::PointerProbe;
use crate::app::pane::region_tool::Drawing;
use crate::app::state::settings::Side;

/// What is copied to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The photo as it is.
    Photo,
    /// A map pane.
    Map(Side),
}

/// The view of the panes.
pub struct PaneView {
    /// What part of the photo each pane shows.
    pub cameras: Cameras,
    /// The shape that is being drawn.
    pub drawing: Option<Drawing>,
    /// What is under the pointer.
    pub probe: PointerProbe,
    /// What Ctrl+C copies: the pane under the pointer, otherwise the first map.
    pub copied: Copied,
}

impl Default for PaneView {
    fn default() -> Self {
        Self {
            cameras: Cameras::default(),
            drawing: None,
            probe: PointerProbe::default(),
            copied: Copied::Map(Side::Left),
        }
    }
}
