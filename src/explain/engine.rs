//! The engine: a loaded model on a device, from photos to plain [`Analysis`] data, and
//! from there to the [`LayerGradients`](crate::explain::analysis::Evidence) at any layer.

mod layer_gradients;
mod loading;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::explain::analysis::{Analysis, FeatureMaps, Layer, Timings, rank, softmax};
use crate::explain::engine::loading::{Loading, load};
use crate::input::framing::{Framing, Input};
use crate::input::photo::Photo;
use crate::labels::LabelFileError;
use crate::model::cpu::Precision;
use crate::model::device::DeviceChoice;
use crate::model::layers::Backend;
use crate::model::preprocessing::{PreprocessChoice, Preprocessing};
use crate::model::weights::{Progress, WeightsError, all_finite};
use crate::model::{
    Model, ModelChoice, ModelError, ModelInfo, Trace, device, hub, known_weights, needs,
};
use crate::platform::memory;
use crate::text::printable;

/// Why there is no analysis.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// ResNet-18 was asked for and is not there.
    #[error("{}", known_weights::how_to_get_resnet18())]
    NoResNet18,
    /// Weights of the catalog were asked for and are not there.
    #[error("{}", hub::how_to_get(.0))]
    NotFetched(String),
    /// The model can't be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network failed while running, on the CPU too.
    #[error("The network could not run: {0}. Choose another photo or model.")]
    Run(String),
    /// Activations or gradients that are infinite or no numbers.
    #[error(
        "The network's numbers overflow on this photo (some are infinite or no numbers), so there is nothing true to show: its weights are damaged, or too large for this input. Choose another model, or other preprocessing."
    )]
    Overflow,
    /// The system has not so much memory.
    #[error(
        "Running {network} on {width}×{height} pixels takes about {megabytes} MB of memory, which the system does not have. Close other programs, or choose a smaller input or network."
    )]
    Memory {
        /// The network.
        network: &'static str,
        /// Of its input.
        width: usize,
        /// Of its input.
        height: usize,
        /// What a run takes.
        megabytes: u64,
    },
    /// The device failed, and the weights to run on the CPU are not those that ran.
    #[error(
        "{device} failed, and {} has changed on the disk since it was loaded, so the CPU can't go on with the same weights. Open the file again, or another model.",
        printable::quotation(.origin)
    )]
    Changed {
        /// What failed.
        device: DeviceChoice,
        /// The weight file.
        origin: String,
    },
    /// Nobody wanted the answer any more.
    #[error("The work was given up for something newer.")]
    Unwanted,
    /// A layer was asked for before anything ran, or one that the network does not have.
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
    /// What it was loaded from: never a choice that could be another file by now.
    choice: ModelChoice,
    device: DeviceChoice,
    preprocess: PreprocessChoice,
    fallbacks: Vec<String>,
    precision: Precision,
    /// What runs have needed, in bytes: the buffers for it are there.
    taken: u64,
    last: Option<Run>,
}

/// The last run, kept so that earlier layers can be explained.
struct Run {
    input: Input,
    preprocessing: Preprocessing,
    trace: Trace,
    /// Whether the trace is good enough for gradients.
    precision: Precision,
    /// Layers as plain data, as they were asked for.
    features: Vec<(Layer, Arc<FeatureMaps>)>,
}

impl Engine {
    /// Loads a model onto a device. What falls back (a device to the CPU, ResNet-18
    /// chosen by itself to the built-in model) says so in [`Engine::notices`].
    ///
    /// # Errors
    /// [`EngineError`] if a model that was asked for can't be used.
    pub fn open(choice: &ModelChoice, device: DeviceChoice) -> Result<Self, EngineError> {
        Self::open_with(choice, None, device, None)
    }

    /// As [`Engine::open`], with a file of class names given by hand, and told how far
    /// reading the weights is.
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
            choice: exactly(choice, &model),
            model,
            device: used,
            preprocess: PreprocessChoice::Model,
            fallbacks,
            precision: Precision::Single,
            taken: 0,
            last: None,
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

    /// What fell back and what else the user should know of the model, in words for the
    /// screen; empty if there is nothing.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        let of_model = self.model.info.notices.iter();
        let all = self.fallbacks.iter().chain(of_model);
        all.map(|notice| printable::message(notice)).collect()
    }

    /// Names the classes anew: from a file, or as they were without one.
    ///
    /// # Errors
    /// [`EngineError::Model`] if the file can't be used; the names stay.
    pub fn name_classes(&mut self, labels: Option<&Path>) -> Result<(), EngineError> {
        Ok(self.model.name_classes(labels)?)
    }

    /// Chooses the preprocessing of the runs to come.
    pub fn preprocess(&mut self, choice: PreprocessChoice) {
        self.preprocess = choice;
    }

    /// What is done to pixels before the network sees them.
    #[must_use]
    pub fn preprocessing(&self) -> Preprocessing {
        self.preprocess.over(self.model.info.preprocessing)
    }

    /// Chooses how the CPU adds up in the runs to come. Gradients need
    /// [`Precision::Double`]; after a run in [`Precision::Single`] the first of them runs
    /// the network once more.
    pub fn run_in(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Frames a photo and runs the network on it, once. A device that fails is
    /// replaced by the CPU, with a notice.
    ///
    /// # Errors
    /// [`EngineError::Run`] if the CPU fails too.
    pub fn analyze(&mut self, photo: &Photo, framing: Framing) -> Result<Analysis, EngineError> {
        let started = Instant::now();
        let input = framing.frame(photo, self.preprocessing().size);
        let framed = started.elapsed();
        self.run(&input, framing).map(|mut analysis| {
            analysis.timings.frame = framed;
            analysis
        })
    }

    /// Runs the network on pixels that are framed already.
    ///
    /// # Errors
    /// As [`Engine::analyze`].
    pub fn run(&mut self, input: &Input, framing: Framing) -> Result<Analysis, EngineError> {
        // Let go of the last run first: two need not fit at once.
        self.last = None;
        let started = Instant::now();
        let (preprocessing, precision) = (self.preprocessing(), self.precision);
        self.check_memory(input.placement.input)?;
        let (trace, features) = self.on_device(|model| {
            let trace = model.forward(input, &preprocessing, precision)?;
            let features = model.features(&trace, Layer::Last)?;
            Ok((trace, features))
        })?;
        let logits = self.logits(&features)?;
        let forward = started.elapsed();
        if !all_finite(&features.values) {
            return Err(EngineError::Overflow);
        }
        let features = Arc::new(features);
        self.last = Some(Run {
            input: input.clone(),
            preprocessing,
            trace,
            precision,
            features: vec![(Layer::Last, features.clone())],
        });
        Ok(Analysis {
            model: self.model.info.clone(),
            device: self.device.to_string(),
            precision,
            framing,
            placement: input.placement,
            preprocessing,
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

    /// Whether the CPU has the memory for a run beyond what it has taken before.
    fn check_memory(&mut self, input: (usize, usize)) -> Result<(), EngineError> {
        if self.device != DeviceChoice::Cpu {
            return Ok(());
        }
        let network = self.model.info.architecture;
        let needed = needs::to_run(network, input, self.precision);
        if needed > self.taken && !memory::has(needed - self.taken) {
            return Err(EngineError::Memory {
                network: network.name(),
                width: input.0,
                height: input.1,
                megabytes: needed.div_ceil(1_000_000),
            });
        }
        self.taken = self.taken.max(needed);
        Ok(())
    }

    fn logits(&self, features: &FeatureMaps) -> Result<Vec<f32>, EngineError> {
        let logits = self.model.head.logits(features);
        if logits.iter().all(|logit| logit.is_finite()) {
            Ok(logits)
        } else {
            Err(EngineError::Overflow)
        }
    }

    /// The probabilities of all classes for a photo: those that [`Engine::analyze`] gives,
    /// without taking the place of the last run.
    ///
    /// # Errors
    /// As [`Engine::analyze`].
    pub fn classify(&mut self, photo: &Photo, framing: Framing) -> Result<Vec<f32>, EngineError> {
        let preprocessing = self.preprocessing();
        let input = framing.frame(photo, preprocessing.size);
        let (device, precision) = (self.device, self.precision);
        self.check_memory(input.placement.input)?;
        let features = self.on_device(|model| {
            let trace = model.forward(&input, &preprocessing, precision)?;
            model.features(&trace, Layer::Last)
        })?;
        if self.device != device {
            self.last = None; // it belongs to the device that failed
        }
        Ok(softmax(&self.logits(&features)?))
    }

    /// Does something with the last run. If the device fails, the network runs once more
    /// on the CPU.
    fn on_trace<T>(
        &mut self,
        work: impl Fn(&Model, &Run) -> candle_core::Result<T>,
    ) -> Result<T, EngineError> {
        let nothing = || EngineError::Layer("No photo has been analyzed yet.".into());
        let mut run = self.last.take().ok_or_else(nothing)?;
        let first = match self.device {
            DeviceChoice::Cpu => work(&self.model, &run),
            _ => device::caught(|| work(&self.model, &run)),
        };
        let result = match first {
            Err(error) if self.device != DeviceChoice::Cpu => {
                self.fall_back(&error)?;
                run.precision = Precision::Double;
                let forward = self
                    .model
                    .forward(&run.input, &run.preprocessing, run.precision);
                forward.and_then(|trace| {
                    run.trace = trace;
                    work(&self.model, &run)
                })
            }
            result => result,
        };
        self.last = Some(run);
        result.map_err(|error| EngineError::Run(device::first_line(&error)))
    }

    /// Does something with the model; if the device fails, once more on the CPU.
    fn on_device<T>(
        &mut self,
        work: impl Fn(&Model) -> candle_core::Result<T>,
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
        result.map_err(|error| EngineError::Run(device::first_line(&error)))
    }

    /// Loads the model onto the CPU, after its device failed: the same one, or none.
    fn fall_back(&mut self, error: &candle_core::Error) -> Result<(), EngineError> {
        let failed = device_failed(self.device, error);
        let loading = Loading {
            labels: None,
            backend: Backend::fused(),
            progress: None,
        };
        let mut model = load(&self.choice, &loading, &mut Vec::new())?;
        if !is_same(&model, &self.model) {
            return Err(EngineError::Changed {
                device: self.device,
                origin: self.model.info.origin.clone(),
            });
        }
        // With the class names that it had.
        model.info = self.model.info.clone();
        self.model = model;
        self.device = DeviceChoice::Cpu;
        self.fallbacks.push(failed);
        Ok(())
    }
}

/// The choice that names the file of a model that was found.
fn exactly(choice: &ModelChoice, model: &Model) -> ModelChoice {
    // Without a wildcard: a choice within a file must be kept as it is.
    match choice {
        ModelChoice::BuiltIn | ModelChoice::File(_) | ModelChoice::Within(..) => choice.clone(),
        ModelChoice::Auto | ModelChoice::ResNet18 | ModelChoice::Hub(_) => {
            let path = model.path().map(Path::to_owned);
            path.map_or(ModelChoice::BuiltIn, ModelChoice::File)
        }
    }
}

/// Whether a model that was read again computes the same. Its `config.json` may have changed
/// as well as its weights.
fn is_same(now: &Model, before: &Model) -> bool {
    let (new, old) = (&now.info, &before.info);
    new.sha256 == old.sha256
        && new.architecture == old.architecture
        && new.network == old.network
        && new.preprocessing == old.preprocessing
        && now.head.classes() == before.head.classes()
}

fn device_failed(device: DeviceChoice, error: &candle_core::Error) -> String {
    let reason = device::first_line(error);
    format!("{device} failed ({reason}). Running on the CPU instead.")
}

#[cfg(test)]
mod tests;
