//! Checks that a module saved whole is the network that camlens runs. Its tensors would fit in any
//! case, because a stride, a pooling layer or an activation does not change them.
//!
//! Only what the file says is compared: classes and their attributes. It does not say what the
//! `forward` of a training script's own class does.

mod convolution;

use crate::model::architecture::Architecture;
pub use crate::model::standard::convolution::{ConvNames, compare_convolution, lite_names};
use crate::model::weights::{Checkpoint, Module};

/// Names of the pooling layers before the linear layer.
const POOLS: [&str; 6] = [
    "avgpool",
    "global_pool",
    "avg_pool",
    "pool",
    "gap",
    "pooling",
];

/// The role of a class without weights in a trained network.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Activation,
    Sigmoid,
    Softmax,
    Pool,
    /// Losses and metrics, which the module of a training script often holds.
    Training,
    Unknown,
}

fn kind(module: &Module) -> Kind {
    let class = module.class.as_str();
    match class {
        "Identity"
        | "Flatten"
        | "Sequential"
        | "ModuleList"
        | "ModuleDict"
        | "Dropout"
        | "Dropout1d"
        | "Dropout2d"
        | "Dropout3d"
        | "AlphaDropout"
        | "FeatureAlphaDropout"
        | "DropPath"
        | "StochasticDepth"
        | "DropBlock"
        | "DropBlock2d"
        | "QuantStub"
        | "DeQuantStub"
        | "FloatFunctional" => Kind::Nothing,
        "Softmax" | "LogSoftmax" => Kind::Softmax,
        "Sigmoid" | "LogSigmoid" => Kind::Sigmoid,
        "ReLU"
        | "ReLU6"
        | "LeakyReLU"
        | "RReLU"
        | "PReLU"
        | "ELU"
        | "CELU"
        | "SELU"
        | "GELU"
        | "GELUTanh"
        | "QuickGELU"
        | "SiLU"
        | "Swish"
        | "MemoryEfficientSwish"
        | "Mish"
        | "Tanh"
        | "Tanhshrink"
        | "Hardtanh"
        | "Hardswish"
        | "HardSwish"
        | "HardMish"
        | "Hardsigmoid"
        | "Softplus"
        | "Softsign"
        | "Softshrink"
        | "Hardshrink"
        | "Threshold" => Kind::Activation,
        _ if class.contains("Pool") || class == "GeM" => Kind::Pool,
        _ if class.ends_with("Loss")
            || class.ends_with("Criterion")
            || module.package.contains("torchmetrics")
            || module.package.contains("loss") =>
        {
            Kind::Training
        }
        _ => Kind::Unknown,
    }
}

/// Whether a loss or metric allows several labels at once: `BCEWithLogitsLoss`,
/// `MultiLabelMarginLoss`, torchmetrics' `MultilabelAUROC`.
fn several_labels(module: &Module) -> bool {
    let class = module.class.to_lowercase();
    kind(module) == Kind::Training && (class.starts_with("bce") || class.contains("multilabel"))
}

/// Compares everything that has no weights: activations, pooling, and the modules next to the
/// network and its linear layer. This comes before the convolutions, so that a blur layer is
/// reported before the stride that it replaces. Returns notices, and the module that shows that
/// several labels can be true at once, if there is one.
pub fn compare_rest(
    checkpoint: &mut Checkpoint,
    architecture: Architecture,
) -> (Vec<String>, Option<String>) {
    if !checkpoint.saved_whole() {
        return (Vec::new(), None);
    }
    let activation = match architecture {
        Architecture::EfficientNetLite0 => "ReLU6",
        _ => "ReLU",
    };
    let parts = architecture.parts();
    let tree = Tree {
        checkpoint,
        prefix: checkpoint.prefix(),
        activation,
    };
    let mut found = Found::default();
    for module in tree.leaves(0) {
        // Its path within the network, or `None` if it is outside.
        let inside = module.path.strip_prefix(tree.prefix);
        match inside {
            Some(name) if parts.iter().any(|part| name.starts_with(part)) => {
                tree.within(module, &mut found);
            }
            Some(name) if name == "maxpool" || name.starts_with("maxpool.") => {
                Tree::first_pool(module, &mut found);
            }
            _ => {}
        }
    }
    tree.around(parts, &mut found);
    if let Some(module) = checkpoint.modules().iter().find(|m| several_labels(m)) {
        found.several_labels = Some(described(module));
    }
    if let Some(module) = checkpoint.modules().iter().find(|module| module.has_hooks) {
        let at = match module.path.as_str() {
            "" => "the whole".to_owned(),
            path => path.to_owned(),
        };
        found.notices.push(format!(
            "The module saved whole calls hooks ({at}), which camlens does not run."
        ));
    }
    let Found {
        differences,
        notices,
        several_labels,
    } = found;
    for difference in differences {
        checkpoint.differ(difference);
    }
    (notices, several_labels)
}

/// A module by its class and path: `BCEWithLogitsLoss (criterion)`.
fn described(Module { path, class, .. }: &Module) -> String {
    format!("{class} ({path})")
}

#[derive(Default)]
struct Found {
    differences: Vec<String>,
    notices: Vec<String>,
    /// What shows that several labels can be true at once.
    several_labels: Option<String>,
}

impl Found {
    fn differ(&mut self, module: &Module, instead: &str) {
        let Module { path, class, .. } = module;
        self.differences
            .push(format!("{path} is {class} instead of {instead}"));
    }
}

struct Tree<'a> {
    checkpoint: &'a Checkpoint,
    prefix: &'a str,
    /// The class of the network's activations.
    activation: &'static str,
}

impl<'a> Tree<'a> {
    /// The modules without submodules among a module and everything within it. Each module comes
    /// before its submodules, so they are adjacent.
    fn leaves(&self, index: usize) -> impl Iterator<Item = &'a Module> {
        let all = &self.checkpoint.modules()[index..];
        let outer = all.first().map_or("", |module| module.path.as_str());
        let next = all.iter().map(Some).skip(1).chain([None]);
        let is_leaf = |(module, next): &(&Module, Option<&Module>)| {
            next.is_none_or(|next| !is_within(&next.path, &module.path))
        };
        all.iter()
            .zip(next)
            .take_while(move |(module, _)| is_within(&module.path, outer))
            .filter(is_leaf)
            .map(|(module, _)| module)
    }

    fn parent_of(&self, module: &Module) -> Option<&'a Module> {
        self.checkpoint
            .module(&format!("/{}", parent(&module.path)))
    }

    /// Compares a part of the network that has no weights.
    fn within(&self, module: &Module, found: &mut Found) {
        // Other modules are compared with the convolutions, or their tensors are reported as
        // unexpected. Blur layers keep their kernel in a buffer.
        if module.has_tensors && kind(module) != Kind::Pool {
            return;
        }
        let parent = self.parent_of(module);
        if parent.is_some_and(|parent| parent.class.ends_with("Act2d")) {
            return; // compared with its batch norm
        }
        match kind(module) {
            Kind::Activation if module.path.contains(".downsample.") => {
                found.differ(module, "nothing");
            }
            Kind::Nothing if !names_activation(&module.path) => {}
            Kind::Activation if module.class == self.activation => {}
            Kind::Training => {}
            Kind::Nothing | Kind::Activation | Kind::Sigmoid | Kind::Softmax => {
                found.differ(module, self.activation);
            }
            // The padding of a convolution in efficientnet_pytorch.
            Kind::Unknown if module.path.ends_with("static_padding") => {}
            Kind::Pool | Kind::Unknown if names_activation(&module.path) => {
                found.differ(module, self.activation);
            }
            Kind::Pool | Kind::Unknown => found.differ(module, "nothing"),
        }
    }

    /// Compares the pooling after a ResNet's first convolution.
    fn first_pool(module: &Module, found: &mut Found) {
        if module.class != "MaxPool2d" {
            found.differ(module, "MaxPool2d");
        } else if !is_first_pool(module) {
            let part = |name: &str| list(module.numbers(name).unwrap_or_default());
            found.differences.push(format!(
                "{} has kernel_size {}, stride {}, padding {}, ceil_mode {} instead of 3, 2, 1, 0",
                module.path,
                part("kernel_size"),
                part("stride"),
                part("padding"),
                part("ceil_mode")
            ));
        }
    }

    /// Compares the modules next to the network, at each level above it: its pooling, its linear
    /// layer, and others.
    fn around(&self, parts: &[&str], found: &mut Found) {
        for (index, module) in self.checkpoint.modules().iter().enumerate() {
            let level = parent(&module.path);
            let above = module.path.is_empty() || !is_within(self.prefix, level);
            let holds = is_within(self.prefix.trim_end_matches('.'), &module.path);
            let name = module.path.strip_prefix(self.prefix).unwrap_or_default();
            let own = level == self.prefix.trim_end_matches('.');
            if above || holds || own && parts.iter().any(|part| name == part.trim_end_matches('.'))
            {
                continue;
            }
            let outer = self.parent_of(module);
            let runs_all = outer.is_some_and(|outer| outer.class == "Sequential");
            match name {
                "maxpool" if own => {}
                _ if own && names_activation(name) => {
                    if module.class != self.activation {
                        found.differ(module, self.activation);
                    }
                }
                _ => self.beside(index, runs_all, found),
            }
        }
    }

    /// Compares one module next to the network, and everything within it.
    fn beside(&self, index: usize, runs_all: bool, found: &mut Found) {
        let top = &self.checkpoint.modules()[index];
        let leaves: Vec<&Module> = self.leaves(index).collect();
        let is_conv = |leaf: &&Module| leaf.has_tensors && leaf.class.starts_with("Conv");
        // Another network, such as a teacher, has its own activations.
        if kind(top) == Kind::Training || !runs_all && leaves.iter().any(is_conv) {
            return;
        }
        let linear = leaves.iter().position(|leaf| self.is_matrix(leaf));
        let network = self.prefix.trim_end_matches('.');
        let mut before = self.checkpoint.modules()[..index].iter();
        let follows = before.any(|module| module.path == network);
        for (index, leaf) in leaves.iter().enumerate() {
            if leaf.has_tensors {
                let known = ["Linear", "NonDynamicallyQuantizableLinear", "LazyLinear"];
                if linear == Some(index) && !known.contains(&leaf.class.as_str()) {
                    found.differ(leaf, "Linear");
                } else if kind(leaf) == Kind::Pool {
                    found.differ(leaf, "global average pooling");
                }
                continue;
            }
            let after = linear.is_some_and(|linear| index > linear);
            let before = linear.is_some_and(|linear| index < linear);
            match kind(leaf) {
                Kind::Nothing | Kind::Training => {}
                Kind::Softmax if !before => {}
                Kind::Sigmoid if after || linear.is_none() && (!runs_all || follows) => {
                    found.several_labels = Some(described(leaf));
                }
                // The averaged activations are never negative.
                Kind::Activation
                    if leaf.class == self.activation
                        && !after
                        && !(runs_all && linear.is_none()) => {}
                Kind::Pool if is_global_average(leaf, self.parent_of(leaf)) => {}
                // It has another name than in torchvision.
                Kind::Pool if is_first_pool(leaf) => {}
                Kind::Pool => found.differ(leaf, "global average pooling"),
                Kind::Activation | Kind::Softmax | Kind::Sigmoid => found.differ(leaf, "nothing"),
                Kind::Unknown if POOLS.contains(&last(&top.path)) => {
                    found.differ(leaf, "global average pooling");
                }
                Kind::Unknown if runs_all || linear.is_some() => found.differ(leaf, "nothing"),
                Kind::Unknown => found.notices.push(format!(
                    "The module saved whole also has {} ({}), which camlens does not run.",
                    leaf.path, leaf.class
                )),
            }
        }
    }

    fn is_matrix(&self, module: &Module) -> bool {
        let weight = format!("/{}.weight", module.path);
        let shape = self.checkpoint.shape(&weight);
        module.has_tensors && shape.is_some_and(|shape| shape.len() == 2)
    }
}

fn is_first_pool(pool: &Module) -> bool {
    let standard = [
        ("kernel_size", 3),
        ("stride", 2),
        ("padding", 1),
        ("dilation", 1),
        ("ceil_mode", 0),
    ];
    let is = |(name, expected): &(&str, usize)| {
        let mut values = pool.numbers(name).unwrap_or_default().iter();
        values.all(|value| equal(*value, *expected))
    };
    pool.class == "MaxPool2d" && standard.iter().all(is)
}

fn is_global_average(pool: &Module, parent: Option<&Module>) -> bool {
    let all = |name: &str, expected: usize| {
        pool.numbers(name)
            .is_some_and(|values| values.iter().all(|value| equal(*value, expected)))
    };
    let average = ["avg", "fast", "fastavg"];
    match pool.class.as_str() {
        "AdaptiveAvgPool2d" | "AdaptiveAvgPool1d" => all("output_size", 1),
        // torchvision before 2019, for the 7×7 cells of an input of 224 pixels.
        "AvgPool2d" => all("kernel_size", 7) && !all("padding", 1),
        "SelectAdaptivePool2d" => pool
            .text("pool_type")
            .is_some_and(|kind| average.contains(&kind)),
        "FastAdaptiveAvgPool2d" | "FastAdaptiveAvgPool" => parent
            .and_then(|parent| parent.text("pool_type"))
            .is_none_or(|kind| average.contains(&kind)),
        "GlobalAvgPool2d" | "GlobalAveragePooling" => true,
        _ => false,
    }
}

/// Whether the last name of a module is that of an activation: "relu", "act1".
fn names_activation(path: &str) -> bool {
    let name = last(path).trim_end_matches(|c: char| c.is_ascii_digit());
    matches!(name, "relu" | "act" | "activation" | "nonlinearity")
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Whether a path is equal to another one or lies within it.
fn is_within(path: &str, outer: &str) -> bool {
    match path.strip_prefix(outer) {
        Some(rest) => outer.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

#[allow(clippy::float_cmp)] // small whole numbers
fn equal(found: f64, expected: usize) -> bool {
    found == expected as f64
}

/// Formats a single number if all values are equal.
fn list(values: &[f64]) -> String {
    let mut texts: Vec<String> = values.iter().map(f64::to_string).collect();
    texts.dedup();
    texts.join("×")
}
