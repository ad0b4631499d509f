//! Modules that were saved whole (`torch.save(model)`): the file also holds their strides,
//! paddings, pooling and activations, and these decide instead of what the family would have.

use crate::model::graph::{Conv, GraphError, Pool, Unary};

/// What the file says about one module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedModule {
    /// Its path within the network: "layer1.0.conv1"; empty for the network itself.
    pub path: String,
    /// Its class, without the Python module: "Conv2d".
    pub class: String,
    /// The class's Python module: `torch.nn.modules.conv`.
    pub package: String,
    /// Whether it has parameters or buffers of its own.
    pub has_tensors: bool,
    /// Attributes that are numbers, booleans or sequences of them.
    pub numbers: Vec<(String, Vec<f64>)>,
    /// Attributes that are texts.
    pub texts: Vec<(String, String)>,
}

/// The role of a class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// Its output is its input when a network is used.
    Nothing,
    /// A function of each value.
    Activation(Unary),
    /// Softmax, or its logarithm.
    Softmax {
        /// Whether it is the logarithm.
        log: bool,
    },
    /// It makes an image smaller, or a vector of it.
    Pool,
    /// `[N, C, H, W]` to `[N, C·H·W]`.
    Flatten,
    /// Losses and metrics, which the module of a training script often holds.
    Training,
    /// It only holds other modules.
    Container,
    /// Anything else.
    Unknown,
}

impl SavedModule {
    /// An attribute that is a number or a sequence.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Option<&[f64]> {
        let mut found = self.numbers.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, values)| &values[..])
    }

    /// An attribute that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.texts.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, text)| &text[..])
    }

    /// The first number of an attribute, or what PyTorch takes if it is missing.
    fn number(&self, name: &str, usual: f64) -> f64 {
        let found = self.numbers(name).and_then(|values| values.first());
        found.copied().unwrap_or(usual)
    }

    /// A number for each of the two axes.
    fn pair(&self, name: &str) -> Option<[usize; 2]> {
        let values = self.numbers(name)?;
        let whole = |value: f64| {
            let fits = value.fract() == 0.0 && (0.0..=65_536.0).contains(&value);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just checked
            fits.then_some(value as usize)
        };
        match *values {
            [both] => Some([whole(both)?; 2]),
            [down, across] => Some([whole(down)?, whole(across)?]),
            _ => None,
        }
    }

    /// What the module does.
    #[must_use]
    pub fn role(&self) -> Role {
        let class = self.class.as_str();
        if let Some(unary) = self.activation() {
            return Role::Activation(unary);
        }
        match class {
            "Identity"
            | "Dropout"
            | "Dropout1d"
            | "Dropout2d"
            | "Dropout3d"
            | "AlphaDropout"
            | "FeatureAlphaDropout"
            | "DropPath"
            | "StochasticDepth"
            | "DropBlock"
            | "DropBlock2d"
            | "PatchDropout"
            | "PatchDropoutWithIndices"
            | "QuantStub"
            | "DeQuantStub" => Role::Nothing,
            "FloatFunctional" | "Sequential" | "ModuleList" | "ModuleDict" => Role::Container,
            "Flatten" => Role::Flatten,
            "Softmax" => Role::Softmax { log: false },
            "LogSoftmax" => Role::Softmax { log: true },
            _ if class.contains("Pool") || class == "GeM" => Role::Pool,
            _ if class.ends_with("Loss")
                || class.ends_with("Criterion")
                || self.package.contains("torchmetrics")
                || self.package.contains("loss") =>
            {
                Role::Training
            }
            _ => Role::Unknown,
        }
    }

    /// The function, if the module is an activation that camlens has.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // f32 as in PyTorch
    pub fn activation(&self) -> Option<Unary> {
        let number = |name: &str, usual: f64| self.number(name, usual) as f32;
        Some(match self.class.as_str() {
            "ReLU" | "ReLUActivation" => Unary::Relu,
            "ReLU6" => Unary::Clip(0.0, 6.0),
            "Hardtanh" => Unary::Clip(number("min_val", -1.0), number("max_val", 1.0)),
            "LeakyReLU" => Unary::LeakyRelu(number("negative_slope", 0.01)),
            "ELU" | "CELU" => {
                let alpha = number("alpha", 1.0);
                // CELU divides the exponent by alpha.
                if self.class == "CELU" && (alpha - 1.0).abs() > 0.0 {
                    return None;
                }
                Unary::Elu(alpha)
            }
            "SELU" => Unary::Selu(1.673_263_2, 1.050_701),
            "GELU" | "GELUActivation" => match self.text("approximate") {
                Some("tanh") => Unary::GeluTanh,
                _ => Unary::Gelu,
            },
            "GELUTanh" | "GELUTanhActivation" | "NewGELUActivation" => Unary::GeluTanh,
            "SiLU" | "Swish" | "MemoryEfficientSwish" | "SiLUActivation" => Unary::Silu,
            "Mish" => Unary::Mish,
            "Tanh" => Unary::Tanh,
            "Hardswish" | "HardSwish" => Unary::HardSwish,
            "Hardsigmoid" | "HardSigmoid" => Unary::HardSigmoid(1.0 / 6.0, 0.5),
            "Sigmoid" => Unary::Sigmoid,
            "Softplus"
                if (self.number("beta", 1.0) - 1.0).abs() == 0.0
                    && self.number("threshold", 20.0) >= 20.0 =>
            {
                Unary::Softplus
            }
            "Softsign" => Unary::Softsign,
            _ => return None,
        })
    }

    /// The parameters of a convolution. `usual` is the family's, `x` the input's and `weight` the
    /// weight's shape.
    ///
    /// # Errors
    /// If it is another kind of convolution.
    pub fn conv(&self, usual: Conv, x: &[usize], weight: &[usize]) -> Result<Conv, GraphError> {
        let fault = |what: &str| GraphError::new(format!("{} {what}", self.path));
        let same = match self.class.as_str() {
            "Conv2d" => self.text("padding") == Some("same"),
            // Classes of timm and efficientnet_pytorch for TensorFlow's padding.
            "Conv2dSame" | "Conv2dStaticSamePadding" | "Conv2dDynamicSamePadding" => true,
            class => return Err(fault(&format!("is {class} instead of Conv2d"))),
        };
        if let Some(mode) = self.text("padding_mode").filter(|mode| *mode != "zeros") {
            return Err(fault(&format!("pads with {mode} instead of zeros")));
        }
        let unreadable = || fault("has a stride, padding or dilation that can't be read");
        let (&[_, _, height, width], &[_, _, down, across]) = (x, weight) else {
            return Err(fault("is no convolution of images"));
        };
        let mut conv = usual;
        if self.numbers("stride").is_some() {
            conv.strides = self.pair("stride").ok_or_else(unreadable)?;
        }
        if self.numbers("dilation").is_some() {
            conv.dilations = self.pair("dilation").ok_or_else(unreadable)?;
        }
        if let Some(groups) = self.pair("groups") {
            conv.groups = groups[0];
        }
        if same {
            let axis = |side: usize, kernel: usize, at: usize| {
                same_padding(side, kernel, conv.strides[at], conv.dilations[at])
            };
            let (y, x) = (axis(height, down, 0), axis(width, across, 1));
            let ((top, bottom), (left, right)) = y.zip(x).ok_or_else(unreadable)?;
            conv.pads = [top, left, bottom, right];
        } else if self.text("padding") == Some("valid") {
            conv.pads = [0; 4];
        } else if self.numbers("padding").is_some() {
            let [y, x] = self.pair("padding").ok_or_else(unreadable)?;
            conv.pads = [y, x, y, x];
        }
        Ok(conv)
    }

    /// The windows of `MaxPool2d` or `AvgPool2d`.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn windows(&self) -> Result<Pool, GraphError> {
        let unreadable = || {
            let path = &self.path;
            GraphError::new(format!("{path} has windows that can't be read"))
        };
        let kernel = self.pair("kernel_size").ok_or_else(unreadable)?;
        let or = |name: &str, usual: [usize; 2]| match self.numbers(name) {
            Some(_) => self.pair(name).ok_or_else(unreadable),
            None => Ok(usual),
        };
        let [y, x] = or("padding", [0, 0])?;
        Ok(Pool {
            kernel,
            strides: or("stride", kernel)?,
            pads: [y, x, y, x],
            dilations: or("dilation", [1, 1])?,
            ceil_mode: self.number("ceil_mode", 0.0) > 0.0,
        })
    }

    /// Whether `AvgPool2d` counts padding as zeros.
    ///
    /// # Errors
    /// If it divides by a number of its own.
    pub fn counts_padding(&self) -> Result<bool, GraphError> {
        if self.numbers("divisor_override").is_some() {
            let path = &self.path;
            return Err(GraphError::new(format!("{path} has a divisor_override")));
        }
        Ok(self.number("count_include_pad", 1.0) > 0.0)
    }

    /// Whether it is adaptive pooling to one cell.
    #[must_use]
    pub fn makes_one_cell(&self) -> bool {
        let sides = self.numbers("output_size").unwrap_or_default();
        !sides.is_empty() && sides.iter().all(|side| (side - 1.0).abs() == 0.0)
    }

    /// Whether it is the mean over all rows and columns.
    #[must_use]
    pub fn is_global_average(&self) -> bool {
        match self.class.as_str() {
            "AdaptiveAvgPool2d" | "AdaptiveAvgPool1d" => self.makes_one_cell(),
            "SelectAdaptivePool2d" => {
                let average = ["avg", "fast", "fastavg"];
                let kind = self.text("pool_type");
                kind.is_some_and(|kind| average.contains(&kind))
            }
            "FastAdaptiveAvgPool2d"
            | "FastAdaptiveAvgPool"
            | "GlobalAvgPool2d"
            | "GlobalAveragePooling" => true,
            _ => false,
        }
    }

    /// `eps` of a normalization, if the file has it.
    ///
    /// # Errors
    /// If it is not a positive number.
    #[allow(clippy::cast_possible_truncation)] // as the kernels take it
    pub fn eps(&self, usual: f32) -> Result<f32, GraphError> {
        match self.numbers("eps").and_then(|values| values.first()) {
            None => Ok(usual),
            Some(eps) if *eps >= 0.0 && *eps < 1e6 => Ok(*eps as f32),
            Some(eps) => Err(GraphError::new(format!("{} has eps {eps}", self.path))),
        }
    }

    /// Whether it is a batch norm that uses its running statistics.
    #[must_use]
    pub fn is_batch_norm(&self) -> bool {
        match self.class.as_str() {
            "BatchNorm1d"
            | "BatchNorm2d"
            | "BatchNormAct2d"
            | "FrozenBatchNorm2d"
            | "FrozenBatchNormAct2d"
            | "SyncBatchNorm"
            | "SyncBatchNormAct"
            | "NaiveSyncBatchNorm"
            | "SynchronizedBatchNorm2d" => self.number("track_running_stats", 1.0) > 0.0,
            // With running statistics from training, it is equivalent to a batch norm.
            "InstanceNorm2d" => self.number("track_running_stats", 0.0) > 0.0,
            _ => false,
        }
    }
}

/// `TensorFlow`'s "same" padding: zeros before and after one axis.
#[must_use]
pub fn same_padding(
    side: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
) -> Option<(usize, usize)> {
    if stride == 0 || kernel == 0 {
        return None;
    }
    let reach = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    let covered = (side.div_ceil(stride).checked_sub(1)?)
        .checked_mul(stride)?
        .checked_add(reach)?;
    let zeros = covered.saturating_sub(side);
    Some((zeros / 2, zeros - zeros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(class: &str, numbers: &[(&str, &[f64])], texts: &[(&str, &str)]) -> SavedModule {
        SavedModule {
            path: "m".into(),
            class: class.into(),
            numbers: numbers
                .iter()
                .map(|(name, values)| ((*name).into(), values.to_vec()))
                .collect(),
            texts: texts
                .iter()
                .map(|(name, text)| ((*name).into(), (*text).into()))
                .collect(),
            ..SavedModule::default()
        }
    }

    #[test]
    fn a_saved_convolution_decides_its_stride_and_padding() {
        let usual = Conv::new(2, 1, 1);
        let (x, weight) = (&[1, 8, 9, 9][..], &[8, 8, 3, 3][..]);
        let saved = module(
            "Conv2d",
            &[
                ("stride", &[1.0, 1.0]),
                ("padding", &[2.0]),
                ("dilation", &[2.0, 2.0]),
            ],
            &[("padding_mode", "zeros")],
        );
        let conv = saved.conv(usual, x, weight).unwrap();
        assert_eq!(
            (conv.strides, conv.pads, conv.dilations),
            ([1, 1], [2; 4], [2, 2])
        );
        let same = module(
            "Conv2dSame",
            &[("stride", &[2.0, 2.0]), ("padding", &[0.0])],
            &[],
        );
        let conv = same.conv(usual, &[1, 8, 10, 9], weight).unwrap();
        assert_eq!(conv.pads, [0, 1, 1, 1]);
        let circular = module("Conv2d", &[], &[("padding_mode", "circular")]);
        assert!(circular.conv(usual, x, weight).is_err());
        assert!(
            module("ScaledStdConv2d", &[], &[])
                .conv(usual, x, weight)
                .is_err()
        );
    }

    #[test]
    fn classes_have_roles() {
        let role = |class: &str| module(class, &[], &[]).role();
        assert_eq!(role("ReLU"), Role::Activation(Unary::Relu));
        assert_eq!(role("Dropout"), Role::Nothing);
        assert_eq!(role("AdaptiveAvgPool2d"), Role::Pool);
        assert_eq!(role("CrossEntropyLoss"), Role::Training);
        assert_eq!(role("Whatever"), Role::Unknown);
        let leaky = module("LeakyReLU", &[("negative_slope", &[0.1])], &[]);
        assert_eq!(leaky.activation(), Some(Unary::LeakyRelu(0.1)));
        assert_eq!(module("CELU", &[("alpha", &[2.0])], &[]).activation(), None);
    }
}
