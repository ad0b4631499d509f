//! Networks of inverted residuals with timm's names: `EfficientNet`, `EfficientNet`-Lite and v2,
//! `MobileNet` v2 and v3, `MNASNet` and relatives, all of them from timm's `efficientnet.py` and
//! `mobilenetv3.py`.
//!
//! Only the networks of a table are built, because activations, strides and padding are not in
//! the tensors: the widths of all convolutions must be those of a network of the table. Where two
//! networks have the same tensors, the declared name decides.

mod bases;
mod layout;
mod names;
mod table;
#[cfg(test)]
pub mod tests;

use crate::model::graph::{Conv, GraphError, Unary, ValueId};
use crate::model::state_dict::blocks::{Plan, Squeeze, Style, Unit};
use crate::model::state_dict::mobile_timm::layout::{Block, Kind, Layout};
use crate::model::state_dict::mobile_timm::names::Names;
use crate::model::state_dict::mobile_timm::table::{Base, Head, NETWORKS, Row};
use crate::model::state_dict::{Family, Layers, UsualInput, head, same_padding};

/// All networks of the table.
pub const MOBILE_TIMM: Family = Family {
    matches: |shapes| {
        let first = ["conv_dw", "conv_pw", "conv_exp", "conv"];
        let is_first = |conv: &&str| shapes.contains_key(&format!("blocks.0.0.{conv}.weight"));
        shapes.contains_key("conv_stem.weight") && first.iter().any(is_first)
    },
    build: |layers, input| {
        let fitting = candidates(layers, Names::Timm);
        let row = chosen(layers, &fitting)?;
        build(layers, input, row, Names::Timm)
    },
};

/// `EfficientNet` and `EfficientNet`-Lite with the names of `efficientnet_pytorch`.
pub const EFFICIENTNET_SOURCE: Family = Family {
    matches: |shapes| {
        shapes.contains_key("_conv_stem.weight")
            && shapes.contains_key("_blocks.0._depthwise_conv.weight")
    },
    build: |layers, input| {
        let fitting = candidates(layers, Names::Source);
        let tensorflow = |row: &&&Row| row.name.starts_with("tf_efficientnet_");
        let row = *fitting.iter().find(tensorflow).ok_or_else(unknown)?;
        build(layers, input, row, Names::Source)
    },
};

/// Suffixes of the names of weights that do not change the network.
const SUFFIXES: [&str; 9] = [
    "_ns",
    "_ns_475",
    "_ap",
    "_aa",
    "_ra",
    "_in21k",
    "_in21ft1k",
    "_miil",
    "_miil_in21k",
];

fn candidates(layers: &Layers, names: Names) -> Vec<&'static Row> {
    let fits = |row: &&Row| Layout::new(row).fits(layers.shapes(), names);
    NETWORKS.iter().filter(fits).collect()
}

fn unknown() -> GraphError {
    GraphError::new(
        "its layers are not those of a network that camlens knows by these names (EfficientNet, EfficientNet-Lite, MobileNet v2 and v3, MNASNet …): export it as ONNX",
    )
}

fn build(
    layers: &mut Layers,
    input: ValueId,
    row: &Row,
    names: Names,
) -> Result<ValueId, GraphError> {
    let Row { base, .. } = row;
    layers.described.name = row.title.into();
    layers.described.input = UsualInput {
        crop: row.crop,
        short: row.short,
        bicubic: row.bicubic,
        ..UsualInput::default()
    };
    if row.half {
        layers.described.input.mean = [0.5; 3];
        layers.described.input.std = [0.5; 3];
    }
    if names == Names::Source {
        layers.assume("padding as in TensorFlow, average pooling at the end");
    }
    let mut network = Network {
        base,
        names,
        style: Style {
            eps: row.eps,
            same: row.same,
        },
        // efficientnet_pytorch takes the padding of its usual size for all sizes.
        nominal: (names == Names::Source && row.base.gates_everywhere()).then_some(row.nominal()),
    };
    let norm = names.outer("bn1");
    let stem = unit(names.outer("conv_stem"), norm, norm);
    let plan = Plan::full(3, 2, base.activation);
    let mut x = network.unit(layers, &stem, plan, input)?;
    let layout = Layout::new(row);
    for (path, block) in layout.paths(names) {
        x = network.block(layers, &path, block, x)?;
    }
    let x = network.last(layers, x)?;
    let inside = ["conv_", "bn", "blocks.", "_conv_", "_bn", "_blocks."];
    head::classifier(layers, x, &inside.map(str::to_owned))
}

/// The candidate that is declared, or the usual one, which is then said.
fn chosen<'a>(layers: &mut Layers, candidates: &[&'a Row]) -> Result<&'a Row, GraphError> {
    let Some(&usual) = candidates.first() else {
        return Err(unknown());
    };
    let Some(declared) = layers.declared.clone() else {
        if !layers.is_saved_whole() {
            layers.described.assumed.push(taken_as(usual, candidates));
        }
        return Ok(usual);
    };
    let declared = declared.split('.').next().unwrap_or(&declared);
    let is_it = |row: &&Row| {
        let rest = declared.strip_prefix(row.name);
        rest.is_some_and(|rest| {
            let is_pruned = rest == "_pruned" && row.name.contains("_e");
            rest.is_empty() || is_pruned || SUFFIXES.contains(&rest)
        })
    };
    if let Some(row) = candidates.iter().copied().find(is_it) {
        return Ok(row);
    }
    // torchvision's spelling: mobilenet_v3_large for mobilenetv3_large_100.
    let plain = |name: &str| name.replace('_', "");
    let is_like = |row: &&Row| plain(row.name).starts_with(&plain(declared));
    if let Some(row) = candidates.iter().copied().find(is_like) {
        layers.described.assumed.push(taken_as(row, candidates));
        return Ok(row);
    }
    let names: Vec<&str> = candidates.iter().map(|row| row.name).collect();
    Err(GraphError::new(format!(
        "it is declared as {declared}, but its layers are those of {}",
        names.join(" or ")
    )))
}

fn taken_as(row: &Row, candidates: &[&Row]) -> String {
    let activation = match row.base.activation {
        Unary::Silu => "SiLU",
        Unary::HardSwish => "hard swish and ReLU",
        Unary::Clip(..) => "ReLU6",
        _ => "ReLU",
    };
    let padding = if row.same {
        "padding as in TensorFlow"
    } else {
        "symmetric padding"
    };
    let others = candidates.iter().filter(|other| other.name != row.name);
    let others: Vec<&str> = others.map(|row| row.name).collect();
    let same = if others.is_empty() {
        String::from("The weights alone do not show it.")
    } else {
        format!("{} has the same weights.", others.join(" or "))
    };
    format!(
        "Taken as timm's {}: {activation}, {padding}. {same}",
        row.name
    )
}

fn unit<'a>(conv: &'a str, norm: &'a str, output: &'a str) -> Unit<'a> {
    Unit {
        conv,
        norm,
        act: "",
        output,
    }
}

/// What all blocks share.
struct Network<'a> {
    base: &'a Base,
    names: Names,
    style: Style,
    /// The side of the image that decides the padding, if it is not the image itself.
    nominal: Option<usize>,
}

impl Network<'_> {
    /// A unit whose activation, in networks that were saved whole, is in the batch norm.
    fn unit(
        &mut self,
        layers: &mut Layers,
        unit: &Unit,
        plan: Plan,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let act = format!("{}.act", unit.norm);
        let unit = Unit { act: &act, ..*unit };
        let Some(side) = self.nominal.filter(|_| plan.stride > 1) else {
            return layers.unit(&unit, plan, self.style, x);
        };
        self.nominal = Some(side.div_ceil(plan.stride));
        let kernel = (plan.kernel, plan.stride);
        let mut conv = layers.padded_conv(unit.conv, x, kernel, plan.reads, false)?;
        let Some((before, after)) = same_padding(side, plan.kernel, plan.stride, 1) else {
            return Err(GraphError::new(format!("{} can't be padded", unit.conv)));
        };
        conv.pads = [before, before, after, after];
        let x = layers.conv(unit.conv, x, conv)?;
        layers.norm_activation(&unit, plan.activation, self.style, x)
    }

    fn block(
        &mut self,
        layers: &mut Layers,
        name: &str,
        block: &Block,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let (kernel, stride, activation) = (block.kernel, block.stride, block.activation);
        let expanding = Plan::pointwise(Some(activation));
        let depthwise = Plan::depthwise(kernel, stride, activation);
        let full = Plan::full(kernel, stride, activation);
        let last = Plan::pointwise(block.activated.then_some(activation));
        // Convolution, batch norm, plan of each unit; squeeze and excitation are before the last.
        let units: &[(&str, &str, Plan)] = match block.kind {
            Kind::Separable => &[("conv_dw", "bn1", depthwise), ("conv_pw", "bn2", last)],
            Kind::Inverted => &[
                ("conv_pw", "bn1", expanding),
                ("conv_dw", "bn2", depthwise),
                ("conv_pwl", "bn3", last),
            ],
            Kind::Edge => &[("conv_exp", "bn1", full), ("conv_pwl", "bn2", last)],
            Kind::Conv => &[("conv", "bn1", full)],
        };
        let part = |part: &str| format!("{name}.{}", self.names.inner(block.kind, part));
        let paths: Vec<_> = units
            .iter()
            .map(|unit| (part(unit.0), part(unit.1)))
            .collect();
        let mut x = input;
        for (at, ((conv, norm), (_, _, plan))) in paths.iter().zip(units).enumerate() {
            if at > 0 && at + 1 == units.len() {
                x = self.gates(layers, name, block, x)?;
            }
            x = self.unit(layers, &unit(conv, norm, norm), *plan, x)?;
        }
        if block.skip {
            layers.residual(name, input, x, stride)
        } else {
            layers.rename(x, name);
            Ok(x)
        }
    }

    fn gates(
        &self,
        layers: &mut Layers,
        name: &str,
        block: &Block,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        if block.squeeze.is_none() {
            return Ok(x);
        }
        let part = |part: &str| format!("{name}.{}", self.names.inner(block.kind, part));
        let act = part("se.act1");
        // One module serves all activations of a block in efficientnet_pytorch.
        let gate = match self.names {
            Names::Timm => part("se.gate"),
            Names::Source => format!("{name}.se.gate"),
        };
        let squeeze = Squeeze {
            name: &format!("{name}.se"),
            reduce: &part("se.conv_reduce"),
            expand: &part("se.conv_expand"),
            act: &act,
            gate: &gate,
        };
        let gates = &self.base.gates;
        let functions = (gates.activation.unwrap_or(block.activation), gates.gate);
        layers.squeeze(&squeeze, functions, x)
    }

    /// What follows the blocks, up to a vector.
    fn last(&mut self, layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
        let activation = self.base.activation;
        let pool = ["global_pool", "_avg_pooling"];
        match self.base.head {
            Head::None => head::global_pool(layers, pool[0], &pool, x),
            Head::BeforePooling(_) => {
                let norm = self.names.outer("bn2");
                let unit = unit(self.names.outer("conv_head"), norm, norm);
                let x = self.unit(layers, &unit, Plan::pointwise(Some(activation)), x)?;
                head::global_pool(layers, pool[0], &pool, x)
            }
            Head::AfterPooling(_) => {
                if let Some(module) = layers.saved(pool[0])
                    && !module.is_global_average()
                {
                    let text = format!("global_pool is {} instead of averaging", module.class);
                    return Err(GraphError::new(text));
                }
                let x = layers.global_average_pool(pool[0], x, true)?;
                let x = layers.conv("conv_head", x, Conv::PLAIN)?;
                let x = layers.activation("act2", &["act2"], activation, x)?;
                layers.flatten("flatten", x)
            }
        }
    }
}
