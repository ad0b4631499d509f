//! Ranges locked by the user: maps in the same unit are then drawn with the same range, in both
//! panes, for all classes and photos.

use std::collections::HashMap;

use crate::app::state::map_spec::MapSpec;
use crate::explain::analysis::Analysis;
use crate::explain::cam::Recipe;
use crate::model::target_layer::LayerId;
use crate::render::heatmap::{Range, Scaling};

/// What maps must have in common so that one range has the same meaning for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Unit {
    /// SHA-256 of the model's weights.
    model: String,
    scaling: Scaling,
    /// `None` for logits, which have the same meaning with every method.
    relative: Option<(Recipe, LayerId)>,
}

impl Unit {
    fn of(analysis: &Analysis, map_spec: MapSpec, scaling: Scaling) -> Self {
        let MapSpec { recipe, layer, .. } = map_spec;
        Self {
            model: analysis.model.sha256.clone(),
            scaling,
            relative: (!recipe.method.is_in_logits(analysis.model.target(layer)))
                .then_some((recipe, layer)),
        }
    }
}

/// The locked ranges.
#[derive(Debug, Default)]
pub struct RangeLocks(HashMap<Unit, Range>);

impl RangeLocks {
    /// The locked range for the unit of a map.
    #[must_use]
    pub fn locked(
        &self,
        analysis: &Analysis,
        map_spec: MapSpec,
        scaling: Scaling,
    ) -> Option<Range> {
        let unit = Unit::of(analysis, map_spec, scaling);
        self.0.get(&unit).copied()
    }

    /// Locks a range for the unit of a map.
    pub fn hold(&mut self, analysis: &Analysis, map_spec: MapSpec, scaling: Scaling, range: Range) {
        self.0.insert(Unit::of(analysis, map_spec, scaling), range);
    }

    /// Locks a range for the unit of a map, or unlocks it.
    pub fn toggle(
        &mut self,
        analysis: &Analysis,
        map_spec: MapSpec,
        scaling: Scaling,
        range: Range,
    ) {
        let unit = Unit::of(analysis, map_spec, scaling);
        if self.0.remove(&unit).is_none() {
            self.0.insert(unit, range);
        }
    }
}
