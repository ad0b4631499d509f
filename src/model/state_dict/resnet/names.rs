//! Where a `ResNet`'s tensors are, and which names declare what its tensors do not show.

use crate::model::state_dict::Shapes;
use crate::model::state_dict::resnet::count;

/// Whose names the tensors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// torchvision's and timm's: `conv1`, `layer1.0.conv1`, `downsample`.
    Usual,
    /// The same with `shortcut` for `downsample`, as in code for CIFAR.
    Shortcut,
    /// `nn.Sequential(*resnet.children())`: `0`, `1`, `4.0.conv1`.
    Numbered,
    /// transformers: `embedder.embedder.convolution`.
    Transformers,
    /// timm's `senet.py`, after Cadene's: `layer0.conv1`, `se_module`.
    Legacy,
}

/// A `ResNet` within the tensors of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// What all its names begin with: `backbone.`.
    pub prefix: String,
    /// Its other names.
    pub style: Style,
}

impl Network {
    /// All networks among these tensors.
    pub fn find(shapes: &Shapes) -> Vec<Self> {
        let mut found = Vec::new();
        for name in shapes.keys() {
            let styles = [
                ("layer1.0.conv1.weight", Style::Usual),
                ("4.0.conv1.weight", Style::Numbered),
                (
                    "encoder.stages.0.layers.0.layer.0.convolution.weight",
                    Style::Transformers,
                ),
            ];
            for (first, style) in styles {
                let Some(prefix) = name.strip_suffix(first) else {
                    continue;
                };
                if !prefix.is_empty() && !prefix.ends_with('.') {
                    continue;
                }
                let has = |tensor: &str| shapes.contains_key(&format!("{prefix}{tensor}"));
                let image = |tensor: &str| {
                    let shape = shapes.get(&format!("{prefix}{tensor}"));
                    shape.is_some_and(|shape| shape.len() == 4)
                };
                let style = match style {
                    Style::Usual if has("layer0.conv1.weight") => Style::Legacy,
                    Style::Usual if has("layer2.0.shortcut.0.weight") => Style::Shortcut,
                    style => style,
                };
                let fits = match style {
                    Style::Usual | Style::Shortcut => {
                        (image("conv1.weight") || image("conv1.0.weight")) && has("bn1.weight")
                    }
                    Style::Numbered => {
                        (image("0.weight") || image("0.0.weight")) && has("1.weight")
                    }
                    // With a 3×3 stem, these are the names of a RegNet.
                    Style::Transformers => {
                        let stem = format!("{prefix}embedder.embedder.convolution.weight");
                        shapes.get(&stem).is_some_and(|shape| shape[2..] == [7, 7])
                    }
                    Style::Legacy => has("layer0.bn1.weight"),
                };
                if fits {
                    let prefix = prefix.to_owned();
                    found.push(Self { prefix, style });
                }
            }
        }
        found
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The first convolution; a deep stem's are within it.
    pub fn stem_conv(&self) -> String {
        self.at(match self.style {
            Style::Usual | Style::Shortcut => "conv1",
            Style::Numbered => "0",
            Style::Transformers => "embedder.embedder.convolution",
            Style::Legacy => "layer0.conv1",
        })
    }

    /// The batch norm after the stem.
    pub fn stem_norm(&self) -> String {
        self.at(match self.style {
            Style::Usual | Style::Shortcut => "bn1",
            Style::Numbered => "1",
            Style::Transformers => "embedder.embedder.normalization",
            Style::Legacy => "layer0.bn1",
        })
    }

    /// The modules that may be the activation after the stem.
    pub fn stem_activations(&self) -> Vec<String> {
        let paths: &[&str] = match self.style {
            Style::Usual | Style::Shortcut => &["act1", "relu"],
            Style::Numbered => &["2"],
            Style::Transformers => &["embedder.embedder.activation"],
            Style::Legacy => &["layer0.relu1"],
        };
        paths.iter().map(|path| self.at(path)).collect()
    }

    /// The pooling after the stem.
    pub fn stem_pool(&self) -> String {
        self.at(match self.style {
            Style::Usual | Style::Shortcut => "maxpool",
            Style::Numbered => "3",
            Style::Transformers => "embedder.pooler",
            Style::Legacy => "pool0",
        })
    }

    /// The modules that may be the pooling before the classifier.
    pub fn pooling(&self) -> Vec<String> {
        let paths: &[&str] = match self.style {
            Style::Usual | Style::Shortcut | Style::Legacy => {
                &["avgpool", "global_pool", "avg_pool"]
            }
            Style::Numbered => &["8"],
            Style::Transformers => &["pooler"],
        };
        paths.iter().map(|path| self.at(path)).collect()
    }

    /// A stage, counted from 0.
    pub fn stage(&self, stage: usize) -> String {
        self.at(&match self.style {
            Style::Usual | Style::Shortcut | Style::Legacy => format!("layer{}", stage + 1),
            Style::Numbered => format!("{}", stage + 4),
            Style::Transformers => format!("encoder.stages.{stage}"),
        })
    }

    /// A block.
    pub fn block(&self, stage: usize, index: usize) -> String {
        let outer = self.stage(stage);
        match self.style {
            Style::Transformers => format!("{outer}.layers.{index}"),
            _ => format!("{outer}.{index}"),
        }
    }

    /// A convolution of a block, counted from 1.
    pub fn conv(&self, stage: usize, index: usize, conv: usize) -> String {
        let block = self.block(stage, index);
        match self.style {
            Style::Transformers => format!("{block}.layer.{}.convolution", conv - 1),
            _ => format!("{block}.conv{conv}"),
        }
    }

    /// The weight of a convolution.
    pub fn conv_weight(&self, stage: usize, index: usize, conv: usize) -> String {
        format!("{}.weight", self.conv(stage, index, conv))
    }

    /// The normalization after a convolution.
    pub fn norm(&self, stage: usize, index: usize, conv: usize) -> String {
        let block = self.block(stage, index);
        match self.style {
            Style::Transformers => format!("{block}.layer.{}.normalization", conv - 1),
            _ => format!("{block}.bn{conv}"),
        }
    }

    /// The modules that may be the activation after a convolution, or after the sum (`None`).
    pub fn activations(&self, stage: usize, index: usize, conv: Option<usize>) -> Vec<String> {
        let block = self.block(stage, index);
        match (self.style, conv) {
            (Style::Transformers, Some(conv)) => {
                vec![format!("{block}.layer.{}.activation", conv - 1)]
            }
            (Style::Transformers, None) => vec![format!("{block}.activation")],
            (_, Some(conv)) => vec![format!("{block}.act{conv}"), format!("{block}.relu")],
            (_, None) => vec![
                format!("{block}.act3"),
                format!("{block}.act2"),
                format!("{block}.relu"),
            ],
        }
    }

    /// The convolution, the normalization and the pooling of a projecting shortcut.
    pub fn shortcut(&self, shapes: &Shapes, stage: usize, index: usize) -> Option<Shortcut> {
        let block = self.block(stage, index);
        let [conv, norm] = match self.style {
            Style::Transformers => ["shortcut.convolution", "shortcut.normalization"],
            Style::Shortcut => ["shortcut.0", "shortcut.1"],
            _ => ["downsample.0", "downsample.1"],
        };
        let of = |conv: &str, norm: &str, pool: Option<&str>| Shortcut {
            conv: format!("{block}.{conv}"),
            norm: format!("{block}.{norm}"),
            pool: pool.map(|pool| format!("{block}.{pool}")),
        };
        let has = |path: &str| shapes.contains_key(&format!("{block}.{path}.weight"));
        let is_image = |path: &str| {
            let shape = shapes.get(&format!("{block}.{path}.weight"));
            shape.is_some_and(|shape| shape.len() == 4)
        };
        if has(conv) {
            Some(of(conv, norm, None))
        } else if is_image("downsample.1") {
            Some(of("downsample.1", "downsample.2", Some("downsample.0")))
        } else {
            None
        }
    }

    /// Whether shortcuts pool before their convolution (`ResNet`-D).
    pub fn average_down(&self, shapes: &Shapes) -> bool {
        let shortcut = self.shortcut(shapes, 1, 0);
        shortcut.is_some_and(|shortcut| shortcut.pool.is_some())
    }

    /// Number of blocks of each stage.
    pub fn depths(&self, shapes: &Shapes) -> Vec<usize> {
        let stages = count(shapes, |stage| self.conv_weight(stage, 0, 1));
        let depth = |stage| count(shapes, |index| self.conv_weight(stage, index, 1));
        (0..stages).map(depth).collect()
    }

    /// Whether the stem is that of networks for images of 32 pixels.
    pub fn is_cifar(&self, shapes: &Shapes) -> bool {
        let stem = shapes.get(&format!("{}.weight", self.stem_conv()));
        self.style != Style::Legacy
            && stem.is_some_and(|shape| shape.len() == 4 && shape[2..] == [3, 3])
    }

    /// What follows the number of layers in the network's name: the letter of its stem.
    pub fn stem_suffix(&self, shapes: &Shapes, average_down: bool) -> &'static str {
        let width = |at: &str| {
            let weight = format!("{}{at}.weight", self.stem_conv());
            shapes.get(&weight).map(|shape| shape[0])
        };
        match (width(".0"), width(".3"), average_down) {
            (Some(a), Some(b), true) if a != b => "-T",
            (Some(_), Some(_), true) => "-D",
            (Some(64), Some(64), false) => "-S",
            (Some(_), Some(_), false) => "-C",
            _ => "",
        }
    }

    /// The starts of names that belong to the network and not to its classifier.
    pub fn inside(&self) -> Vec<String> {
        let parts: &[&str] = match self.style {
            Style::Usual | Style::Shortcut | Style::Legacy => {
                &["conv1.", "bn1.", "layer", "maxpool."]
            }
            Style::Numbered => &["0.", "1.", "3.", "4.", "5.", "6.", "7."],
            Style::Transformers => &["embedder.", "encoder."],
        };
        parts.iter().map(|part| self.at(part)).collect()
    }
}

/// A projecting shortcut.
pub struct Shortcut {
    /// Its convolution.
    pub conv: String,
    /// Its normalization.
    pub norm: String,
    /// The pooling before it, if there is a place for one.
    pub pool: Option<String>,
}

/// What is in front of strides, so that small shifts matter less. It has no tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anti {
    /// Nothing.
    No,
    /// 2×2 average pooling.
    Average,
    /// timm's blur with the weights 1, 2, 1.
    Blur,
}

/// What a declared name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is a `ResNet` that is built here.
    Yes {
        /// Anti-aliasing.
        anti: Anti,
        /// Group norm instead of batch norm.
        group_norm: bool,
    },
    /// It is another network.
    Other,
    /// The name is nobody's.
    Unknown,
}

/// Networks of timm and torchvision that are built here. A number of layers may follow.
const OURS: &[&str] = &[
    "resnet",
    "resnext",
    "wide_resnet",
    "seresnet",
    "seresnext",
    "senet",
    "ecaresnet",
    "ecaresnext",
    "legacy_seresnet",
    "legacy_seresnext",
    "legacy_senet",
    "tv_resnet",
    "tv_resnext",
    "ssl_resnet",
    "ssl_resnext",
    "swsl_resnet",
    "swsl_resnext",
    "ig_resnext",
    "gluon_resnet",
    "gluon_resnext",
    "gluon_seresnext",
    "gluon_senet",
    "test_resnet",
    "resnetrs",
    "resnetaa",
    "seresnetaa",
    "seresnextaa",
    "resnetblur",
    "ecaresnetlight",
];

/// Names that begin like ours and mean other networks.
const OTHERS: &[&str] = &[
    "resnetv2",
    "resnest",
    "res2net",
    "res2next",
    "skresne",
    "gcresne",
    "nf_resnet",
    "nf_ecaresnet",
    "nf_seresnet",
    "cspresne",
    "tresnet",
    "lambda_resne",
    "lamhalobotnet",
    "botnet",
    "halonet",
    "sehalonet",
    "halo2botnet",
    "eca_botnext",
    "eca_halonext",
    "haloregnet",
    "bat_resnext",
    "sebotnet",
    "resnet51q",
    "resnet61q",
    "resnet33ts",
    "seresnet33ts",
    "ecaresnet33ts",
    "gcresnet33ts",
    "resnet50_clip",
    "resnet101_clip",
    "resnet50x",
    "resnet32ts",
    "resnetrs_",
    "sknet",
    "densenet",
    "vgg",
    "regnet",
    "efficientnet",
    "mobilenet",
    "convnext",
    "vit",
    "deit",
    "swin",
    "inception",
    "googlenet",
    "alexnet",
    "squeezenet",
    "shufflenet",
    "mnasnet",
    "xception",
    "hrnet",
    "dla",
    "dpn",
    "repvgg",
    "rexnet",
    "ghostnet",
    "maxvit",
    "ecaresnext26ts",
    "eca_resnext26ts",
    "seresnext26ts",
    "gcresnext26ts",
    "resnext26ts",
    "gcresnext50ts",
    "ese_",
    "selecsls",
    "visformer",
    "beit",
    "cait",
    "coatnet",
    "mixer",
];

/// What a declared name says, in timm's or torchvision's spelling, with or without a tag.
pub fn known(declared: &str) -> Known {
    let name = declared.to_lowercase().replace('-', "_");
    let name = name.rsplit('/').next().unwrap_or_default();
    let name = name.split('.').next().unwrap_or_default();
    // A name that also says ResNet is one that somebody made up.
    let is_other = |other: &&&str| {
        let rest = name.strip_prefix(**other);
        rest.is_some_and(|rest| !rest.contains("resnet"))
    };
    if OTHERS.iter().any(|other| is_other(&other)) {
        return Known::Other;
    }
    let is_variant = |rest: &str| {
        // "50", "50d", "50_32x4d", "50_2", "18_v1b", "50_gn", "101d_32x8d".
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let letter = digits.trim_start_matches(['c', 'd', 's', 't', 'e']);
        let known = [
            "", "_gn", "_2", "_v1b", "_v1c", "_v1d", "_v1s", "_v1e", "d_pruned", "_pruned",
        ];
        let groups = |rest: &str| {
            let rest = rest.strip_prefix('_').unwrap_or_default();
            let rest = rest.strip_suffix('d').unwrap_or_default();
            !rest.is_empty() && rest.chars().all(|c| c.is_ascii_digit() || c == 'x')
        };
        digits.len() - letter.len() <= 1 && (known.contains(&letter) || groups(letter))
    };
    let mut ours = OURS.iter().filter_map(|ours| name.strip_prefix(ours));
    if !ours.any(is_variant) {
        return Known::Unknown;
    }
    let anti = match name {
        _ if name.contains("blur") => Anti::Blur,
        _ if name.contains("netaa") || name.contains("nextaa") => Anti::Average,
        _ => Anti::No,
    };
    Known::Yes {
        anti,
        group_norm: name.ends_with("_gn"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_names_are_told_apart() {
        let plain = Known::Yes {
            anti: Anti::No,
            group_norm: false,
        };
        for name in [
            "resnet50",
            "resnet50.a1_in1k",
            "resnet18d",
            "wide_resnet50_2",
            "resnext101_32x8d",
            "seresnext101d_32x8d",
            "gluon_resnet50_v1b",
            "legacy_seresnet18",
            "ecaresnet50d_pruned",
            "senet154",
            "ecaresnetlight",
            "resnetrs50",
            "test_resnet",
        ] {
            assert_eq!(known(name), plain, "{name}");
        }
        for name in [
            "resnetv2_50",
            "resnest50d",
            "res2net50",
            "resnet51q",
            "vit_base",
            "skresnet18",
        ] {
            assert_eq!(known(name), Known::Other, "{name}");
        }
        for name in ["resnet18_skin", "mine", "resnet50_final"] {
            assert_eq!(known(name), Known::Unknown, "{name}");
        }
        let anti = |name| match known(name) {
            Known::Yes { anti, .. } => anti,
            _ => Anti::No,
        };
        assert_eq!(anti("resnetblur18"), Anti::Blur);
        assert_eq!(anti("resnetaa50d"), Anti::Average);
        assert_eq!(anti("seresnextaa101d_32x8d"), Anti::Average);
    }
}
