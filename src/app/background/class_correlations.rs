//! How much the maps on screen depend on their class: a number next to each pane.

use std::collections::HashMap;
use std::sync::Arc;

use crate::app::state::State;
use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::Side;
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Map, Recipe};
use crate::explain::class_correlation;
use crate::explain::class_correlation::{CLASSES_EARLIER, ClassCorrelation, References};

/// The numbers of both panes, cached until their maps change.
#[derive(Default)]
pub struct ClassCorrelations {
    of: Option<Arc<Analysis>>,
    /// `None` while they are being computed.
    references: HashMap<Recipe, Option<References>>,
    /// Not requested yet.
    wanted: Vec<Recipe>,
    kept: HashMap<Side, (MapSpec, Option<ClassCorrelation>)>,
}

impl ClassCorrelations {
    /// How much the map of a pane depends on its class; `None` for a difference of two classes, for
    /// the two classes of one logit, and while the maps of other classes are being computed.
    pub fn get(
        &mut self,
        state: &State,
        analysis: &Arc<Analysis>,
        (side, map_spec): (Side, MapSpec),
        map: &Map,
    ) -> Option<ClassCorrelation> {
        if map_spec.contrast_class.is_some() || !class_correlation::comparable(analysis.scores) {
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
        let found = if analysis.model.has_closed_form(map_spec.layer) {
            let recipe = map_spec.recipe;
            let references = self.references.entry(recipe).or_insert_with(|| {
                self.wanted.push(recipe);
                None
            });
            references.as_ref()?.compare(map, map_spec.class)
        } else {
            let classes = analysis.logits.len();
            let others = class_correlation::others(classes, map_spec.class, CLASSES_EARLIER);
            let of_class = |class| {
                let maps = state.layers.get(class)?;
                maps.get(map_spec.layer, map_spec.recipe)
            };
            let maps: Option<Vec<&Map>> = others.into_iter().map(of_class).collect();
            class_correlation::mean(map, maps?.into_iter())
        };
        self.kept.insert(side, (map_spec, found));
        found
    }

    /// The maps of other classes that were missing when the panes were drawn: the analysis and the
    /// methods.
    pub fn take_wanted(&mut self) -> Option<(Arc<Analysis>, Vec<Recipe>)> {
        let wanted = std::mem::take(&mut self.wanted);
        let of = self.of.clone().filter(|_| !wanted.is_empty())?;
        Some((of, wanted))
    }

    /// Adds the maps of other classes, unless another answer is on screen now.
    pub fn apply_event(&mut self, of: &Arc<Analysis>, recipe: Recipe, references: References) {
        if self.of.as_ref().is_some_and(|now| Arc::ptr_eq(now, of)) {
            self.references.insert(recipe, Some(references));
        }
    }
}
