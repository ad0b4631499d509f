//! Opens the network of a state dict by the builders of [`state_dict`](crate::model::state_dict).

mod source;

use std::path::Path;

use crate::input::framing::InputSize;
use crate::input::resample::Resampling;
use crate::model::cpu::Isa;
use crate::model::declared::Declared;
use crate::model::file_selection::Selection;
use crate::model::layers::Backend;
use crate::model::open::family::source::Built;
use crate::model::open::parts::Parts;
use crate::model::open::{Model, ModelError};
use crate::model::preprocessing::{Config, Preprocessing, PreprocessingSource};
use crate::model::scores::Scores;
use crate::model::weights::{Checkpoint, WeightsError};

/// Whether a file that can't be opened as one of the networks with their own code may be one of a
/// family: what it holds is unknown or has other tensors, and nothing declares it as something else.
pub fn may_be_of_a_family(error: &ModelError) -> bool {
    match error {
        ModelError::Weights(WeightsError::Architecture { .. }) => true,
        // Gray input, or a first convolution for small photos.
        ModelError::Weights(WeightsError::Tensors { problems, .. }) => problems
            .iter()
            .any(|problem| problem.contains("conv1.weight has shape")),
        // A sigmoid head.
        ModelError::Weights(WeightsError::Structure { what, .. }) => {
            what.contains("a sigmoid head")
        }
        _ => false,
    }
}

impl Model {
    /// Builds the network of a state dict of one of the families. `error` is why it is none of the
    /// networks with their own code.
    pub(super) fn build_of_family(
        mut checkpoint: Checkpoint,
        selection: &Selection,
        path: &Path,
        labels: Option<&Path>,
        backend: &Backend,
        error: ModelError,
    ) -> Result<Self, ModelError> {
        let config = Config::beside(path);
        let written = Declared::written(checkpoint.written());
        let stem = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let names = [
            config.declared.name(),
            written.name(),
            stem.unwrap_or_default(),
        ];
        let declared = names.into_iter().find(|name| !name.is_empty());
        let declared = declared.unwrap_or_default();
        if let Some(key) = &selection.key {
            checkpoint.take(key)?;
        }
        let level = match backend {
            Backend::Fused(cpu) => cpu.level,
            Backend::Candle(_) => Isa::chosen(),
        };
        let built = source::build(&mut checkpoint, selection, &declared, level);
        let built = match (built, error) {
            (Some(Ok(built)), _) => built,
            // The file may be a damaged one of a network with its own code.
            (Some(Err(what)), ModelError::Weights(WeightsError::Architecture { .. })) => {
                return Err(checkpoint.refused(what).into());
            }
            (_, error) => return Err(error),
        };
        let Built { network, described } = built;
        let notices = checkpoint.notices().to_vec();
        let names = checkpoint.labels().map(<[String]>::to_vec);
        let finished = checkpoint.finish(&described.name, [""])?;
        let usual = described.input;
        let preprocessing = Preprocessing {
            mean: usual.mean,
            std: usual.std,
            size: InputSize {
                width: usual.crop,
                height: usual.crop,
                short: usual.short,
                rounds_down: false,
            },
            resampling: if usual.bicubic {
                Resampling::Bicubic
            } else {
                Resampling::Bilinear
            },
            ..Preprocessing::default()
        };
        let assumed = described.assumed.join(" ");
        Self::of_parts(Parts {
            network,
            usual: (
                preprocessing,
                PreprocessingSource::guess(format!("usual for {}", described.name)),
            ),
            from_file: None,
            scores: (Scores::Softmax, None),
            outputs: Vec::new(),
            architecture: described.name,
            path,
            sha256: finished.sha256,
            config,
            names: names.map(|names| (names, "saved with the weights")),
            assumed: Some(assumed).filter(|text| !text.is_empty()),
            notices,
            selection: selection.clone(),
            on_gpu: matches!(backend, Backend::Candle(_)),
            labels,
        })
    }
}
