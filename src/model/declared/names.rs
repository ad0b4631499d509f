//! Names of networks as they occur in files.

use crate::model::architecture::{Architecture, LiteNames};

/// Names in timm (and its older versions) of the networks that camlens supports. A tag may follow
/// the name (`resnet50.a1_in1k`).
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

/// Prefixes of the names of networks that camlens does not support, without `_` and `-`.
const OTHERS: &[&str] = &[
    "resnet10",
    "resnet14",
    "resnet18",
    "resnet26",
    "resnet33",
    "resnet34",
    "resnet50",
    "resnet51",
    "resnet61",
    "resnet101",
    "resnet152",
    "resnet200",
    "resnet269",
    "resnetaa",
    "resnetblur",
    "resnetrs",
    "resnetv2",
    "resnext",
    "resnest",
    "res2net",
    "res2next",
    "gluonresne",
    "gluonseresnext",
    "gluonsenet",
    "tvresne",
    "sslresne",
    "swslresne",
    "igresnext",
    "wideresnet",
    "seresne",
    "senet",
    "legacyse",
    "ecaresne",
    "ecanfnet",
    "skresne",
    "gcresne",
    "nfresnet",
    "nfecaresnet",
    "nfnet",
    "dmnfnet",
    "halonet",
    "lambdaresnet",
    "botnet",
    "densenet",
    "vgg",
    "alexnet",
    "squeezenet",
    "googlenet",
    "inception",
    "xception",
    "mobilenet",
    "tfmobilenet",
    "mnasnet",
    "efficientnet",
    "tfefficientnet",
    "efficientvit",
    "efficientformer",
    "shufflenet",
    "regnet",
    "convnext",
    "vittiny",
    "vitsmall",
    "vitbase",
    "vitlarge",
    "vithuge",
    "vitgiant",
    "vitb",
    "vitl",
    "deit",
    "swin",
    "maxvit",
    "beit",
    "cait",
    "coatnet",
    "mixers",
    "mixerb",
    "mixerl",
    "hrnet",
    "dpn",
    "ghostnet",
    "rexnet",
    "repvgg",
    "cspresne",
    "cspdarknet",
    "darknet",
    "fbnet",
    "poolformer",
];

/// Suffixes of our networks' names that denote a different network: a deep stem, another
/// normalization.
const VARIANTS: &[&str] = &[
    "c", "d", "s", "e", "t", "q", "gn", "ts", "v1c", "v1d", "v1s", "cliprn",
];

/// Packages that come before the names of networks: `torchvision.models.resnet18`.
const PACKAGES: &[&str] = &[
    "torchvision",
    "timm",
    "torch",
    "models",
    "model",
    "hub",
    "resnet",
    "efficientnet",
];

/// What a name means, compared with the network that was recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The same network.
    Same,
    /// A different known network.
    Other,
    /// The name is unknown.
    Unknown,
}

/// A name in lower case with `_` between its words, without a prefix (a folder of the hub, a
/// module) and without a tag.
pub fn short(name: &str) -> String {
    let name = name.to_lowercase().replace(['-', ' '], "_");
    let name = name.rsplit('/').next().unwrap_or_default();
    let parts: Vec<&str> = name.split('.').collect();
    let is_package = |part: &&&str| PACKAGES.contains(*part);
    let packages = parts.iter().take_while(is_package).count();
    let own = parts.get(packages).or(parts.last()).copied();
    let own = own.unwrap_or_default();
    // Names of torchvision's weights: ResNet18_Weights.IMAGENET1K_V1.
    own.strip_suffix("_weights").unwrap_or(own).to_owned()
}

/// The supported network with a short name.
pub fn one_of_ours(short: &str) -> Option<Architecture> {
    let name = short.replace('_', "");
    let mut known = NAMES.iter();
    let found = known.find(|(_, names)| names.iter().any(|its| its.replace('_', "") == name));
    found.map(|(architecture, _)| *architecture)
}

/// Whether a short name belongs to any known network. An additional word chosen by the user
/// (`resnet18_skin`) makes it unknown.
pub fn is_known(short: &str) -> bool {
    let name = short.replace('_', "");
    let ours = NAMES.iter().flat_map(|(_, names)| names.iter());
    let rests = ours.filter_map(|its| name.strip_prefix(&its.replace('_', "")[..]));
    let mut rests = rests.filter(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    match rests.next() {
        Some(rest) => rest.is_empty() || VARIANTS.contains(&rest),
        None => OTHERS.iter().any(|other| name.starts_with(other)),
    }
}

/// What a short name means, compared with the network that was recognized.
pub fn meaning(short: &str, architecture: Architecture, names: LiteNames) -> Meaning {
    let name = short.replace('_', "");
    let mut known = NAMES.iter();
    let known = known.find(|(its, _)| *its == architecture);
    let known = known.map(|(_, known)| *known).unwrap_or_default();
    // TensorFlow's EfficientNet-Lite0 uses another padding.
    let pads_so = architecture != Architecture::EfficientNetLite0
        || (names != LiteNames::Timm) == name.starts_with("tf");
    let behind = |known: &&str| name.strip_prefix(&known.replace('_', "")[..]);
    let mut rests = known.iter().filter_map(behind);
    // A digit after the name makes it another name.
    let rest = rests.find(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    match rest {
        Some("") if pads_so => Meaning::Same,
        Some("") => Meaning::Other,
        Some(rest) if VARIANTS.contains(&rest) => Meaning::Other,
        None if OTHERS.iter().any(|other| name.starts_with(other)) => Meaning::Other,
        // A name chosen by the user: resnet18_skin.
        _ => Meaning::Unknown,
    }
}
