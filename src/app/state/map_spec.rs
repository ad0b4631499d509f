//! What the map panes show, and the maps for it.

use crate::app::state::settings::Side;
use crate::app::state::{Latest, State};
use crate::explain::analysis::{Analysis, Layer};
use crate::explain::cam::{Map, Recipe};
use crate::explain::class_correlation::CLASSES_EARLIER;
use crate::explain::{cam, class_correlation};
use crate::labels::ClassId;
use crate::render::heatmap::Scaling;
use crate::worker::LayerJob;

/// What a map pane shows of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// The method and its variant.
    pub recipe: Recipe,
    /// The layer.
    pub layer: Layer,
    /// The class.
    pub class: ClassId,
    /// The class whose map is taken away from it: why the one and not the other.
    pub contrast_class: Option<ClassId>,
}

impl State {
    /// What a map pane shows of an analysis. A layer that the network does not have
    /// counts as its last.
    #[must_use]
    pub fn map_spec(&self, side: Side, analysis: &Analysis) -> MapSpec {
        let pane = self.settings.panes[side.index()];
        let pinned = self.pinned[side.index()];
        let pinned = pinned.filter(|class| class.index() < analysis.logits.len());
        let class = pinned.unwrap_or_else(|| self.class_in(analysis));
        MapSpec {
            recipe: Recipe::new(pane.method, self.settings.variant),
            layer: available(pane.layer.unwrap_or(self.settings.layer), analysis),
            class,
            contrast_class: self.contrast_class(analysis, class),
        }
    }

    /// The class whose map is taken away from that of `class`, if one is chosen.
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

    /// How a map's cells become 0..1: a difference is always drawn signed.
    #[must_use]
    pub fn scaling(&self, map_spec: MapSpec) -> Scaling {
        match map_spec.contrast_class {
            Some(_) => Scaling::Signed,
            None => self.settings.display_options.scaling,
        }
    }

    /// The layer chosen for all, as far as the network has it.
    #[must_use]
    pub fn layer_in(&self, analysis: &Analysis) -> Layer {
        available(self.settings.layer, analysis)
    }

    /// A map, once it can be had: at the last layer always, at the others when the
    /// worker has made it.
    #[must_use]
    pub fn map(&self, analysis: &Analysis, map_spec: MapSpec) -> Option<Map> {
        let map = self.map_of(analysis, map_spec, map_spec.class)?;
        match map_spec.contrast_class {
            Some(other) => Some(map.minus(&self.map_of(analysis, map_spec, other)?)),
            None => Some(map),
        }
    }

    fn map_of(&self, analysis: &Analysis, map_spec: MapSpec, class: ClassId) -> Option<Map> {
        match map_spec.layer {
            Layer::Last => Some(cam::explain(
                map_spec.recipe,
                &analysis.layer_gradients(class),
            )),
            layer => {
                let maps = self.layers.get(class)?;
                maps.get(layer, map_spec.recipe).cloned()
            }
        }
    }

    /// Whether [`State::map`] has a map of the analysis on screen.
    #[must_use]
    pub fn has_map(&self, map_spec: MapSpec) -> bool {
        let there = |class| self.layers.get(class).is_some();
        map_spec.layer == Layer::Last
            || (there(map_spec.class) && map_spec.contrast_class.is_none_or(there))
    }

    /// Whether the worker is making a map.
    #[must_use]
    pub fn is_pending(&self, map_spec: MapSpec) -> bool {
        let pending = |class| self.layers.is_pending(class);
        pending(map_spec.class) || map_spec.contrast_class.is_some_and(pending)
    }

    /// The maps at other layers that are needed now.
    pub fn next_layer_job(&mut self) -> Option<LayerJob> {
        let Latest::Ready(shown) = &self.latest else {
            return None; // another answer is on its way
        };
        let analysis = &shown.analysis;
        if analysis.model.architecture.layers().len() < 2 {
            return None;
        }
        // The small multiples show the class chosen for all.
        let mut wanted = vec![self.class_in(analysis)];
        wanted.extend(self.contrast_class(analysis, wanted[0]));
        let mut compared = Vec::new();
        for &side in self.settings.view.sides() {
            let map_spec = self.map_spec(side, analysis);
            if map_spec.layer != Layer::Last {
                // The top class, too, to say how alike the two maps are.
                wanted.extend([map_spec.class, analysis.top()]);
                wanted.extend(map_spec.contrast_class);
                let classes = analysis.logits.len();
                let others = class_correlation::others(classes, map_spec.class, CLASSES_EARLIER);
                compared.extend(others);
            }
        }
        // What tells how much the maps depend on the class can wait.
        wanted.extend(compared);
        self.layers.next_job(&wanted)
    }

    /// Chooses an earlier or later layer for all.
    pub fn step_layer(&mut self, by: isize) {
        let Some(shown) = self.latest.shown() else {
            return;
        };
        let now = self.layer_in(&shown.analysis);
        let layers = shown.analysis.model.architecture.layers();
        let here = layers.iter().position(|layer| *layer == now).unwrap_or(0);
        let there = here.saturating_add_signed(by).min(layers.len() - 1);
        self.settings.layer = layers[there];
    }
}

/// A layer, if the network has it, else its last.
pub(super) fn available(layer: Layer, analysis: &Analysis) -> Layer {
    let layers = analysis.model.architecture.layers();
    if layers.contains(&layer) {
        layer
    } else {
        Layer::Last
    }
}
