//! `ResNet` and its kin: `ResNeXt`, Wide `ResNet`, SE- and ECA-`ResNet`, deep stems, CIFAR stems, any
//! number of blocks; with the names of torchvision and timm, of Hugging Face's transformers, of
//! timm's older SE networks, and of `nn.Sequential(*resnet.children())` (fastai).
//!
//! Sources: torchvision's and timm's `resnet.py`, timm's `senet.py`, transformers'
//! `modeling_resnet.py`.

mod block;
mod names;
mod stem;

use crate::model::graph::{GraphError, ValueId};
use crate::model::state_dict::head::{classifier, concat_pool, global_pool};
use crate::model::state_dict::resnet::names::{Anti, Known, Network, Style};
use crate::model::state_dict::{Family, Layers, Shapes};

/// The family.
pub const FAMILY: Family = Family {
    matches: |shapes| !Network::find(shapes).is_empty(),
    build,
};

/// `eps` of all batch norms, in all three libraries.
const EPS: f32 = 1e-5;

/// What a `ResNet` is made of, as far as it is not the same everywhere.
struct Plan {
    network: Network,
    /// Number of blocks of each stage.
    depths: Vec<usize>,
    /// Whether a block has three convolutions.
    bottleneck: bool,
    /// Blur or pooling before strides, which has no tensors.
    anti: Anti,
    /// Whether group norm is declared.
    group_norm: bool,
}

fn build(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let plan = Plan::new(layers)?;
    layers.described.name = plan.name(layers);
    plan.check_declared(layers)?;
    let mut x = stem::build(layers, &plan, x)?;
    for stage in 0..plan.depths.len() {
        for index in 0..plan.depths[stage] {
            x = block::build(layers, &plan, (stage, index), x)?;
        }
    }
    let prefix = &plan.network.prefix;
    let paths = plan.network.pooling();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let channels = layers.shape(x)[1];
    let features = if plan.has_concat_pool(layers, channels) {
        let name = paths.first().copied().unwrap_or("pool");
        let features = concat_pool(layers, name, x)?;
        layers.described.assumed.push(
            "The classifier takes twice as many values as there are channels. fastai's pooling is assumed: first the maximum, then the mean of each channel.".into(),
        );
        features
    } else {
        global_pool(layers, paths.first().copied().unwrap_or("pool"), &paths, x)?
    };
    let inside = plan.network.inside();
    let logits = classifier(layers, features, &inside)?;
    plan.assume(layers);
    log::debug!("{} at {prefix:?}", layers.described.name);
    Ok(logits)
}

impl Plan {
    fn new(layers: &Layers) -> Result<Self, GraphError> {
        let found = Network::find(layers.shapes());
        let network = match &found[..] {
            [] => return Err(GraphError::new("it has no ResNet")),
            [only] => only.clone(),
            [a, b, ..] => {
                return Err(GraphError::new(format!(
                    "it holds {} networks ({:?}, {:?}): choose one with --prefix",
                    found.len(),
                    a.prefix,
                    b.prefix
                )));
            }
        };
        let depths = network.depths(layers.shapes());
        let bottleneck = layers.has(&network.conv_weight(0, 0, 3));
        let (anti, group_norm) = match layers.declared.as_deref().map(names::known) {
            Some(Known::Yes { anti, group_norm }) => (anti, group_norm),
            _ => (Anti::No, false),
        };
        Ok(Self {
            bottleneck,
            anti,
            group_norm,
            depths,
            network,
        })
    }

    fn shape<'a>(&self, layers: &'a Layers, tensor: &str) -> Option<&'a [usize]> {
        layers.shapes().get(tensor).map(Vec::as_slice)
    }

    /// `ResNet-50`, `ResNeXt-50`, `SE-ResNet-50`, ….
    fn name(&self, layers: &Layers) -> String {
        let network = &self.network;
        let per_block = if self.bottleneck { 3 } else { 2 };
        let convs = self.depths.iter().sum::<usize>() * per_block + 2;
        let at = |conv| self.shape(layers, &network.conv_weight(0, 0, conv));
        let groups = match (at(1), at(2)) {
            (Some([out, ..]), Some([_, per_group, ..])) => out / (*per_group).max(1),
            _ => 1,
        };
        let has = |part: &str| {
            let block = network.block(0, 0);
            layers.has(&format!("{block}.{part}"))
        };
        let attention = match () {
            () if has("se.fc1.weight") || has("se_module.fc1.weight") => "SE-",
            () if has("se.conv.weight") => "ECA-",
            () => "",
        };
        let wide = self.bottleneck
            && groups == 1
            && matches!((at(2), at(3)), (Some([width, ..]), Some([out, ..])) if width * 2 == *out);
        let kind = match groups {
            1 if wide => "Wide ResNet",
            1 => "ResNet",
            _ => "ResNeXt",
        };
        let stem = network.stem_suffix(layers.shapes(), network.average_down(layers.shapes()));
        format!("{attention}{kind}-{convs}{stem}")
    }

    /// A declared name must be that of a network that is built so.
    fn check_declared(&self, layers: &mut Layers) -> Result<(), GraphError> {
        let Some(declared) = layers.declared.clone() else {
            return Ok(());
        };
        match names::known(&declared) {
            Known::Yes { group_norm, .. } => {
                let norm = format!("{}.running_mean", self.network.norm(0, 0, 1));
                if group_norm == layers.has(&norm) {
                    return Err(GraphError::new(format!(
                        "the file is declared to be {declared}, but its normalization layers are of another kind"
                    )));
                }
                Ok(())
            }
            Known::Other => Err(GraphError::new(format!(
                "the file is declared to be {declared}, which is not the {} that its tensors look like",
                layers.described.name
            ))),
            Known::Unknown => Ok(()),
        }
    }

    /// Whether the classifier takes the maximum and the mean of each channel, as fastai's does.
    fn has_concat_pool(&self, layers: &Layers, channels: usize) -> bool {
        let unused = layers.unused();
        let takes = |width: usize| {
            unused.iter().any(|tensor| {
                let shape = self.shape(layers, tensor).unwrap_or_default();
                let inputs = match shape {
                    [_, inputs] => *inputs,
                    [inputs] if tensor.ends_with("running_mean") => *inputs,
                    _ => 0,
                };
                inputs == width
            })
        };
        self.network.style == Style::Numbered && takes(2 * channels) && !takes(channels)
    }

    /// Says what the tensors do not show.
    fn assume(&self, layers: &mut Layers) {
        let is_declared = layers
            .declared
            .as_deref()
            .is_some_and(|name| matches!(names::known(name), Known::Yes { .. }));
        if is_declared || layers.is_saved_whole() {
            return;
        }
        let stride = match (self.bottleneck, self.network.style) {
            (false, _) => "",
            (true, Style::Legacy) => "strides as in timm's legacy SE networks, ",
            (true, _) => "strides in the 3×3 convolutions, ",
        };
        let stem = if self.network.is_cifar(layers.shapes()) {
            "the first convolution with stride 1 and no pooling after it (as for CIFAR)"
        } else {
            "pooling after the first convolution"
        };
        let name = &layers.described.name;
        let sentence = format!(
            "Taken as a usual {name}: ReLU, {stem}, {stride}no anti-aliasing, average pooling at the end. The weights alone do not show it."
        );
        layers.described.assumed.insert(0, sentence);
    }
}

/// The number of blocks, given a function for the name of a tensor that each block has.
fn count(shapes: &Shapes, tensor: impl Fn(usize) -> String) -> usize {
    (0..)
        .take_while(|index| shapes.contains_key(&tensor(*index)))
        .count()
}
