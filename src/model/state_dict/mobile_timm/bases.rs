//! The blocks of networks that differ only in width and depth, as timm's `efficientnet.py` and
//! `mobilenetv3.py` (version 1.0.31) have them.

use crate::model::graph::Unary;
use crate::model::state_dict::blocks::{HARD_SIGMOID, RELU6};
use crate::model::state_dict::mobile_timm::table::{Base, Features, Gates, Head};

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

pub const EFFICIENTNET: Base = Base {
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

pub const TINYNET: Base = Base {
    scales_stem: |_| false,
    rounds_depth: true,
    head: Head::BeforePooling(Features::AtLeast(1280)),
    ..EFFICIENTNET
};

pub const EFFICIENTNET_LITE: Base = Base {
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

pub const EFFICIENTNET_EDGE: Base = Base {
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

pub const EFFICIENTNET_V2_BASE: Base = Base {
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

pub const EFFICIENTNET_V2_S: Base = Base {
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

pub const EFFICIENTNET_V2_RW: Base = Base {
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

pub const EFFICIENTNET_V2_M: Base = Base {
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

pub const EFFICIENTNET_V2_L: Base = Base {
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

pub const EFFICIENTNET_V2_XL: Base = Base {
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

pub const TEST_EFFICIENTNET: Base = Base {
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

pub const MOBILENET_V1: Base = Base {
    stages: &[
        &["dsa_r1_k3_s1_c64"],
        &["dsa_r2_k3_s2_c128"],
        &["dsa_r2_k3_s2_c256"],
        &["dsa_r6_k3_s2_c512"],
        &["dsa_r2_k3_s2_c1024"],
    ],
    activation: RELU6,
    head: Head::None,
    ..PLAIN
};

pub const MOBILENET_V1_HEAD: Base = Base {
    head: Head::BeforePooling(Features::AtLeast(1024)),
    ..MOBILENET_V1
};

pub const MOBILENET_V2: Base = Base {
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

pub const MOBILENET_V2_DEEP: Base = Base {
    scales_stem: |_| false,
    keeps_ends: true,
    head: Head::BeforePooling(Features::Fixed(1280)),
    ..MOBILENET_V2
};

pub const MOBILENET_V3_LARGE: Base = Base {
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

pub const MOBILENET_V3_SMALL: Base = Base {
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

pub const MOBILENET_V3_LARGE_MINIMAL: Base = Base {
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

pub const MOBILENET_V3_SMALL_MINIMAL: Base = Base {
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

pub const MOBILENET_V3_RW: Base = Base {
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

pub const MNASNET_B1: Base = Base {
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

pub const MNASNET_A1: Base = Base {
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

pub const MNASNET_SMALL: Base = Base {
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

pub const SPNASNET: Base = Base {
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

pub const FBNET_C: Base = Base {
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
