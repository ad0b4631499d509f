//! Every change that the user can make to the window is an [`Action`].
//!
//! Keys and panels push actions into one queue. It is drained in one place, at the end of each
//! frame, in the order in which the actions were pushed: [`State::apply`] makes the change and
//! returns the resulting [`Command`], if there is one. The state does not change while a frame is
//! drawn, and a session can be replayed from its actions.
//!
//! [`State::apply`]: crate::app::State::apply

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::app::state::map_spec::MapSpec;
use crate::app::state::photo_item::PhotoOrder;
use crate::app::state::region_list::Tool;
use crate::app::state::settings::{ClassOrder, Side, View};
use crate::explain::cam::{Method, Variant};
use crate::explain::region::{Region, Shape};
use crate::input::framing::Framing;
use crate::input::photo::{Limits, WindowLevel};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::target_layer::LayerChoice;
use crate::model::{ModelChoice, Scores};
use crate::render::colormap::Colormap;
use crate::render::display_options::Display;
use crate::render::heatmap::{Interpolation, Range, Scaling};
use crate::render::overlay::Opacity;

/// A change that the user makes. Photos are identified by their IDs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Show a photo of the browser.
    ShowPhoto(u64),
    /// Show the photo this many places further on in the browser.
    StepPhoto(isize),
    /// Sort the photos of the browser.
    SortPhotos(PhotoOrder),
    /// Show only photos of one predicted class in the browser; `None` for all.
    FilterPhotos(Option<ClassId>),
    /// Stop classifying photos.
    StopPredictions,
    /// Classify the rest of the photos.
    ResumePredictions,
    /// Choose the window of a gray photo with many levels; `None` for its own.
    SetWindow {
        /// The photo.
        photo: u64,
        /// The window.
        window: Option<WindowLevel>,
    },
    /// Set how large photos may be.
    SetLimits(Limits),

    /// Run a model, with its own class names and preprocessing.
    UseModel(ModelChoice),
    /// Read class names from a file; `None` for the model's default names.
    UseLabels(Option<PathBuf>),
    /// Choose the device.
    SetDevice(DeviceChoice),
    /// Choose how photos are fitted to the network's input.
    SetFraming(Framing),
    /// Choose how pixels are normalized before they enter the network.
    SetPreprocess(PreprocessChoice),
    /// Choose how logits become scores; `None` for the model's own.
    SetScores(Option<Scores>),
    /// Choose the target layer for all maps.
    SetLayer(LayerChoice),
    /// Choose the layer this many places after the current one.
    StepLayer(isize),
    /// Choose the formula of Grad-CAM++.
    SetVariant(Variant),
    /// Set everything that the tutorial's figures were made with.
    UseTutorialSettings,

    /// Choose which panes are shown.
    SetView(View),
    /// Swap the two map panes.
    SwapPanes,
    /// Choose the method of a map pane.
    SetPaneMethod(Side, Method),
    /// Choose the target layer of a map pane; `None` for the layer of all panes.
    SetPaneLayer(Side, Option<LayerChoice>),
    /// Pin a class to a map pane, or unpin it.
    PinClass(Side, Option<ClassId>),
    /// Lock the range in which a map is drawn for all maps of its unit, or unlock it.
    ToggleRangeLock {
        /// The map.
        map: MapSpec,
        /// How cell values are scaled to 0..1.
        scaling: Scaling,
        /// Its range.
        range: Range,
    },

    /// Explain a class.
    ChooseClass(ClassId),
    /// Move the selection in the class table.
    StepClass(isize),
    /// Explain the most probable class of the photo on screen again.
    ExplainTop,
    /// Explain the most probable class in one pane.
    ExplainTopIn(Side),
    /// Keep the explained class for the next photos, or stop keeping it.
    KeepClass(bool),
    /// Set the contrast class, whose maps are subtracted; `None` for no contrast class.
    SetContrastClass(Option<ClassId>),
    /// Sort the class table.
    SetOrder(ClassOrder),
    /// Search the class table.
    SetSearch(String),

    /// Set the opacity of the overlay.
    SetOpacity(Opacity),
    /// Choose the colors of maps of positive evidence.
    SetColormap(Colormap),
    /// Choose the colors of signed maps.
    SetDivergingColormap(Colormap),
    /// Choose how cell values are scaled to 0..1.
    SetScaling(Scaling),
    /// Choose the interpolation between the centers of the cells.
    SetInterpolation(Interpolation),
    /// Hide heat below this percentage of the range.
    SetThreshold(u8),
    /// Show or hide contours.
    ShowContours(bool),
    /// Show or hide the borders of the cells.
    ShowGrid(bool),
    /// Choose whether photo, heat or both are drawn.
    SetDisplay(Display),

    /// Choose what dragging in a pane does.
    SetTool(Tool),
    /// Add a region to a photo.
    AddRegion {
        /// The photo.
        photo: u64,
        /// What it covers, in photo pixels.
        shape: Shape,
    },
    /// Change a region of a photo.
    SetRegion {
        /// The photo.
        photo: u64,
        /// Its index in the list.
        index: usize,
        /// The new region.
        region: Region,
    },
    /// Remove a region of a photo.
    RemoveRegion {
        /// The photo.
        photo: u64,
        /// Its index in the list.
        index: usize,
    },

    /// Open or close a window within the window.
    ShowDialog(Dialog, bool),
    /// Remove the message at the bottom of the window.
    Dismiss,
    /// Run a command, which has an effect outside the state.
    Run(Command),
}

impl From<Command> for Action {
    fn from(command: Command) -> Self {
        Self::Run(command)
    }
}

/// The queue of actions.
#[derive(Debug, Default)]
pub struct Actions(Vec<Action>);

impl Actions {
    /// Adds an action.
    pub fn push(&mut self, action: impl Into<Action>) {
        self.0.push(action.into());
    }

    /// Adds several actions.
    pub fn extend(&mut self, actions: impl IntoIterator<Item = impl Into<Action>>) {
        self.0.extend(actions.into_iter().map(Into::into));
    }

    /// Adds an action that sets a value, if it differs from the current value.
    pub fn set<T: PartialEq>(&mut self, now: &T, wanted: T, action: impl FnOnce(T) -> Action) {
        if wanted != *now {
            self.push(action(wanted));
        }
    }

    /// Whether the queue is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes and returns all actions, in order.
    #[must_use]
    pub fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::state::samples::SAMPLES;
    use crate::input::photo::Photo;
    use crate::worker::PhotoSource;

    #[test]
    fn actions_can_be_written_and_read() {
        let file = PhotoSource::File("a b.png".into());
        for action in [
            Action::Run(Command::Open(vec![file, SAMPLES[1].clone()])),
            Action::SetOpacity(Opacity::FULL),
            Action::UseModel(ModelChoice::BuiltIn),
            Action::FilterPhotos(ClassId::all(3).last()),
        ] {
            let text = serde_json::to_string(&action).unwrap();
            let read: Action = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{read:?}"), format!("{action:?}"), "{text}");
        }
    }

    #[test]
    fn pixels_from_the_clipboard_are_not_recorded() {
        let photo = Photo::from_rgb("x", 1, 1, vec![0; 3]);
        let pixels = PhotoSource::Pixels(std::sync::Arc::new(photo));
        let action = Action::Run(Command::Open(vec![pixels]));
        assert!(serde_json::to_string(&action).is_err());
    }
}
