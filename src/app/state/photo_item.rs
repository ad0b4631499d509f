//! The opened photos as the browser lists them.

use serde::{Deserialize, Serialize};

use crate::input::photo::WindowLevel;
use crate::worker::PhotoSource;

/// The state of a thumbnail.
#[derive(Debug)]
pub enum Thumbnail {
    /// Not in view.
    NotWanted,
    /// It is on the graphics card, or the reason why it can't be made.
    Made(Result<(), String>),
}

/// One opened photo.
#[derive(Debug)]
pub struct PhotoItem {
    /// Its ID.
    pub id: u64,
    /// Where it comes from.
    pub source: PhotoSource,
    /// The window that the user chose for it, if it is gray with many levels.
    pub window: Option<WindowLevel>,
    /// Its thumbnail in the browser.
    pub thumbnail: Thumbnail,
}

/// The order of the photos in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PhotoOrder {
    /// In the order in which they were opened.
    #[default]
    Opened,
    /// By name.
    Name,
    /// By descending probability of the top class.
    Confidence,
    /// By ascending probability of the top class, so that the least certain ones come first.
    Doubt,
    /// By descending probability of the chosen class.
    Class,
}

impl PhotoOrder {
    /// All orders, in the order of menus.
    pub const ALL: [Self; 5] = [
        Self::Opened,
        Self::Name,
        Self::Confidence,
        Self::Doubt,
        Self::Class,
    ];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "as opened",
            Self::Name => "by name",
            Self::Confidence => "most confident",
            Self::Doubt => "least confident",
            Self::Class => "by chosen class",
        }
    }
}
