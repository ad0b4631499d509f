//! Reference answers, computed with separate engines.

use std::collections::HashMap;

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::Map;
use camlens::explain::engine::Engine;
use camlens::input::photo::Limits;
use camlens::model::cpu::Precision;

use super::*;

/// One engine per requested model.
#[derive(Default)]
pub struct Oracle(HashMap<String, Engine>);

impl Oracle {
    /// The reference answer for what the window shows, and the maps of its panes.
    pub fn maps(&mut self, app: &App, limits: Limits) -> (Analysis, Vec<(Side, Map)>) {
        let state = app.state();
        let shown = state.latest.shown().unwrap();
        let plan = &shown.plan;
        let engine = self
            .0
            .entry(format!("{:?}", plan.model))
            .or_insert_with(|| Engine::open(&plan.model, DeviceChoice::Cpu).unwrap());
        let item = state
            .photos
            .iter()
            .find(|item| Some(item.id) == state.current);
        let photo = item.unwrap().source.load(limits).unwrap();
        engine.run_in(Precision::Single);
        engine.preprocess(plan.preprocess);
        let analysis = engine.analyze(&photo, plan.framing).unwrap();
        let sides = state.settings.view.sides().iter();
        let maps = sides.map(|&side| {
            let map_spec = state.map_spec(side, &shown.analysis);
            let mut map_of = |class| {
                let evidence = engine.layer_gradients(class, &[map_spec.layer]).unwrap();
                cam::explain(map_spec.recipe, &evidence[0])
            };
            let map = map_of(map_spec.class);
            let map = match map_spec.contrast_class {
                Some(other) => map.minus(&map_of(other)),
                None => map,
            };
            (side, map)
        });
        let maps = maps.collect();
        (analysis, maps)
    }
}
