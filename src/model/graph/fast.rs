//! The forward executor in f32. Images are kept channels last, and operators are fused into the
//! kernels of [`crate::model::cpu`].
//!
//! Each value has a physical order of its axes. Transposing changes only the order; reshaping is
//! free where the axes that it joins are neighbors in memory. What has no kernel here is computed
//! by [`crate::model::graph::reference`].

mod absorb;
mod compute;
mod kernel;
mod layout;
mod movement;
mod planner;
mod products;
mod rewrite;
mod weights;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::cpu::{Cpu, Image};
use crate::model::graph::fast::kernel::Step;
use crate::model::graph::fast::planner::Planner;
pub use crate::model::graph::fast::weights::WeightCache;
use crate::model::graph::{Graph, GraphError, ValueId};

/// Where a value lies: the buffer, and the logical axes from the outermost to the innermost.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    slot: usize,
    order: Vec<usize>,
}

/// A graph prepared for one input size: the order of axes of each value, fused steps, packed
/// weights.
#[derive(Debug)]
pub struct Plan {
    cpu: Cpu,
    steps: Vec<Step>,
    slots: usize,
    /// Buffers that are there before the run.
    constants: Vec<(usize, Image)>,
    input: (usize, Vec<usize>),
    kept: Vec<(ValueId, Place, Vec<usize>)>,
}

impl Plan {
    /// Prepares a graph. `keep` are the values that are available after a run. Weights are packed
    /// once for all plans that share the cache.
    ///
    /// The input is taken as `[1, height, width, channels]` if that has fewer channels than
    /// `[1, channels, height, width]`; see [`Plan::with_layout`].
    ///
    /// # Errors
    /// If the graph can't be run.
    pub fn new(
        graph: &Graph,
        keep: &[ValueId],
        cpu: &Cpu,
        cache: &mut WeightCache,
    ) -> Result<Self, GraphError> {
        let shape = graph.shape(graph.input);
        let last = matches!(shape, &[_, first, _, last] if last < first);
        Self::with_layout(graph, keep, last, cpu, cache)
    }

    /// Prepares a graph whose input is `[1, height, width, channels]` if `channels_last`, otherwise
    /// `[1, channels, height, width]`.
    ///
    /// # Errors
    /// If the graph can't be run.
    pub fn with_layout(
        graph: &Graph,
        keep: &[ValueId],
        channels_last: bool,
        cpu: &Cpu,
        cache: &mut WeightCache,
    ) -> Result<Self, GraphError> {
        let shape = graph.shape(graph.input);
        if shape.len() != 4 || shape[0] != 1 {
            let what = format!("The network's input {shape:?} is not one image.");
            return Err(GraphError(what));
        }
        let order = if channels_last {
            vec![0, 1, 2, 3]
        } else {
            layout::CHANNELS_LAST.to_vec()
        };
        let graph = rewrite::rewrite(graph, keep);
        Planner::new(&graph, keep, cpu, cache).plan(order)
    }

    /// Runs the graph on interleaved pixels `[height, width, channels]`.
    ///
    /// # Errors
    /// If the input does not have the size of the plan, or an operator fails.
    pub fn run(&self, input: &[f32]) -> Result<Values, GraphError> {
        let (slot, shape) = &self.input;
        if input.len() != shape.iter().product::<usize>() {
            return Err(GraphError::new("The input does not have the planned size."));
        }
        // On a thread of the pool; otherwise every step would be sent to it separately.
        rayon::scope(|_| self.run_steps(input, *slot, &mut Vec::new()))
    }

    /// The steps of this many runs with their median times in milliseconds, for measurements.
    ///
    /// # Errors
    /// See [`Plan::run`].
    pub fn profile(&self, input: &[f32], runs: usize) -> Result<Vec<(String, f64)>, GraphError> {
        let mut times = vec![Vec::new(); self.steps.len()];
        for _ in 0..runs {
            let mut all = Vec::new();
            rayon::scope(|_| self.run_steps(input, self.input.0, &mut all))?;
            let mut before = Duration::ZERO;
            for (times, after) in times.iter_mut().zip(all) {
                times.push((after - before).as_secs_f64() * 1e3);
                before = after;
            }
        }
        let steps = self.steps.iter().zip(times).map(|(step, mut times)| {
            times.sort_by(f64::total_cmp);
            let median = times.get(runs / 2).copied().unwrap_or_default();
            (step.kernel.to_string(), median)
        });
        Ok(steps.collect())
    }

    fn run_steps(
        &self,
        input: &[f32],
        slot: usize,
        times: &mut Vec<Duration>,
    ) -> Result<Values, GraphError> {
        let start = Instant::now();
        let mut slots: Vec<Option<Image>> = vec![None; self.slots];
        for (slot, image) in &self.constants {
            slots[*slot] = Some(image.clone());
        }
        slots[slot] = Some(Image::from_values(&self.cpu, input, (1, 1)));
        for step in &self.steps {
            let lost = || GraphError::new("A value was needed after it was dropped.");
            let inputs: Option<Vec<Image>> = step
                .inputs
                .iter()
                .map(|slot| slots[*slot].clone())
                .collect();
            let inputs = inputs.ok_or_else(lost)?;
            let output = step.kernel.run(&self.cpu, &inputs)?;
            drop(inputs);
            slots[step.output] = Some(output);
            for slot in &step.frees {
                slots[*slot] = None;
            }
            times.push(start.elapsed());
        }
        let kept = self.kept.iter().filter_map(|(id, place, shape)| {
            let image = slots[place.slot].clone()?;
            Some((*id, (image, place.order.clone(), shape.clone())))
        });
        Ok(Values(kept.collect()))
    }
}

/// The kept values of a run.
#[derive(Debug)]
pub struct Values(BTreeMap<ValueId, (Image, Vec<usize>, Vec<usize>)>);

impl Values {
    /// The values of one that was kept, row-major.
    #[must_use]
    pub fn get(&self, id: ValueId) -> Option<Vec<f32>> {
        let (image, order, shape) = self.0.get(&id)?;
        Some(layout::row_major_values(image.values(), shape, order))
    }
}
