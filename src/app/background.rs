//! Work that runs beside the window: dialogs, exports, thumbnails, correlations.

pub(in crate::app) mod class_correlations;
pub(in crate::app) mod downloads;
pub(in crate::app) mod tasks;
pub(in crate::app) mod thumbnails;
