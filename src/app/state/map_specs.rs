//! What the map panes show, and the maps for them.

use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::Side;
use crate::app::state::{Latest, State};
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Map, Recipe};
use crate::explain::class_correlation::CLASSES_EARLIER;
use crate::explain::{cam, class_correlation};
use crate::labels::ClassId;
use crate::model::target_layer::LayerId;
use crate::render::heatmap::Scaling;
use crate::worker::LayerJob;

impl State {
    /// What a map pane shows of an analysis. A layer that the network does not have
    /// counts as its default layer.
    #[must_use]
    pub fn map_spec(&self, side: Side, analysis: &Analysis) -> MapSpec {
        let pane = &self.settings.panes[side.index()];
        let pinned = self.pinned[side.index()];
        let pinned = pinned.filter(|class| class.index() < analysis.logits.len());
        let class = pinned.unwrap_or_else(|| self.class_in(analysis));
        MapSpec {
            recipe: Recipe::new(pane.method, self.settings.variant),
            layer: analysis
                .model
                .layer_or_default(pane.layer.as_ref().unwrap_or(&self.settings.layer)),
            class,
            contrast_class: self.contrast_class(analysis, class),
        }
    }

    /// The contrast class for `class`, if one is chosen: its map is subtracted.
    #[must_use]
    pub fn contrast_class(&self, analysis: &Analysis, class: ClassId) -> Option<ClassId> {
        let known = |other: &ClassId| other.index() < analysis.logits.len();
        self.contrast_class
            .filter(|other| known(other) && *other != class)
    }

    /// Whether differences of two classes are on screen.
    #[must_use]
    pub fn shows_difference(&self) -> bool {
        let shown = self.latest.shown();
        shown.is_some_and(|shown| {
            let sides = self.settings.view.sides().iter();
            let mut subjects = sides.map(|&side| self.map_spec(side, &shown.analysis));
            subjects.all(|map_spec| map_spec.contrast_class.is_some())
        })
    }

    /// How cell values are scaled to 0..1; a difference is always signed.
    #[must_use]
    pub fn scaling(&self, map_spec: MapSpec) -> Scaling {
        match map_spec.contrast_class {
            Some(_) => Scaling::Signed,
            None => self.settings.display_options.scaling,
        }
    }

    /// The layer of all panes, or the default layer if the network does not have it.
    #[must_use]
    pub fn layer_in(&self, analysis: &Analysis) -> LayerId {
        analysis.model.layer_or_default(&self.settings.layer)
    }

    /// A map, if it is available: always at layers with a closed form, at other layers once the
    /// worker has computed it.
    #[must_use]
    pub fn map(&self, analysis: &Analysis, map_spec: MapSpec) -> Option<Map> {
        let map = self.map_of(analysis, map_spec, map_spec.class)?;
        match map_spec.contrast_class {
            Some(other) => Some(map.minus(&self.map_of(analysis, map_spec, other)?)),
            None => Some(map),
        }
    }

    fn map_of(&self, analysis: &Analysis, map_spec: MapSpec, class: ClassId) -> Option<Map> {
        if analysis.model.has_closed_form(map_spec.layer) {
            return Some(cam::explain(
                map_spec.recipe,
                &analysis.layer_gradients(class)?,
            ));
        }
        let maps = self.layers.get(class)?;
        maps.get(map_spec.layer, map_spec.recipe).cloned()
    }

    /// Whether [`State::map`] has a map for the analysis on screen.
    #[must_use]
    pub fn has_map(&self, map_spec: MapSpec) -> bool {
        let there = |class| {
            let maps = self.layers.get(class);
            maps.is_some_and(|maps| maps.get(map_spec.layer, map_spec.recipe).is_some())
        };
        let shown = self.latest.shown();
        shown.is_some_and(|shown| shown.analysis.model.has_closed_form(map_spec.layer))
            || (there(map_spec.class) && map_spec.contrast_class.is_none_or(there))
    }

    /// Whether the worker is computing a map.
    #[must_use]
    pub fn is_pending(&self, map_spec: MapSpec) -> bool {
        let pending = |class| self.layers.is_pending(class);
        pending(map_spec.class) || map_spec.contrast_class.is_some_and(pending)
    }

    /// The request for maps at other layers that is needed now.
    pub fn next_layer_job(&mut self) -> Option<LayerJob> {
        let Latest::Ready(shown) = &self.latest else {
            return None; // another answer is pending
        };
        let analysis = &shown.analysis;
        let model = &analysis.model;
        if model.layer_ids().all(|layer| model.has_closed_form(layer)) {
            return None;
        }
        // The small multiples show the class of all panes.
        let mut multiples = vec![self.class_in(analysis)];
        multiples.extend(self.contrast_class(analysis, multiples[0]));
        let mut wanted = multiples.clone();
        let mut compared = Vec::new();
        let mut on_panes: Vec<LayerId> = Vec::new();
        for &side in self.settings.view.sides() {
            let map_spec = self.map_spec(side, analysis);
            if !model.has_closed_form(map_spec.layer) {
                if !on_panes.contains(&map_spec.layer) {
                    on_panes.push(map_spec.layer);
                }
                // The top class is also needed, to compare the two maps.
                wanted.extend([map_spec.class, analysis.top()]);
                wanted.extend(map_spec.contrast_class);
                let classes = analysis.logits.len();
                let others = class_correlation::others(classes, map_spec.class, CLASSES_EARLIER);
                compared.extend(others);
            }
        }
        // First what the panes show, then the small multiples. The maps for the class dependence
        // have the lowest priority.
        on_panes.sort_unstable();
        let mut stages: Vec<LayerId> = model.stages().collect();
        stages.retain(|layer| !model.has_closed_form(*layer));
        let steps = [
            (wanted, on_panes.clone()),
            (multiples, stages),
            (compared, on_panes),
        ];
        let mut steps = steps.into_iter();
        let (classes, layers) = steps
            .find(|(classes, layers)| !layers.is_empty() && !self.layers.has(classes, layers))?;
        self.layers.next_job(&classes, &layers)
    }

    /// Selects an earlier or later layer for all panes.
    pub fn step_layer(&mut self, by: isize) {
        let Some(shown) = self.latest.shown() else {
            return;
        };
        let now = self.layer_in(&shown.analysis);
        let model = &shown.analysis.model;
        let there = now.index().saturating_add_signed(by);
        let there = LayerId::new(there.min(model.layers.len() - 1));
        self.settings.layer = model.choice_of(there);
    }
}
