//! What a `config.json`, or a training script within the weight file, says of the network,
//! which must be what camlens runs.

use serde_json::{Map, Value};

use super::architecture::LiteNames;
use super::weights::Written;
use super::{Architecture, Selection};

/// Names of timm (and of its older versions) for the networks that camlens runs. Such a name
/// may have a tag behind it (`resnet50.a1_in1k`).
const NAMES: [(Architecture, &[&str]); 6] = [
    (
        Architecture::ResNet18,
        &[
            "resnet18",
            "tv_resnet18",
            "gluon_resnet18_v1b",
            "ssl_resnet18",
            "swsl_resnet18",
        ],
    ),
    (
        Architecture::ResNet34,
        &["resnet34", "tv_resnet34", "gluon_resnet34_v1b"],
    ),
    (
        Architecture::ResNet50,
        &[
            "resnet50",
            "tv_resnet50",
            "gluon_resnet50_v1b",
            "ssl_resnet50",
            "swsl_resnet50",
        ],
    ),
    (
        Architecture::ResNet101,
        &["resnet101", "tv_resnet101", "gluon_resnet101_v1b"],
    ),
    (
        Architecture::ResNet152,
        &["resnet152", "tv_resnet152", "gluon_resnet152_v1b"],
    ),
    (
        Architecture::EfficientNetLite0,
        &["efficientnet_lite0", "tf_efficientnet_lite0"],
    ),
];

/// What names of other networks of timm and torchvision begin with; a number follows.
const OTHERS: [&str; 25] = [
    "resnetblur",
    "resnetaa",
    "resnetrs",
    "resnetv2_",
    "resnext",
    "resnest",
    "res2net",
    "wide_resnet",
    "seresnet",
    "seresnetaa",
    "seresnext",
    "ecaresnet",
    "skresnet",
    "nf_resnet",
    "cspresnet",
    "gcresnet",
    "densenet",
    "vgg",
    "efficientnet_b",
    "efficientnet_lite",
    "efficientnetv",
    "efficientnet_v",
    "mobilenetv",
    "mobilenet_v",
    "vit_b_",
];
/// What stands before names in timm.
const COLLECTIONS: [&str; 6] = ["tf_", "tv_", "gluon_", "legacy_", "ssl_", "swsl_"];
/// What follows the depth of other ResNets in timm: `resnet18d`. Nothing does in `resnet26`.
const OTHER_RESNETS: [&str; 9] = ["", "c", "d", "s", "t", "ts", "_gn", "_clip", "_v1d"];

/// Arguments of timm's models that change nothing when a network is used.
const HARMLESS: [&str; 12] = [
    "num_classes", // compared with the classifier
    "drop_rate",
    "drop_path_rate",
    "drop_block_rate",
    "zero_init_last",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "scriptable",
    "exportable",
    "no_jit",
];

/// Arguments whose value must be this one: what timm builds without them.
const USUAL: [(&str, &[&str]); 13] = [
    ("in_chans", &["3"]),
    ("output_stride", &["32"]),
    ("global_pool", &["avg", "fast", "fastavg"]),
    ("act_layer", &["relu"]),
    ("norm_layer", &["batchnorm2d", "batchnorm"]),
    ("aa_layer", &[""]),
    ("stem_type", &[""]),
    ("stem_width", &["64"]),
    ("base_width", &["64"]),
    ("cardinality", &["1"]),
    ("avg_down", &["false"]),
    ("replace_stem_pool", &["false"]),
    ("features_only", &["false"]),
];

/// What a `config.json` says of the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// timm's name of the network, or nothing.
    pub architecture: String,
    object: Map<String, Value>,
}

impl Declared {
    /// Reads it, whatever else the file holds; nothing if it is no JSON object.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let object = match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object,
            _ => Map::new(),
        };
        let architecture = object.get("architecture").and_then(Value::as_str);
        Self {
            architecture: architecture.unwrap_or_default().to_owned(),
            object,
        }
    }

    /// Takes what a training script wrote into the weight file. What it calls by a name of its
    /// own says nothing.
    #[must_use]
    pub fn written(written: &Written) -> Self {
        let names = written.names.iter().map(|name| {
            let name = plain(name).replace('-', "_");
            name.strip_prefix("resnet_")
                .map_or(name.clone(), |depth| format!("resnet{depth}"))
        });
        let mut known = names.filter(|name| one_of_ours(name).is_some() || is_another(name));
        let Some(architecture) = known.next() else {
            return Self::default();
        };
        let mut object = Map::new();
        if let Some(pooling) = &written.pooling {
            object.insert("global_pool".into(), pooling.clone().into());
        }
        object.insert("model_args".into(), written.arguments.clone().into());
        Self {
            architecture,
            object,
        }
    }

    /// Forgets the name if the user has chosen the network and it is another of camlens's: the
    /// script named one of several.
    pub fn leave_to(&mut self, wanted: &Selection, architecture: Architecture) {
        let is_chosen = wanted.key.is_some() || wanted.prefix.is_some();
        let named = one_of_ours(&self.name());
        if is_chosen && named.is_some_and(|named| named != architecture) {
            *self = Self::default();
        }
    }

    /// The first thing in it that is not as the network that was recognised.
    #[must_use]
    pub fn problem(
        &self,
        architecture: Architecture,
        names: LiteNames,
        classes: usize,
    ) -> Option<String> {
        let name = architecture.name();
        if !self.architecture.is_empty() && !self.names(architecture, names) {
            return Some(format!(
                "names the network {}, and the tensors are taken as a {name}, which is another network",
                self.architecture
            ));
        }
        if text(self.object.get("problem_type")).as_deref() == Some("multi_label_classification") {
            return Some("says that its classes are several labels at once (sigmoid), and camlens shows probabilities by softmax".into());
        }
        let declared = self.object.get("num_classes").and_then(Value::as_u64);
        if let Some(declared) = declared
            && usize::try_from(declared) != Ok(classes)
        {
            return Some(format!(
                "says that there are {declared} classes, and the classifier has {classes}"
            ));
        }
        self.pooling()
            .or_else(|| self.arguments())
            .or_else(|| self.input())
    }

    /// The network's name without the hub's folder before it and the tag behind it.
    #[must_use]
    pub fn name(&self) -> String {
        plain(&self.architecture)
    }

    /// Whether its name means the network.
    fn names(&self, architecture: Architecture, names: LiteNames) -> bool {
        let name = self.name();
        // TensorFlow's EfficientNet-Lite0 pads otherwise. Its own tensor names tell that.
        let padding = names == LiteNames::Source
            || (names == LiteNames::TimmFromTensorFlow) == name.starts_with("tf_");
        let padding = padding || architecture != Architecture::EfficientNetLite0;
        padding && one_of_ours(&name) == Some(architecture)
    }

    fn pooling(&self) -> Option<String> {
        let pooling = text(self.object.get("global_pool"))?;
        (!matches!(&pooling[..], "avg" | "fast" | "fastavg"))
            .then(|| format!("says that its last pooling is {pooling:?}, and camlens averages"))
    }

    fn arguments(&self) -> Option<String> {
        let arguments = self.object.get("model_args")?.as_object()?;
        let harmless = |(name, value): &(&String, &Value)| {
            let usual = USUAL.iter().find(|(usual, _)| name == usual);
            let is_usual = usual.is_some_and(|(_, usual)| {
                text(Some(value)).is_some_and(|value| usual.contains(&&value.to_lowercase()[..]))
            });
            value.is_null() || HARMLESS.contains(&&name[..]) || is_usual
        };
        let (name, value) = arguments.iter().find(|argument| !harmless(argument))?;
        Some(format!(
            "builds the network with {name} = {value}, which camlens does not know"
        ))
    }

    /// What is done to photos that camlens does otherwise.
    fn input(&self) -> Option<String> {
        let nested = self.object.get("pretrained_cfg").and_then(Value::as_object);
        let of = nested.unwrap_or(&self.object);
        if let Some(mode) = text(of.get("crop_mode")).filter(|mode| mode != "center") {
            return Some(format!(
                "says crop_mode {mode}, and camlens knows the centre crop only"
            ));
        }
        let size = of.get("input_size").and_then(Value::as_array)?;
        let size: Vec<u64> = size.iter().filter_map(Value::as_u64).collect();
        match size[..] {
            [channels, ..] if channels != 3 => Some(format!(
                "says that its input has {channels} channels, and camlens gives 3"
            )),
            [_, height, width] if height != width => Some(format!(
                "says that its input is {width}×{height} pixels, and camlens knows square ones only"
            )),
            _ => None,
        }
    }
}

/// What a `config.json`, or a training script, says that is not as the network that was
/// recognised, and what to do.
#[must_use]
pub fn problem(
    [config, written]: [&Declared; 2],
    architecture: Architecture,
    names: LiteNames,
    classes: usize,
) -> Option<String> {
    if let Some(problem) = config.problem(architecture, names, classes) {
        return Some(format!(
            "config.json beside it {problem}. Remove config.json if it belongs to another file"
        ));
    }
    let problem = written.problem(architecture, names, classes)?;
    Some(format!(
        "what was saved beside its weights {problem}. If that is not so, save its state_dict on its own"
    ))
}

/// A name without the hub's folder before it and the tag behind it.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.rsplit('/').next().unwrap_or_default();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// The network that camlens runs under a name of timm's.
fn one_of_ours(name: &str) -> Option<Architecture> {
    let mut known = NAMES.iter();
    let known = known.find(|(_, names)| names.contains(&name));
    known.map(|(architecture, _)| *architecture)
}

/// Whether a name is that of another network of timm or torchvision.
fn is_another(name: &str) -> bool {
    let mut collections = COLLECTIONS.iter();
    let name = collections
        .find_map(|before| name.strip_prefix(before))
        .unwrap_or(name);
    let is_number = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    let mut others = OTHERS.iter();
    others.any(|start| name.strip_prefix(start).is_some_and(is_number))
        || name.strip_prefix("resnet").is_some_and(|rest| {
            let suffix = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            is_number(rest) && OTHER_RESNETS.contains(&suffix)
        })
}

/// A string, number or truth value as text.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str, architecture: Architecture) -> Option<String> {
        Declared::read(text).problem(architecture, LiteNames::Timm, 1000)
    }

    #[test]
    fn names_of_the_same_network_are_known() {
        for (name, architecture) in [
            ("resnet18", Architecture::ResNet18),
            ("tv_resnet34", Architecture::ResNet34),
            ("gluon_resnet50_v1b", Architecture::ResNet50),
            ("resnet50.a1_in1k", Architecture::ResNet50),
            ("timm/resnet101.tv_in1k", Architecture::ResNet101),
            ("ResNet152", Architecture::ResNet152),
            ("tf_efficientnet_lite0", Architecture::EfficientNetLite0),
            (
                "efficientnet_lite0.ra_in1k",
                Architecture::EfficientNetLite0,
            ),
        ] {
            let config = format!(r#"{{"architecture": "{name}", "num_classes": 1000}}"#);
            let declared = Declared::read(&config);
            let names = if declared.name().starts_with("tf_") {
                LiteNames::TimmFromTensorFlow
            } else {
                LiteNames::Timm
            };
            assert_eq!(declared.problem(architecture, names, 1000), None, "{name}");
        }
    }

    #[test]
    fn a_script_names_networks_of_timm_and_torchvision_or_nothing() {
        for (name, expected) in [
            ("resnet18", "resnet18"),
            ("ResNet-18", "resnet18"),
            ("resnet_50", "resnet50"),
            ("runs/resnet18.pth", "resnet18"),
            ("tf_efficientnet_lite0", "tf_efficientnet_lite0"),
            ("resnetblur18", "resnetblur18"),
            ("resnetaa50d", "resnetaa50d"),
            ("resnet18d", "resnet18d"),
            ("resnet26", "resnet26"),
            ("gluon_resnet50_v1d", "gluon_resnet50_v1d"),
            ("wide_resnet50_2", "wide_resnet50_2"),
            ("resnext50_32x4d", "resnext50_32x4d"),
            ("vgg16", "vgg16"),
            // Words of their own.
            ("resnet", ""),
            ("resnet18_mixup", ""),
            ("resnet50 + augmentation", ""),
            ("lesions", ""),
            ("", ""),
        ] {
            let written = Written {
                names: vec!["baseline".into(), name.into()],
                pooling: Some("max".into()),
                arguments: Map::new(),
            };
            let declared = Declared::written(&written);
            assert_eq!(declared.architecture, expected, "{name}");
            let problem = declared.problem(Architecture::ResNet18, LiteNames::Source, 3);
            assert_eq!(problem.is_none(), expected.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_is_not_run_is_refused_by_its_name() {
        for (config, words) in [
            (
                r#"{"architecture": "resnetblur18"}"#,
                "names the network resnetblur18",
            ),
            (r#"{"architecture": "resnetaa50"}"#, "resnetaa50"),
            (r#"{"architecture": "resnet50"}"#, "resnet50"),
            (r#"{"architecture": "vit_base_patch16_224"}"#, "vit_base"),
            (r#"{"global_pool": "max"}"#, "pooling is \"max\""),
            (r#"{"global_pool": ""}"#, "pooling is \"\""),
            (
                r#"{"model_args": {"output_stride": 8}}"#,
                "output_stride = 8",
            ),
            (
                r#"{"model_args": {"act_layer": "silu"}}"#,
                "act_layer = \"silu\"",
            ),
            (r#"{"model_args": {"new": 1}}"#, "new = 1"),
            (
                r#"{"num_classes": 10}"#,
                "10 classes, and the classifier has 1000",
            ),
            (
                r#"{"problem_type": "multi_label_classification"}"#,
                "sigmoid",
            ),
            (r#"{"crop_mode": "squash"}"#, "crop_mode squash"),
            (
                r#"{"pretrained_cfg": {"crop_mode": "border"}}"#,
                "crop_mode border",
            ),
            (
                r#"{"pretrained_cfg": {"input_size": [3, 224, 288]}}"#,
                "288×224",
            ),
            (r#"{"input_size": [1, 224, 224]}"#, "1 channels"),
        ] {
            let problem = problem(config, Architecture::ResNet18);
            assert!(
                problem.as_ref().is_some_and(|p| p.contains(words)),
                "{config}: {problem:?}"
            );
        }
        for harmless in [
            "",
            "[]",
            "{}",
            r#"{"model_type": "bert", "num_labels": 3}"#,
            r#"{"global_pool": "avg", "num_classes": 1000, "pretrained_cfg": {"crop_mode": "center", "input_size": [3, 224, 224]}}"#,
            r#"{"model_args": {"drop_path_rate": 0.1, "output_stride": 32, "act_layer": "ReLU", "aa_layer": null, "avg_down": false}}"#,
            r#"{"pretrained_cfg": "in1k"}"#,
        ] {
            assert_eq!(
                problem(harmless, Architecture::ResNet18),
                None,
                "{harmless}"
            );
        }
    }
}
