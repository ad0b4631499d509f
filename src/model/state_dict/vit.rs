//! Vision transformers: ViT, DeiT, DeiT III, `DINOv2`, CLIP's image tower, with or without class
//! token and registers; torchvision's, timm's and transformers' names.
//!
//! Sources: torchvision's `vision_transformer.py`, timm's `vision_transformer.py` and `deit.py`,
//! transformers' `modeling_vit.py` and `modeling_deit.py`.

mod names;

use crate::model::graph::{Conv, GraphError, Op, ReduceKind, Unary, ValueId};
use crate::model::state_dict::head::classifier;
use crate::model::state_dict::tokens::{Attention, gather, layer_scale, mlp, split_qkv, tokens_of};
use crate::model::state_dict::vit::names::{Names, Query};
use crate::model::state_dict::{Family, Layers, UsualInput};

/// The family.
pub const FAMILY: Family = Family {
    matches: |shapes| Names::find(shapes).is_some(),
    build,
};

/// What is done with the tokens after the last block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pooling {
    /// The first token.
    Token,
    /// The mean of the patches' tokens.
    Mean,
}

/// What the tensors and names say.
struct Plan {
    names: Names,
    /// Channels.
    width: usize,
    depth: usize,
    heads: usize,
    eps: f32,
    /// Tokens before those of patches.
    prefix: usize,
    pooling: Pooling,
    quick: bool,
    /// Patches on each side.
    side: usize,
    patch: usize,
}

fn build(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let plan = Plan::new(layers)?;
    plan.describe(layers);
    let mut x = plan.embed(layers, x)?;
    for index in 0..plan.depth {
        x = plan.block(layers, index, x)?;
    }
    plan.head(layers, x)
}

impl Plan {
    fn new(layers: &mut Layers) -> Result<Self, GraphError> {
        let names = Names::find(layers.shapes());
        let names = names.ok_or_else(|| GraphError::new("it has no transformer"))?;
        let weight = layers.tensor_shape(&format!("{}.weight", names.patch))?;
        let &[width, _, patch, across] = &weight[..] else {
            return Err(GraphError::new(format!(
                "{}.weight has shape {weight:?}",
                names.patch
            )));
        };
        if patch == 0 || patch != across {
            return Err(GraphError::new(format!("its patches are {patch}×{across}")));
        }
        let depth =
            (0..).take_while(|index| layers.has(&format!("{}.weight", names.norm(*index, 1))));
        let depth = depth.count();
        layers.described.name = format!("ViT with {depth} blocks of {width} channels");
        let tokens = |tensor: &Option<String>| {
            let tensor = tensor.as_ref().filter(|tensor| layers.has(tensor))?;
            let shape = layers.tensor_shape(tensor).ok()?;
            shape.get(1).copied()
        };
        let class = tokens(&names.class);
        let prefix = class.unwrap_or(0)
            + tokens(&names.distilled).unwrap_or(0)
            + tokens(&names.registers).unwrap_or(0);
        let positions = layers.tensor_shape(&names.positions)?;
        let &[1, count, channels] = &positions[..] else {
            return Err(GraphError::new(format!(
                "{} has shape {positions:?}",
                names.positions
            )));
        };
        let square = |count: usize| {
            let side = count.isqrt();
            (side > 0 && side * side == count).then_some(side)
        };
        let class_only = count.checked_sub(class.unwrap_or(0)).and_then(square);
        let side = square(count)
            .or_else(|| square(count.checked_sub(prefix)?))
            .ok_or_else(|| {
                GraphError::new(match class_only {
                    Some(_) => "its registers have no positions, but its class token has".into(),
                    None => format!("its {count} positions are not those of a square"),
                })
            })?;
        if channels != width {
            return Err(GraphError::new(format!(
                "{} has shape {positions:?}, and there are {width} channels",
                names.positions
            )));
        }
        let has_fc_norm = layers.has("fc_norm.weight");
        let norm = format!("{}.weight", names.last_norm);
        if has_fc_norm == layers.has(&norm) {
            return Err(GraphError::new(
                "it has no norm after its last block, or two: it is no usual vision transformer",
            ));
        }
        let pooling = match class {
            Some(_) if !has_fc_norm => Pooling::Token,
            _ => Pooling::Mean,
        };
        if class.is_none() && prefix == 0 && has_fc_norm {
            return Err(GraphError::new(
                "it has no class token and a norm after pooling, as timm's networks with norms after attention (rpn): camlens does not know them",
            ));
        }
        let mut plan = Self {
            width,
            depth,
            heads: 0,
            eps: names.eps,
            prefix,
            pooling,
            quick: false,
            side,
            patch,
            names,
        };
        if layers.has("norm_pre.weight") {
            plan.eps = 1e-5;
        }
        plan.heads = plan.heads(layers, class.is_some())?;
        plan.quick = layers
            .declared
            .as_deref()
            .is_some_and(|name| name.contains("quickgelu"));
        Ok(plan)
    }

    /// The number of heads, which no tensor shows.
    fn heads(&self, layers: &mut Layers, has_class: bool) -> Result<usize, GraphError> {
        let width = self.width;
        let module = self.names.attention(0);
        if let Some(module) = layers.saved(&module) {
            let heads = ["num_heads", "num_attention_heads"]
                .iter()
                .find_map(|name| module.numbers(name)?.first().copied());
            if let Some(heads) = heads.filter(|heads| (1.0..=1024.0).contains(heads)) {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just checked
                return Ok(heads as usize);
            }
        }
        // timm's networks without class token and registers differ in their heads and activations.
        let plain = !has_class && self.prefix == 0;
        let declared = layers.declared.as_deref().unwrap_or_default();
        let tanh = [
            "vit_base_patch32_siglip",
            "vit_large_patch16_siglip_gap_512",
            "vit_so400m_patch16_siglip",
            "vit_giantopt",
        ];
        if tanh.iter().any(|name| declared.starts_with(name)) {
            return Err(GraphError::new(format!(
                "{declared} has the tanh form of GELU, which camlens does not use here"
            )));
        }
        match width {
            768 if plain && declared.starts_with("vit_base_patch16_gap") => return Ok(16),
            768 if plain && declared.starts_with("vit_base_patch16_siglip_gap") => return Ok(12),
            1024 if plain && declared.starts_with("vit_large_patch16_siglip_gap") => return Ok(16),
            1152 if plain && declared.starts_with("vit_so400m_patch14_siglip_gap") => {
                return Ok(16);
            }
            768 | 1024 | 1152 | 1536 if plain => {
                return Err(GraphError::new(format!(
                    "it is a vision transformer of {width} channels without class token: several have these tensors, with other heads and activations. Name the file as timm does (vit_base_patch16_siglip_gap_224), or export it as ONNX"
                )));
            }
            _ => {}
        }
        match width {
            192 | 256 | 320 | 384 | 512 | 640 | 768 | 832 | 896 | 1024 => Ok(width / 64),
            1152 | 1280 | 1408 | 1664 => Ok(16),
            _ => Err(GraphError::new(format!(
                "it is a vision transformer of {width} channels, and the file does not say how many heads it has. Save the model whole (torch.save(model, …)), or export it as ONNX"
            ))),
        }
    }

    fn describe(&self, layers: &mut Layers) {
        let size = match (self.width, self.depth) {
            (192, 12) => "Tiny",
            (384, 12) => "Small",
            (512, 12) => "Medium",
            (768, 12) => "Base",
            (1024, 24) => "Large",
            (1280, 32) => "Huge",
            (1408, 40) => "Giant",
            (1664, 48) => "Gigantic",
            _ => "",
        };
        let kind = match &self.names.distilled {
            Some(tensor) if layers.has(tensor) => "DeiT",
            _ => "ViT",
        };
        layers.described.name = match size {
            "" => format!(
                "{kind} ({} blocks, {} channels)/{}",
                self.depth, self.width, self.patch
            ),
            size => format!("{kind}-{size}/{}", self.patch),
        };
        let crop = self.side * self.patch;
        layers.described.input = UsualInput {
            crop,
            short: if self.names.is_torchvision {
                crop * 8 / 7
            } else {
                crop * 10 / 9
            },
            fixed: true,
            bicubic: !self.names.is_torchvision,
            ..UsualInput::default()
        };
        if self.names.is_torchvision {
            layers.described.input.short = if crop == 224 { 256 } else { crop };
        } else {
            // The weights of Google, which most others follow; DeiT has ImageNet's.
            let deit = kind == "DeiT"
                || layers
                    .declared
                    .as_deref()
                    .is_some_and(|name| name.contains("deit"));
            if !deit {
                layers.described.input.mean = [0.5; 3];
                layers.described.input.std = [0.5; 3];
            }
        }
        if !layers.is_declared_as(&["vit_", "deit"]) && !layers.is_saved_whole() {
            let name = layers.described.name.clone();
            let act = if self.eps > 5e-6 {
                "GELU (not CLIP's QuickGELU)"
            } else {
                "GELU"
            };
            let pooling = match self.pooling {
                Pooling::Token => "the class token decides",
                Pooling::Mean => "the mean of the patches decides",
            };
            layers.described.assumed.push(format!(
                "Taken as a usual {name}: {} heads, {act}, {pooling}. The weights alone do not show it.",
                self.heads
            ));
        }
    }

    /// Tokens from patches, with their positions.
    fn embed(&self, layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
        let names = &self.names;
        let size = self.side * self.patch;
        let &[_, _, height, width] = layers.shape(x) else {
            return Err(GraphError::new("its input is not an image"));
        };
        if (height, width) != (size, size) {
            return Err(GraphError::new(format!(
                "it takes inputs of {size}×{size}, not {width}×{height}"
            )));
        }
        let conv = Conv::new(self.patch, 0, 1);
        let patches = layers.conv(&names.patch, x, conv)?;
        let mut x = tokens_of(layers, &format!("{}.tokens", names.patch), patches)?;
        let positions = layers.constant(&names.positions)?;
        let all = layers.shape(positions)[1] == self.side * self.side + self.prefix;
        let apart = !all || self.prefix == 0;
        if apart {
            x = layers.add(&names.positions_added, x, positions)?;
        }
        let mut parts = Vec::new();
        for tensor in [&names.class, &names.distilled, &names.registers] {
            if let Some(tensor) = tensor.as_ref().filter(|tensor| layers.has(tensor)) {
                parts.push(layers.constant(tensor)?);
            }
        }
        if !parts.is_empty() {
            parts.push(x);
            x = layers.push("tokens", Op::Concat { axis: 1 }, &parts)?;
        }
        if !apart {
            x = layers.add(&names.positions_added, x, positions)?;
        }
        if layers.has("norm_pre.weight") {
            x = layers.layer_norm("norm_pre", x, self.eps)?;
        }
        Ok(x)
    }

    fn block(&self, layers: &mut Layers, index: usize, x: ValueId) -> Result<ValueId, GraphError> {
        let names = &self.names;
        let block = names.block(index);
        let normed = layers.layer_norm(&names.norm(index, 1), x, self.eps)?;
        let attention = names.attention(index);
        let _ = layers.saved(&attention);
        let qkv = match &names.query {
            Query::One(path) => {
                let path = format!("{block}.{path}");
                let qkv = layers.linear(&path, normed)?;
                split_qkv(layers, &path, qkv)?
            }
            Query::Parameter(path) => {
                let path = format!("{block}.{path}");
                let weight = layers.constant(&format!("{path}_weight"))?;
                let bias = layers.constant(&format!("{path}_bias"))?;
                let qkv = layers.push(&path, Op::Linear, &[normed, weight, bias])?;
                split_qkv(layers, &path, qkv)?
            }
            Query::Three(paths) => {
                let mut of = |at: usize| layers.linear(&format!("{block}.{}", paths[at]), normed);
                [of(0)?, of(1)?, of(2)?]
            }
        };
        if layers.shape(qkv[0])[2] != self.width {
            return Err(GraphError::new(format!(
                "{attention} has {} channels",
                layers.shape(qkv[0])[2]
            )));
        }
        let attended = Attention {
            qkv,
            heads: self.heads,
            bias: None,
        };
        let attended = attended.build(layers, &attention)?;
        let attended = layers.linear(&format!("{block}.{}", names.projection), attended)?;
        let attended = layer_scale(layers, &format!("{block}.ls1.gamma"), attended)?;
        let x = layers.add(&format!("{block}.attended"), attended, x)?;
        let normed = layers.layer_norm(&names.norm(index, 2), x, self.eps)?;
        let parts = [&names.mlp[0][..], &names.mlp[1][..], &names.mlp[2][..]];
        let out = if self.quick {
            self.quick_mlp(layers, &block, parts, normed)?
        } else {
            mlp(layers, &format!("{block}."), parts, Unary::Gelu, normed)?
        };
        let out = layer_scale(layers, &format!("{block}.ls2.gamma"), out)?;
        layers.add(&block, out, x)
    }

    /// With CLIP's function `x·sigmoid(1.702·x)`.
    fn quick_mlp(
        &self,
        layers: &mut Layers,
        block: &str,
        [first, act, second]: [&str; 3],
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let x = layers.linear(&format!("{block}.{first}"), x)?;
        let factor = layers.number(&format!("{block}.{act}.factor"), 1.702)?;
        let scaled = layers.mul(&format!("{block}.{act}.scaled"), x, factor)?;
        let gate = layers.unary(&format!("{block}.{act}.gate"), Unary::Sigmoid, scaled)?;
        let x = layers.mul(&format!("{block}.{act}"), x, gate)?;
        layers.linear(&format!("{block}.{second}"), x)
    }

    fn head(&self, layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
        let names = &self.names;
        let has_fc_norm = layers.has("fc_norm.weight");
        let mut x = x;
        if !has_fc_norm {
            x = layers.layer_norm(&names.last_norm, x, self.eps)?;
        }
        let token = |layers: &mut Layers, at: usize| {
            let index = gather(layers, &format!("token{at}"), x, 1, vec![at])?;
            let shape = vec![1, self.width];
            layers.push(&format!("token{at}.flat"), Op::Reshape { shape }, &[index])
        };
        if let Some([class, distilled]) = &names.two_heads
            && layers.has(&format!("{distilled}.weight"))
        {
            let first = token(layers, 0)?;
            let second = token(layers, 1)?;
            let first = layers.linear(class, first)?;
            let second = layers.linear(distilled, second)?;
            let sum = layers.add("head.sum", first, second)?;
            let half = layers.number("head.half", 0.5)?;
            return layers.mul("head.mean", sum, half);
        }
        let mut features = match self.pooling {
            Pooling::Token => token(layers, 0)?,
            Pooling::Mean => {
                let patches = self.side * self.side;
                let slice = Op::Slice {
                    axis: 1,
                    start: self.prefix,
                    step: 1,
                    length: patches,
                };
                let patches = layers.push("patches", slice, &[x])?;
                let mean = Op::Reduce {
                    kind: ReduceKind::Mean,
                    axes: vec![1],
                    keep_dims: false,
                };
                layers.push("pool", mean, &[patches])?
            }
        };
        if has_fc_norm {
            features = layers.layer_norm("fc_norm", features, self.eps)?;
        }
        // torchvision's head with a representation layer.
        if layers.has("heads.pre_logits.weight") {
            features = layers.linear("heads.pre_logits", features)?;
            let act = "heads.act";
            features = layers.activation(act, &[act], Unary::Tanh, features)?;
        }
        classifier(layers, features, &names.inside)
    }
}
