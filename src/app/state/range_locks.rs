//! Ranges that the user holds: maps in the same unit are then drawn in the same range, in
//! both panes, while classes change, and from photo to photo.

use std::collections::HashMap;

use crate::app::state::MapSpec;
use crate::explain::analysis::{Analysis, Layer};
use crate::explain::cam::{Map, Recipe};
use crate::render::heatmap::{Range, Scaling};

/// What maps must have in common for one range to mean the same in all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Unit {
    /// SHA-256 of the model's weights.
    model: String,
    scaling: Scaling,
    /// None for logits, which are the same by whichever method.
    relative: Option<(Recipe, Layer)>,
}

impl Unit {
    fn of(analysis: &Analysis, map_spec: MapSpec, scaling: Scaling) -> Self {
        let MapSpec { recipe, layer, .. } = map_spec;
        Self {
            model: analysis.model.sha256.clone(),
            scaling,
            relative: (!recipe.method.is_in_logits(layer)).then_some((recipe, layer)),
        }
    }
}

/// The held ranges.
#[derive(Debug, Default)]
pub struct RangeLocks(HashMap<Unit, Range>);

impl RangeLocks {
    /// The range held for a map's unit.
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

    /// Holds a range for a map's unit.
    pub fn hold(&mut self, analysis: &Analysis, map_spec: MapSpec, scaling: Scaling, range: Range) {
        self.0.insert(Unit::of(analysis, map_spec, scaling), range);
    }

    /// Holds a range for a map's unit, or lets go of the one that is held.
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

/// The range in which a map is drawn: the held one, or its own. None without evidence.
#[must_use]
pub fn range(map: &Map, scaling: Scaling, locked: Option<Range>) -> Option<Range> {
    let own = scaling.range(map)?;
    Some(locked.unwrap_or(own))
}
