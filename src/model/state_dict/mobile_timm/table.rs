//! The networks: blocks as in timm's `efficientnet.py` and `mobilenetv3.py` (version 1.0.31), and
//! how their usual weights want their input.

use crate::model::graph::Unary;
use crate::model::state_dict::mobile_timm::bases::{
    EFFICIENTNET, EFFICIENTNET_EDGE, EFFICIENTNET_LITE, EFFICIENTNET_V2_BASE, EFFICIENTNET_V2_L,
    EFFICIENTNET_V2_M, EFFICIENTNET_V2_RW, EFFICIENTNET_V2_S, EFFICIENTNET_V2_XL, FBNET_C,
    MNASNET_A1, MNASNET_B1, MNASNET_SMALL, MOBILENET_V1, MOBILENET_V1_HEAD, MOBILENET_V2,
    MOBILENET_V2_DEEP, MOBILENET_V3_LARGE, MOBILENET_V3_LARGE_MINIMAL, MOBILENET_V3_RW,
    MOBILENET_V3_SMALL, MOBILENET_V3_SMALL_MINIMAL, SPNASNET, TEST_EFFICIENTNET, TINYNET,
};

/// What networks of different widths and depths share.
#[derive(Debug)]
pub struct Base {
    /// The blocks of each stage: kind, repeats (r), kernel (k), stride (s), expansion (e), channels
    /// (c), squeeze and excitation (se), activation (n), whether it has no shortcut.
    pub stages: &'static [&'static [&'static str]],
    /// Channels of the stem.
    pub stem: usize,
    /// Whether the stem's channels grow with this width.
    pub scales_stem: fn(f64) -> bool,
    /// Whether the first and the last stage keep their depth.
    pub keeps_ends: bool,
    /// Whether depths are rounded to the nearest instead of up.
    pub rounds_depth: bool,
    /// The smallest part of a width that rounding may leave.
    pub round_limit: f64,
    /// The usual activation.
    pub activation: Unary,
    /// Squeeze and excitation.
    pub gates: Gates,
    /// The last convolution.
    pub head: Head,
}

/// Squeeze and excitation.
#[derive(Debug)]
pub struct Gates {
    /// Whether the ratio is of the expanded channels instead of the block's input.
    pub of_expanded: bool,
    /// Whether the number of channels is a multiple of 8.
    pub divisible: bool,
    /// Its activation; `None` is the block's.
    pub activation: Option<Unary>,
    /// The function of the gates.
    pub gate: Unary,
}

/// The last convolution.
#[derive(Debug)]
pub enum Head {
    /// None.
    None,
    /// With batch norm and activation.
    BeforePooling(Features),
    /// With activation.
    AfterPooling(usize),
}

/// Its channels.
#[derive(Debug)]
pub enum Features {
    /// Always the same.
    Fixed(usize),
    /// They grow with the width.
    Scaled(usize),
    /// They grow with the width above 1.
    AtLeast(usize),
}

impl Features {
    /// The number.
    #[must_use]
    pub fn channels(&self, scaled: &dyn Fn(usize) -> usize) -> usize {
        match *self {
            Self::Fixed(channels) => channels,
            Self::Scaled(channels) => scaled(channels),
            Self::AtLeast(channels) => channels.max(scaled(channels)),
        }
    }
}

/// A network.
pub struct Row {
    /// timm's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its blocks.
    pub base: &'static Base,
    /// Its width.
    pub width: f64,
    /// Its depth, for each stage; the last one is for all further stages.
    pub depth: &'static [f64],
    /// Added to the variance by batch norms.
    pub eps: f32,
    /// Whether padding is as in `TensorFlow`.
    pub same: bool,
    /// Side of the input.
    pub crop: usize,
    /// Short side of the photo.
    pub short: usize,
    /// Whether the interpolation is bicubic.
    pub bicubic: bool,
    /// Whether mean and deviation are 1/2 instead of ImageNet's.
    pub half: bool,
}

impl Row {
    /// The side of the image for which `efficientnet_pytorch` makes this network.
    #[must_use]
    pub fn nominal(&self) -> usize {
        if self.name.ends_with("_l2") {
            800
        } else {
            self.crop
        }
    }
}

impl Base {
    /// Whether all blocks have squeeze and excitation.
    #[must_use]
    pub fn gates_everywhere(&self) -> bool {
        let mut blocks = self.stages.iter().copied().flatten();
        blocks.all(|block| block.contains("_se"))
    }
}

const fn row(
    (name, title): (&'static str, &'static str),
    base: &'static Base,
    (width, depth): (f64, &'static [f64]),
    (eps, same): (f32, bool),
    (crop, short, bicubic, half): (usize, usize, bool, bool),
) -> Row {
    Row {
        name,
        title,
        base,
        width,
        depth,
        eps,
        same,
        crop,
        short,
        bicubic,
        half,
    }
}

/// timm's usual (eps, whether padding is as in `TensorFlow`), and those of weights from
/// `TensorFlow`.
const TIMM: (f32, bool) = (1e-5, false);
const TENSORFLOW: (f32, bool) = (1e-3, true);

/// All networks. Of those with the same tensors, the usual one comes first.
#[rustfmt::skip]
pub const NETWORKS: &[Row] = &[
    row(("efficientnet_b0", "EfficientNet-B0"), &EFFICIENTNET, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_efficientnet_b0", "EfficientNet-B0"), &EFFICIENTNET, (1.0, &[1.0]), TENSORFLOW, (224, 256, true, false)),
    row(("efficientnet_b1", "EfficientNet-B1"), &EFFICIENTNET, (1.0, &[1.1]), TIMM, (240, 266, true, true)),
    row(("tf_efficientnet_b1", "EfficientNet-B1"), &EFFICIENTNET, (1.0, &[1.1]), TENSORFLOW, (240, 272, true, false)),
    row(("efficientnet_b2", "EfficientNet-B2"), &EFFICIENTNET, (1.1, &[1.2]), TIMM, (256, 292, true, false)),
    row(("tf_efficientnet_b2", "EfficientNet-B2"), &EFFICIENTNET, (1.1, &[1.2]), TENSORFLOW, (260, 292, true, false)),
    row(("efficientnet_b3", "EfficientNet-B3"), &EFFICIENTNET, (1.2, &[1.4]), TIMM, (288, 329, true, false)),
    row(("tf_efficientnet_b3", "EfficientNet-B3"), &EFFICIENTNET, (1.2, &[1.4]), TENSORFLOW, (300, 331, true, false)),
    row(("efficientnet_b4", "EfficientNet-B4"), &EFFICIENTNET, (1.4, &[1.8]), TIMM, (320, 365, true, false)),
    row(("tf_efficientnet_b4", "EfficientNet-B4"), &EFFICIENTNET, (1.4, &[1.8]), TENSORFLOW, (380, 412, true, false)),
    row(("efficientnet_b5", "EfficientNet-B5"), &EFFICIENTNET, (1.6, &[2.2]), TIMM, (448, 448, true, false)),
    row(("tf_efficientnet_b5", "EfficientNet-B5"), &EFFICIENTNET, (1.6, &[2.2]), TENSORFLOW, (456, 488, true, false)),
    row(("tf_efficientnet_b6", "EfficientNet-B6"), &EFFICIENTNET, (1.8, &[2.6]), TENSORFLOW, (528, 560, true, false)),
    row(("efficientnet_b6", "EfficientNet-B6"), &EFFICIENTNET, (1.8, &[2.6]), TIMM, (528, 560, true, false)),
    row(("tf_efficientnet_b7", "EfficientNet-B7"), &EFFICIENTNET, (2.0, &[3.1]), TENSORFLOW, (600, 632, true, false)),
    row(("efficientnet_b7", "EfficientNet-B7"), &EFFICIENTNET, (2.0, &[3.1]), TIMM, (600, 632, true, false)),
    row(("tf_efficientnet_b8", "EfficientNet-B8"), &EFFICIENTNET, (2.2, &[3.6]), TENSORFLOW, (672, 704, true, true)),
    row(("efficientnet_b8", "EfficientNet-B8"), &EFFICIENTNET, (2.2, &[3.6]), TIMM, (672, 704, true, false)),
    row(("tf_efficientnet_l2", "EfficientNet-L2"), &EFFICIENTNET, (4.3, &[5.3]), TENSORFLOW, (475, 507, true, false)),
    row(("efficientnet_l2", "EfficientNet-L2"), &EFFICIENTNET, (4.3, &[5.3]), TIMM, (800, 832, true, false)),
    row(("efficientnet_lite0", "EfficientNet-Lite0"), &EFFICIENTNET_LITE, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_efficientnet_lite0", "EfficientNet-Lite0"), &EFFICIENTNET_LITE, (1.0, &[1.0]), TENSORFLOW, (224, 256, true, true)),
    row(("tf_efficientnet_lite1", "EfficientNet-Lite1"), &EFFICIENTNET_LITE, (1.0, &[1.1]), TENSORFLOW, (240, 272, true, true)),
    row(("efficientnet_lite1", "EfficientNet-Lite1"), &EFFICIENTNET_LITE, (1.0, &[1.1]), TIMM, (240, 272, true, false)),
    row(("tf_efficientnet_lite2", "EfficientNet-Lite2"), &EFFICIENTNET_LITE, (1.1, &[1.2]), TENSORFLOW, (260, 292, true, true)),
    row(("efficientnet_lite2", "EfficientNet-Lite2"), &EFFICIENTNET_LITE, (1.1, &[1.2]), TIMM, (260, 292, true, false)),
    row(("tf_efficientnet_lite3", "EfficientNet-Lite3"), &EFFICIENTNET_LITE, (1.2, &[1.4]), TENSORFLOW, (300, 331, false, true)),
    row(("efficientnet_lite3", "EfficientNet-Lite3"), &EFFICIENTNET_LITE, (1.2, &[1.4]), TIMM, (300, 331, true, false)),
    row(("tf_efficientnet_lite4", "EfficientNet-Lite4"), &EFFICIENTNET_LITE, (1.4, &[1.8]), TENSORFLOW, (380, 413, false, true)),
    row(("efficientnet_lite4", "EfficientNet-Lite4"), &EFFICIENTNET_LITE, (1.4, &[1.8]), TIMM, (380, 412, true, false)),
    row(("efficientnet_es", "EfficientNet-EdgeTPU Small"), &EFFICIENTNET_EDGE, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_efficientnet_es", "EfficientNet-EdgeTPU Small"), &EFFICIENTNET_EDGE, (1.0, &[1.0]), TENSORFLOW, (224, 256, true, true)),
    row(("efficientnet_em", "EfficientNet-EdgeTPU Medium"), &EFFICIENTNET_EDGE, (1.0, &[1.1]), TIMM, (240, 272, true, false)),
    row(("tf_efficientnet_em", "EfficientNet-EdgeTPU Medium"), &EFFICIENTNET_EDGE, (1.0, &[1.1]), TENSORFLOW, (240, 272, true, true)),
    row(("efficientnet_el", "EfficientNet-EdgeTPU Large"), &EFFICIENTNET_EDGE, (1.2, &[1.4]), TIMM, (300, 331, true, false)),
    row(("tf_efficientnet_el", "EfficientNet-EdgeTPU Large"), &EFFICIENTNET_EDGE, (1.2, &[1.4]), TENSORFLOW, (300, 331, true, true)),
    row(("tf_efficientnetv2_b0", "EfficientNetV2-B0"), &EFFICIENTNET_V2_BASE, (1.0, &[1.0]), TENSORFLOW, (192, 219, true, false)),
    row(("tf_efficientnetv2_b1", "EfficientNetV2-B1"), &EFFICIENTNET_V2_BASE, (1.0, &[1.1]), TENSORFLOW, (192, 217, true, false)),
    row(("tf_efficientnetv2_b2", "EfficientNetV2-B2"), &EFFICIENTNET_V2_BASE, (1.1, &[1.2]), TENSORFLOW, (208, 233, true, false)),
    row(("tf_efficientnetv2_b3", "EfficientNetV2-B3"), &EFFICIENTNET_V2_BASE, (1.2, &[1.4]), TENSORFLOW, (240, 266, true, true)),
    row(("tf_efficientnetv2_s", "EfficientNetV2-S"), &EFFICIENTNET_V2_S, (1.0, &[1.0]), TENSORFLOW, (300, 300, true, true)),
    row(("efficientnetv2_s", "EfficientNetV2-S"), &EFFICIENTNET_V2_S, (1.0, &[1.0]), TIMM, (288, 288, true, false)),
    row(("tf_efficientnetv2_m", "EfficientNetV2-M"), &EFFICIENTNET_V2_M, (1.0, &[1.0]), TENSORFLOW, (384, 384, true, true)),
    row(("efficientnetv2_m", "EfficientNetV2-M"), &EFFICIENTNET_V2_M, (1.0, &[1.0]), TIMM, (320, 320, true, false)),
    row(("tf_efficientnetv2_l", "EfficientNetV2-L"), &EFFICIENTNET_V2_L, (1.0, &[1.0]), TENSORFLOW, (384, 384, true, true)),
    row(("efficientnetv2_l", "EfficientNetV2-L"), &EFFICIENTNET_V2_L, (1.0, &[1.0]), TIMM, (384, 384, true, false)),
    row(("tf_efficientnetv2_xl", "EfficientNetV2-XL"), &EFFICIENTNET_V2_XL, (1.0, &[1.0]), TENSORFLOW, (384, 384, true, true)),
    row(("efficientnetv2_xl", "EfficientNetV2-XL"), &EFFICIENTNET_V2_XL, (1.0, &[1.0]), TIMM, (384, 384, true, false)),
    row(("efficientnetv2_rw_t", "EfficientNetV2-T (timm)"), &EFFICIENTNET_V2_S, (0.8, &[0.9]), TIMM, (224, 224, true, false)),
    row(("efficientnetv2_rw_s", "EfficientNetV2-S (timm)"), &EFFICIENTNET_V2_RW, (1.0, &[1.0]), TIMM, (288, 288, true, false)),
    row(("efficientnetv2_rw_m", "EfficientNetV2-M (timm)"), &EFFICIENTNET_V2_RW, (1.2, &[1.2, 1.2, 1.2, 1.2, 1.6]), TIMM, (320, 320, true, false)),
    row(("mobilenetv1_100", "MobileNet v1"), &MOBILENET_V1, (1.0, &[1.0]), TIMM, (224, 256, true, true)),
    row(("mobilenetv1_125", "MobileNet v1 ×1.25"), &MOBILENET_V1, (1.25, &[1.0]), TIMM, (224, 248, true, true)),
    row(("mobilenetv1_100h", "MobileNet v1 with a head"), &MOBILENET_V1_HEAD, (1.0, &[1.0]), TIMM, (224, 256, true, true)),
    row(("mobilenetv2_035", "MobileNet v2 ×0.35"), &MOBILENET_V2, (0.35, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_050", "MobileNet v2 ×0.5"), &MOBILENET_V2, (0.5, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_075", "MobileNet v2 ×0.75"), &MOBILENET_V2, (0.75, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_100", "MobileNet v2 ×1.0"), &MOBILENET_V2, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_140", "MobileNet v2 ×1.4"), &MOBILENET_V2, (1.4, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_110d", "MobileNet v2 110d"), &MOBILENET_V2_DEEP, (1.1, &[1.2]), TIMM, (224, 256, true, false)),
    row(("mobilenetv2_120d", "MobileNet v2 120d"), &MOBILENET_V2_DEEP, (1.2, &[1.4]), TIMM, (224, 256, true, false)),
    row(("tf_mobilenetv3_large_075", "MobileNet v3 large ×0.75"), &MOBILENET_V3_LARGE, (0.75, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("mobilenetv3_large_075", "MobileNet v3 large ×0.75"), &MOBILENET_V3_LARGE, (0.75, &[1.0]), TIMM, (224, 256, false, false)),
    row(("mobilenetv3_large_100", "MobileNet v3 large"), &MOBILENET_V3_LARGE, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_mobilenetv3_large_100", "MobileNet v3 large"), &MOBILENET_V3_LARGE, (1.0, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("mobilenetv3_large_150d", "MobileNet v3 large ×1.5"), &MOBILENET_V3_LARGE, (1.5, &[1.2]), TIMM, (256, 269, false, true)),
    row(("mobilenetv3_small_050", "MobileNet v3 small ×0.5"), &MOBILENET_V3_SMALL, (0.5, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mobilenetv3_small_075", "MobileNet v3 small ×0.75"), &MOBILENET_V3_SMALL, (0.75, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_mobilenetv3_small_075", "MobileNet v3 small ×0.75"), &MOBILENET_V3_SMALL, (0.75, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("mobilenetv3_small_100", "MobileNet v3 small"), &MOBILENET_V3_SMALL, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("tf_mobilenetv3_small_100", "MobileNet v3 small"), &MOBILENET_V3_SMALL, (1.0, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("tf_mobilenetv3_large_minimal_100", "MobileNet v3 large minimal"), &MOBILENET_V3_LARGE_MINIMAL, (1.0, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("tf_mobilenetv3_small_minimal_100", "MobileNet v3 small minimal"), &MOBILENET_V3_SMALL_MINIMAL, (1.0, &[1.0]), TENSORFLOW, (224, 256, false, true)),
    row(("mobilenetv3_rw", "MobileNet v3 (timm)"), &MOBILENET_V3_RW, (1.0, &[1.0]), (1e-3, false), (224, 256, true, false)),
    row(("mnasnet_050", "MNASNet-B1 ×0.5"), &MNASNET_B1, (0.5, &[1.0]), TIMM, (224, 256, true, false)),
    row(("semnasnet_050", "MNASNet-A1 ×0.5"), &MNASNET_A1, (0.5, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mnasnet_075", "MNASNet-B1 ×0.75"), &MNASNET_B1, (0.75, &[1.0]), TIMM, (224, 256, true, false)),
    row(("semnasnet_075", "MNASNet-A1 ×0.75"), &MNASNET_A1, (0.75, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mnasnet_100", "MNASNet-B1 ×1.0"), &MNASNET_B1, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("semnasnet_100", "MNASNet-A1 ×1.0"), &MNASNET_A1, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mnasnet_140", "MNASNet-B1 ×1.4"), &MNASNET_B1, (1.4, &[1.0]), TIMM, (224, 256, true, false)),
    row(("semnasnet_140", "MNASNet-A1 ×1.4"), &MNASNET_A1, (1.4, &[1.0]), TIMM, (224, 256, true, false)),
    row(("mnasnet_small", "MNASNet small"), &MNASNET_SMALL, (1.0, &[1.0]), TIMM, (224, 256, true, false)),
    row(("spnasnet_100", "Single-Path NAS"), &SPNASNET, (1.0, &[1.0]), TIMM, (224, 256, false, false)),
    row(("fbnetc_100", "FBNet-C"), &FBNET_C, (1.0, &[1.0]), TIMM, (224, 256, false, false)),
    row(("tinynet_a", "TinyNet-A"), &TINYNET, (1.0, &[1.2]), TIMM, (192, 219, true, false)),
    row(("tinynet_b", "TinyNet-B"), &TINYNET, (0.75, &[1.1]), TIMM, (188, 214, true, false)),
    row(("tinynet_c", "TinyNet-C"), &TINYNET, (0.54, &[0.85]), TIMM, (184, 210, true, false)),
    row(("tinynet_d", "TinyNet-D"), &TINYNET, (0.54, &[0.695]), TIMM, (152, 173, true, false)),
    row(("tinynet_e", "TinyNet-E"), &TINYNET, (0.51, &[0.6]), TIMM, (106, 121, true, false)),
    row(("test_efficientnet", "EfficientNet (timm's small one for tests)"), &TEST_EFFICIENTNET, (1.0, &[1.0]), TIMM, (160, 168, true, false)),
];
