//! The user's settings, which are kept for the next start.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::explain::cam::{Method, Variant};
use crate::input::framing::Framing;
use crate::input::photo::Limits;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::target_layer::LayerChoice;
use crate::model::{ModelChoice, Scores};
use crate::render::display_options::DisplayOptions;
use crate::worker::Plan;

/// One of the two map panes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Side {
    /// The left one.
    Left,
    /// The right one.
    Right,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Left, Self::Right];

    /// The name on screen.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Right => "right",
        }
    }

    /// 0 or 1.
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Left => 0,
            Self::Right => 1,
        }
    }
}

/// Maximum number of panes on screen: the photo and both maps.
pub const PANES: usize = 3;

/// Which panes are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum View {
    /// The photo and both maps.
    #[default]
    SideBySide,
    /// One map.
    Single(Side),
}

impl View {
    /// The view after a flip: the other map in the same pane.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Single(Side::Left) => Self::Single(Side::Right),
            _ => Self::Single(Side::Left),
        }
    }

    /// The maps that are shown.
    #[must_use]
    pub fn sides(self) -> &'static [Side] {
        match self {
            Self::SideBySide => &Side::BOTH,
            Self::Single(Side::Left) => &[Side::Left],
            Self::Single(Side::Right) => &[Side::Right],
        }
    }
}

/// The settings of a map pane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneSettings {
    /// Its method.
    pub method: Method,
    /// Its own target layer; `None` to use the layer of all panes.
    pub layer: Option<LayerChoice>,
}

/// The settings that are kept for the next start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The chosen model.
    pub model: ModelChoice,
    /// The file of class names that the user gave.
    pub labels: Option<PathBuf>,
    /// Recently used models, the latest first.
    pub recent: Vec<ModelChoice>,
    /// The chosen device.
    pub device: DeviceChoice,
    /// How photos are fitted to the network's input.
    pub framing: Framing,
    /// How pixels are normalized before they enter the network.
    pub preprocess: PreprocessChoice,
    /// How logits become scores; `None` for the model's own.
    pub scores: Option<Scores>,
    /// The target layer.
    pub layer: LayerChoice,
    /// The formula of Grad-CAM++.
    pub variant: Variant,
    /// The settings of the two map panes.
    pub panes: [PaneSettings; 2],
    /// Which panes are shown.
    pub view: View,
    /// Display options: how maps are drawn.
    #[serde(rename = "look")]
    pub display_options: DisplayOptions,
    /// The order of the class table.
    pub order: ClassOrder,
    /// Limits on the size of photos.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: ModelChoice::default(),
            labels: None,
            recent: Vec::new(),
            device: DeviceChoice::default(),
            framing: Framing::default(),
            preprocess: PreprocessChoice::default(),
            scores: None,
            layer: LayerChoice::default(),
            variant: Variant::default(),
            panes: Method::DEFAULT.map(|method| PaneSettings {
                method,
                layer: None,
            }),
            view: View::default(),
            display_options: DisplayOptions::default(),
            order: ClassOrder::default(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Takes over the model of a plan with its class names, preprocessing, scores and device.
    pub fn adopt_model(&mut self, plan: &Plan) {
        self.model = plan.model.clone();
        self.labels.clone_from(&plan.labels);
        self.preprocess = plan.preprocess;
        self.scores = plan.scores;
        self.device = plan.device;
    }
}

/// The order of the class table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClassOrder {
    /// By logit; `true` for descending order.
    Score(bool),
    /// By name; `true` for ascending order.
    Name(bool),
}

impl Default for ClassOrder {
    fn default() -> Self {
        Self::Score(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_of_older_settings_are_read() {
        for (written, layer) in [
            ("last", "last"),
            ("Last", "last"),
            ("layer1", "layer1"),
            ("Layer1", "layer1"),
            ("Layer3", "layer3"),
            ("last-conv", "last-conv"),
            ("LastConv", "last-conv"),
        ] {
            let text = format!(
                r#"{{"layer": "{written}", "panes": [
                    {{"method": "grad-cam", "layer": "{written}"}},
                    {{"method": "layer-cam", "layer": null}}]}}"#
            );
            let settings: Settings = serde_json::from_str(&text).unwrap();
            assert_eq!(settings.layer, layer.into());
            assert_eq!(settings.panes[0].layer, Some(layer.into()));
            assert_eq!(settings.panes[1].layer, None);
        }
    }
}
