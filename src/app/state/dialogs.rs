//! The windows within the window, and which of them are open.

use serde::{Deserialize, Serialize};

/// A window within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialog {
    /// The list of keys.
    Keys,
    /// The catalog of weights that can be downloaded.
    Weights,
    /// The network's input.
    Input,
}

/// Which windows are open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dialogs {
    /// [`Dialog::Keys`].
    pub keys: bool,
    /// [`Dialog::Weights`].
    pub weights: bool,
    /// [`Dialog::Input`].
    pub input: bool,
}

impl Dialogs {
    /// Opens or closes a window.
    pub fn set(&mut self, dialog: Dialog, open: bool) {
        match dialog {
            Dialog::Keys => self.keys = open,
            Dialog::Weights => self.weights = open,
            Dialog::Input => self.input = open,
        }
    }
}
