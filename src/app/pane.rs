//! The panes: the photo and the maps, their headers, notes, color bars and tools.

pub(in crate::app) mod camera;
pub(in crate::app) mod color_bar;
pub(in crate::app) mod header;
pub(in crate::app) mod map_pane;
pub(in crate::app) mod notes;
pub(in crate::app) mod pane_view;
pub(in crate::app) mod panes;
pub(in crate::app) mod probe;
pub(in crate::app) mod region_tool;
