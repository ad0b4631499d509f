//! The inputs and outputs that a file declares.

use crate::model::onnx::error::OnnxError;
use crate::model::onnx::messages::{GraphPart, NodePart, ValuePart};
use crate::model::onnx::order::Plan;

/// The order of an image's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `[1, channels, height, width]`.
    ChannelsFirst,
    /// `[1, height, width, channels]`.
    ChannelsLast,
}

impl Layout {
    /// The shape of an image.
    #[must_use]
    pub const fn shape(self, channels: usize, height: usize, width: usize) -> [usize; 4] {
        match self {
            Self::ChannelsFirst => [1, channels, height, width],
            Self::ChannelsLast => [1, height, width, channels],
        }
    }
}

/// The image that a file takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredInput {
    /// Its name.
    pub name: String,
    /// The order of its axes.
    pub layout: Layout,
    /// Number of channels: 1 or 3.
    pub channels: usize,
    /// Height in pixels, if it is fixed.
    pub height: Option<usize>,
    /// Width in pixels, if it is fixed.
    pub width: Option<usize>,
    /// The number of images, if it is fixed. Graphs are built for one.
    pub batch: Option<usize>,
    /// Whether the values are bytes (0 to 255) and not floating-point numbers.
    pub bytes: bool,
}

/// An output of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredOutput {
    /// Its name.
    pub name: String,
    /// Its dimensions as declared, if the rank is; `None` for those that are not fixed.
    pub shape: Option<Vec<Option<usize>>>,
}

impl DeclaredOutput {
    /// Whether it may be one score for each class: at most one axis after the first is longer
    /// than 1.
    #[must_use]
    pub fn may_be_scores(&self) -> bool {
        self.shape.as_ref().is_none_or(|shape| {
            let long = shape.iter().skip(1).flatten().filter(|side| **side > 1);
            long.count() <= 1
        })
    }
}

/// The largest side that is a number of pixels and no mistake.
const LARGEST: i64 = 1 << 24;

fn side(declared: Option<i64>) -> Option<usize> {
    let known = declared.filter(|side| (1..=LARGEST).contains(side))?;
    usize::try_from(known).ok()
}

fn describe(value: &ValuePart) -> String {
    let kind = match value.element {
        0 => "no tensor",
        1 => "float32",
        2 => "uint8",
        6 => "int32",
        7 => "int64",
        8 => "text",
        9 => "bool",
        10 => "float16",
        11 => "float64",
        16 => "bfloat16",
        _ => "numbers",
    };
    let shape = value.shape.as_ref().map_or_else(String::new, |shape| {
        let sides = shape
            .iter()
            .map(|side| side.map_or("?".into(), |side| side.to_string()));
        format!(" [{}]", sides.collect::<Vec<_>>().join(", "))
    });
    format!("{} {kind}{shape}", value.name)
}

/// Checks that there is one image and at least one output.
///
/// # Errors
/// If there is not.
pub(super) fn check(
    graph: &GraphPart,
    plan: &Plan<'_>,
) -> Result<(DeclaredInput, Vec<DeclaredOutput>), OnnxError> {
    let list = |values: &[&ValuePart]| {
        let names: Vec<String> = values.iter().take(4).map(|value| describe(value)).collect();
        names.join(", ")
    };
    let input = match &plan.inputs[..] {
        [input] => *input,
        [] => {
            return Err(OnnxError::Refused(
                "It has no input: camlens explains classifiers of photos.".into(),
            ));
        }
        several => {
            return Err(OnnxError::Refused(format!(
                "It has {} inputs ({}): camlens explains classifiers with one photo as their input.",
                several.len(),
                list(several)
            )));
        }
    };
    let no_image = || {
        OnnxError::Refused(format!(
            "It has no image input ({}): camlens explains classifiers of photos.",
            describe(input)
        ))
    };
    if !matches!(input.element, 1 | 2 | 10 | 11 | 16) {
        return Err(no_image());
    }
    let input = image(graph, input, no_image)?;
    let outputs: Vec<DeclaredOutput> = plan
        .outputs
        .iter()
        .map(|value| DeclaredOutput {
            name: value.name.clone(),
            shape: value
                .shape
                .as_ref()
                .map(|shape| shape.iter().map(|declared| side(*declared)).collect()),
        })
        .collect();
    if !outputs.iter().any(DeclaredOutput::may_be_scores) {
        return Err(OnnxError::Refused(format!(
            "Its output ({}) is not one score for each class: camlens explains classifiers.",
            list(&plan.outputs)
        )));
    }
    Ok((input, outputs))
}

fn image(
    graph: &GraphPart,
    value: &ValuePart,
    no_image: impl Fn() -> OnnxError,
) -> Result<DeclaredInput, OnnxError> {
    let unknown = vec![None; 4];
    let shape = value.shape.as_ref().unwrap_or(&unknown);
    if shape.len() == 5 {
        return Err(OnnxError::Refused(format!(
            "Its input ({}) is a volume or a video (3-D): camlens explains classifiers of photos.",
            describe(value)
        )));
    }
    let &[batch, one, two, three] = &shape[..] else {
        return Err(no_image());
    };
    if [batch, one, two, three]
        .iter()
        .flatten()
        .any(|side| *side > LARGEST)
    {
        return Err(no_image());
    }
    let few = |declared: Option<i64>| side(declared).filter(|side| matches!(side, 1 | 3));
    let (layout, channels) = match (few(one), few(three)) {
        (Some(channels), _) => (Layout::ChannelsFirst, channels),
        (None, Some(channels)) => (Layout::ChannelsLast, channels),
        (None, None) if side(one).is_none() || side(three).is_none() => {
            let turned = first_turn(&graph.nodes, &value.name);
            let (layout, declared) = if turned {
                (Layout::ChannelsLast, three)
            } else {
                (Layout::ChannelsFirst, one)
            };
            match (side(declared), first_width(graph)) {
                (None, Some(channels @ (1 | 3))) => (layout, channels),
                _ => return Err(channels_refused(value)),
            }
        }
        (None, None) => return Err(channels_refused(value)),
    };
    let (height, width) = match layout {
        Layout::ChannelsFirst => (two, three),
        Layout::ChannelsLast => (one, two),
    };
    Ok(DeclaredInput {
        name: value.name.clone(),
        layout,
        channels,
        height: side(height),
        width: side(width),
        batch: side(batch),
        bytes: value.element == 2,
    })
}

fn channels_refused(value: &ValuePart) -> OnnxError {
    OnnxError::Refused(format!(
        "Its input ({}) is not a photo with one or three channels.",
        describe(value)
    ))
}

/// Whether the input is turned from channels last to channels first before anything else is done
/// with its axes.
fn first_turn(nodes: &[NodePart], input: &str) -> bool {
    let mut name = input;
    for _ in 0..16 {
        let reads = |node: &&NodePart| node.inputs.iter().any(|read| read == name);
        let Some(node) = nodes.iter().find(reads) else {
            return false;
        };
        match node.op.as_str() {
            "Transpose" => return node.ints("perm") == Some(&[0, 3, 1, 2]),
            "Cast" | "Identity" | "Add" | "Sub" | "Mul" | "Div" => {
                let Some(output) = node.outputs.first() else {
                    return false;
                };
                name = output;
            }
            _ => return false,
        }
    }
    false
}

/// Input channels of the first convolution.
fn first_width(graph: &GraphPart) -> Option<usize> {
    let conv = graph.nodes.iter().find(|node| node.op == "Conv")?;
    let weight = conv.inputs.get(1)?;
    let mut tensors = graph.initializers.iter();
    let tensor = tensors.find(|tensor| tensor.name == *weight)?;
    let groups = conv.int("group").unwrap_or(1);
    usize::try_from(tensor.dims.get(1)?.checked_mul(groups)?).ok()
}

/// Class names in a `ZipMap`.
pub(super) fn labels(nodes: &[NodePart]) -> Option<Vec<String>> {
    let map = nodes.iter().find(|node| node.op == "ZipMap")?;
    let texts = map.strings("classlabels_strings");
    if let Some(texts) = texts.filter(|texts| !texts.is_empty()) {
        return Some(texts.to_vec());
    }
    let numbers = map.ints("classlabels_int64s")?;
    Some(numbers.iter().map(i64::to_string).collect())
}
