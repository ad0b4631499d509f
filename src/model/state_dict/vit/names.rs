//! Where a transformer's tensors are.

use crate::model::state_dict::Shapes;

/// Queries, keys and values, within a block.
pub enum Query {
    /// One linear layer.
    One(&'static str),
    /// The parameters `…_weight` and `…_bias` of `nn.MultiheadAttention`.
    Parameter(&'static str),
    /// Three linear layers.
    Three([&'static str; 3]),
}

/// The names of one library.
pub struct Names {
    /// Whether they are torchvision's.
    pub is_torchvision: bool,
    /// The convolution on patches.
    pub patch: String,
    /// The class token.
    pub class: Option<String>,
    /// `DeiT`'s second token.
    pub distilled: Option<String>,
    /// More tokens that are not patches.
    pub registers: Option<String>,
    /// The position embedding.
    pub positions: String,
    /// What the sum with the positions is called.
    pub positions_added: String,
    /// What the blocks' names begin with.
    blocks: String,
    norms: [&'static str; 2],
    attention: &'static str,
    /// Queries, keys and values.
    pub query: Query,
    /// The linear layer after attention, within a block.
    pub projection: &'static str,
    /// Linear layer, activation, linear layer, within a block.
    pub mlp: [&'static str; 3],
    /// The norm after the last block.
    pub last_norm: String,
    /// The two classifiers of a distilled network, whose mean counts.
    pub two_heads: Option<[String; 2]>,
    /// `eps` of the norms.
    pub eps: f32,
    /// The starts of names that are not the classifier's.
    pub inside: Vec<String>,
}

impl Names {
    /// The names that these tensors have.
    pub fn find(shapes: &Shapes) -> Option<Self> {
        let has = |name: &str| shapes.contains_key(name);
        if has("patch_embed.proj.weight")
            && has("blocks.0.attn.qkv.weight")
            && has("pos_embed")
            && has("blocks.0.norm1.bias")
        {
            return Some(Self::timm());
        }
        if has("conv_proj.weight") && has("encoder.layers.encoder_layer_0.ln_1.weight") {
            let old = has("encoder.layers.encoder_layer_0.mlp.linear_1.weight");
            return Some(Self::torchvision(old));
        }
        let patches = ".embeddings.patch_embeddings.projection.weight";
        let mut prefixes = ["vit", "deit"].into_iter();
        let prefix = prefixes.find(|prefix| has(&format!("{prefix}{patches}")))?;
        let old = has(&format!(
            "{prefix}.encoder.layer.0.attention.attention.query.weight"
        ));
        let new = has(&format!("{prefix}.layers.0.attention.q_proj.weight"));
        (old || new).then(|| Self::transformers(prefix, old))
    }

    fn timm() -> Self {
        let inside = [
            "patch_embed.",
            "blocks.",
            "norm.",
            "norm_pre.",
            "fc_norm.",
            "attn_pool.",
        ];
        Self {
            is_torchvision: false,
            patch: "patch_embed.proj".into(),
            class: Some("cls_token".into()),
            distilled: Some("dist_token".into()),
            registers: Some("reg_token".into()),
            positions: "pos_embed".into(),
            positions_added: "pos_drop".into(),
            blocks: "blocks.".into(),
            norms: ["norm1", "norm2"],
            attention: "attn",
            query: Query::One("attn.qkv"),
            projection: "attn.proj",
            mlp: ["mlp.fc1", "mlp.act", "mlp.fc2"],
            last_norm: "norm".into(),
            two_heads: Some(["head".into(), "head_dist".into()]),
            eps: 1e-6,
            inside: inside.map(str::to_owned).to_vec(),
        }
    }

    fn torchvision(old: bool) -> Self {
        let inside = ["conv_proj.", "encoder.", "heads.pre_logits."];
        Self {
            is_torchvision: true,
            patch: "conv_proj".into(),
            class: Some("class_token".into()),
            distilled: None,
            registers: None,
            positions: "encoder.pos_embedding".into(),
            positions_added: "encoder.dropout".into(),
            blocks: "encoder.layers.encoder_layer_".into(),
            norms: ["ln_1", "ln_2"],
            attention: "self_attention",
            query: Query::Parameter("self_attention.in_proj"),
            projection: "self_attention.out_proj",
            mlp: if old {
                ["mlp.linear_1", "mlp.1", "mlp.linear_2"]
            } else {
                ["mlp.0", "mlp.1", "mlp.3"]
            },
            last_norm: "encoder.ln".into(),
            two_heads: None,
            eps: 1e-6,
            inside: inside.map(str::to_owned).to_vec(),
        }
    }

    fn transformers(prefix: &str, old: bool) -> Self {
        let at = |name: &str| format!("{prefix}.{name}");
        let (blocks, query, projection, mlp) = if old {
            (
                "encoder.layer.",
                [
                    "attention.attention.query",
                    "attention.attention.key",
                    "attention.attention.value",
                ],
                "attention.output.dense",
                [
                    "intermediate.dense",
                    "intermediate.intermediate_act_fn",
                    "output.dense",
                ],
            )
        } else {
            (
                "layers.",
                ["attention.q_proj", "attention.k_proj", "attention.v_proj"],
                "attention.o_proj",
                ["mlp.fc1", "mlp.activation_fn", "mlp.fc2"],
            )
        };
        Self {
            is_torchvision: false,
            patch: at("embeddings.patch_embeddings.projection"),
            class: Some(at("embeddings.cls_token")),
            distilled: Some(at("embeddings.distillation_token")),
            registers: None,
            positions: at("embeddings.position_embeddings"),
            positions_added: at("embeddings"),
            blocks: at(blocks),
            norms: ["layernorm_before", "layernorm_after"],
            attention: if old {
                "attention.attention"
            } else {
                "attention"
            },
            query: Query::Three(query),
            projection,
            mlp,
            last_norm: at("layernorm"),
            two_heads: Some(["cls_classifier".into(), "distillation_classifier".into()]),
            eps: 1e-12,
            inside: vec![format!("{prefix}.")],
        }
    }

    /// A block, counted from 0.
    pub fn block(&self, index: usize) -> String {
        format!("{}{index}", self.blocks)
    }

    /// The first or second norm of a block.
    pub fn norm(&self, index: usize, which: usize) -> String {
        format!("{}{index}.{}", self.blocks, self.norms[which - 1])
    }

    /// The attention of a block.
    pub fn attention(&self, index: usize) -> String {
        format!("{}{index}.{}", self.blocks, self.attention)
    }
}
