//! The blocks of a network of the table, with their widths: timm's `_efficientnet_builder.py`.

use crate::model::graph::Unary;
use crate::model::state_dict::Shapes;
use crate::model::state_dict::blocks::{RELU6, divisible};
use crate::model::state_dict::mobile_timm::names::Names;
use crate::model::state_dict::mobile_timm::table::{Head, Row};

/// The kinds of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// "ds", "dsa": a convolution of each channel, 1×1.
    Separable,
    /// "ir": 1×1, a convolution of each channel, 1×1.
    Inverted,
    /// "er": a full convolution, 1×1.
    Edge,
    /// "cn": a full convolution.
    Conv,
}

/// A block with its widths.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its kind.
    pub kind: Kind,
    /// Side of the kernel.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Channels: input, between, output.
    pub channels: [usize; 3],
    /// Channels of squeeze and excitation, if it has it.
    pub squeeze: Option<usize>,
    /// The activation.
    pub activation: Unary,
    /// Whether the last convolution has an activation too ("dsa").
    pub activated: bool,
    /// Whether the input is added if stride and channels allow it.
    pub skip: bool,
}

/// All blocks of a network.
pub struct Layout {
    /// Channels of the stem.
    pub stem: usize,
    /// The blocks of each stage.
    pub stages: Vec<Vec<Block>>,
    /// Output channels of the head's convolution.
    pub features: Option<usize>,
}

/// A block as timm writes it: `ir_r2_k3_s2_e6_c24_se0.25_nre_noskip`.
#[derive(Clone, Copy)]
struct Definition<'a> {
    text: &'a str,
}

impl Definition<'_> {
    fn number(self, key: &str) -> Option<f64> {
        let mut parts = self.text.split('_').skip(1);
        parts.find_map(|part| {
            let digit = part.find(|c: char| c.is_ascii_digit())?;
            let (name, number) = part.split_at(digit);
            (name == key).then(|| number.parse().ok()).flatten()
        })
    }

    fn whole(self, key: &str) -> Option<usize> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // of the table
        self.number(key).map(|number| number as usize)
    }

    fn has(self, flag: &str) -> bool {
        self.text.split('_').skip(1).any(|part| part == flag)
    }

    fn kind(self) -> Kind {
        match self.text.split('_').next() {
            Some("ds" | "dsa") => Kind::Separable,
            Some("er") => Kind::Edge,
            Some("cn") => Kind::Conv,
            _ => Kind::Inverted,
        }
    }

    fn activation(self, usual: Unary) -> Unary {
        if self.has("nre") {
            Unary::Relu
        } else if self.has("nr6") {
            RELU6
        } else {
            usual
        }
    }
}

impl Layout {
    /// The layout of a network of the table.
    #[must_use]
    pub fn new(row: &Row) -> Self {
        let base = row.base;
        let scaled = |channels: usize| divisible(channels as f64 * row.width, 8, base.round_limit);
        let stem = if (base.scales_stem)(row.width) {
            scaled(base.stem)
        } else {
            base.stem
        };
        let mut channels = stem;
        let mut stages = Vec::new();
        for (at, definitions) in base.stages.iter().enumerate() {
            let is_end = at == 0 || at + 1 == base.stages.len();
            let depth = if base.keeps_ends && is_end {
                1.0
            } else {
                *row.depth.get(at).or(row.depth.last()).unwrap_or(&1.0)
            };
            let definitions: Vec<Definition> =
                definitions.iter().map(|text| Definition { text }).collect();
            let repeats = repeats(&definitions, depth, base.rounds_depth);
            let mut blocks: Vec<Block> = Vec::new();
            for (definition, repeats) in definitions.into_iter().zip(repeats) {
                for _ in 0..repeats {
                    let is_first = blocks.is_empty();
                    let output = scaled(definition.whole("c").unwrap_or_default());
                    let block = block(row, definition, is_first, [channels, output], &scaled);
                    blocks.push(block);
                    channels = output;
                }
            }
            stages.push(blocks);
        }
        let features = match &base.head {
            Head::None => None,
            Head::BeforePooling(features) => Some(features.channels(&scaled)),
            Head::AfterPooling(features) => Some(*features),
        };
        Self {
            stem,
            stages,
            features,
        }
    }

    /// Whether the convolutions of a file are those of this layout.
    #[must_use]
    pub fn fits(&self, shapes: &Shapes, names: Names) -> bool {
        let is = |conv: &str, wanted: &[usize]| {
            let shape = shapes.get(&format!("{conv}.weight"));
            shape.is_some_and(|shape| *shape == wanted)
        };
        let stem = shapes.get(&format!("{}.weight", names.outer("conv_stem")));
        let stem =
            stem.is_some_and(|shape| matches!(shape[..], [out, _, 3, 3] if out == self.stem));
        let fits = |path: &str, block: &Block| {
            let part = |part: &str| format!("{path}.{}", names.inner(block.kind, part));
            let (kernel, [input, middle, output]) = (block.kernel, block.channels);
            let convs = match block.kind {
                Kind::Separable => {
                    is(&part("conv_dw"), &[input, 1, kernel, kernel])
                        && is(&part("conv_pw"), &[output, input, 1, 1])
                }
                Kind::Inverted => {
                    is(&part("conv_pw"), &[middle, input, 1, 1])
                        && is(&part("conv_dw"), &[middle, 1, kernel, kernel])
                        && is(&part("conv_pwl"), &[output, middle, 1, 1])
                }
                Kind::Edge => {
                    is(&part("conv_exp"), &[middle, input, kernel, kernel])
                        && is(&part("conv_pwl"), &[output, middle, 1, 1])
                }
                Kind::Conv => is(&part("conv"), &[output, input, kernel, kernel]),
            };
            let gates = part("se.conv_reduce");
            convs
                && match block.squeeze {
                    Some(squeeze) => is(&gates, &[squeeze, middle, 1, 1]),
                    None => !shapes.contains_key(&format!("{gates}.weight")),
                }
        };
        let blocks = self.paths(names);
        let all_fit = blocks.iter().all(|(path, block)| fits(path, block));
        let is_over = names.ends(&self.stages).iter().all(|path| {
            let start = format!("{path}.");
            let mut from = shapes.range(start.clone()..);
            !from
                .next()
                .is_some_and(|(name, _)| name.starts_with(&start))
        });
        let last = self.stages.last().and_then(|blocks| blocks.last());
        let last = last.map_or(self.stem, |block| block.channels[2]);
        let conv_head = names.outer("conv_head");
        let head = match self.features {
            Some(features) => is(conv_head, &[features, last, 1, 1]),
            None => !shapes.contains_key(&format!("{conv_head}.weight")),
        };
        stem && all_fit && is_over && head
    }

    /// All blocks with their paths.
    #[must_use]
    pub fn paths(&self, names: Names) -> Vec<(String, &Block)> {
        let mut paths = Vec::new();
        for (stage, blocks) in self.stages.iter().enumerate() {
            for (at, block) in blocks.iter().enumerate() {
                paths.push((names.block(stage, at, paths.len()), block));
            }
        }
        paths
    }
}

fn block(
    row: &Row,
    definition: Definition,
    is_first: bool,
    [input, output]: [usize; 2],
    scaled: &dyn Fn(usize) -> usize,
) -> Block {
    let base = row.base;
    let kind = definition.kind();
    let expansion = definition.number("e").unwrap_or(1.0);
    let middle = match (kind, definition.whole("fc")) {
        (Kind::Separable | Kind::Conv, _) => input,
        (_, Some(forced)) => divisible(scaled(forced) as f64 * expansion, 8, 0.9),
        (_, None) => divisible(input as f64 * expansion, 8, 0.9),
    };
    let squeeze = definition.number("se").map(|ratio| {
        let gates = &base.gates;
        let ratio = if gates.of_expanded {
            ratio
        } else {
            ratio / expansion
        };
        let channels = middle as f64 * ratio;
        if gates.divisible {
            divisible(channels, 8, 0.9)
        } else {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a width
            let rounded = channels.round_ties_even() as usize;
            rounded
        }
    });
    Block {
        kind,
        kernel: definition.whole("k").unwrap_or(1),
        stride: if is_first {
            definition.whole("s").unwrap_or(1)
        } else {
            1
        },
        channels: [input, middle, output],
        squeeze,
        activation: definition.activation(base.activation),
        activated: definition.text.starts_with("dsa_"),
        skip: match kind {
            Kind::Conv => definition.has("skip"),
            _ => !definition.has("noskip") && !definition.text.starts_with("dsa_"),
        },
    }
}

/// How often each block of a stage is repeated: timm's `_scale_stage_depth`.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small numbers of the table
fn repeats(definitions: &[Definition], depth: f64, rounds: bool) -> Vec<usize> {
    let of = |definition: &Definition| definition.whole("r").unwrap_or(1);
    let mut left: usize = definitions.iter().map(of).sum();
    let total = left as f64 * depth;
    let mut scaled_left = if rounds {
        (total.round_ties_even() as usize).max(1)
    } else {
        total.ceil() as usize
    };
    let mut repeats = Vec::new();
    for definition in definitions.iter().rev() {
        let share = of(definition) as f64 / left as f64 * scaled_left as f64;
        let count = (share.round_ties_even() as usize).max(1);
        repeats.push(count);
        left -= of(definition);
        scaled_left = scaled_left.saturating_sub(count);
    }
    repeats.reverse();
    repeats
}
