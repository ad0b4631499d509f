//! What a map is made of, at any layer of the last run.

use std::sync::Arc;

use crate::explain::analysis::{FeatureMaps, Gradients, Layer, LayerGradients};
use crate::explain::engine::{Engine, EngineError, Run};
use crate::labels::ClassId;
use crate::model::cpu::Precision;
use crate::model::device::DeviceChoice;
use crate::model::weights::all_finite;

impl Engine {
    /// The evidence for a class at some layers of the last run, in their order. Earlier
    /// layers than the last are reached by one pass back through the network.
    ///
    /// # Errors
    /// [`EngineError::Layer`] if nothing ran yet or the network has no such layer,
    /// [`EngineError::Run`] if the device and the CPU fail.
    pub fn layer_gradients(
        &mut self,
        class: ClassId,
        layers: &[Layer],
    ) -> Result<Vec<LayerGradients>, EngineError> {
        self.layer_gradients_while(class, layers, &|| true)
    }

    /// As [`Engine::evidence`], but given up between its steps when nobody wants it any
    /// more.
    ///
    /// # Errors
    /// As [`Engine::evidence`], and [`EngineError::Unwanted`].
    pub fn layer_gradients_while(
        &mut self,
        class: ClassId,
        layers: &[Layer],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<LayerGradients>, EngineError> {
        let go_on = || {
            if wanted() {
                Ok(())
            } else {
                Err(EngineError::Unwanted)
            }
        };
        let architecture = self.model.info.architecture;
        if let Some(layer) = layers
            .iter()
            .find(|layer| !architecture.layers().contains(layer))
        {
            return Err(EngineError::Layer(format!(
                "{} has no layer {layer:?} that can be explained.",
                architecture.name()
            )));
        }
        let nothing = || EngineError::Layer("No photo has been analyzed yet.".into());
        let last = self.last.as_ref().ok_or_else(nothing)?;
        let [(_, features), ..] = &last.features[..] else {
            return Err(nothing());
        };
        let at_last = self.model.head.gradients(class, features.cells());

        let first = layers
            .iter()
            .copied()
            .filter(|layer| *layer < Layer::Last)
            .min();
        let mut gradients = Vec::new();
        if layers.iter().any(|layer| *layer != Layer::Last) {
            go_on()?;
            self.make_precise()?;
        }
        if let Some(first) = first {
            go_on()?;
            gradients = self.on_trace(|model, run| model.gradients(&run.trace, &at_last, first))?;
        }
        let mut layer_gradients = Vec::with_capacity(layers.len());
        for &layer in layers {
            let (features, gradients) = match layer {
                Layer::Last => {
                    let gradients = Gradients::PerChannel(at_last.clone());
                    (self.features(layer)?, gradients)
                }
                Layer::LastConv => {
                    let (features, gradients) = self.on_trace(|model, run| {
                        model.before_last_batch_norm(&run.trace, &at_last)
                    })?;
                    (Arc::new(features), gradients)
                }
                _ => {
                    let found = gradients.iter().position(|(of, _)| *of == layer);
                    let gradients = found
                        .map(|at| gradients[at].1.clone())
                        .ok_or_else(nothing)?;
                    (self.features(layer)?, gradients)
                }
            };
            let (Gradients::PerChannel(values) | Gradients::PerCell(values)) = &gradients;
            if !all_finite(values) || !all_finite(&features.values) {
                return Err(EngineError::Overflow);
            }
            layer_gradients.push(LayerGradients {
                layer,
                features,
                gradients,
            });
        }
        Ok(layer_gradients)
    }

    /// Runs the network once more, for gradients, if the last run was not precise enough:
    /// rounding gives about one activation in a million the wrong side of its `ReLU`, and
    /// one of them can move a map at an early layer by 0.2 % (measured).
    fn make_precise(&mut self) -> Result<(), EngineError> {
        if self.device != DeviceChoice::Cpu {
            return Ok(()); // a GPU runs as it runs
        }
        let imprecise = |run: &mut Run| run.precision == Precision::Single;
        let Some(run) = self.last.take_if(imprecise) else {
            return Ok(());
        };
        let Run {
            input,
            preprocessing,
            trace,
            mut features,
            ..
        } = run;
        drop(trace); // two need not fit at once
        let precision = Precision::Double;
        let trace = self.on_device(|model| model.forward(&input, &preprocessing, precision))?;
        // The last layer stays as it was shown; the others were not asked for yet.
        features.truncate(1);
        self.last = Some(Run {
            input,
            preprocessing,
            trace,
            precision,
            features,
        });
        Ok(())
    }

    /// A layer of the last run as plain data.
    fn features(&mut self, layer: Layer) -> Result<Arc<FeatureMaps>, EngineError> {
        let kept = self.last.iter().flat_map(|run| &run.features);
        if let Some((_, features)) = kept.clone().find(|(of, _)| *of == layer) {
            return Ok(features.clone());
        }
        let features = Arc::new(self.on_trace(|model, run| model.features(&run.trace, layer))?);
        if let Some(run) = &mut self.last {
            run.features.push((layer, features.clone()));
        }
        Ok(features)
    }
}
