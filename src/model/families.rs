//! Recognizes networks that camlens does not support, so that an error message can name what a
//! rejected file holds.
//!
//! The names and shapes of a few tensors identify a family. They are taken from state dicts made by
//! torchvision 0.29, timm 1.0, Hugging Face transformers 5 and `efficientnet_pytorch`.

use std::collections::BTreeMap;

/// The tensors of a file: shapes by name.
pub type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// A tensor that identifies a family: its name after the network's prefix, and its shape. A 0
/// matches any size, and an empty shape matches any shape.
type Mark = (&'static str, &'static [usize]);

/// Families in the order in which they are tried: the first one with all its marks matches.
const FAMILIES: &[(&str, &[Mark])] = &[
    // Networks for other tasks, which contain the backbones of classifiers.
    (
        "an SSD detection model",
        &[
            ("backbone.scale_weight", &[0]),
            ("backbone.features.0.weight", &[]),
        ],
    ),
    (
        "an LR-ASPP segmentation model",
        &[("classifier.high_classifier.weight", &[])],
    ),
    (
        "a YOLO detection model",
        &[
            ("model.0.conv.weight", &[0, 3, 0, 0]),
            ("model.1.conv.weight", &[]),
        ],
    ),
    // ResNets with other tensor names.
    (
        "a ResNet with the tensor names of Hugging Face transformers",
        &[("embedder.embedder.convolution.weight", &[64, 3, 7, 7])],
    ),
    (
        "a fastai model (a ResNet's body and fastai's own head)",
        &[
            ("0.4.0.conv1.weight", &[]),
            ("0.0.weight", &[64, 3, 7, 7]),
            ("1.2.running_mean", &[]),
        ],
    ),
    (
        "a ResNet converted to nn.Sequential (its tensors have numbers instead of names)",
        &[("4.0.conv1.weight", &[]), ("0.weight", &[64, 3, 7, 7])],
    ),
    (
        "a video ResNet (3-D convolutions)",
        &[("stem.0.weight", &[0, 3, 0, 0, 0])],
    ),
    (
        "a ResNet with selective kernels",
        &[("layer1.0.conv1.paths.0.conv.weight", &[])],
    ),
    (
        "a ResNet with selective kernels",
        &[("layer1.0.conv2.paths.0.conv.weight", &[])],
    ),
    (
        "a normalizer-free ResNet",
        &[("stem.conv.gain", &[]), ("stages.0.0.conv1.weight", &[])],
    ),
    (
        "a ResNet V2 (its batch-norms come first)",
        &[
            ("stem.conv.weight", &[64, 3, 7, 7]),
            ("stages.0.blocks.0.norm1.weight", &[]),
            ("stages.0.blocks.0.conv1.weight", &[0, 0, 0, 0]),
        ],
    ),
    // Transformers.
    (
        "a Swin Transformer",
        &[("layers.0.blocks.0.attn.relative_position_bias_table", &[])],
    ),
    (
        "a Swin Transformer V2",
        &[("layers.0.blocks.0.attn.logit_scale", &[])],
    ),
    (
        "a Swin Transformer",
        &[("features.1.0.attn.relative_position_bias_table", &[])],
    ),
    (
        "a Swin Transformer V2",
        &[("features.1.0.attn.logit_scale", &[])],
    ),
    (
        "a Swin Transformer",
        &[("swin.embeddings.patch_embeddings.projection.weight", &[])],
    ),
    (
        "a MaxViT",
        &[(
            "blocks.0.layers.0.layers.MBconv.layers.pre_norm.weight",
            &[],
        )],
    ),
    (
        "a vision transformer (ViT)",
        &[(
            "encoder.layers.encoder_layer_0.self_attention.in_proj_weight",
            &[],
        )],
    ),
    (
        "a vision transformer (ViT or DeiT)",
        &[
            ("patch_embed.proj.weight", &[]),
            ("blocks.0.attn.qkv.weight", &[]),
        ],
    ),
    (
        "a vision transformer (ViT)",
        &[("embeddings.patch_embeddings.projection.weight", &[])],
    ),
    ("a vision transformer", &[("cls_token", &[])]),
    ("an MLP-Mixer", &[("blocks.0.mlp_tokens.fc1.weight", &[])]),
    // Convolutional classifiers.
    ("an AlexNet", &[("features.0.weight", &[64, 3, 11, 11])]),
    ("a SqueezeNet", &[("features.3.squeeze.weight", &[])]),
    ("a SqueezeNet", &[("features.4.squeeze.weight", &[])]),
    (
        "a DenseNet",
        &[("features.denseblock1.denselayer1.conv1.weight", &[])],
    ),
    // The index of the last convolution identifies a VGG. With batch norm the indices differ, so
    // the order matters.
    (
        "a VGG-19 with batch-norm",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.49.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-16 with batch-norm",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.40.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-19",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.34.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-13 with batch-norm",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.31.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-16",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.28.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-11 with batch-norm",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.25.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-13",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.22.weight", &[512, 512, 3, 3]),
        ],
    ),
    (
        "a VGG-11",
        &[
            ("features.0.weight", &[64, 3, 3, 3]),
            ("features.18.weight", &[512, 512, 3, 3]),
        ],
    ),
    ("a GoogLeNet", &[("inception3a.branch1.conv.weight", &[])]),
    (
        "an Inception v3",
        &[("Mixed_5b.branch1x1.conv.weight", &[])],
    ),
    (
        "an Inception v4",
        &[
            ("features.0.conv.weight", &[32, 3, 3, 3]),
            ("features.3.conv.conv.weight", &[]),
        ],
    ),
    (
        "an Xception",
        &[("block1.skip.weight", &[]), ("block2.skip.weight", &[])],
    ),
    ("a ShuffleNetV2", &[("stage2.0.branch1.0.weight", &[])]),
    (
        "a ConvNeXt",
        &[
            ("features.1.0.layer_scale", &[]),
            ("features.0.0.weight", &[0, 3, 4, 4]),
        ],
    ),
    (
        "a ConvNeXt",
        &[("stages.0.blocks.0.conv_dw.weight", &[0, 1, 7, 7])],
    ),
    ("a ConvNeXt", &[("stages.0.0.dwconv.weight", &[0, 1, 7, 7])]),
    (
        "a RegNet",
        &[("trunk_output.block1.block1-0.f.a.0.weight", &[])],
    ),
    ("a RegNet", &[("s1.b1.conv1.conv.weight", &[])]),
    ("a RepVGG", &[("stages.0.0.conv_kxk.conv.weight", &[])]),
    ("a CSPNet", &[("stages.0.conv_exp.conv.weight", &[])]),
    (
        "a DLA",
        &[("base_layer.0.weight", &[]), ("level0.0.weight", &[])],
    ),
    ("a DPN", &[("features.conv2_1.c1x1_w_s1.conv.weight", &[])]),
    (
        "a GhostNet",
        &[("blocks.0.0.ghost1.primary_conv.0.weight", &[])],
    ),
    (
        "a ReXNet",
        &[
            ("features.0.conv_dw.conv.weight", &[]),
            ("features.0.conv_pwl.conv.weight", &[]),
        ],
    ),
    // Networks for phones and their successors. timm uses the same names for all of them.
    (
        "a MobileNetV2",
        &[("features.1.conv.0.0.weight", &[0, 1, 3, 3])],
    ),
    (
        "a MobileNetV3-Small",
        &[
            ("features.1.block.0.0.weight", &[0, 1, 3, 3]),
            ("features.1.block.1.fc1.weight", &[]),
        ],
    ),
    (
        "a MobileNetV3-Large",
        &[("features.1.block.0.0.weight", &[0, 1, 3, 3])],
    ),
    (
        "an EfficientNetV2",
        &[
            ("features.1.0.block.0.0.weight", &[0, 0, 3, 3]),
            ("features.4.0.block.2.fc1.weight", &[]),
        ],
    ),
    (
        "an MNASNet",
        &[
            ("layers.3.weight", &[0, 1, 3, 3]),
            ("layers.6.weight", &[0, 0, 1, 1]),
            ("layers.8.0.layers.0.weight", &[]),
        ],
    ),
    (
        "a MobileNetV4",
        &[
            ("blocks.0.0.conv.weight", &[]),
            ("blocks.0.1.conv.weight", &[0, 0, 1, 1]),
        ],
    ),
    (
        "an EfficientNetV2",
        &[
            ("blocks.0.0.conv.weight", &[]),
            ("blocks.1.0.conv_exp.weight", &[]),
        ],
    ),
    (
        "a MobileNetV3-Large",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("conv_head.weight", &[1280, 960, 1, 1]),
            ("conv_head.bias", &[]),
        ],
    ),
    (
        "a MobileNetV3-Small",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("conv_head.weight", &[1024, 576, 1, 1]),
            ("conv_head.bias", &[]),
        ],
    ),
    (
        "a MobileNetV3",
        &[("blocks.0.0.conv_dw.weight", &[]), ("conv_head.bias", &[])],
    ),
    (
        "an FBNet",
        &[
            ("blocks.0.0.conv_pw.weight", &[16, 16, 1, 1]),
            ("blocks.0.0.conv_pwl.weight", &[16, 16, 1, 1]),
        ],
    ),
    (
        "a MobileNetV2",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("blocks.2.0.conv_pwl.weight", &[32, 144, 1, 1]),
        ],
    ),
    (
        "an MNASNet",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("blocks.2.0.conv_dw.weight", &[72, 1, 5, 5]),
            ("blocks.4.0.conv_pwl.weight", &[96, 480, 1, 1]),
        ],
    ),
    (
        "an EfficientNet-Lite1",
        &[
            ("blocks.1.2.conv_pw.weight", &[144, 24, 1, 1]),
            ("conv_head.weight", &[1280, 320, 1, 1]),
            ("blocks.2.0.conv_pwl.weight", &[40, 144, 1, 1]),
        ],
    ),
    (
        "an EfficientNet-Lite2",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("conv_head.weight", &[1280, 352, 1, 1]),
        ],
    ),
    (
        "an EfficientNet-Lite3",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("conv_head.weight", &[1280, 384, 1, 1]),
        ],
    ),
    (
        "an EfficientNet-Lite4",
        &[
            ("blocks.0.0.conv_dw.weight", &[]),
            ("conv_head.weight", &[1280, 448, 1, 1]),
        ],
    ),
    (
        "an EfficientNet-Lite larger than Lite0",
        &[
            ("_conv_stem.weight", &[]),
            ("_blocks.16._depthwise_conv.weight", &[]),
        ],
    ),
];

/// `EfficientNet` B0 to B8 (arXiv 1905.11946, and timm's table): channels of the stem and of
/// the last convolution. B1 has B0's channels and more blocks.
const EFFICIENTNETS: [(usize, usize, &str); 8] = [
    (32, 1280, "B0"),
    (32, 1408, "B2"),
    (40, 1536, "B3"),
    (48, 1792, "B4"),
    (48, 2048, "B5"),
    (56, 2304, "B6"),
    (64, 2560, "B7"),
    (72, 2816, "B8"),
];

/// The identifying tensors of an `EfficientNet`, as named by timm, `efficientnet_pytorch` and
/// torchvision: its squeeze-and-excitation, stem, last convolution, and a block that B1 has and B0
/// does not.
const EFFICIENTNET_NAMES: [[&str; 4]; 3] = [
    [
        "blocks.0.0.se.conv_reduce.weight",
        "conv_stem.weight",
        "conv_head.weight",
        "blocks.0.1.conv_dw.weight",
    ],
    [
        "_blocks.0._se_reduce.weight",
        "_conv_stem.weight",
        "_conv_head.weight",
        "_blocks.16._depthwise_conv.weight",
    ],
    [
        "features.1.0.block.1.fc1.weight",
        "features.0.0.weight",
        "features.8.0.weight",
        "features.1.1.block.0.0.weight",
    ],
];

/// The family of some tensors, with its article: "a VGG-16".
#[must_use]
pub fn family(tensors: &Shapes) -> Option<String> {
    efficientnet(tensors).or_else(|| {
        let mut families = FAMILIES.iter();
        let known = families.find(|(_, marks)| has_all(tensors, marks));
        known.map(|(name, _)| (*name).to_owned())
    })
}

/// Whether all marks exist with one common prefix.
fn has_all(tensors: &Shapes, marks: &[Mark]) -> bool {
    let Some(((first, _), _)) = marks.split_first() else {
        return false;
    };
    prefixes(tensors, first).any(|prefix| {
        marks.iter().all(|(name, shape)| {
            let found = tensors.get(format!("{prefix}{name}").as_str());
            found.is_some_and(|found| fits(found, shape))
        })
    })
}

/// The prefixes of all tensors whose names end in `name`.
fn prefixes<'a>(tensors: &Shapes<'a>, name: &str) -> impl Iterator<Item = &'a str> {
    let names = tensors.keys();
    let prefixes = names.filter_map(move |whole| whole.strip_suffix(name));
    prefixes.filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// Whether a shape matches; 0 matches any size, and an empty shape matches any shape.
#[must_use]
pub fn fits(found: &[usize], shape: &[usize]) -> bool {
    let same = |(found, wanted): (&usize, &usize)| *wanted == 0 || found == wanted;
    shape.is_empty() || (found.len() == shape.len() && found.iter().zip(shape).all(same))
}

fn efficientnet(tensors: &Shapes) -> Option<String> {
    for [squeeze, stem, last, deeper] in EFFICIENTNET_NAMES {
        for prefix in prefixes(tensors, squeeze) {
            let channels = |name: &str| {
                let shape = tensors.get(format!("{prefix}{name}").as_str());
                shape.and_then(|shape| shape.first().copied())
            };
            let (Some(stem), Some(last), None) =
                (channels(stem), channels(last), channels("conv_head.bias"))
            else {
                continue; // with this bias it is a MobileNetV3
            };
            let mut known = EFFICIENTNETS.iter();
            let known = known.find(|(a, b, _)| (*a, *b) == (stem, last));
            return Some(match known {
                Some((_, _, "B0")) if channels(deeper).is_some() => "an EfficientNet-B1".into(),
                Some((_, _, name)) => format!("an EfficientNet-{name}"),
                None => "an EfficientNet".into(),
            });
        }
    }
    None
}

/// The name of an `EfficientNet` variant that has Lite0's tensor names but other shapes.
#[must_use]
pub fn lite_variant(inside: &Shapes) -> Option<String> {
    const MARKS: [Mark; 4] = [
        ("blocks.1.0.conv_pwl.weight", &[24, 96, 1, 1]),
        ("blocks.6.0.conv_pwl.weight", &[320, 1152, 1, 1]),
        ("_blocks.1._project_conv.weight", &[24, 96, 1, 1]),
        ("_blocks.15._project_conv.weight", &[320, 1152, 1, 1]),
    ];
    family(inside).or_else(|| {
        let mut marks = MARKS.iter();
        let other = marks.any(|(name, shape)| inside.get(name).is_some_and(|s| s != shape));
        other.then(|| "a network of EfficientNet's kind that is not Lite0".into())
    })
}

/// The name of a ResNet variant that has the tensor names of a supported ResNet but additional or
/// different tensors, from the tensors under its prefix and those outside (with their whole names).
#[must_use]
pub fn resnet_variant(inside: &Shapes, outside: &Shapes) -> Option<String> {
    let shape = |name: &str| inside.get(name).copied();
    let has = |name: &str| inside.contains_key(name);
    let begins = |start: &str| inside.keys().any(|name| name.starts_with(start));
    let simple = |what: &str| Some(what.to_owned());
    match shape("conv1.weight").map(<[usize]>::len) {
        Some(5) => return simple("a ResNet with 3-D convolutions (for volumes or video)"),
        Some(3) => return simple("a ResNet with 1-D convolutions"),
        _ => {}
    }
    if begins("stage2.") && begins("transition1.") {
        return simple("an HRNet");
    }
    if begins("attnpool.") {
        return simple("a CLIP ResNet (attention pooling)");
    }
    if let Some(task) = task(inside, outside) {
        return simple(task);
    }
    if has("layer1.0.convs.0.weight") {
        return simple("a Res2Net");
    }
    if begins("layer1.0.conv2.fc1.") {
        return simple("a ResNeSt");
    }
    if begins("layer1.0.se.") || begins("layer1.0.se_module.") {
        return simple("a ResNet with squeeze-and-excitation");
    }
    if has("conv1.0.weight") {
        return simple("a ResNet with a deep stem (timm's ResNet-C, -D or -T)");
    }
    match shape("conv1.weight") {
        Some([_, 1, _, _]) => return simple("a ResNet for gray-scale input (1 channel)"),
        Some([_, channels, _, _]) if *channels != 3 => {
            return Some(format!("a ResNet for input of {channels} channels"));
        }
        Some([_, _, 3, 3]) => {
            return simple("a ResNet with a CIFAR stem (its first convolution is 3×3)");
        }
        Some([_, _, height, width]) if [*height, *width] != [7, 7] => {
            return Some(format!(
                "a ResNet whose first convolution is {height}×{width}"
            ));
        }
        _ => {}
    }
    let is_bottleneck = has("layer1.0.conv3.weight");
    match shape("layer1.0.conv2.weight") {
        Some([out, within, 3, 3]) if within < out => return simple("a ResNeXt"),
        Some([out, _, 3, 3]) if *out > 64 && is_bottleneck => return simple("a Wide ResNet"),
        Some([out, _, 3, 3]) if *out != 64 => {
            return Some(format!(
                "a ResNet of another width ({out} channels in layer1)"
            ));
        }
        _ => {}
    }
    if has("bn1.weight") && !has("bn1.running_mean") && !has("layer1.0.bn1.running_mean") {
        return simple("a ResNet without batch-norm statistics (group or layer normalization)");
    }
    None
}

/// A task other than classification, recognized by the tensors next to the ResNet.
fn task(inside: &Shapes, outside: &Shapes) -> Option<&'static str> {
    let detects = |name: &str| {
        let mut parts = name.split('.');
        parts.any(|part| {
            matches!(part, "rpn" | "roi_heads" | "fpn" | "bbox_head" | "rpn_head")
                || part.starts_with("bbox_")
        })
    };
    if outside.keys().any(|name| detects(name)) {
        return Some("a detection model (it has a ResNet within)");
    }
    let segments = |name: &str, shape: &[usize]| {
        let mut parts = name.split('.');
        // A 1×1 convolution named `classifier` may be a linear layer after pooling.
        matches!(shape, [_, _, height, _] if *height > 1)
            && parts.any(|part| {
                matches!(
                    part,
                    "classifier" | "decoder" | "decode_head" | "segmentation_head" | "decoders"
                )
            })
    };
    let mut all = inside.iter().chain(outside);
    all.any(|(name, shape)| segments(name, shape))
        .then_some("a segmentation model (it has a ResNet within)")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tensors = &'static [(&'static str, &'static [usize])];

    fn shapes(tensors: &[(&'static str, &'static [usize])]) -> Shapes<'static> {
        tensors.iter().copied().collect()
    }

    #[test]
    #[allow(clippy::too_many_lines)] // a table
    fn families_are_called_by_their_names() {
        let cases: [(Tensors, &str); 16] = [
            (
                &[
                    ("features.0.weight", &[64, 3, 3, 3]),
                    ("features.28.weight", &[512, 512, 3, 3]),
                    ("classifier.6.weight", &[1000, 4096]),
                ],
                "a VGG-16",
            ),
            (
                // torchvision's VGG-16 with batch norm also has features.34.
                &[
                    ("features.0.weight", &[64, 3, 3, 3]),
                    ("features.34.weight", &[512, 512, 3, 3]),
                    ("features.40.weight", &[512, 512, 3, 3]),
                ],
                "a VGG-16 with batch-norm",
            ),
            (
                &[
                    ("m.conv_stem.weight", &[32, 3, 3, 3]),
                    ("m.blocks.0.0.conv_dw.weight", &[32, 1, 3, 3]),
                    ("m.blocks.0.0.se.conv_reduce.weight", &[8, 32, 1, 1]),
                    ("m.conv_head.weight", &[1280, 320, 1, 1]),
                ],
                "an EfficientNet-B0",
            ),
            (
                &[
                    ("conv_stem.weight", &[32, 3, 3, 3]),
                    ("blocks.0.1.conv_dw.weight", &[16, 1, 3, 3]),
                    ("blocks.0.0.se.conv_reduce.weight", &[8, 32, 1, 1]),
                    ("conv_head.weight", &[1280, 320, 1, 1]),
                ],
                "an EfficientNet-B1",
            ),
            (
                &[
                    ("features.0.0.weight", &[40, 3, 3, 3]),
                    ("features.1.0.block.1.fc1.weight", &[10, 40, 1, 1]),
                    ("features.8.0.weight", &[1536, 384, 1, 1]),
                ],
                "an EfficientNet-B3",
            ),
            (
                &[
                    ("_conv_stem.weight", &[33, 3, 3, 3]),
                    ("_blocks.0._se_reduce.weight", &[8, 32, 1, 1]),
                    ("_conv_head.weight", &[1281, 320, 1, 1]),
                ],
                "an EfficientNet",
            ),
            (
                &[("features.1.conv.0.0.weight", &[32, 1, 3, 3])],
                "a MobileNetV2",
            ),
            (
                &[
                    ("blocks.0.0.conv_dw.weight", &[32, 1, 3, 3]),
                    ("blocks.2.0.conv_pwl.weight", &[32, 144, 1, 1]),
                ],
                "a MobileNetV2",
            ),
            (
                &[
                    ("blocks.0.0.conv_dw.weight", &[16, 1, 3, 3]),
                    ("blocks.0.0.se.conv_reduce.weight", &[8, 16, 1, 1]),
                    ("conv_stem.weight", &[16, 3, 3, 3]),
                    ("conv_head.weight", &[1024, 576, 1, 1]),
                    ("conv_head.bias", &[1024]),
                ],
                "a MobileNetV3-Small",
            ),
            (
                &[
                    ("blocks.1.2.conv_pw.weight", &[144, 24, 1, 1]),
                    ("blocks.2.0.conv_pwl.weight", &[40, 144, 1, 1]),
                    ("conv_head.weight", &[1280, 320, 1, 1]),
                ],
                "an EfficientNet-Lite1",
            ),
            (
                &[(
                    "module.features.denseblock1.denselayer1.conv1.weight",
                    &[128, 64, 1, 1],
                )],
                "a DenseNet",
            ),
            (
                &[
                    ("patch_embed.proj.weight", &[192, 3, 16, 16]),
                    ("blocks.0.attn.qkv.weight", &[576, 192]),
                ],
                "a vision transformer (ViT or DeiT)",
            ),
            (
                &[(
                    "resnet.embedder.embedder.convolution.weight",
                    &[64, 3, 7, 7],
                )],
                "a ResNet with the tensor names of Hugging Face transformers",
            ),
            (
                &[
                    ("0.0.weight", &[64, 3, 7, 7]),
                    ("0.4.0.conv1.weight", &[64, 64, 3, 3]),
                    ("1.2.running_mean", &[1024]),
                ],
                "a fastai model (a ResNet's body and fastai's own head)",
            ),
            (
                &[
                    ("net.0.weight", &[64, 3, 7, 7]),
                    ("net.4.0.conv1.weight", &[64, 64, 3, 3]),
                ],
                "a ResNet converted to nn.Sequential (its tensors have numbers instead of names)",
            ),
            (
                &[("stem.0.weight", &[64, 3, 3, 7, 7])],
                "a video ResNet (3-D convolutions)",
            ),
        ];
        for (tensors, name) in cases {
            assert_eq!(family(&shapes(tensors)).as_deref(), Some(name));
        }
        let narrow = shapes(&[("blocks.1.0.conv_pwl.weight", &[16, 96, 1, 1])]);
        assert!(lite_variant(&narrow).is_some_and(|name| name.contains("not Lite0")));
        for unknown in [
            &[][..],
            &[("features.0.weight", &[64, 3, 5, 5][..])],
            &[("xfeatures.1.conv.0.0.weight", &[32, 1, 3, 3])],
        ] {
            assert_eq!(family(&shapes(unknown)), None);
        }
    }

    #[test]
    fn resnets_of_other_kinds_are_called_so() {
        const STEM: (&str, &[usize]) = ("conv1.weight", &[64, 3, 7, 7]);
        const NORM: (&str, &[usize]) = ("bn1.running_mean", &[64]);
        let cases: [(Tensors, Tensors, &str); 14] = [
            (
                &[("conv1.weight", &[64, 1, 7, 7])],
                &[],
                "gray-scale input (1 channel)",
            ),
            (
                &[("conv1.weight", &[64, 4, 7, 7])],
                &[],
                "input of 4 channels",
            ),
            (&[("conv1.weight", &[16, 3, 3, 3])], &[], "CIFAR stem"),
            (
                &[("conv1.weight", &[64, 1, 7, 7, 7])],
                &[],
                "3-D convolutions",
            ),
            (
                &[("conv1.0.weight", &[32, 3, 3, 3])],
                &[],
                "a ResNet with a deep stem",
            ),
            (
                &[
                    ("conv1.0.weight", &[32, 3, 3, 3]),
                    ("layer1.0.conv2.fc1.weight", &[32]),
                ],
                &[],
                "a ResNeSt",
            ),
            (
                &[STEM, ("layer1.0.convs.0.weight", &[26, 26, 3, 3])],
                &[],
                "a Res2Net",
            ),
            (
                &[STEM, ("layer1.0.conv2.weight", &[128, 4, 3, 3])],
                &[],
                "a ResNeXt",
            ),
            (
                &[
                    STEM,
                    ("layer1.0.conv2.weight", &[128, 128, 3, 3]),
                    ("layer1.0.conv3.weight", &[256, 128, 1, 1]),
                ],
                &[],
                "a Wide ResNet",
            ),
            (
                &[STEM, ("layer1.0.conv2.weight", &[32, 32, 3, 3])],
                &[],
                "another width (32 channels",
            ),
            (
                &[STEM, ("layer1.0.se_module.fc1.weight", &[1])],
                &[],
                "squeeze-and-excitation",
            ),
            (
                &[STEM, ("bn1.weight", &[64])],
                &[],
                "group or layer normalization",
            ),
            (
                &[STEM, NORM],
                &[("backbone.fpn.layer_blocks.0.0.weight", &[256, 256, 3, 3])],
                "a detection model",
            ),
            (
                &[STEM, NORM],
                &[("classifier.0.weight", &[512, 2048, 3, 3])],
                "a segmentation model",
            ),
        ];
        for (inside, outside, name) in cases {
            let found = resnet_variant(&shapes(inside), &shapes(outside));
            assert!(
                found.as_ref().is_some_and(|found| found.contains(name)),
                "{name}: {found:?}"
            );
        }
        assert_eq!(resnet_variant(&shapes(&[STEM, NORM]), &shapes(&[])), None);
    }
}
