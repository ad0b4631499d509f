//! A graph as a network: runs in f32 with the fused kernels, gradients in f64.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::labels::ClassId;
use crate::model::activations::{FeatureMaps, Gradients, Head};
use crate::model::cpu::{Cpu, Isa, Precision};
use crate::model::graph::analysis::{self, HeadKind, Layer, Layers, Logits, Relevant, SpaceAxes};
use crate::model::graph::fast::{Plan, WeightCache};
use crate::model::graph::reference::{self, Keep, Tensor};
use crate::model::graph::{Graph, GraphError, GraphSource, check};
use crate::model::network::{Network, NetworkError, NetworkInput, Tape};
use crate::model::target_layer::{LayerId, LayerInfo, LayerKind};

pub use crate::model::graph::check::ACCEPTED;

/// Number of input sizes whose plans are kept.
const KEPT_SIZES: usize = 3;

/// What is known about a network before it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphInput {
    /// Height and width at which the graph is analyzed.
    pub size: (usize, usize),
    /// Whether the graph wants `[1, height, width, channels]`.
    pub channels_last: bool,
    /// The index of the output with the scores.
    pub output: usize,
}

/// A network that is a graph.
pub struct GraphNetwork {
    source: Box<dyn GraphSource>,
    input: GraphInput,
    channels: usize,
    logits: Logits,
    layers: Vec<LayerInfo>,
    default: LayerId,
    head: Option<Arc<Head>>,
    pooled: bool,
    cpu: Cpu,
    weights: Mutex<WeightCache>,
    prepared: Mutex<Vec<Arc<Prepared>>>,
}

/// A network for one input size.
struct Prepared {
    size: (usize, usize),
    graph: Graph,
    logits: Logits,
    layers: Layers,
    plan: Plan,
}

/// The state of a run.
struct State {
    prepared: Arc<Prepared>,
    input: NetworkInput,
    features: Arc<FeatureMaps>,
    /// The values at [`Layers::cut`].
    cut: Tensor,
    /// The f64 run from there to the logits.
    tail: OnceLock<reference::Run>,
    /// The f64 run from the input, for other layers.
    whole: OnceLock<reference::Run>,
}

impl GraphNetwork {
    /// Analyzes a graph and prepares it for one input size.
    ///
    /// # Errors
    /// If the graph can't be built or run, its output is not one score per class, or no layer has
    /// rows and columns.
    pub fn new(
        source: Box<dyn GraphSource>,
        input: GraphInput,
        level: Isa,
    ) -> Result<Self, GraphError> {
        let cpu = Cpu::new(level);
        let mut weights = WeightCache::default();
        let prepared = Prepared::new(&*source, input, input.size, &cpu, &mut weights)?;
        let Prepared {
            graph,
            logits,
            layers,
            ..
        } = &prepared;
        let relevant = Relevant::new(graph, logits.id);
        let roles = analysis::roles(graph, input.channels_last);
        let default = &layers.all[layers.default];
        let (head, pooled) = match analysis::head(graph, &roles, &relevant, default.id, logits.id) {
            HeadKind::Linear(head) if logits.classes > 1 => (Some(Arc::new(head)), true),
            HeadKind::Linear(_) | HeadKind::Pooled => (None, true),
            HeadKind::General => (None, false),
        };
        let info = |layer: &Layer| LayerInfo {
            name: graph.value(layer.id).name.clone(),
            stride: layer.stride,
            channels: layer.channels,
            kind: LayerKind::Output,
            stage: layer.stage,
        };
        let (height, width) = input.size;
        Ok(Self {
            input,
            channels: graph.value(graph.input).len() / (height * width),
            logits: *logits,
            layers: layers.all.iter().map(info).collect(),
            default: LayerId::new(layers.default),
            head,
            pooled,
            cpu,
            weights: Mutex::new(weights),
            prepared: Mutex::new(vec![Arc::new(prepared)]),
            source,
        })
    }

    /// Where the logits are and what follows them in the file.
    #[must_use]
    pub fn logits(&self) -> Logits {
        self.logits
    }

    /// Whether the mean over all cells follows the default layer, so that gradients there are the
    /// same at every cell.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.pooled
    }

    /// The plan for an input size.
    fn prepare(&self, size: (usize, usize)) -> Result<Arc<Prepared>, GraphError> {
        let mut kept = lock(&self.prepared);
        if let Some(at) = kept.iter().position(|prepared| prepared.size == size) {
            let found = kept.remove(at);
            kept.push(found.clone());
            return Ok(found);
        }
        let mut weights = lock(&self.weights);
        let new = Prepared::new(&*self.source, self.input, size, &self.cpu, &mut weights)?;
        if new.layers.all.len() != self.layers.len() || new.layers.default != self.default.index() {
            return Err(GraphError::new(format!(
                "with an input of {} × {} pixels its layers are others; choose {} × {}",
                size.1, size.0, self.input.size.1, self.input.size.0
            )));
        }
        let new = Arc::new(new);
        if kept.len() == KEPT_SIZES {
            kept.remove(0);
        }
        kept.push(new.clone());
        Ok(new)
    }

    /// Compares the gradient at the default layer with a directional derivative; returns the
    /// relative error.
    ///
    /// # Errors
    /// If the network can't be run.
    pub fn check_gradient(&self) -> Result<f64, GraphError> {
        let (height, width) = self.input.size;
        let prepared = self.prepare(self.input.size)?;
        let graph = &prepared.graph;
        let values = prepared
            .plan
            .run(&check::pattern(height, width, self.channels))?;
        let read = |id| {
            values
                .get(id)
                .ok_or_else(|| GraphError::new("a value was not kept"))
        };
        let cut = prepared.layers.cut;
        let at = Tensor::single(graph.shape(cut), Arc::new(read(cut)?));
        let logits = read(prepared.logits.id)?;
        if let Some(bad) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(GraphError::new(format!(
                "a logit is {bad} for a plain pattern"
            )));
        }
        let top = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let class = (prepared.logits.id, top.unwrap_or(0));
        let error = check::gradient_error(graph, (cut, &at), class, self.cpu.level)?;
        Ok(error)
    }

    /// Number of logits that are shown: one logit stands for two classes.
    fn one_logit(&self) -> bool {
        self.logits.classes == 1
    }

    fn layer<'a>(&self, state: &'a State, at: LayerId) -> Result<&'a Layer, NetworkError> {
        let layer = state.prepared.layers.all.get(at.index());
        layer.ok_or_else(|| NetworkError::no_layer(at))
    }

    /// The f64 run from the input.
    fn whole<'a>(&self, state: &'a State) -> Result<&'a reference::Run, NetworkError> {
        if let Some(run) = state.whole.get() {
            return Ok(run);
        }
        let prepared = &state.prepared;
        let input = planar(&state.input, self.input.channels_last);
        let input = Tensor::single(prepared.graph.shape(prepared.graph.input), Arc::new(input));
        let from = vec![(prepared.graph.input, input)];
        let run = self.run(prepared, from)?;
        Ok(state.whole.get_or_init(|| run))
    }

    /// The f64 run from the cut vertex to the logits.
    fn tail<'a>(&self, state: &'a State) -> Result<&'a reference::Run, NetworkError> {
        if let Some(run) = state.tail.get() {
            return Ok(run);
        }
        let prepared = &state.prepared;
        let from = vec![(prepared.layers.cut, state.cut.clone())];
        let run = self.run(prepared, from)?;
        Ok(state.tail.get_or_init(|| run))
    }

    fn run(
        &self,
        prepared: &Prepared,
        from: Vec<(crate::model::graph::ValueId, Tensor)>,
    ) -> Result<reference::Run, NetworkError> {
        let to = [prepared.logits.id];
        let level = self.cpu.level;
        let run = reference::run(&prepared.graph, from, &to, Keep::All, level, &|| true);
        run.map_err(failed)
    }
}

impl Network for GraphNetwork {
    fn layers(&self) -> &[LayerInfo] {
        &self.layers
    }

    fn default_layer(&self) -> LayerId {
        self.default
    }

    fn head(&self) -> Option<&Arc<Head>> {
        self.head.as_ref()
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn fixed_size(&self) -> Option<(usize, usize)> {
        self.source.fixed_size()
    }

    /// Always in f32: gradients make their own run in f64.
    fn forward(&self, input: &NetworkInput, _: Precision) -> Result<Tape, NetworkError> {
        let prepared = self.prepare((input.height, input.width)).map_err(failed)?;
        let values = prepared.plan.run(&input.values).map_err(failed)?;
        let layer = &prepared.layers.all[prepared.layers.default];
        let graph = &prepared.graph;
        let default = values.get(layer.id).ok_or_else(lost)?;
        let features = Arc::new(feature_maps(graph.shape(layer.id), layer, &default));
        let cut = prepared.layers.cut;
        let cut_values = if cut == layer.id {
            default
        } else {
            values.get(cut).ok_or_else(lost)?
        };
        let mut logits = match &self.head {
            Some(head) => head.logits(&features),
            None => values.get(prepared.logits.id).ok_or_else(lost)?,
        };
        if self.one_logit() {
            logits = vec![-logits[0], logits[0]];
        }
        let cut = Tensor::single(graph.shape(cut), Arc::new(cut_values));
        let state = State {
            prepared,
            input: input.clone(),
            features,
            cut,
            tail: OnceLock::new(),
            whole: OnceLock::new(),
        };
        Ok(Tape::new(logits, state))
    }

    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError> {
        let state: &State = tape.state()?;
        let layer = self.layer(state, at)?;
        if at == self.default {
            return Ok(state.features.clone());
        }
        let run = self.whole(state)?;
        let values = run.get(layer.id).ok_or_else(lost)?.singles();
        let shape = state.prepared.graph.shape(layer.id);
        Ok(Arc::new(feature_maps(shape, layer, &values)))
    }

    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError> {
        let state: &State = tape.state()?;
        if let Some(head) = &self.head
            && at.iter().all(|layer| *layer == self.default)
        {
            let gradients = head.gradients(class, state.features.cells());
            return Ok(vec![Gradients::PerChannel(gradients); at.len()]);
        }
        let run = if at.iter().all(|layer| *layer == self.default) {
            self.tail(state)?
        } else {
            self.whole(state)?
        };
        let Prepared { graph, logits, .. } = &*state.prepared;
        let mut seed = vec![0.0; logits.classes];
        if self.one_logit() {
            seed[0] = if class.index() == 0 { -1.0 } else { 1.0 };
        } else {
            *seed.get_mut(class.index()).ok_or_else(lost)? = 1.0;
        }
        let seed = Tensor::double(graph.shape(logits.id), seed);
        let layers: Vec<&Layer> = at
            .iter()
            .map(|at| self.layer(state, *at))
            .collect::<Result<_, _>>()?;
        let ids: Vec<_> = layers.iter().map(|layer| layer.id).collect();
        let gradients = reference::gradients(graph, run, logits.id, &seed, &ids, self.cpu.level);
        let gradients = gradients.map_err(failed)?;
        let prepared_default = state.prepared.layers.all[state.prepared.layers.default].id;
        let maps = layers.iter().zip(gradients).map(|(layer, gradient)| {
            let maps = feature_maps(graph.shape(layer.id), layer, &gradient.singles());
            if self.pooled && layer.id == prepared_default {
                let cells = maps.cells();
                return Gradients::PerChannel(maps.values.into_iter().step_by(cells).collect());
            }
            Gradients::PerCell(maps.values)
        });
        Ok(maps.collect())
    }

    fn bytes_to_run(&self, input: (usize, usize), _: Precision) -> u64 {
        let Ok(prepared) = self.prepare((input.1, input.0)) else {
            return 0; // running it says why
        };
        let graph = &prepared.graph;
        let computed = graph
            .nodes
            .iter()
            .map(|node| graph.value(node.output).len());
        4 * computed.sum::<usize>() as u64
    }
}

impl Prepared {
    fn new(
        source: &dyn GraphSource,
        input: GraphInput,
        (height, width): (usize, usize),
        cpu: &Cpu,
        weights: &mut WeightCache,
    ) -> Result<Self, GraphError> {
        let graph = source.graph(height, width)?;
        let output = graph.outputs.get(input.output).copied();
        let output = output.ok_or_else(|| GraphError::new("it has no such output"))?;
        let logits = analysis::logits(&graph, output)?;
        let relevant = Relevant::new(&graph, logits.id);
        let roles = analysis::roles(&graph, input.channels_last);
        let layers = analysis::layers(&graph, &roles, &relevant, logits.id, logits.classes);
        let layers = layers.ok_or_else(|| {
            GraphError::new(
                "no layer keeps rows and columns on every path from the image to the classes, so there is nothing to map",
            )
        })?;
        let keep = [layers.all[layers.default].id, layers.cut, logits.id];
        let plan = Plan::with_layout(&graph, &keep, input.channels_last, cpu, weights)?;
        Ok(Self {
            size: (height, width),
            graph,
            logits,
            layers,
            plan,
        })
    }
}

/// The pixels in the order of the graph's input.
fn planar(input: &NetworkInput, channels_last: bool) -> Vec<f32> {
    if channels_last {
        return input.values.clone();
    }
    let channels = input.channels;
    let plane = |channel: usize| input.values.iter().skip(channel).step_by(channels).copied();
    (0..channels).flat_map(plane).collect()
}

/// The image in a value: `[channels, height, width]`.
fn feature_maps(shape: &[usize], layer: &Layer, values: &[f32]) -> FeatureMaps {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let space = layer.space;
    let (first, row, column, used) = match space.axes {
        SpaceAxes::Grid { rows, columns } => (0, strides[rows], strides[columns], [rows, columns]),
        SpaceAxes::Tokens { axis, prefix } => {
            let step = strides[axis];
            (prefix * step, space.width * step, step, [axis, axis])
        }
    };
    // The offset of each channel: all other axes together.
    let mut offsets = vec![first];
    for axis in (0..shape.len()).filter(|axis| !used.contains(axis)) {
        let step = strides[axis];
        let more = offsets
            .iter()
            .flat_map(|at| (0..shape[axis]).map(move |n| at + n * step));
        offsets = more.collect();
    }
    let mut maps = Vec::with_capacity(offsets.len() * space.height * space.width);
    for offset in &offsets {
        for y in 0..space.height {
            let line = offset + y * row;
            maps.extend((0..space.width).map(|x| values[line + x * column]));
        }
    }
    FeatureMaps {
        channels: offsets.len(),
        height: space.height,
        width: space.width,
        values: maps,
    }
}

fn failed(error: GraphError) -> NetworkError {
    NetworkError::new(error.0)
}

fn lost() -> NetworkError {
    NetworkError::new("a value that the network computes was not kept")
}

/// A panic in another thread can't leave these lists inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
