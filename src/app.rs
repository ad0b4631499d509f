//! The window. `state` is plain data without egui, and is changed only by actions. The other
//! modules draw it and access the system; they need the `gui` feature.

// Also built without the window, so that the compiler keeps egui out of it.
#[cfg_attr(not(feature = "gui"), allow(dead_code))]
pub mod state;

#[cfg(feature = "gui")]
mod background;
#[cfg(feature = "gui")]
mod display_server;
#[cfg(feature = "gui")]
mod elide;
#[cfg(feature = "gui")]
mod events;
#[cfg(feature = "gui")]
mod exporting;
#[cfg(feature = "gui")]
mod input;
#[cfg(feature = "gui")]
mod layout;
#[cfg(feature = "gui")]
mod native;
#[cfg(feature = "gui")]
mod painting;
#[cfg(feature = "gui")]
mod pane;
#[cfg(feature = "gui")]
mod panels;
#[cfg(feature = "gui")]
mod persistence;
#[cfg(feature = "gui")]
mod textures;
#[cfg(feature = "gui")]
mod widgets;
#[cfg(feature = "gui")]
mod window;

pub use crate::app::state::action::Action;
pub use crate::app::state::action_log::ActionLog;
pub use crate::app::state::batch::Batch;
pub use crate::app::state::command::{Command, Theme};
pub use crate::app::state::dialogs::{Dialog, Dialogs};
pub use crate::app::state::map_spec::MapSpec;
pub use crate::app::state::photo_item::{PhotoItem, PhotoOrder, Thumbnail};
pub use crate::app::state::region_list::{Regions, Tool};
pub use crate::app::state::settings::{ClassOrder, PaneSettings, Settings, Side, View};
pub use crate::app::state::{Arrangement, ClassChoice, Latest, State};

#[cfg(feature = "gui")]
pub use crate::app::background::tasks::{Picker, Picking};
#[cfg(feature = "gui")]
pub use crate::app::display_server::Server;
#[cfg(feature = "gui")]
pub use crate::app::native::open_window;
#[cfg(feature = "gui")]
pub use crate::app::window::{App, Launch};
