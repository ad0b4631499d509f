//! The networks: blocks as in timm's `efficientnet.py` and `mobilenetv3.py` (version 1.0.31), and
//! how their usual weights want their input.

use crate::model::graph::Unary;
use crate::model::state_dict::blocks::{HARD_SIGMOID, RELU6};

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

const PLAIN: Base = Base {
    stages: &[],
    stem: 32,
    scales_stem: |_| true,
    keeps_ends: false,
    rounds_depth: false,
    round_limit: 0.9,
    activation: Unary::Relu,
    gates: Gates {
        of_expanded: false,
        divisible: false,
        activation: None,
        gate: Unary::Sigmoid,
    },
    head: Head::BeforePooling(Features::Fixed(1280)),
};

const EFFICIENTNET: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16_se0.25"],
        &["ir_r2_k3_s2_e6_c24_se0.25"],
        &["ir_r2_k5_s2_e6_c40_se0.25"],
        &["ir_r3_k3_s2_e6_c80_se0.25"],
        &["ir_r3_k5_s1_e6_c112_se0.25"],
        &["ir_r4_k5_s2_e6_c192_se0.25"],
        &["ir_r1_k3_s1_e6_c320_se0.25"],
    ],
    activation: Unary::Silu,
    head: Head::BeforePooling(Features::Scaled(1280)),
    ..PLAIN
};

const TINYNET: Base = Base {
    scales_stem: |_| false,
    rounds_depth: true,
    head: Head::BeforePooling(Features::AtLeast(1280)),
    ..EFFICIENTNET
};

const EFFICIENTNET_LITE: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r2_k5_s2_e6_c40"],
        &["ir_r3_k3_s2_e6_c80"],
        &["ir_r3_k5_s1_e6_c112"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    scales_stem: |_| false,
    keeps_ends: true,
    activation: RELU6,
    ..PLAIN
};

const EFFICIENTNET_EDGE: Base = Base {
    stages: &[
        &["er_r1_k3_s1_e4_c24_fc24_noskip"],
        &["er_r2_k3_s2_e8_c32"],
        &["er_r4_k3_s2_e8_c48"],
        &["ir_r5_k5_s2_e8_c96"],
        &["ir_r4_k5_s1_e8_c144"],
        &["ir_r2_k5_s2_e8_c192"],
    ],
    head: Head::BeforePooling(Features::Scaled(1280)),
    ..PLAIN
};

const EFFICIENTNET_V2_BASE: Base = Base {
    stages: &[
        &["cn_r1_k3_s1_e1_c16_skip"],
        &["er_r2_k3_s2_e4_c32"],
        &["er_r2_k3_s2_e4_c48"],
        &["ir_r3_k3_s2_e4_c96_se0.25"],
        &["ir_r5_k3_s1_e6_c112_se0.25"],
        &["ir_r8_k3_s2_e6_c192_se0.25"],
    ],
    round_limit: 0.0,
    ..EFFICIENTNET
};

const EFFICIENTNET_V2_S: Base = Base {
    stages: &[
        &["cn_r2_k3_s1_e1_c24_skip"],
        &["er_r4_k3_s2_e4_c48"],
        &["er_r4_k3_s2_e4_c64"],
        &["ir_r6_k3_s2_e4_c128_se0.25"],
        &["ir_r9_k3_s1_e6_c160_se0.25"],
        &["ir_r15_k3_s2_e6_c256_se0.25"],
    ],
    stem: 24,
    ..EFFICIENTNET
};

const EFFICIENTNET_V2_RW: Base = Base {
    stages: &[
        &["er_r2_k3_s1_e1_c24"],
        &["er_r4_k3_s2_e4_c48"],
        &["er_r4_k3_s2_e4_c64"],
        &["ir_r6_k3_s2_e4_c128_se0.25"],
        &["ir_r9_k3_s1_e6_c160_se0.25"],
        &["ir_r15_k3_s2_e6_c272_se0.25"],
    ],
    stem: 24,
    head: Head::BeforePooling(Features::Scaled(1792)),
    ..EFFICIENTNET
};

const EFFICIENTNET_V2_M: Base = Base {
    stages: &[
        &["cn_r3_k3_s1_e1_c24_skip"],
        &["er_r5_k3_s2_e4_c48"],
        &["er_r5_k3_s2_e4_c80"],
        &["ir_r7_k3_s2_e4_c160_se0.25"],
        &["ir_r14_k3_s1_e6_c176_se0.25"],
        &["ir_r18_k3_s2_e6_c304_se0.25"],
        &["ir_r5_k3_s1_e6_c512_se0.25"],
    ],
    stem: 24,
    ..EFFICIENTNET
};

const EFFICIENTNET_V2_L: Base = Base {
    stages: &[
        &["cn_r4_k3_s1_e1_c32_skip"],
        &["er_r7_k3_s2_e4_c64"],
        &["er_r7_k3_s2_e4_c96"],
        &["ir_r10_k3_s2_e4_c192_se0.25"],
        &["ir_r19_k3_s1_e6_c224_se0.25"],
        &["ir_r25_k3_s2_e6_c384_se0.25"],
        &["ir_r7_k3_s1_e6_c640_se0.25"],
    ],
    ..EFFICIENTNET
};

const EFFICIENTNET_V2_XL: Base = Base {
    stages: &[
        &["cn_r4_k3_s1_e1_c32_skip"],
        &["er_r8_k3_s2_e4_c64"],
        &["er_r8_k3_s2_e4_c96"],
        &["ir_r16_k3_s2_e4_c192_se0.25"],
        &["ir_r24_k3_s1_e6_c256_se0.25"],
        &["ir_r32_k3_s2_e6_c512_se0.25"],
        &["ir_r8_k3_s1_e6_c640_se0.25"],
    ],
    ..EFFICIENTNET
};

const TEST_EFFICIENTNET: Base = Base {
    stages: &[
        &["cn_r1_k3_s1_e1_c16_skip"],
        &["er_r1_k3_s2_e4_c24"],
        &["er_r1_k3_s2_e4_c32"],
        &["ir_r1_k3_s2_e4_c48_se0.25"],
        &["ir_r1_k3_s2_e4_c64_se0.25"],
    ],
    stem: 24,
    round_limit: 0.0,
    head: Head::BeforePooling(Features::Scaled(256)),
    ..EFFICIENTNET
};

const MOBILENET_V2: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_c16"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r3_k3_s2_e6_c32"],
        &["ir_r4_k3_s2_e6_c64"],
        &["ir_r3_k3_s1_e6_c96"],
        &["ir_r3_k3_s2_e6_c160"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    activation: RELU6,
    head: Head::BeforePooling(Features::AtLeast(1280)),
    ..PLAIN
};

const MOBILENET_V2_DEEP: Base = Base {
    scales_stem: |_| false,
    keeps_ends: true,
    head: Head::BeforePooling(Features::Fixed(1280)),
    ..MOBILENET_V2
};

const MOBILENET_V3_LARGE: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16_nre"],
        &["ir_r1_k3_s2_e4_c24_nre", "ir_r1_k3_s1_e3_c24_nre"],
        &["ir_r3_k5_s2_e3_c40_se0.25_nre"],
        &[
            "ir_r1_k3_s2_e6_c80",
            "ir_r1_k3_s1_e2.5_c80",
            "ir_r2_k3_s1_e2.3_c80",
        ],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["cn_r1_k1_s1_c960"],
    ],
    stem: 16,
    scales_stem: |width| width >= 0.75,
    activation: Unary::HardSwish,
    gates: Gates {
        of_expanded: true,
        divisible: true,
        activation: Some(Unary::Relu),
        gate: HARD_SIGMOID,
    },
    head: Head::AfterPooling(1280),
    ..PLAIN
};

const MOBILENET_V3_SMALL: Base = Base {
    stages: &[
        &["ds_r1_k3_s2_e1_c16_se0.25_nre"],
        &["ir_r1_k3_s2_e4.5_c24_nre", "ir_r1_k3_s1_e3.67_c24_nre"],
        &["ir_r1_k5_s2_e4_c40_se0.25", "ir_r2_k5_s1_e6_c40_se0.25"],
        &["ir_r2_k5_s1_e3_c48_se0.25"],
        &["ir_r3_k5_s2_e6_c96_se0.25"],
        &["cn_r1_k1_s1_c576"],
    ],
    head: Head::AfterPooling(1024),
    ..MOBILENET_V3_LARGE
};

const MOBILENET_V3_LARGE_MINIMAL: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16"],
        &["ir_r1_k3_s2_e4_c24", "ir_r1_k3_s1_e3_c24"],
        &["ir_r3_k3_s2_e3_c40"],
        &[
            "ir_r1_k3_s2_e6_c80",
            "ir_r1_k3_s1_e2.5_c80",
            "ir_r2_k3_s1_e2.3_c80",
        ],
        &["ir_r2_k3_s1_e6_c112"],
        &["ir_r3_k3_s2_e6_c160"],
        &["cn_r1_k1_s1_c960"],
    ],
    activation: Unary::Relu,
    ..MOBILENET_V3_LARGE
};

const MOBILENET_V3_SMALL_MINIMAL: Base = Base {
    stages: &[
        &["ds_r1_k3_s2_e1_c16"],
        &["ir_r1_k3_s2_e4.5_c24", "ir_r1_k3_s1_e3.67_c24"],
        &["ir_r1_k3_s2_e4_c40", "ir_r2_k3_s1_e6_c40"],
        &["ir_r2_k3_s1_e3_c48"],
        &["ir_r3_k3_s2_e6_c96"],
        &["cn_r1_k1_s1_c576"],
    ],
    activation: Unary::Relu,
    ..MOBILENET_V3_SMALL
};

const MOBILENET_V3_RW: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16_nre_noskip"],
        &["ir_r1_k3_s2_e4_c24_nre", "ir_r1_k3_s1_e3_c24_nre"],
        &["ir_r3_k5_s2_e3_c40_se0.25_nre"],
        &[
            "ir_r1_k3_s2_e6_c80",
            "ir_r1_k3_s1_e2.5_c80",
            "ir_r2_k3_s1_e2.3_c80",
        ],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["cn_r1_k1_s1_c960"],
    ],
    scales_stem: |_| true,
    gates: Gates {
        of_expanded: true,
        divisible: false,
        activation: None,
        gate: HARD_SIGMOID,
    },
    ..MOBILENET_V3_LARGE
};

const MNASNET_B1: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_c16_noskip"],
        &["ir_r3_k3_s2_e3_c24"],
        &["ir_r3_k5_s2_e3_c40"],
        &["ir_r3_k5_s2_e6_c80"],
        &["ir_r2_k3_s1_e6_c96"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320_noskip"],
    ],
    ..PLAIN
};

const MNASNET_A1: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_e1_c16_noskip"],
        &["ir_r2_k3_s2_e6_c24"],
        &["ir_r3_k5_s2_e3_c40_se0.25"],
        &["ir_r4_k3_s2_e6_c80"],
        &["ir_r2_k3_s1_e6_c112_se0.25"],
        &["ir_r3_k5_s2_e6_c160_se0.25"],
        &["ir_r1_k3_s1_e6_c320"],
    ],
    ..PLAIN
};

const MNASNET_SMALL: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_c8"],
        &["ir_r1_k3_s2_e3_c16"],
        &["ir_r2_k3_s2_e6_c16"],
        &["ir_r4_k5_s2_e6_c32_se0.25"],
        &["ir_r3_k3_s1_e6_c32_se0.25"],
        &["ir_r3_k5_s2_e6_c88_se0.25"],
        &["ir_r1_k3_s1_e6_c144"],
    ],
    stem: 8,
    ..PLAIN
};

const SPNASNET: Base = Base {
    stages: &[
        &["ds_r1_k3_s1_c16_noskip"],
        &["ir_r3_k3_s2_e3_c24"],
        &["ir_r1_k5_s2_e6_c40", "ir_r3_k3_s1_e3_c40"],
        &["ir_r1_k5_s2_e6_c80", "ir_r3_k3_s1_e3_c80"],
        &["ir_r1_k5_s1_e6_c96", "ir_r3_k5_s1_e3_c96"],
        &["ir_r4_k5_s2_e6_c192"],
        &["ir_r1_k3_s1_e6_c320_noskip"],
    ],
    ..PLAIN
};

const FBNET_C: Base = Base {
    stages: &[
        &["ir_r1_k3_s1_e1_c16"],
        &["ir_r1_k3_s2_e6_c24", "ir_r2_k3_s1_e1_c24"],
        &[
            "ir_r1_k5_s2_e6_c32",
            "ir_r1_k5_s1_e3_c32",
            "ir_r1_k5_s1_e6_c32",
            "ir_r1_k3_s1_e6_c32",
        ],
        &[
            "ir_r1_k5_s2_e6_c64",
            "ir_r1_k5_s1_e3_c64",
            "ir_r2_k5_s1_e6_c64",
        ],
        &["ir_r3_k5_s1_e6_c112", "ir_r1_k5_s1_e3_c112"],
        &["ir_r4_k5_s2_e6_c184"],
        &["ir_r1_k3_s1_e6_c352"],
    ],
    stem: 16,
    head: Head::BeforePooling(Features::Fixed(1984)),
    ..PLAIN
};

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
