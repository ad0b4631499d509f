//! A model from a network that is a graph.

use std::path::Path;
use std::sync::Arc;

use crate::labels::Labels;
use crate::model::file_selection::Selection;
use crate::model::gradient_check::GradientCheck;
use crate::model::graph::network::{ACCEPTED, GraphNetwork};
use crate::model::known_weights;
use crate::model::model_info::{ModelInfo, OutputInfo};
use crate::model::network::Network;
use crate::model::open::{Model, ModelError, OwnLabels};
use crate::model::preprocessing::{
    Config, InputNeeds, Preprocessing, PreprocessingSource, SettledPreprocessing,
};
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
    /// What the file itself says about preprocessing, and where.
    pub from_file: Option<(Preprocessing, String)>,
    /// The preprocessing that is taken if nothing says better.
    pub usual: (Preprocessing, PreprocessingSource),
    /// How logits become scores, and how that is known.
    pub scores: (Scores, Option<String>),
    /// All outputs, if there are several.
    pub outputs: Vec<OutputInfo>,
    pub assumed: Option<String>,
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
            mut notices,
            ..
        } = parts;
        notices.splice(0..0, std::mem::take(&mut config.notices));
        if parts.on_gpu {
            notices.push(format!(
                "{architecture} runs on the CPU: on a GPU, camlens runs ResNet-18 to 152 and EfficientNet-Lite0."
            ));
        }
        let needs = InputNeeds {
            channels: network.channels(),
            fixed_size: network.fixed_size(),
        };
        let sidecar = config.preprocessing;
        let settled = SettledPreprocessing::new(sidecar, parts.from_file, parts.usual, needs);
        notices.extend(settled.notices);
        let gradient_check = match network.check_gradient() {
            Ok(relative_error) if relative_error <= ACCEPTED => {
                GradientCheck::Verified { relative_error }
            }
            Ok(relative_error) => GradientCheck::Failed { relative_error },
            Err(error) => {
                return Err(ModelError::Onnx {
                    name: crate::input::photo::display_name(path),
                    what: error.0,
                });
            }
        };
        let (scores, scores_from) = match parts.scores {
            _ if network.logits().classes == 1 => (Scores::OneLogit, None),
            (Scores::Softmax, None) if config.declared.several_labels() => {
                (Scores::Sigmoid, Some("config.json".to_owned()))
            }
            found => found,
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
                preprocessing: settled.preprocessing,
                preprocessing_from: settled.from,
                own_framing: settled.framing,
                needs,
                assumed: parts.assumed,
                network: parts.selection,
                networks: Vec::new(),
                outputs: parts.outputs,
                gradient_check: Some(gradient_check),
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
