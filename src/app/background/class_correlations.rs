//! How much the maps on screen depend on their class: a number beside each pane.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::background::tasks::BackgroundTasks;
use crate::app::state::settings::Side;
use crate::app::state::{MapSpec, State};
use crate::explain::analysis::{Analysis, Layer};
use crate::explain::cam::{Map, Recipe};
use crate::explain::class_correlation;
use crate::explain::class_correlation::{CLASSES_EARLIER, ClassCorrelation, References};

/// The meters of both panes, kept until what they measure changes.
#[derive(Default)]
pub struct ClassCorrelations {
    of: Option<Arc<Analysis>>,
    /// None while they are being made.
    references: HashMap<Recipe, Option<References>>,
    kept: HashMap<Side, (MapSpec, Option<ClassCorrelation>)>,
}

impl ClassCorrelations {
    /// How much a pane's map depends on its class; `None` for a difference of two classes,
    /// and while the maps of other classes are being made.
    pub fn get(
        &mut self,
        (state, tasks): (&State, &mut BackgroundTasks),
        analysis: &Arc<Analysis>,
        (side, map_spec): (Side, MapSpec),
        map: &Map,
    ) -> Option<ClassCorrelation> {
        if map_spec.contrast_class.is_some() {
            return None;
        }
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, analysis)) {
            *self = Self {
                of: Some(analysis.clone()),
                ..Self::default()
            };
        }
        let kept = self.kept.get(&side).filter(|(of, _)| *of == map_spec);
        if let Some((_, found @ Some(_))) = kept {
            return *found;
        }
        let found = match map_spec.layer {
            Layer::Last => {
                let recipe = map_spec.recipe;
                let references = self.references.entry(recipe).or_insert_with(|| {
                    tasks.make_references(analysis.clone(), recipe);
                    None
                });
                references.as_ref()?.compare(map, map_spec.class)
            }
            layer => {
                let classes = analysis.logits.len();
                let others = class_correlation::others(classes, map_spec.class, CLASSES_EARLIER);
                let of_class = |class| state.layers.get(class)?.get(layer, map_spec.recipe);
                let maps: Option<Vec<&Map>> = others.into_iter().map(of_class).collect();
                class_correlation::mean(map, maps?.into_iter())
            }
        };
        self.kept.insert(side, (map_spec, found));
        found
    }

    /// Takes in the maps of other classes, unless another answer is on screen by now.
    pub fn apply_event(&mut self, of: &Arc<Analysis>, recipe: Recipe, references: References) {
        if self.of.as_ref().is_some_and(|now| Arc::ptr_eq(now, of)) {
            self.references.insert(recipe, Some(references));
        }
    }
}
