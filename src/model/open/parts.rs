//! A model from a network that is a graph.

use std::path::Path;
use std::sync::Arc;

use crate::labels::Labels;
use crate::model::file_selection::Selection;
use crate::model::graph::analysis::{Logits, Scale};
use crate::model::graph::network::GraphNetwork;
use crate::model::known_weights;
use crate::model::model_info::{ModelInfo, OutputInfo};
use crate::model::network::Network;
use crate::model::open::{Model, ModelError, OwnLabels};
use crate::model::preprocessing::{Config, Preprocessing};
use crate::model::scores::Scores;

/// What a front end knows about its network.
pub struct Parts<'a> {
    pub network: GraphNetwork,
    /// The name of its network.
    pub architecture: String,
    pub path: &'a Path,
    pub sha256: String,
    /// What lies beside the file.
    pub config: Config,
    /// Class names in the file itself, and where.
    pub names: Option<(Vec<String>, &'static str)>,
    /// The preprocessing, unless a file beside it says so, and how it is known.
    pub preprocessing: Preprocessing,
    pub preprocessing_from: String,
    pub is_guess: bool,
    /// The only input size (height, width), if there is only one.
    pub fixed: Option<(usize, usize)>,
    /// Channels of the input.
    pub channels: usize,
    pub assumed: Option<String>,
    /// The outputs that can be explained, if there are several.
    pub outputs: Vec<OutputInfo>,
    pub notices: Vec<String>,
    pub selection: Selection,
    /// Whether a GPU was asked for.
    pub on_gpu: bool,
    /// A file of class names given by the user.
    pub labels: Option<&'a Path>,
}

impl Model {
    /// Puts a model together.
    pub(super) fn of_parts(parts: Parts) -> Result<Self, ModelError> {
        let Parts {
            network,
            architecture,
            path,
            sha256,
            mut config,
            names,
            preprocessing,
            preprocessing_from,
            mut notices,
            ..
        } = parts;
        notices.splice(0..0, std::mem::take(&mut config.notices));
        if parts.on_gpu {
            notices.push(format!(
                "{architecture} runs on the CPU: on a GPU, camlens runs ResNet-18 to 152 and EfficientNet-Lite0."
            ));
        }
        let (scores, scores_from) = scores(network.logits(), &config);
        let (preprocessing, preprocessing_from) = match config.preprocessing {
            Some(found) => (found, "config.json".to_owned()),
            None => (preprocessing, preprocessing_from),
        };
        let own = |(names, from)| OwnLabels { names, from };
        let beside = config.labels.map(|names| (names, "config.json"));
        let own_labels = names.or(beside).map(own);
        // One logit stands for two classes.
        let classes = network.logits().classes.max(2);
        let mut model = Self {
            info: Arc::new(ModelInfo {
                architecture,
                layers: network.layers().to_vec(),
                default_layer: network.default_layer(),
                head: network.head().cloned(),
                origin: path.display().to_string(),
                accuracy: known_weights::accuracy(&sha256, Some(path)),
                sha256,
                labels: Labels::for_count(classes),
                labels_from: String::new(),
                scores,
                scores_from,
                preprocessing,
                preprocessing_from,
                assumed: parts.assumed,
                network: parts.selection,
                networks: Vec::new(),
                outputs: parts.outputs,
                gradient_check: None,
                notices,
            }),
            network: Box::new(network),
            path: Some(path.to_owned()),
            own_labels,
        };
        model.name_classes(parts.labels)?;
        Ok(model)
    }
}

/// How logits become scores, and how that is known: what follows them in the file, what
/// `config.json` says, otherwise softmax.
fn scores(logits: Logits, config: &Config) -> (Scores, Option<String>) {
    let file = || Some("the file".to_owned());
    match logits.scale {
        _ if logits.classes == 1 => (Scores::OneLogit, None),
        Scale::Softmax => (Scores::Softmax, file()),
        Scale::Sigmoid => (Scores::Sigmoid, file()),
        Scale::Unknown if config.declared.several_labels() => {
            (Scores::Sigmoid, Some("config.json".to_owned()))
        }
        Scale::Unknown => (Scores::Softmax, None),
    }
}
