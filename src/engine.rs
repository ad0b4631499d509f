//! The engine: a loaded model on a device, from photos to plain [`Analysis`] data.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::analysis::{Analysis, FeatureMaps, Timings, rank, softmax};
use crate::framing::{Framing, Input};
use crate::model::device::{self, DeviceChoice};
use crate::model::layers::Backend;
use crate::model::weights::{Checkpoint, WeightsError};
use crate::model::{Architecture, Model, ModelChoice, ModelError, ModelInfo, catalog};
use crate::photo::Photo;

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// ResNet-18 was asked for and is not there.
    #[error("{}", catalog::how_to_get_resnet18())]
    NoResNet18,
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network failed while running, on the CPU too.
    #[error("The network could not run: {0}. Choose another photo or model.")]
    Run(String),
}

impl From<WeightsError> for EngineError {
    fn from(error: WeightsError) -> Self {
        Self::Model(error.into())
    }
}

/// A loaded model on a device.
pub struct Engine {
    model: Model,
    choice: ModelChoice,
    device: DeviceChoice,
    notices: Vec<String>,
}

impl Engine {
    /// Loads a model onto a device. What falls back (a device to the CPU, ResNet-18
    /// chosen by itself to the built-in model) says so in [`Engine::notices`].
    ///
    /// # Errors
    /// [`EngineError`] if a model that was asked for can't be used.
    pub fn open(choice: &ModelChoice, device: DeviceChoice) -> Result<Self, EngineError> {
        let mut notices = Vec::new();
        let (backend, used) = match device::open(device) {
            Ok((device, used)) => (Backend::for_device(&device), used),
            Err(error) => {
                notices.push(format!("{error} Running on the CPU instead."));
                (Backend::Fused, DeviceChoice::Cpu)
            }
        };
        let (model, used) = match load(choice, backend, &mut notices) {
            Err(EngineError::Model(ModelError::Device(error))) if used != DeviceChoice::Cpu => {
                let reason = device::first_line(&error);
                notices.push(format!(
                    "{used} failed ({reason}). Running on the CPU instead."
                ));
                (
                    load(choice, Backend::Fused, &mut notices)?,
                    DeviceChoice::Cpu,
                )
            }
            loaded => (loaded?, used),
        };
        Ok(Self {
            model,
            choice: choice.clone(),
            device: used,
            notices,
        })
    }

    /// The model that runs.
    #[must_use]
    pub fn model(&self) -> &Arc<ModelInfo> {
        &self.model.info
    }

    /// The device that it runs on.
    #[must_use]
    pub fn device(&self) -> DeviceChoice {
        self.device
    }

    /// What fell back, in words for the screen; empty if nothing did.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Frames a photo and runs the network on it, once. A device that fails is
    /// replaced by the CPU, with a notice.
    ///
    /// # Errors
    /// [`EngineError::Run`] if the CPU fails too.
    pub fn analyse(&mut self, photo: &Photo, framing: Framing) -> Result<Analysis, EngineError> {
        let started = Instant::now();
        let input = framing.frame(photo);
        let framed = started.elapsed();
        self.run(&input, framing).map(|mut analysis| {
            analysis.timings.frame = framed;
            analysis
        })
    }

    /// Runs the network on pixels that are framed already.
    ///
    /// # Errors
    /// As [`Engine::analyse`].
    pub fn run(&mut self, input: &Input, framing: Framing) -> Result<Analysis, EngineError> {
        let started = Instant::now();
        let features = self.features(input)?;
        let logits = self.model.head.logits(&features);
        if !logits.iter().all(|logit| logit.is_finite()) {
            let cause = "its answer is not a number";
            return Err(EngineError::Run(cause.into()));
        }
        let forward = started.elapsed();
        Ok(Analysis {
            model: self.model.info.clone(),
            device: self.device.to_string(),
            framing,
            placement: input.placement,
            features,
            head: self.model.head.clone(),
            probabilities: softmax(&logits),
            ranking: rank(&logits),
            logits,
            timings: Timings {
                forward,
                ..Timings::default()
            },
        })
    }

    fn features(&mut self, input: &Input) -> Result<FeatureMaps, EngineError> {
        let failed = |error: candle_core::Error| EngineError::Run(device::first_line(&error));
        match self.model.features(input) {
            Err(error) if self.device != DeviceChoice::Cpu => {
                let reason = device::first_line(&error);
                let used = self.device;
                let mut notices = vec![format!(
                    "{used} failed ({reason}). Running on the CPU instead."
                )];
                self.model = load(&self.choice, Backend::Fused, &mut notices)?;
                self.device = DeviceChoice::Cpu;
                self.notices = notices;
                self.model.features(input).map_err(failed)
            }
            result => result.map_err(failed),
        }
    }
}

fn load(
    choice: &ModelChoice,
    backend: Backend,
    notices: &mut Vec<String>,
) -> Result<Model, EngineError> {
    match choice {
        ModelChoice::BuiltIn => Ok(Model::built_in(backend)?),
        ModelChoice::File(path) => load_file(path, backend),
        ModelChoice::ResNet18 => {
            let path = catalog::find_resnet18().ok_or(EngineError::NoResNet18)?;
            load_file(&path, backend)
        }
        ModelChoice::Auto => {
            let Some(path) = catalog::find_resnet18() else {
                return Ok(Model::built_in(backend)?);
            };
            match load_file(&path, backend.clone()) {
                Err(EngineError::Model(ModelError::Weights(error))) => {
                    let name = Architecture::EfficientNetLite0.name();
                    notices.push(format!("{error} Running the built-in {name} instead."));
                    Ok(Model::built_in(backend)?)
                }
                loaded => loaded,
            }
        }
    }
}

fn load_file(path: &Path, backend: Backend) -> Result<Model, EngineError> {
    let checkpoint = Checkpoint::open(path)?;
    Ok(Model::load(
        checkpoint,
        path.display().to_string(),
        backend,
    )?)
}
