//! Where maps can be taken, and which layer is taken without being asked.
//!
//! The rule follows the structure of the graph and needs no names. A layer is a cut vertex (every
//! path from the input to the logits runs through it) that still has rows and columns. The default
//! is the last one; where only a class token is read in the end, it is the input of the last
//! attention block after its first normalization, since later values of the other tokens do not
//! reach the logits.

use crate::model::graph::analysis::Relevant;
use crate::model::graph::analysis::roles::{Role, Roles, Space, SpaceAxes};
use crate::model::graph::{Graph, Op, ValueId};

/// A layer where maps can be taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// The value.
    pub id: ValueId,
    /// Where the image lies in it.
    pub space: Space,
    /// Number of channels.
    pub channels: usize,
    /// The distance of two neighboring cells in pixels of the input: across, down.
    pub stride: (f64, f64),
    /// Its number among the stages, from 1, if it is the last layer of its size.
    pub stage: Option<usize>,
}

/// The layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    /// In the order in which they run.
    pub all: Vec<Layer>,
    /// The index of the default layer.
    pub default: usize,
    /// The cut vertex from which the default layer and the logits can be computed: mostly the
    /// default layer itself.
    pub cut: ValueId,
    /// Whether only a class token (or a similar one) is read in the end.
    pub class_token: bool,
}

/// The layers on the way to `logits`; `None` if no value on the way keeps rows and columns.
#[must_use]
pub fn layers(
    graph: &Graph,
    roles: &[Roles],
    relevant: &Relevant,
    logits: ValueId,
    classes: usize,
) -> Option<Layers> {
    let reach = reach(graph, roles, relevant, logits);
    let producers = graph.producers();
    let space = |id: ValueId| roles[id.index()].space(graph.shape(id));
    let layer = |id: ValueId| {
        let space = space(id)?;
        let prefix = match space.axes {
            SpaceAxes::Tokens { prefix, .. } => prefix,
            SpaceAxes::Grid { .. } => 0,
        };
        let tokens = prefix + space.height * space.width;
        Some(Layer {
            id,
            space,
            channels: graph.value(id).len() / tokens,
            stride: stride(graph, &roles[id.index()], space, graph.input, roles),
            stage: None,
        })
    };
    let is_layer = |id: &ValueId| {
        let producer = producers[id.index()].map(|index| &graph.nodes[index].op);
        let relabels = matches!(
            producer,
            Some(
                Op::Reshape { .. }
                    | Op::Transpose { .. }
                    | Op::Pad { .. }
                    | Op::Slice { .. }
                    | Op::Gather { .. }
                    | Op::Expand { .. }
            )
        );
        // The value after the activation or the normalization says more.
        let reader = relevant
            .only_reader(*id)
            .map(|index| &graph.nodes[index].op);
        let unfinished = matches!(reader, Some(Op::Unary(_) | Op::BatchNorm { .. }));
        !relabels && !unfinished
    };
    let cuts = relevant.cuts(graph);
    let all_cuts = cuts.iter().copied().filter(|id| space(*id).is_some());
    let reached = |id: &ValueId| reach[id.index()] == Reach::All;
    let class_token = all_cuts.clone().any(|id| !reached(&id));
    let mut all: Vec<Layer> = all_cuts
        .filter(|id| reached(id) && is_layer(id))
        .filter_map(layer)
        .collect();
    let last = all.last()?.id;
    let mut default = last;
    if class_token {
        let mut readers = relevant.readers[last.index()].iter();
        let norm = readers.find_map(|index| {
            let node = &graph.nodes[*index];
            matches!(node.op, Op::LayerNorm { .. }).then_some(node.output)
        });
        if let Some(norm) = norm.filter(|id| space(*id).is_some()) {
            all.extend(layer(norm));
            default = norm;
        }
    } else {
        // Average pooling belongs to the head, and so does a convolution to one channel per class.
        while let Some(node) = producers[default.index()].map(|index| &graph.nodes[index]) {
            let own = layer(default)?;
            let to_class_maps = own.channels == classes && classes > 1;
            let before = match node.op {
                Op::AveragePool { .. } | Op::Resample { .. } => node.inputs[0],
                Op::Unary(_) if to_class_maps => {
                    let conv = producers[node.inputs[0].index()].map(|index| &graph.nodes[index]);
                    match conv {
                        Some(conv) if matches!(conv.op, Op::Conv(_)) => conv.inputs[0],
                        _ => break,
                    }
                }
                Op::Conv(_) if to_class_maps => node.inputs[0],
                _ => break,
            };
            if space(before).is_none() || !all.iter().any(|layer| layer.id == before) {
                break;
            }
            default = before;
        }
    }
    number_stages(&mut all, default);
    Some(Layers {
        default: all.iter().position(|layer| layer.id == default)?,
        cut: if class_token { last } else { default },
        all,
        class_token,
    })
}

/// Marks the last layer of each size, and the default layer instead of a later one of its size.
fn number_stages(all: &mut [Layer], default: ValueId) {
    let size = |layer: &Layer| (layer.space.height, layer.space.width);
    let end = all.iter().position(|layer| layer.id == default);
    let end = end.map_or(all.len(), |at| at + 1);
    let mut stage = 0;
    for index in 0..end {
        let is_last = index + 1 == end || size(&all[index]) != size(&all[index + 1]);
        if is_last {
            stage += 1;
            all[index].stage = Some(stage);
        }
    }
}

/// Pixels per cell. Where the cells do not cover the input (convolutions without padding), they are
/// stretched over it, as other programs do.
fn stride(graph: &Graph, own: &Roles, space: Space, input: ValueId, roles: &[Roles]) -> (f64, f64) {
    let Some(whole) = roles[input.index()].space(graph.shape(input)) else {
        return own.stride;
    };
    let axis = |stride: f64, cells: usize, pixels: usize| {
        let (cells, pixels) = (cells as f64, pixels as f64);
        if stride * cells >= pixels {
            stride
        } else {
            pixels / cells
        }
    };
    (
        axis(own.stride.0, space.width, whole.width),
        axis(own.stride.1, space.height, whole.height),
    )
}

/// How much of a value reaches the logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nothing.
    Nothing,
    /// Only the tokens before those of the image.
    Prefix,
    /// Everything.
    All,
}

/// How much of each value reaches the logits.
fn reach(graph: &Graph, roles: &[Roles], relevant: &Relevant, logits: ValueId) -> Vec<Reach> {
    let mut reach = vec![Reach::Nothing; graph.values.len()];
    reach[logits.index()] = Reach::All;
    for index in relevant.nodes.iter().rev() {
        let node = &graph.nodes[*index];
        let of_output = reach[node.output.index()];
        for (at, input) in node.inputs.iter().enumerate() {
            let passed = passes(graph, roles, *index, at, of_output);
            let reach = &mut reach[input.index()];
            *reach = passed.max(*reach);
        }
    }
    reach
}

/// How much of an input matters, if this much of the output does.
fn passes(graph: &Graph, roles: &[Roles], index: usize, at: usize, of_output: Reach) -> Reach {
    let node = &graph.nodes[index];
    let input = node.inputs[at];
    let tokens = |id: ValueId| {
        let axes = roles[id.index()].axes.iter();
        let mut axes = axes.enumerate().filter_map(|(axis, role)| match role {
            Role::Tokens { prefix, .. } if *prefix > 0 => Some((axis, *prefix)),
            _ => None,
        });
        axes.next()
    };
    let Some((axis, prefix)) = tokens(input) else {
        return match of_output {
            Reach::Nothing => Reach::Nothing,
            _ => Reach::All,
        };
    };
    match &node.op {
        Op::Slice {
            axis: cut,
            start,
            step,
            length,
        } if *cut == axis => {
            let inside = *step > 0 && start + (length - 1) * step.unsigned_abs() < prefix;
            if inside { Reach::Prefix } else { Reach::All }
        }
        Op::Gather {
            axis: cut, indices, ..
        } if *cut == axis => {
            if indices.iter().all(|index| *index < prefix) {
                Reach::Prefix
            } else {
                Reach::All
            }
        }
        // One token after the other.
        Op::Unary(_) | Op::Linear | Op::Binary(_) | Op::BatchNorm { .. } => of_output,
        Op::LayerNorm { axis: from, .. } if *from > axis => of_output,
        Op::Reshape { .. } | Op::Transpose { .. } if tokens(node.output).is_some() => of_output,
        // The rows of the first matrix.
        Op::MatMul if at == 0 && axis + 2 == graph.shape(input).len() => of_output,
        Op::Softmax { axis: over } if *over != axis => of_output,
        Op::Reduce { axes, .. } if !axes.contains(&axis) => of_output,
        Op::Slice { .. } | Op::Gather { .. } if tokens(node.output).is_some() => of_output,
        _ => match of_output {
            Reach::Nothing => Reach::Nothing,
            _ => Reach::All,
        },
    }
}
