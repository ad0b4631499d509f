//! What a `config.json`, or a training script in the weight file, says about the network. It must
//! match what camlens runs.

mod names;

use serde_json::{Map, Value};

use crate::model::architecture::{Architecture, LiteNames};
use crate::model::declared::names::Meaning;
use crate::model::file_selection::Selection;
use crate::model::weights::Written;
use crate::text::printable;

/// Arguments of timm's models that have no effect when a network is used.
const HARMLESS: &[&str] = &[
    "num_classes", // compared with the classifier
    "bn_momentum",
    "drop",
    "drop_rate",
    "drop_path",
    "drop_path_rate",
    "drop_block",
    "drop_block_rate",
    "drop_connect_rate",
    "head_drop_rate",
    "attn_drop_rate",
    "proj_drop_rate",
    "grad_checkpointing",
    "strict",
    "cache_dir",
    "zero_init_last",
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "scriptable",
    "exportable",
    "no_jit",
];

/// Arguments that must have this value, which is timm's default.
const USUAL: &[(&str, &[&str])] = &[
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

/// What a `config.json` says about the network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    /// The name of the network as written in the file, or an empty string.
    pub architecture: String,
    object: Map<String, Value>,
}

impl Declared {
    /// Parses the relevant parts, whatever else the file holds; empty if it is not a JSON object.
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

    /// Uses what a training script saved in the weight file. A name chosen by the user has no
    /// meaning here.
    #[must_use]
    pub fn written(written: &Written) -> Self {
        let mut known = written.names.iter().map(|name| names::short(name));
        let Some(architecture) = known.find(|name| names::is_known(name)) else {
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

    /// Ignores the name if the user has chosen a network and the name means another network that
    /// camlens supports: the script named one of several.
    pub fn leave_to(&mut self, wanted: &Selection, architecture: Architecture) {
        let is_chosen = wanted.key.is_some() || wanted.prefix.is_some();
        let named = names::one_of_ours(&self.name());
        if is_chosen && named.is_some_and(|named| named != architecture) {
            *self = Self::default();
        }
    }

    /// The first difference from the recognized network that the tensors do not show.
    #[must_use]
    pub fn problem(&self, architecture: Architecture, names: LiteNames) -> Option<String> {
        let meaning = self.meaning(architecture, names);
        if meaning == Some(Meaning::Other) {
            return Some(format!(
                "names the network {}, but its tensors are those of a {}, which is another network",
                self.architecture,
                architecture.name()
            ));
        }
        let is_timms = meaning == Some(Meaning::Same) || self.has_timms_input();
        self.pooling()
            .or_else(|| self.arguments(is_timms))
            .or_else(|| self.input(is_timms))
    }

    /// Whether several labels can be true at once (transformers' `problem_type`).
    #[must_use]
    pub fn several_labels(&self) -> bool {
        text(self.object.get("problem_type")).as_deref() == Some("multi_label_classification")
    }

    /// Notices about differences that are not errors, because the tensors decide.
    #[must_use]
    pub fn notices(
        &self,
        architecture: Architecture,
        names: LiteNames,
        classes: usize,
    ) -> Vec<String> {
        let mut notices = Vec::new();
        if self.meaning(architecture, names) == Some(Meaning::Unknown) {
            notices.push(format!(
                "config.json names the network {}, which camlens does not know: taken as a {} by its tensors.",
                printable::name(&self.architecture),
                architecture.name()
            ));
        }
        let declared = self.object.get("num_classes").and_then(Value::as_u64);
        let declared = declared.filter(|count| usize::try_from(*count) != Ok(classes));
        notices.extend(declared.map(|declared| {
            format!(
                "config.json says that there are {declared} classes, and the classifier has {classes}: the classes of the classifier are shown."
            )
        }));
        notices
    }

    /// The network's name in lower case with `_` between its words, without a prefix and without a
    /// tag.
    #[must_use]
    pub fn name(&self) -> String {
        names::short(&self.architecture)
    }

    /// Whether its name denotes this network.
    #[must_use]
    pub fn names(&self, architecture: Architecture, names: LiteNames) -> bool {
        self.meaning(architecture, names) == Some(Meaning::Same)
    }

    /// The meaning of its name, if it has one.
    fn meaning(&self, architecture: Architecture, names: LiteNames) -> Option<Meaning> {
        let has_name = !self.architecture.is_empty();
        has_name.then(|| names::meaning(&self.name(), architecture, names))
    }

    /// Whether it describes the input as timm does; other files do not.
    fn has_timms_input(&self) -> bool {
        let has = |key: &str| self.object.get(key).is_some_and(|value| !value.is_null());
        has("pretrained_cfg") || (has("mean") && has("std"))
    }

    fn pooling(&self) -> Option<String> {
        let pooling = text(self.object.get("global_pool"))?;
        (!matches!(&pooling[..], "avg" | "fast" | "fastavg")).then(|| {
            format!("says that its last pooling is {pooling:?}, but camlens uses the average")
        })
    }

    /// Arguments that would build another network. In files that are not from timm, only arguments
    /// that timm has as well are checked.
    fn arguments(&self, is_timms: bool) -> Option<String> {
        let arguments = self.object.get("model_args")?.as_object()?;
        let harmless = |(name, value): &(&String, &Value)| {
            let usual = USUAL.iter().find(|(usual, _)| name == usual);
            let is_usual = usual.is_some_and(|(_, usual)| {
                text(Some(value)).is_some_and(|value| usual.contains(&&value.to_lowercase()[..]))
            });
            let is_harmless = HARMLESS.contains(&&name[..]) || (usual.is_none() && !is_timms);
            value.is_null() || is_harmless || is_usual
        };
        let (name, value) = arguments.iter().find(|argument| !harmless(argument))?;
        Some(format!(
            "builds the network with {name} = {value}, which camlens does not know"
        ))
    }

    /// Preprocessing of photos that camlens does differently.
    fn input(&self, is_timms: bool) -> Option<String> {
        let nested = self.object.get("pretrained_cfg").and_then(Value::as_object);
        let of = nested.unwrap_or(&self.object);
        let size = of.get("input_size").and_then(Value::as_array)?;
        let size: Vec<u64> = size.iter().filter_map(Value::as_u64).collect();
        match size[..] {
            _ if !is_timms => None,
            [channels @ (1 | 4), _, _] => Some(format!(
                "says that its input has {channels} channels, but camlens provides 3"
            )),
            _ => None,
        }
    }
}

/// The first difference between the recognized network and a `config.json` or training script, with
/// advice.
#[must_use]
pub fn problem(
    [config, written]: [&Declared; 2],
    architecture: Architecture,
    names: LiteNames,
) -> Option<String> {
    if let Some(problem) = config.problem(architecture, names) {
        return Some(format!(
            "config.json next to it {problem}. Remove config.json if it belongs to another file"
        ));
    }
    let problem = written.problem(architecture, names)?;
    Some(format!(
        "what was saved beside its weights {problem}. If that is not so, save its state_dict on its own"
    ))
}

/// A string, number or boolean as text.
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
        Declared::read(text).problem(architecture, LiteNames::Timm)
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
            ("ResNet-18", Architecture::ResNet18),
            ("resnet-18", Architecture::ResNet18),
            ("ResNet 50", Architecture::ResNet50),
            ("microsoft/resnet-50", Architecture::ResNet50),
            ("torchvision.models.resnet18", Architecture::ResNet18),
            ("torchvision.models.resnet.resnet34", Architecture::ResNet34),
            ("timm.models.resnet18", Architecture::ResNet18),
            ("ResNet18_Weights.IMAGENET1K_V1", Architecture::ResNet18),
            (
                "torchvision.models.ResNet101_Weights.DEFAULT",
                Architecture::ResNet101,
            ),
            ("gluon-resnet18-v1b", Architecture::ResNet18),
            ("EfficientNet-Lite0", Architecture::EfficientNetLite0),
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
            assert_eq!(declared.problem(architecture, names), None, "{name}");
            assert!(declared.names(architecture, names), "{name}");
            assert!(declared.notices(architecture, names, 1000).is_empty());
        }
    }

    #[test]
    fn a_script_names_networks_of_timm_and_torchvision_or_nothing() {
        for (name, expected) in [
            ("resnet18", "resnet18"),
            ("ResNet-18", "resnet_18"),
            ("resnet_50", "resnet_50"),
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
            // Words chosen by the user.
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
            let problem = declared.problem(Architecture::ResNet18, LiteNames::Source);
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
            (r#"{"architecture": "ResNet-50"}"#, "network ResNet-50"),
            (r#"{"architecture": "resnet18d"}"#, "resnet18d"),
            (
                r#"{"architecture": "gluon_resnet18_v1d"}"#,
                "gluon_resnet18_v1d",
            ),
            (
                r#"{"architecture": "torchvision.models.resnet34"}"#,
                "resnet34",
            ),
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
            (
                r#"{"architecture": "resnet18", "model_args": {"new": 1}}"#,
                "new = 1",
            ),
            (
                r#"{"pretrained_cfg": {}, "model_args": {"new": 1}}"#,
                "new = 1",
            ),
            (
                r#"{"pretrained_cfg": {"input_size": [1, 224, 224]}}"#,
                "1 channels",
            ),
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
            r#"{"problem_type": "multi_label_classification"}"#,
            r#"{"global_pool": "avg", "num_classes": 1000, "pretrained_cfg": {"crop_mode": "center", "input_size": [3, 224, 224]}}"#,
            r#"{"model_args": {"drop_path_rate": 0.1, "output_stride": 32, "act_layer": "ReLU", "aa_layer": null, "avg_down": false}}"#,
            r#"{"pretrained_cfg": "in1k"}"#,
            r#"{"pretrained_cfg": {"crop_mode": "border", "input_size": [3, 224, 288]}}"#,
            r#"{"architecture": "resnet18", "model_args": {"bn_momentum": 0.01}}"#,
            // Files of other programs, which use such keys for other purposes.
            r#"{"input_size": [224, 224]}"#,
            r#"{"input_size": [224, 224, 3]}"#,
            r#"{"input_size": [1, 224, 224]}"#,
            r#"{"input_size": 224}"#,
            r#"{"architecture": "resnet18", "input_size": [224, 224, 3]}"#,
            r#"{"model_args": {"lr": 0.1}}"#,
            r#"{"architecture": "my-net", "model_args": {"lr": 0.1}}"#,
        ] {
            assert_eq!(
                problem(harmless, Architecture::ResNet18),
                None,
                "{harmless}"
            );
        }
    }

    #[test]
    fn what_the_tensors_settle_is_a_notice() {
        for (config, words) in [
            (
                r#"{"num_classes": 10}"#,
                "says that there are 10 classes, and the classifier has 1000",
            ),
            (
                r#"{"architecture": "SkinNet"}"#,
                "names the network SkinNet, which camlens does not know: taken as a ResNet-18",
            ),
            (
                r#"{"architecture": "resnet18_skin.v2"}"#,
                "which camlens does not know",
            ),
            (
                r#"{"architecture": "resnet"}"#,
                "which camlens does not know",
            ),
        ] {
            let declared = Declared::read(config);
            let (architecture, names) = (Architecture::ResNet18, LiteNames::Source);
            assert_eq!(declared.problem(architecture, names), None, "{config}");
            let notices = declared.notices(architecture, names, 1000);
            assert!(notices[0].contains(words), "{config}: {notices:?}");
            assert!(!declared.names(architecture, names), "{config}");
        }
    }
}
