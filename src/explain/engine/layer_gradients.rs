//! The data from which maps are computed, at any layer of the last run.

use std::sync::Arc;

use crate::explain::engine::{Engine, EngineError, Run, nothing_ran};
use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, LayerGradients};
use crate::model::cpu::Precision;
use crate::model::device::DeviceChoice;
use crate::model::target_layer::LayerId;
use crate::model::weights::all_finite;

impl Engine {
    /// The activations and the gradients of a class's logit at some layers of the last run, in the
    /// given order. Without a closed form, one backward pass computes them.
    ///
    /// # Errors
    /// [`EngineError::Layer`] if nothing was run yet or the network has no such layer,
    /// [`EngineError::Run`] if the device and the CPU fail.
    pub fn layer_gradients(
        &mut self,
        class: ClassId,
        layers: &[LayerId],
    ) -> Result<Vec<LayerGradients>, EngineError> {
        self.layer_gradients_while(class, layers, &|| true)
    }

    /// As [`Engine::layer_gradients`], but can be cancelled between its steps.
    ///
    /// # Errors
    /// As [`Engine::layer_gradients`], and [`EngineError::Unwanted`].
    pub fn layer_gradients_while(
        &mut self,
        class: ClassId,
        layers: &[LayerId],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<LayerGradients>, EngineError> {
        let go_on = || {
            if wanted() {
                Ok(())
            } else {
                Err(EngineError::Unwanted)
            }
        };
        let info = self.model.info.clone();
        if let Some(layer) = layers
            .iter()
            .find(|layer| layer.index() >= info.layers.len())
        {
            return Err(EngineError::Layer(format!(
                "{} has no layer number {} that can be explained.",
                info.architecture,
                layer.index()
            )));
        }
        if self.last.is_none() {
            return Err(nothing_ran());
        }
        if !layers.iter().all(|layer| info.has_closed_form(*layer)) {
            go_on()?;
            self.make_precise()?;
            go_on()?;
        }
        let gradients = self.on_tape(|network, tape| network.gradients(tape, class, layers))?;
        let mut layer_gradients = Vec::with_capacity(layers.len());
        for (&layer, gradients) in layers.iter().zip(gradients) {
            let features = self.features(layer)?;
            let (Gradients::PerChannel(values) | Gradients::PerCell(values)) = &gradients;
            if !all_finite(values) || !all_finite(&features.values) {
                return Err(EngineError::Overflow);
            }
            layer_gradients.push(LayerGradients {
                layer: info.target(layer),
                features,
                gradients,
            });
        }
        Ok(layer_gradients)
    }

    /// Runs the network once more, for gradients, if the last run was not precise enough.
    fn make_precise(&mut self) -> Result<(), EngineError> {
        if self.device != DeviceChoice::Cpu {
            return Ok(()); // a GPU has only one precision
        }
        let precision = self.model.network().precision_for_gradients();
        let imprecise =
            |run: &mut Run| run.precision != precision && precision == Precision::Double;
        let Some(run) = self.last.take_if(imprecise) else {
            return Ok(());
        };
        let Run {
            input,
            preprocessing,
            tape,
            mut features,
            ..
        } = run;
        drop(tape); // there may not be enough memory for both
        let tape = self.on_device(|model| model.forward(&input, &preprocessing, precision))?;
        // The default layer keeps the activations that were shown; no other layer was requested yet.
        features.truncate(1);
        self.last = Some(Run {
            input,
            preprocessing,
            tape,
            precision,
            features,
        });
        Ok(())
    }

    /// A layer of the last run as plain data.
    fn features(&mut self, layer: LayerId) -> Result<Arc<FeatureMaps>, EngineError> {
        let kept = self.last.iter().flat_map(|run| &run.features);
        if let Some((_, features)) = kept.clone().find(|(of, _)| *of == layer) {
            return Ok(features.clone());
        }
        let features = self.on_tape(|network, tape| network.activations(tape, layer))?;
        if let Some(run) = &mut self.last {
            run.features.push((layer, features.clone()));
        }
        Ok(features)
    }
}
