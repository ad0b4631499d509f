//! `RegNet` X and Y (Radosavovic et al. 2020, arXiv 2003.13678), as torchvision and timm have
//! them.

use crate::model::graph::{GraphError, Unary, ValueId};
use crate::model::state_dict::blocks::{Plan, Reads, Squeeze, Style, Unit};
use crate::model::state_dict::{Family, Layers, head};

/// torchvision's.
pub const TORCHVISION: Family = Family {
    matches: |shapes| {
        shapes.contains_key("stem.0.weight")
            && shapes.contains_key("trunk_output.block1.block1-0.f.a.0.weight")
    },
    build: |layers, input| build(layers, input, &TORCHVISION_NAMES),
};

/// timm's.
pub const TIMM: Family = Family {
    matches: |shapes| {
        shapes.contains_key("stem.conv.weight") && shapes.contains_key("s1.b1.conv1.conv.weight")
    },
    build: |layers, input| build(layers, input, &TIMM_NAMES),
};

const STYLE: Style = Style {
    eps: 1e-5,
    same: false,
};

/// The names of modules.
struct Names {
    is_timm: bool,
    /// Block (stage from 1, index from 0).
    block: fn(usize, usize) -> String,
    /// In a block: three convolutions, the shortcut.
    units: [&'static str; 3],
    shortcut: &'static str,
    gate: &'static str,
    /// Within a unit: convolution, batch norm, activation.
    parts: [&'static str; 3],
    /// The activation after the sum.
    act: &'static str,
    inside: &'static [&'static str],
}

const TORCHVISION_NAMES: Names = Names {
    is_timm: false,
    block: |stage, index| format!("trunk_output.block{stage}.block{stage}-{index}"),
    units: ["f.a", "f.b", "f.c"],
    shortcut: "proj",
    gate: "f.se",
    parts: ["0", "1", "2"],
    act: "activation",
    inside: &["stem.", "trunk_output."],
};

const TIMM_NAMES: Names = Names {
    is_timm: true,
    block: |stage, index| format!("s{stage}.b{}", index + 1),
    units: ["conv1", "conv2", "conv3"],
    shortcut: "downsample",
    gate: "se",
    parts: ["conv", "bn", "bn.act"],
    act: "act3",
    inside: &["stem.", "s1.", "s2.", "s3.", "s4.", "final_conv."],
};

fn build(layers: &mut Layers, input: ValueId, names: &Names) -> Result<ValueId, GraphError> {
    let depths: Vec<usize> = (1..=4)
        .map(|stage| {
            let conv = |index: &usize| {
                let block = (names.block)(stage, *index);
                layers.has(&format!(
                    "{block}.{}.{}.weight",
                    names.units[0], names.parts[0]
                ))
            };
            (0..).take_while(conv).count()
        })
        .collect();
    let first = (names.block)(1, 0);
    let [reduce, _] = gate_paths(names, &first);
    let has_gates = layers.has(&format!("{reduce}.weight"));
    layers.described.name = format!("RegNet{}", if has_gates { "Y" } else { "X" });
    layers.assume("ReLU, average pooling at the end");
    if names.is_timm {
        layers.described.input.bicubic = true;
        if let Some(name) = &layers.declared
            && !is_declared_here(name)
        {
            return Err(GraphError::new(format!(
                "it is declared as {name}, which is no RegNet X or Y that camlens can build"
            )));
        }
    }
    if depths.contains(&0) {
        return Err(GraphError::new("a RegNet has four stages"));
    }
    let mut x = unit(layers, names, "stem", Plan::full(3, 2, Unary::Relu), input)?;
    for (stage, depth) in (1..).zip(depths) {
        for index in 0..depth {
            let name = (names.block)(stage, index);
            x = block(layers, names, &name, if index == 0 { 2 } else { 1 }, x)?;
        }
    }
    let pools = ["avgpool", "head.global_pool"];
    let x = head::global_pool(layers, "global_pool", &pools, x)?;
    let inside: Vec<String> = names.inside.iter().map(|&name| name.into()).collect();
    head::classifier(layers, x, &inside)
}

/// 1×1, 3×3 in groups, gates (Y), 1×1, plus the input or its projection, `ReLU`.
fn block(
    layers: &mut Layers,
    names: &Names,
    name: &str,
    stride: usize,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let [a, b, c] = names.units.map(|unit| format!("{name}.{unit}"));
    let inner = unit(layers, names, &a, Plan::pointwise(Some(Unary::Relu)), x)?;
    let grouped = Plan {
        reads: Reads::Groups,
        ..Plan::full(3, stride, Unary::Relu)
    };
    let mut inner = unit(layers, names, &b, grouped, inner)?;
    let [reduce, expand] = gate_paths(names, name);
    if layers.has(&format!("{reduce}.weight")) {
        let gate = format!("{name}.{}", names.gate);
        let [act, function] = if names.is_timm {
            [format!("{gate}.act"), format!("{gate}.gate")]
        } else {
            [
                format!("{gate}.activation"),
                format!("{gate}.scale_activation"),
            ]
        };
        let squeeze = Squeeze {
            name: &gate,
            reduce: &reduce,
            expand: &expand,
            act: &act,
            gate: &function,
        };
        inner = layers.squeeze(&squeeze, (Unary::Relu, Unary::Sigmoid), inner)?;
    }
    let inner = unit(layers, names, &c, Plan::pointwise(None), inner)?;
    let projection = format!("{name}.{}", names.shortcut);
    let keeps_shape = layers.shape(inner) == layers.shape(x);
    let shortcut = if keeps_shape && stride == 1 {
        x
    } else {
        let plan = Plan {
            stride,
            ..Plan::pointwise(None)
        };
        unit(layers, names, &projection, plan, x)?
    };
    let sum = layers.add(&format!("{name}.sum"), inner, shortcut)?;
    let act = format!("{name}.{}", names.act);
    layers.activation(name, &[&act], Unary::Relu, sum)
}

fn gate_paths(names: &Names, block: &str) -> [String; 2] {
    ["fc1", "fc2"].map(|part| format!("{block}.{}.{part}", names.gate))
}

fn unit(
    layers: &mut Layers,
    names: &Names,
    name: &str,
    plan: Plan,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let [conv, norm, act] = names.parts.map(|part| format!("{name}.{part}"));
    let unit = Unit {
        conv: &conv,
        norm: &norm,
        act: &act,
        output: name,
    };
    layers.unit(&unit, plan, STYLE, x)
}

/// timm's `regnetx_…` and `regnety_…`, without `regnety_040_sgn` (other normalization).
fn is_declared_here(name: &str) -> bool {
    let name = name.split('.').next().unwrap_or(name);
    let rest = name
        .strip_prefix("regnetx_")
        .or(name.strip_prefix("regnety_"));
    rest.is_some_and(|rest| {
        let digits = rest.strip_suffix("_tv").unwrap_or(rest);
        digits.len() >= 3 && digits.chars().all(|c| c.is_ascii_digit())
    }) || name.starts_with("regnet_x_")
        || name.starts_with("regnet_y_")
}
