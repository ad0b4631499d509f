//! The engine: a loaded model on a device, from photos to plain [`Analysis`] data, and
//! from there to the [`LayerGradients`](crate::model::activations::LayerGradients) at any layer.

mod layer_gradients;
mod loading;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::explain::analysis::{Analysis, Timings, rank};
use crate::explain::engine::loading::{Loading, load};
use crate::input::framing::{Framing, Input};
use crate::input::photo::Photo;
use crate::labels::LabelFileError;
use crate::model::activations::FeatureMaps;
use crate::model::cpu::Precision;
use crate::model::device::DeviceChoice;
use crate::model::layers::Backend;
use crate::model::network::{Network, NetworkError, Tape};
use crate::model::preprocessing::{
    ChannelOrder, PreprocessChoice, Preprocessing, PreprocessingSource,
};
use crate::model::target_layer::LayerId;
use crate::model::weights::{Progress, WeightsError, all_finite};
use crate::model::{Model, ModelChoice, ModelError, ModelInfo, Scores, device, hub, known_weights};
use crate::platform::memory;
use crate::text::printable;

/// Why an analysis failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// ResNet-18 was requested but not found.
    #[error("{}", known_weights::how_to_get_resnet18())]
    NoResNet18,
    /// Weights of the catalog were requested but not found.
    #[error("{}", hub::how_to_get(.0))]
    NotFetched(String),
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network failed while running, also on the CPU.
    #[error("The network could not run: {0}. Choose another photo or model.")]
    Run(String),
    /// Activations or gradients are infinite or NaN.
    #[error(
        "The network produced infinite or NaN values for this photo, so no map can be shown: its weights are damaged, or too large for this input. Choose another model, or other preprocessing."
    )]
    Overflow,
    /// Not enough memory.
    #[error(
        "Not enough memory: running {network} on {width}×{height} pixels needs about {megabytes} MB. Close other programs, or choose a smaller input or network."
    )]
    Memory {
        /// The network.
        network: String,
        /// The width of its input.
        width: usize,
        /// The height of its input.
        height: usize,
        /// The memory needed, in megabytes.
        megabytes: u64,
    },
    /// The network does not take an input of this size.
    #[error(
        "{network} takes only inputs of {width}×{height} pixels. Set that input size, or use the model's own preprocessing."
    )]
    InputSize {
        /// The network.
        network: String,
        /// The width of its input.
        width: usize,
        /// The height of its input.
        height: usize,
    },
    /// The device failed, and the weight file has changed, so the CPU can't continue with the same
    /// weights.
    #[error(
        "{device} failed, and {} has changed on the disk since it was loaded, so the CPU can't continue with the same weights. Open the file again, or another model.",
        printable::quotation(.origin)
    )]
    Changed {
        /// The device that failed.
        device: DeviceChoice,
        /// The weight file.
        origin: String,
    },
    /// The request was cancelled.
    #[error("Cancelled by a newer request.")]
    Unwanted,
    /// A layer was requested before the first run, or the network does not have it.
    #[error("{0}")]
    Layer(String),
}

impl From<WeightsError> for EngineError {
    fn from(error: WeightsError) -> Self {
        Self::Model(error.into())
    }
}

impl From<LabelFileError> for EngineError {
    fn from(error: LabelFileError) -> Self {
        Self::Model(error.into())
    }
}

/// A loaded model on a device.
pub struct Engine {
    model: Model,
    /// The exact file it was loaded from: never a choice that could now select another file. `None`
    /// for a network that the caller provided.
    choice: Option<ModelChoice>,
    device: DeviceChoice,
    preprocess: PreprocessChoice,
    /// `None` for the model's own.
    scores: Option<Scores>,
    fallbacks: Vec<String>,
    precision: Precision,
    /// The largest memory that runs have used, in bytes: buffers of this size already exist.
    taken: u64,
    last: Option<Run>,
}

/// The last run, kept so that earlier layers can be explained.
struct Run {
    input: Input,
    preprocessing: Preprocessing,
    tape: Tape,
    /// Whether the tape is good enough for gradients.
    precision: Precision,
    /// Layers as plain data, added on request.
    features: Vec<(LayerId, Arc<FeatureMaps>)>,
}

impl Engine {
    /// Loads a model onto a device. [`Engine::notices`] reports fallbacks (from a device to the
    /// CPU, or from an automatically chosen ResNet-18 to the built-in model).
    ///
    /// # Errors
    /// [`EngineError`] if a requested model can't be used.
    pub fn open(choice: &ModelChoice, device: DeviceChoice) -> Result<Self, EngineError> {
        Self::open_with(choice, None, device, None)
    }

    /// As [`Engine::open`], with a file of class names given by the user, and a callback for the
    /// progress of reading the weights.
    ///
    /// # Errors
    /// [`EngineError`] if the model or the names can't be used.
    pub fn open_with(
        choice: &ModelChoice,
        labels: Option<&Path>,
        device: DeviceChoice,
        progress: Option<Progress>,
    ) -> Result<Self, EngineError> {
        let mut fallbacks = Vec::new();
        let (backend, used) = match device::open(device) {
            Ok((device, used)) => (Backend::for_device(&device), used),
            Err(error) => {
                fallbacks.push(format!("{error} Running on the CPU instead."));
                (Backend::fused(), DeviceChoice::Cpu)
            }
        };
        let mut loading = Loading {
            labels,
            backend,
            progress,
        };
        let loaded = match used {
            DeviceChoice::Cpu => load(choice, &loading, &mut fallbacks),
            _ => device::caught(|| Ok(load(choice, &loading, &mut fallbacks)))
                .unwrap_or_else(|error| Err(ModelError::Device(error).into())),
        };
        let (model, used) = match loaded {
            Err(EngineError::Model(ModelError::Device(error))) if used != DeviceChoice::Cpu => {
                fallbacks.push(device_failed(used, &error));
                loading.backend = Backend::fused();
                (load(choice, &loading, &mut fallbacks)?, DeviceChoice::Cpu)
            }
            loaded => (loaded?, used),
        };
        Ok(Self {
            choice: Some(exactly(choice, &model)),
            model,
            device: used,
            preprocess: PreprocessChoice::Model,
            scores: None,
            fallbacks,
            precision: Precision::Single,
            taken: 0,
            last: None,
        })
    }

    /// An engine for a model that is already loaded, on the device of its network.
    #[must_use]
    pub fn of_model(model: Model) -> Self {
        Self {
            choice: None,
            model,
            device: DeviceChoice::Cpu,
            preprocess: PreprocessChoice::Model,
            scores: None,
            fallbacks: Vec::new(),
            precision: Precision::Single,
            taken: 0,
            last: None,
        }
    }

    /// The loaded model.
    #[must_use]
    pub fn model(&self) -> &Arc<ModelInfo> {
        &self.model.info
    }

    /// The device that it runs on.
    #[must_use]
    pub fn device(&self) -> DeviceChoice {
        self.device
    }

    /// Messages for the user about fallbacks and about the model; empty if there are none.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let of_model = self.model.info.notices.iter();
        let all = self.fallbacks.iter().chain(of_model);
        all.map(|notice| printable::message(notice)).collect()
    }

    /// Replaces the class names: from a file, or the original ones without a file.
    ///
    /// # Errors
    /// [`EngineError::Model`] if the file can't be used; the names are then unchanged.
    pub fn name_classes(&mut self, labels: Option<&Path>) -> Result<(), EngineError> {
        Ok(self.model.name_classes(labels)?)
    }

    /// Sets the preprocessing of future runs.
    pub fn preprocess(&mut self, choice: PreprocessChoice) {
        self.preprocess = choice;
    }

    /// How pixels are normalized before they enter the network.
    #[must_use]
    pub fn preprocessing(&self) -> Preprocessing {
        let mut now = self.preprocess.over(self.model.info.preprocessing);
        if self.model.info.needs.channels == 1 {
            now.order = ChannelOrder::Gray;
        }
        now
    }

    /// Sets how logits become scores in future runs; `None` for the model's own scores.
    pub fn score(&mut self, choice: Option<Scores>) {
        self.scores = choice;
    }

    /// How logits become scores.
    #[must_use]
    pub fn scores(&self) -> Scores {
        self.model.info.scores.unless(self.scores)
    }

    /// Where it comes from.
    #[must_use]
    pub fn preprocessing_from(&self) -> PreprocessingSource {
        let info = &self.model.info;
        match self.preprocess {
            PreprocessChoice::Model => info.preprocessing_from.clone(),
            // From a manifest, or from options that change nothing.
            PreprocessChoice::Custom(custom) if custom == info.preprocessing => {
                info.preprocessing_from.clone()
            }
            _ => PreprocessingSource::known("set by the user"),
        }
    }

    /// Sets the precision of sums on the CPU in future runs. Gradients need [`Precision::Double`]:
    /// after a run in [`Precision::Single`], the first request for gradients runs the network once
    /// more.
    pub fn run_in(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Frames a photo and runs the network on it once. If the network does not allow the framing,
    /// [`ModelInfo::framing`] says which one is used. If the device fails, the CPU is used, with a
    /// notice.
    ///
    /// # Errors
    /// [`EngineError::Run`] if the CPU fails too.
    pub fn analyze(&mut self, photo: &Photo, framing: Framing) -> Result<Analysis, EngineError> {
        // Free the last run first: there may not be enough memory for both.
        self.last = None;
        let started = Instant::now();
        let (input, framing) = self.frame(photo, framing)?;
        let framed = started.elapsed();
        self.run(&input, framing).map(|mut analysis| {
            analysis.timings.frame = framed;
            analysis
        })
    }

    /// Runs the network on pixels that are already framed.
    ///
    /// # Errors
    /// As [`Engine::analyze`].
    pub fn run(&mut self, input: &Input, framing: Framing) -> Result<Analysis, EngineError> {
        // Free the last run first: there may not be enough memory for both.
        self.last = None;
        let started = Instant::now();
        let (preprocessing, precision) = (self.preprocessing(), self.precision);
        self.check_size(input.placement.input)?;
        self.check_memory(input.placement.input)?;
        let layer = self.model.info.default_layer;
        let (mut tape, features) = self.on_device(|model| {
            let tape = model.forward(input, &preprocessing, precision)?;
            let features = model.network().activations(&tape, layer)?;
            Ok((tape, features))
        })?;
        let logits = std::mem::take(&mut tape.logits);
        let forward = started.elapsed();
        if !all_finite(&logits) || !all_finite(&features.values) {
            return Err(EngineError::Overflow);
        }
        self.last = Some(Run {
            input: input.clone(),
            preprocessing,
            tape,
            precision,
            features: vec![(layer, features.clone())],
        });
        Ok(Analysis {
            model: self.model.info.clone(),
            device: self.device,
            precision,
            framing,
            placement: input.placement,
            preprocessing,
            preprocessing_from: self.preprocessing_from(),
            features,
            scores: self.scores(),
            probabilities: self.scores().of(&logits),
            ranking: rank(&logits),
            logits,
            timings: Timings {
                forward,
                ..Timings::default()
            },
        })
    }

    /// Frames a photo, if the network can run on such an input; and the framing that was used.
    fn frame(&mut self, photo: &Photo, wanted: Framing) -> Result<(Input, Framing), EngineError> {
        let framing = self.model.info.framing(wanted);
        let options = self.preprocessing().frame_options();
        let placement = framing.place(photo.width, photo.height, options.size);
        // Before memory is allocated.
        self.check_size(placement.input)?;
        self.check_memory(placement.input)?;
        Ok((framing.frame(photo, options), framing))
    }

    /// Checks that the network takes an input of this width and height.
    fn check_size(&self, (width, height): (usize, usize)) -> Result<(), EngineError> {
        match self.model.info.needs.fixed_size {
            Some(fixed) if fixed != (height, width) => Err(EngineError::InputSize {
                network: self.model.info.architecture.clone(),
                width: fixed.1,
                height: fixed.0,
            }),
            _ => Ok(()),
        }
    }

    /// Checks that there is enough memory for a run on the CPU beyond what was used before.
    fn check_memory(&mut self, input: (usize, usize)) -> Result<(), EngineError> {
        if self.device != DeviceChoice::Cpu {
            return Ok(());
        }
        let needed = self.model.network().bytes_to_run(input, self.precision);
        if needed > self.taken && !memory::has(needed - self.taken) {
            return Err(EngineError::Memory {
                network: self.model.info.architecture.clone(),
                width: input.0,
                height: input.1,
                megabytes: needed.div_ceil(1_000_000),
            });
        }
        self.taken = self.taken.max(needed);
        Ok(())
    }

    /// The logits of all classes for a photo, as in [`Engine::analyze`], without replacing the last
    /// run.
    ///
    /// # Errors
    /// As [`Engine::analyze`].
    pub fn classify(&mut self, photo: &Photo, framing: Framing) -> Result<Vec<f32>, EngineError> {
        let preprocessing = self.preprocessing();
        let (input, _) = self.frame(photo, framing)?;
        let (device, precision) = (self.device, self.precision);
        let tape = self.on_device(|model| model.forward(&input, &preprocessing, precision))?;
        if self.device != device {
            self.last = None; // it belongs to the failed device
        }
        if !all_finite(&tape.logits) {
            return Err(EngineError::Overflow);
        }
        Ok(tape.logits)
    }

    /// Runs a function on the last run. If the device fails, the network runs once more on the CPU.
    fn on_tape<T>(
        &mut self,
        work: impl Fn(&dyn Network, &Tape) -> Result<T, NetworkError>,
    ) -> Result<T, EngineError> {
        let mut run = self.last.take().ok_or_else(nothing_ran)?;
        let first = match self.device {
            DeviceChoice::Cpu => work(self.model.network(), &run.tape),
            _ => device::caught(|| work(self.model.network(), &run.tape)),
        };
        let result = match first {
            Err(error) if self.device != DeviceChoice::Cpu => {
                self.fall_back(&error)?;
                run.precision = Precision::Double;
                let forward = self
                    .model
                    .forward(&run.input, &run.preprocessing, run.precision);
                forward.and_then(|tape| {
                    run.tape = tape;
                    work(self.model.network(), &run.tape)
                })
            }
            result => result,
        };
        self.last = Some(run);
        result.map_err(|error| EngineError::Run(error.to_string()))
    }

    /// Runs a function on the model. If the device fails, it is repeated on the CPU.
    fn on_device<T>(
        &mut self,
        work: impl Fn(&Model) -> Result<T, NetworkError>,
    ) -> Result<T, EngineError> {
        let first = match self.device {
            DeviceChoice::Cpu => work(&self.model),
            _ => device::caught(|| work(&self.model)),
        };
        let result = match first {
            Err(error) if self.device != DeviceChoice::Cpu => {
                self.fall_back(&error)?;
                work(&self.model)
            }
            result => result,
        };
        result.map_err(|error| EngineError::Run(error.to_string()))
    }

    /// Loads the same model onto the CPU after its device failed, or returns an error.
    fn fall_back(&mut self, error: &NetworkError) -> Result<(), EngineError> {
        let Some(choice) = &self.choice else {
            return Err(EngineError::Run(error.to_string()));
        };
        let failed = device_failed(self.device, error);
        let loading = Loading {
            labels: None,
            backend: Backend::fused(),
            progress: None,
        };
        let mut model = load(choice, &loading, &mut Vec::new())?;
        if !is_same(&model, &self.model) {
            return Err(EngineError::Changed {
                device: self.device,
                origin: self.model.info.origin.clone(),
            });
        }
        // Keep its current class names.
        model.info = self.model.info.clone();
        self.model = model;
        self.device = DeviceChoice::Cpu;
        self.fallbacks.push(failed);
        Ok(())
    }
}

/// The choice that names the file of a loaded model.
fn exactly(choice: &ModelChoice, model: &Model) -> ModelChoice {
    // No wildcard here: a choice within a file must be kept unchanged.
    match choice {
        ModelChoice::BuiltIn | ModelChoice::File(_) | ModelChoice::Within(..) => choice.clone(),
        ModelChoice::Auto | ModelChoice::ResNet18 | ModelChoice::Hub(_) => {
            let path = model.path().map(Path::to_owned);
            path.map_or(ModelChoice::BuiltIn, ModelChoice::File)
        }
    }
}

/// Whether a reloaded model computes the same. Its `config.json` may have changed as well as its
/// weights.
fn is_same(now: &Model, before: &Model) -> bool {
    let (new, old) = (&now.info, &before.info);
    new.sha256 == old.sha256
        && new.architecture == old.architecture
        && new.network == old.network
        && new.preprocessing == old.preprocessing
        && new.scores == old.scores
        && new.labels.len() == old.labels.len()
}

fn nothing_ran() -> EngineError {
    EngineError::Layer("No photo has been analyzed yet.".into())
}

fn device_failed(device: DeviceChoice, error: &NetworkError) -> String {
    format!("{device} failed ({error}). Running on the CPU instead.")
}

#[cfg(test)]
mod headless_tests;
#[cfg(test)]
mod tests;
