//! What a `config.json` says of the network, which must be what camlens runs.

use serde_json::{Map, Value};

use super::Architecture;
use super::architecture::LiteNames;

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
        let name = self.architecture.to_lowercase();
        let name = name.rsplit('/').next().unwrap_or_default();
        name.split('.').next().unwrap_or_default().to_owned()
    }

    /// Whether its name means the network.
    fn names(&self, architecture: Architecture, names: LiteNames) -> bool {
        let name = self.name();
        let mut known = NAMES.iter();
        let known = known.find(|(its, _)| *its == architecture);
        // TensorFlow's EfficientNet-Lite0 pads otherwise.
        let padding = architecture != Architecture::EfficientNetLite0
            || (names != LiteNames::Timm) == name.starts_with("tf_");
        padding && known.is_some_and(|(_, known)| known.contains(&&name[..]))
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
