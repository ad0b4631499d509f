//! Networks of inverted residuals with timm's names: `EfficientNet`, `EfficientNet`-Lite and v2,
//! `MobileNet` v2 and v3, `MNASNet` and relatives, all of them from timm's `efficientnet.py` and
//! `mobilenetv3.py`.
//!
//! Only the networks of a table are built, because activations, strides and padding are not in
//! the tensors: the widths of all convolutions must be those of a network of the table. Where two
//! networks have the same tensors, the declared name decides.

mod layout;
mod table;

use crate::model::graph::{Conv, GraphError, Op, ReduceKind, Unary, ValueId};
use crate::model::state_dict::blocks::{Plan, Squeeze, Style, Unit};
use crate::model::state_dict::mobile_timm::layout::{Block, Kind, Layout};
use crate::model::state_dict::mobile_timm::table::{Base, Head, NETWORKS, Row};
use crate::model::state_dict::{Family, Layers, UsualInput, head};

/// All networks of the table.
pub const MOBILE_TIMM: Family = Family {
    matches: |shapes| {
        let first = ["conv_dw", "conv_pw", "conv_exp", "conv"];
        let is_first = |conv: &&str| shapes.contains_key(&format!("blocks.0.0.{conv}.weight"));
        shapes.contains_key("conv_stem.weight") && first.iter().any(is_first)
    },
    build,
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

fn build(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let fitting = |row: &&Row| Layout::new(row).fits(layers.shapes());
    let candidates: Vec<&Row> = NETWORKS.iter().filter(fitting).collect();
    let row = chosen(layers, &candidates)?;
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
    let style = Style {
        eps: row.eps,
        same: row.same,
    };
    let stem = unit("conv_stem", "bn1", "bn1");
    let plan = Plan::full(3, 2, base.activation);
    let mut x = named(layers, &stem, plan, style, input)?;
    let layout = Layout::new(row);
    for (stage, blocks) in layout.stages.iter().enumerate() {
        for (at, block) in blocks.iter().enumerate() {
            let name = format!("blocks.{stage}.{at}");
            let network = Network { base, style };
            x = network.block(layers, &name, block, x)?;
        }
    }
    let x = last(layers, base, style, x)?;
    head::classifier(layers, x, &["conv_".into(), "bn".into(), "blocks.".into()])
}

/// The candidate that is declared, or the usual one, which is then said.
fn chosen<'a>(layers: &mut Layers, candidates: &[&'a Row]) -> Result<&'a Row, GraphError> {
    let Some(&usual) = candidates.first() else {
        return Err(GraphError::new(
            "its layers are not those of a network that camlens knows by timm's names (EfficientNet, EfficientNet-Lite, MobileNet v2 and v3, MNASNet …): export it as ONNX",
        ));
    };
    let Some(declared) = layers.declared.clone() else {
        layers.described.assumed.push(taken_as(usual, candidates));
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

/// A unit whose activation, in networks that were saved whole, is in the batch norm.
fn named(
    layers: &mut Layers,
    unit: &Unit,
    plan: Plan,
    style: Style,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let act = format!("{}.act", unit.norm);
    let unit = Unit { act: &act, ..*unit };
    layers.unit(&unit, plan, style, x)
}

/// What follows the blocks, up to a vector.
fn last(layers: &mut Layers, base: &Base, style: Style, x: ValueId) -> Result<ValueId, GraphError> {
    let activation = base.activation;
    let pool = ["global_pool"];
    match base.head {
        Head::None => head::global_pool(layers, "global_pool", &pool, x),
        Head::BeforePooling(_) => {
            let unit = unit("conv_head", "bn2", "bn2");
            let plan = Plan::pointwise(Some(activation));
            let x = named(layers, &unit, plan, style, x)?;
            head::global_pool(layers, "global_pool", &pool, x)
        }
        Head::AfterPooling(_) => {
            if let Some(module) = layers.saved("global_pool")
                && !module.is_global_average()
            {
                let text = format!("global_pool is {} instead of averaging", module.class);
                return Err(GraphError::new(text));
            }
            let mean = Op::Reduce {
                kind: ReduceKind::Mean,
                axes: vec![2, 3],
                keep_dims: true,
            };
            let x = layers.push("global_pool", mean, &[x])?;
            let x = layers.conv("conv_head", x, Conv::PLAIN)?;
            let x = layers.activation("act2", &["act2"], activation, x)?;
            layers.flatten("flatten", x)
        }
    }
}

/// What all blocks share.
struct Network<'a> {
    base: &'a Base,
    style: Style,
}

impl Network<'_> {
    fn block(
        &self,
        layers: &mut Layers,
        name: &str,
        block: &Block,
        input: ValueId,
    ) -> Result<ValueId, GraphError> {
        let (style, activation) = (self.style, block.activation);
        let part = |part: &str| format!("{name}.{part}");
        let run = |layers: &mut Layers, conv: &str, norm: &str, plan: Plan, x: ValueId| {
            let (conv, norm) = (part(conv), part(norm));
            named(layers, &unit(&conv, &norm, &norm), plan, style, x)
        };
        let (kernel, stride) = (block.kernel, block.stride);
        let x = match block.kind {
            Kind::Separable => {
                let plan = Plan::depthwise(kernel, stride, activation);
                let x = run(layers, "conv_dw", "bn1", plan, input)?;
                let x = self.gates(layers, name, block, x)?;
                run(layers, "conv_pw", "bn2", Plan::pointwise(None), x)?
            }
            Kind::Inverted => {
                let plan = Plan::pointwise(Some(activation));
                let x = run(layers, "conv_pw", "bn1", plan, input)?;
                let plan = Plan::depthwise(kernel, stride, activation);
                let x = run(layers, "conv_dw", "bn2", plan, x)?;
                let x = self.gates(layers, name, block, x)?;
                run(layers, "conv_pwl", "bn3", Plan::pointwise(None), x)?
            }
            Kind::Edge => {
                let plan = Plan::full(kernel, stride, activation);
                let x = run(layers, "conv_exp", "bn1", plan, input)?;
                let x = self.gates(layers, name, block, x)?;
                run(layers, "conv_pwl", "bn2", Plan::pointwise(None), x)?
            }
            Kind::Conv => {
                let plan = Plan::full(kernel, stride, activation);
                run(layers, "conv", "bn1", plan, input)?
            }
        };
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
        let squeeze = Squeeze {
            name: &format!("{name}.se"),
            reduce: &format!("{name}.se.conv_reduce"),
            expand: &format!("{name}.se.conv_expand"),
            act: &format!("{name}.se.act1"),
            gate: &format!("{name}.se.gate"),
        };
        let gates = &self.base.gates;
        let functions = (gates.activation.unwrap_or(block.activation), gates.gate);
        layers.squeeze(&squeeze, functions, x)
    }
}
