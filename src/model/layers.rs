//! The building blocks of the networks. Each has two implementations with the same interface:
//! [`Backend::Fused`] (our CPU kernels) and [`Backend::Candle`] (candle's own operations, for CUDA
//! and Metal, and as the reference in tests of the fused kernels).

mod backend;

use candle_core::{Result, Tensor, bail};
use candle_nn::{Conv2d, Conv2dConfig, Module};

use crate::model::cpu;
use crate::model::cpu::{
    Activation, ConvGeometry, Cpu, Epilogue, Panels, Precision, Size, Winograd,
};
use crate::model::layers::backend::passed;
pub use crate::model::layers::backend::{Backend, Image};

/// The zero padding around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// This many zeros on each side.
    Each(usize),
    /// TensorFlow's "same" padding: output = ⌈input / stride⌉; an odd zero is added on the right
    /// and at the bottom.
    Same,
}

impl Padding {
    /// Number of zeros before and after the input along one axis.
    fn on_axis(self, side: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Each(zeros) => (zeros, zeros),
            Self::Same => {
                let reach = (side.div_ceil(stride) - 1) * stride + kernel;
                let zeros = reach.saturating_sub(side);
                (zeros / 2, zeros - zeros / 2)
            }
        }
    }
}

/// The parameters of a convolution, apart from its weights.
#[derive(Clone, Copy, Debug)]
pub struct ConvSpec {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Zero padding around the input.
    pub padding: Padding,
    /// Whether each channel has its own kernel (`cin == cout`).
    pub depthwise: bool,
    /// The activation after it.
    pub activation: Activation,
}

impl ConvSpec {
    /// Shape of the weight in checkpoints: `[cout, cin per group, kernel, kernel]`.
    #[must_use]
    pub fn weight_shape(&self) -> [usize; 4] {
        let cin = if self.depthwise { 1 } else { self.cin };
        [self.cout, cin, self.kernel, self.kernel]
    }

    fn window(&self, height: usize, width: usize) -> ConvGeometry {
        let axis = |side| {
            let (before, after) = self.padding.on_axis(side, self.kernel, self.stride);
            let out = (side + before + after - self.kernel) / self.stride + 1;
            (before, out)
        };
        let ((top, out_height), (left, out_width)) = (axis(height), axis(width));
        ConvGeometry::square(
            (height, width),
            (out_height, out_width),
            self.kernel,
            self.stride,
            (top, left),
        )
    }
}

/// A convolution with its folded batch norm, its bias and its activation.
#[derive(Debug)]
pub struct Conv {
    spec: ConvSpec,
    kernel: Kernel,
    /// The factors by which the batch norm multiplied the output channels.
    scale: Vec<f32>,
}

#[derive(Debug)]
enum Kernel {
    Fused(Fused),
    Candle(Conv2d),
}

/// The data for the fused kernels.
#[derive(Debug)]
struct Fused {
    cpu: Cpu,
    weight: Weight,
    bias: Vec<f32>,
}

#[derive(Debug)]
enum Weight {
    /// `[kernel·kernel·cin, cout]`, and the transformed weights where that is faster.
    Dense(Panels, Option<Winograd>),
    /// `[kernel·kernel, channels]`.
    Depthwise(Vec<f32>),
}

impl Conv {
    /// From a weight `[cout, cin per group, kernel, kernel]`, which the batch norm multiplies by
    /// `scale` `[cout]`, and a bias `[cout]` that already includes the batch norm.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(
        weight: &[f32],
        bias: Vec<f32>,
        scale: Vec<f32>,
        spec: ConvSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let kernel = match backend {
            Backend::Fused(cpu) => Kernel::Fused(Fused {
                cpu: cpu.clone(),
                weight: Weight::new(weight, &scale, spec),
                bias,
            }),
            Backend::Candle(device) => {
                let kernels = weight.chunks_exact(weight.len() / spec.cout).zip(&scale);
                let scaled = kernels.flat_map(|(kernel, s)| kernel.iter().map(move |v| v * s));
                let weight = scaled.collect();
                Kernel::Candle(Conv2d::new(
                    Tensor::from_vec::<_, f32>(weight, &spec.weight_shape(), device)?,
                    Some(Tensor::from_vec(bias, spec.cout, device)?),
                    Conv2dConfig {
                        stride: spec.stride,
                        groups: if spec.depthwise { spec.cin } else { 1 },
                        ..Conv2dConfig::default()
                    },
                ))
            }
        };
        Ok(Self {
            spec,
            kernel,
            scale,
        })
    }

    /// `activation(conv(image) + bias)`. The precision applies to the fused kernels.
    ///
    /// # Errors
    /// If the device fails or the image does not belong to this backend.
    pub fn forward(&self, image: &Image, precision: Precision) -> Result<Image> {
        match &self.kernel {
            Kernel::Fused(kernel) => kernel.run(self.spec, image, None, precision),
            Kernel::Candle(conv) => {
                let sums = self.convolve(conv, image.tensor()?)?;
                Ok(Image::Candle(self.activate(&sums)?))
            }
        }
    }

    /// `activation(conv(image) + bias + residual)`.
    ///
    /// # Errors
    /// If the device fails or an image does not belong to this backend.
    pub fn forward_add(
        &self,
        image: &Image,
        residual: &Image,
        precision: Precision,
    ) -> Result<Image> {
        match &self.kernel {
            Kernel::Fused(kernel) => {
                kernel.run(self.spec, image, Some(residual.fused()?), precision)
            }
            Kernel::Candle(conv) => {
                let sums = (self.convolve(conv, image.tensor()?)? + residual.tensor()?)?;
                Ok(Image::Candle(self.activate(&sums)?))
            }
        }
    }

    /// [`Conv::forward`] followed by the max pooling of ResNets.
    ///
    /// # Errors
    /// If the device fails or the image does not belong to this backend.
    pub fn forward_and_pool(
        &self,
        image: &Image,
        backend: &Backend,
        precision: Precision,
    ) -> Result<Image> {
        match (&self.kernel, precision) {
            (
                Kernel::Fused(Fused {
                    cpu,
                    weight: Weight::Dense(panels, _),
                    bias,
                }),
                Precision::Single,
            ) => {
                let (height, width) = image.size()?;
                let window = self.spec.window(height, width);
                let finish = Epilogue {
                    bias,
                    residual: None,
                    activation: self.spec.activation,
                };
                let image = image.fused()?;
                Ok(Image::Fused(cpu::dense_and_pool(
                    cpu, image, panels, window, finish,
                )))
            }
            _ => backend.max_pool(&self.forward(image, precision)?),
        }
    }

    /// The gradient at the input, from the gradient before the activation (fused only).
    ///
    /// # Errors
    /// If the image or the kernel belongs to candle.
    pub fn backward(&self, gradient: &Image, input: &Image) -> Result<Image> {
        let (cpu, panels) = self.dense()?;
        let (height, width) = input.size()?;
        let window = self.spec.window(height, width);
        let out = cpu::dense_backward(cpu, gradient.fused()?, panels, window);
        Ok(Image::Fused(out))
    }

    /// The output before the batch-norm.
    ///
    /// A channel that the batch norm multiplies by 0 has gradient 0 and does not contribute to any
    /// map. Its output can't be computed from the folded weight and is returned as 0.
    ///
    /// # Errors
    /// If the device fails or the image belongs to another backend.
    pub fn before_batch_norm(&self, image: &Image, backend: &Backend) -> Result<Image> {
        let plain = match &self.kernel {
            Kernel::Fused(_) => {
                let (cpu, panels) = self.dense()?;
                let (height, width) = image.size()?;
                let finish = Epilogue {
                    bias: &vec![0.0; self.spec.cout],
                    residual: None,
                    activation: Activation::Linear,
                };
                let window = self.spec.window(height, width);
                let image = image.fused()?;
                Image::Fused(cpu::dense_in_double(cpu, image, panels, window, finish))
            }
            Kernel::Candle(conv) => {
                let bare = Conv2d::new(conv.weight().clone(), None, *conv.config());
                Image::Candle(self.convolve(&bare, image.tensor()?)?)
            }
        };
        let reciprocal = |scale: &f32| if *scale == 0.0 { 0.0 } else { 1.0 / scale };
        let unscale: Vec<f32> = self.scale.iter().map(reciprocal).collect();
        backend.scale(&plain, &unscale)
    }

    /// The gradient before the batch-norm, from the one after it.
    ///
    /// # Errors
    /// If the device fails or the image belongs to another backend.
    pub fn gradient_before_batch_norm(&self, gradient: &Image, backend: &Backend) -> Result<Image> {
        backend.scale(gradient, &self.scale)
    }

    /// The fused kernel of an ordinary convolution.
    fn dense(&self) -> Result<(&Cpu, &Panels)> {
        match &self.kernel {
            Kernel::Fused(Fused {
                cpu,
                weight: Weight::Dense(panels, _),
                ..
            }) => Ok((cpu, panels)),
            _ => bail!("this convolution was built for something else"),
        }
    }

    fn convolve(&self, conv: &Conv2d, image: &Tensor) -> Result<Tensor> {
        let (_, _, height, width) = image.dims4()?;
        let axis = |side| {
            self.spec
                .padding
                .on_axis(side, self.spec.kernel, self.spec.stride)
        };
        let ((top, bottom), (left, right)) = (axis(height), axis(width));
        let padded = image
            .pad_with_zeros(2, top, bottom)?
            .pad_with_zeros(3, left, right)?;
        conv.forward(&padded)
    }

    fn activate(&self, image: &Tensor) -> Result<Tensor> {
        match self.spec.activation {
            Activation::Linear => Ok(image.clone()),
            // candle's own ReLU passes gradients where its input is exactly 0, which happens in
            // channels with a batch norm weight of 0; PyTorch's does not.
            Activation::Relu if image.track_op() => image * passed(image)?,
            Activation::Relu => image.relu(),
            Activation::Relu6 => image.clamp(0f32, 6f32),
            Activation::Other(_) => bail!("this activation is not among candle's layers"),
        }
    }
}

impl Fused {
    fn run(
        &self,
        spec: ConvSpec,
        image: &Image,
        residual: Option<&cpu::Image>,
        precision: Precision,
    ) -> Result<Image> {
        let (height, width) = image.size()?;
        let window = spec.window(height, width);
        let finish = Epilogue {
            bias: &self.bias,
            residual: residual.map(cpu::Image::values),
            activation: spec.activation,
        };
        let (cpu, image) = (&self.cpu, image.fused()?);
        Ok(Image::Fused(match (&self.weight, precision) {
            (Weight::Depthwise(weight), _) => cpu::depthwise(cpu, image, weight, window, finish),
            (Weight::Dense(panels, _), Precision::Double) => {
                cpu::dense_in_double(cpu, image, panels, window, finish)
            }
            (Weight::Dense(_, Some(winograd)), Precision::Single) => {
                winograd.convolve(cpu, image, window, finish)
            }
            (Weight::Dense(panels, None), Precision::Single) => {
                cpu::dense(cpu, image, panels, window, finish)
            }
        }))
    }
}

impl Weight {
    /// From `[cout, cin per group, kernel, kernel]`; each output channel is multiplied by its
    /// scale.
    fn new(weight: &[f32], scale: &[f32], spec: ConvSpec) -> Self {
        let ConvSpec {
            cin, cout, kernel, ..
        } = spec;
        let taps = kernel * kernel;
        if spec.depthwise {
            let at = |n: usize| weight[n % cout * taps + n / cout] * scale[n % cout];
            return Self::Depthwise((0..weight.len()).map(at).collect());
        }
        let panels = Panels::of_kernel(weight, scale, cin, taps);
        let winograd = (kernel == 3 && spec.stride == 1)
            .then(|| winograd_size(cin * cout))
            .flatten()
            .and_then(|size| Winograd::new(size, &panels));
        Self::Dense(panels, winograd)
    }
}

/// The tile size for a 3×3 kernel of stride 1, or `None`, by the product of input and output
/// channels. With more channels the images are smaller, so the transformed weights (4 or 16/9 times
/// as large) must be worth loading from memory (measured at 224×224, 2 cores).
fn winograd_size(channels: usize) -> Option<Size> {
    match channels {
        0..=16_384 => Some(Size::F4),
        16_385..=65_536 => Some(Size::F2),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
