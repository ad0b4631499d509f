//! The panels around the panes, and the windows over them.

pub(in crate::app) mod browser;
pub(in crate::app) mod class_picker;
pub(in crate::app) mod controls;
pub(in crate::app) mod gray_levels;
pub(in crate::app) mod layer_panel;
pub(in crate::app) mod menus;
pub(in crate::app) mod network_input_window;
pub(in crate::app) mod network_menu;
pub(in crate::app) mod output_menu;
pub(in crate::app) mod preprocessing_panel;
pub(in crate::app) mod region_panel;
pub(in crate::app) mod start_screen;
pub(in crate::app) mod status;
pub(in crate::app) mod toolbar;
pub(in crate::app) mod weights_window;
