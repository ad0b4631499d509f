//! Every change that the user can make to the window is an [`Action`].
//!
//! Keys and panels push actions into one queue. It is drained at one place, at the end of each
//! frame, in the order in which the actions were pushed: [`State::apply`] makes the change, and
//! gives back the [`Command`] that follows from it, if one does. So the state stays as it is
//! while a frame is drawn, and a window can be replayed from its actions.
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
use crate::input::photo::Limits;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::target_layer::LayerChoice;
use crate::render::colormap::Colormap;
use crate::render::display_options::Display;
use crate::render::heatmap::{Interpolation, Range, Scaling};
use crate::render::overlay::Opacity;

/// A change that the user makes. Photos are named by the number they were opened under.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Show a photo of the browser.
    ShowPhoto(u64),
    /// Show the photo this many places further on in the browser.
    StepPhoto(isize),
    /// Sort the photos of the browser.
    SortPhotos(PhotoOrder),
    /// Show only photos of one predicted class in the browser; none for all.
    FilterPhotos(Option<ClassId>),
    /// Stop classifying photos.
    StopPredictions,
    /// Classify the rest of the photos.
    ResumePredictions,
    /// Set how large photos may be.
    SetLimits(Limits),

    /// Run a model, with its own class names and preprocessing.
    UseModel(ModelChoice),
    /// Name the classes by a file, or by the model's default names without one.
    UseLabels(Option<PathBuf>),
    /// Choose the device.
    SetDevice(DeviceChoice),
    /// Choose how photos become input.
    SetFraming(Framing),
    /// Choose what is done to pixels before the network sees them.
    SetPreprocess(PreprocessChoice),
    /// Choose the target layer for all maps.
    SetLayer(LayerChoice),
    /// Choose the layer this many places after the present one.
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
    /// Choose the target layer of a map pane; none for the one chosen for all.
    SetPaneLayer(Side, Option<LayerChoice>),
    /// Pin a class to a map pane, or none.
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
    /// Keep the explained class for the next photos, or no longer.
    KeepClass(bool),
    /// Compare the maps with those of another class, or of none.
    SetContrastClass(Option<ClassId>),
    /// Sort the class table.
    SetOrder(ClassOrder),
    /// Search the class table.
    SetSearch(String),

    /// Set the share of the heat's color in the picture.
    SetOpacity(Opacity),
    /// Choose the colors of maps of positive evidence.
    SetColormap(Colormap),
    /// Choose the colors of signed maps.
    SetDivergingColormap(Colormap),
    /// Choose how cells become 0..1.
    SetScaling(Scaling),
    /// Choose what is drawn between the cells' centers.
    SetInterpolation(Interpolation),
    /// Hide heat below this percentage of the range.
    SetThreshold(u8),
    /// Draw contours, or not.
    ShowContours(bool),
    /// Draw the borders of the cells, or not.
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
        /// Its place in the list.
        index: usize,
        /// What it is from now on.
        region: Region,
    },
    /// Remove a region of a photo.
    RemoveRegion {
        /// The photo.
        photo: u64,
        /// Its place in the list.
        index: usize,
    },

    /// Open or close a window within the window.
    ShowDialog(Dialog, bool),
    /// Remove the message at the bottom of the window.
    Dismiss,
    /// Do something that reaches outside the state.
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

    /// Adds some actions.
    pub fn extend(&mut self, actions: impl IntoIterator<Item = impl Into<Action>>) {
        self.0.extend(actions.into_iter().map(Into::into));
    }

    /// Adds an action that sets a value, if the value differs from the present one.
    pub fn set<T: PartialEq>(&mut self, now: &T, wanted: T, action: impl FnOnce(T) -> Action) {
        if wanted != *now {
            self.push(action(wanted));
        }
    }

    /// Whether there are no answers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of them, in their order.
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
