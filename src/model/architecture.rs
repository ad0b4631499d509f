//! The networks that are known: their names, sizes and the names of their tensors.

/// Output channels of EfficientNet-Lite0's last convolution.
pub const LITE_CHANNELS: usize = 1280;
/// The prefixes of a ResNet's tensor names, except those of the linear layer.
const RESNET_PARTS: [&str; 6] = ["conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4."];
/// The same for EfficientNet-Lite0, in both naming schemes.
const LITE_PARTS: [&str; 10] = [
    "_conv_stem.",
    "_bn0.",
    "_blocks.",
    "_conv_head.",
    "_bn1.",
    "conv_stem.",
    "bn1.",
    "blocks.",
    "conv_head.",
    "bn2.",
];

/// The supported networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// A ResNet as built by torchvision and timm, with the stride in the 3×3 convolution ("v1.5").
    ResNet18,
    /// Like `ResNet18`, with more basic blocks.
    ResNet34,
    /// Like `ResNet34`, with bottleneck blocks.
    ResNet50,
    /// Like `ResNet50`, with more blocks.
    ResNet101,
    /// Like `ResNet101`, with more blocks.
    ResNet152,
    /// EfficientNet-Lite0.
    EfficientNetLite0,
}

impl Architecture {
    /// All networks.
    pub const ALL: [Self; 6] = [
        Self::ResNet18,
        Self::ResNet34,
        Self::ResNet50,
        Self::ResNet101,
        Self::ResNet152,
        Self::EfficientNetLite0,
    ];

    /// The usual name of the network.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResNet18 => "ResNet-18",
            Self::ResNet34 => "ResNet-34",
            Self::ResNet50 => "ResNet-50",
            Self::ResNet101 => "ResNet-101",
            Self::ResNet152 => "ResNet-152",
            Self::EfficientNetLite0 => "EfficientNet-Lite0",
        }
    }

    /// Blocks in each stage, and whether they are bottlenecks; `None` if it is not a ResNet (He et
    /// al. 2015, arXiv 1512.03385, table 1).
    #[must_use]
    pub(super) fn blocks(self) -> Option<([usize; 4], BlockKind)> {
        match self {
            Self::ResNet18 => Some(([2, 2, 2, 2], BlockKind::Basic)),
            Self::ResNet34 => Some(([3, 4, 6, 3], BlockKind::Basic)),
            Self::ResNet50 => Some(([3, 4, 6, 3], BlockKind::Bottleneck)),
            Self::ResNet101 => Some(([3, 4, 23, 3], BlockKind::Bottleneck)),
            Self::ResNet152 => Some(([3, 8, 36, 3], BlockKind::Bottleneck)),
            Self::EfficientNetLite0 => None,
        }
    }

    /// Number of channels of the last layer, which are the inputs of the classifier.
    #[must_use]
    pub(super) fn channels(self) -> usize {
        match self.blocks() {
            Some((_, BlockKind::Basic)) => 512,
            Some((_, BlockKind::Bottleneck)) => 2048,
            None => LITE_CHANNELS,
        }
    }

    /// The prefixes of its tensor names, except those of the linear layer; for EfficientNet-Lite0
    /// in both naming schemes.
    #[must_use]
    pub(super) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::EfficientNetLite0 => &LITE_PARTS,
            _ => &RESNET_PARTS,
        }
    }
}

/// The two kinds of residual blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1, the last to four times as many channels.
    Bottleneck,
}

/// The naming scheme of an EfficientNet-Lite0's tensors, which also determines its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiteNames {
    /// `_blocks.0._depthwise_conv.weight`: padding as in TensorFlow.
    Source,
    /// `blocks.0.0.conv_dw.weight`: trained by timm, symmetric padding.
    Timm,
    /// The same names with weights from TensorFlow (`tf_efficientnet_lite0`).
    TimmFromTensorFlow,
}
