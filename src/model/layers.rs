//! The building blocks of the networks, each with two implementations behind one
//! face: [`Backend::Fused`] (our CPU kernels, as candle custom operations) and
//! [`Backend::Candle`] (candle's own operations: CUDA, Metal, and the reference
//! that the fused kernels are tested against).
//!
//! Images between layers are `[height, width, channels]` for `Fused` and
//! `[1, channels, height, width]` for `Candle`.

mod operations;

use candle_core::{CpuStorage, Device, Result, Shape, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};

use super::cpu::{self, Activation, Precision, Window};
use crate::analysis::FeatureMaps;
use operations::{Backward, Bare, Forward, MaxPool, ReluBackward};

/// 1 where a value is positive, else 0.
fn passed(image: &Tensor) -> Result<Tensor> {
    image.gt(0f32)?.to_dtype(image.dtype())
}

/// Which implementation runs.
#[derive(Clone, Debug)]
pub enum Backend {
    /// Our CPU kernels.
    Fused,
    /// candle's operations, on that device.
    Candle(Device),
}

impl Backend {
    /// The fastest one for a device.
    #[must_use]
    pub fn for_device(device: &Device) -> Self {
        if device.is_cpu() {
            Self::Fused
        } else {
            Self::Candle(device.clone())
        }
    }

    /// An image tensor from interleaved values `[height, width, channels]`.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn image(&self, values: Vec<f32>, height: usize, width: usize) -> Result<Tensor> {
        let channels = values.len() / (height * width);
        let tensor = Tensor::from_vec(values, (height, width, channels), &Device::Cpu)?;
        match self {
            Self::Fused => Ok(tensor),
            Self::Candle(device) => tensor
                .permute((2, 0, 1))?
                .unsqueeze(0)?
                .contiguous()?
                .to_device(device),
        }
    }

    /// Plain values, channels first, of an image tensor.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn feature_maps(&self, image: &Tensor) -> Result<FeatureMaps> {
        let planes = match self {
            Self::Fused => image.permute((2, 0, 1))?,
            Self::Candle(_) => image.squeeze(0)?,
        };
        let (channels, height, width) = planes.dims3()?;
        Ok(FeatureMaps {
            channels,
            height,
            width,
            values: planes.contiguous()?.flatten_all()?.to_vec1()?,
        })
    }

    /// Height and width of an image tensor.
    ///
    /// # Errors
    /// candle's, where an image has another layout.
    pub fn size(&self, image: &Tensor) -> Result<(usize, usize)> {
        match self {
            Self::Fused => image.dims3().map(|(height, width, _)| (height, width)),
            Self::Candle(_) => image.dims4().map(|(_, _, height, width)| (height, width)),
        }
    }

    /// An image of `height`×`width` pixels that are all the same, from one value for each
    /// channel.
    ///
    /// # Errors
    /// candle's, where the device fails.
    pub fn uniform(&self, pixel: &[f32], height: usize, width: usize) -> Result<Tensor> {
        self.image(pixel.repeat(height * width), height, width)
    }

    /// The gradient before a ReLU, from the one after it and the ReLU's output.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn relu_backward(&self, gradient: &Tensor, output: &Tensor) -> Result<Tensor> {
        match self {
            Self::Fused => gradient.apply_op2_no_bwd(output, &ReluBackward),
            Self::Candle(_) => gradient * passed(output)?,
        }
    }

    /// ResNet's 3×3 max pooling with stride 2 and padding 1, of values ≥ 0.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn max_pool(&self, image: &Tensor) -> Result<Tensor> {
        match self {
            Self::Fused => image.apply_op1_no_bwd(&MaxPool),
            // Zeros never win over values ≥ 0, so they can stand for the border.
            Self::Candle(_) => image
                .pad_with_zeros(2, 1, 1)?
                .pad_with_zeros(3, 1, 1)?
                .max_pool2d_with_stride(3, 2),
        }
    }
}

/// Where the zeros around the input go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many on each side.
    Each(usize),
    /// TensorFlow's "same": output = ⌈input / stride⌉, the odd zero right and below.
    Same,
}

impl Padding {
    /// Zeros before and after one axis.
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

/// What a convolution does, apart from its numbers.
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
    /// Zeros around the input.
    pub padding: Padding,
    /// One kernel for each channel (`cin == cout`) instead of a full one.
    pub depthwise: bool,
    /// What follows.
    pub activation: Activation,
}

impl ConvSpec {
    /// Shape of the weight in checkpoints: `[cout, cin per group, kernel, kernel]`.
    #[must_use]
    pub fn weight_shape(&self) -> [usize; 4] {
        let cin = if self.depthwise { 1 } else { self.cin };
        [self.cout, cin, self.kernel, self.kernel]
    }

    fn window(&self, height: usize, width: usize) -> Window {
        let axis = |side| {
            let (before, after) = self.padding.on_axis(side, self.kernel, self.stride);
            let out = (side + before + after - self.kernel) / self.stride + 1;
            (before, out)
        };
        let ((top, out_height), (left, out_width)) = (axis(height), axis(width));
        Window {
            input: (height, width),
            output: (out_height, out_width),
            kernel: self.kernel,
            stride: self.stride,
            before: (top, left),
        }
    }
}

/// A convolution with its batch-norm folded in, its bias and its activation.
#[derive(Debug)]
pub struct Conv {
    spec: ConvSpec,
    kernel: Kernel,
    /// What the batch-norm multiplied the output channels by.
    scale: Vec<f32>,
}

#[derive(Debug)]
enum Kernel {
    /// `weight` `[kernel·kernel·cin, cout]`, or `[kernel·kernel, channels]`.
    Fused {
        weight: Vec<f32>,
        bias: Vec<f32>,
    },
    Candle(Conv2d),
}

impl Conv {
    /// From a weight `[cout, cin per group, kernel, kernel]` and a bias `[cout]`, in
    /// which a batch-norm with this `scale` `[cout]` is folded already.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        scale: Vec<f32>,
        spec: ConvSpec,
        backend: &Backend,
    ) -> Result<Self> {
        let kernel = match backend {
            Backend::Fused => Kernel::Fused {
                weight: pixels_first(&weight, spec),
                bias,
            },
            Backend::Candle(device) => Kernel::Candle(Conv2d::new(
                Tensor::from_vec(weight, &spec.weight_shape(), device)?,
                Some(Tensor::from_vec(bias, spec.cout, device)?),
                Conv2dConfig {
                    stride: spec.stride,
                    groups: if spec.depthwise { spec.cin } else { 1 },
                    ..Conv2dConfig::default()
                },
            )),
        };
        Ok(Self {
            spec,
            kernel,
            scale,
        })
    }

    /// `activation(conv(image) + bias)`. The precision is that of the fused kernels.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn forward(&self, image: &Tensor, precision: Precision) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Fused { .. } => image.apply_op1_no_bwd(&Forward(self, precision)),
            Kernel::Candle(conv) => self.activate(&self.convolve(conv, image)?),
        }
    }

    /// `activation(conv(image) + bias + residual)`.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn forward_add(
        &self,
        image: &Tensor,
        residual: &Tensor,
        precision: Precision,
    ) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Fused { .. } => image.apply_op2_no_bwd(residual, &Forward(self, precision)),
            Kernel::Candle(conv) => self.activate(&(self.convolve(conv, image)? + residual)?),
        }
    }

    /// The gradient at the input, from the one before the activation (fused only).
    ///
    /// # Errors
    /// candle's, where an image has another layout.
    pub fn backward(&self, gradient: &Tensor, input: &Tensor) -> Result<Tensor> {
        let (height, width, _) = input.dims3()?;
        let back = Backward {
            conv: self,
            window: self.spec.window(height, width),
        };
        gradient.apply_op1_no_bwd(&back)
    }

    /// The output before the batch-norm, and the gradient there from the one after it.
    ///
    /// A channel that the batch-norm multiplies by 0 has gradient 0 and no part in
    /// any map; its output cannot be known from the folded weight and is given as 0.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn before_batch_norm(
        &self,
        image: &Tensor,
        gradient: &Tensor,
        backend: &Backend,
    ) -> Result<(Tensor, Tensor)> {
        let plain = match &self.kernel {
            Kernel::Fused { .. } => image.apply_op1_no_bwd(&Bare(self))?,
            Kernel::Candle(conv) => {
                let bare = Conv2d::new(conv.weight().clone(), None, *conv.config());
                self.convolve(&bare, image)?
            }
        };
        let reciprocal = |scale: &f32| if *scale == 0.0 { 0.0 } else { 1.0 / scale };
        let unscale: Vec<f32> = self.scale.iter().map(reciprocal).collect();
        let broadcast = |values: &[f32]| backend.uniform(values, 1, 1);
        Ok((
            plain.broadcast_mul(&broadcast(&unscale)?)?,
            gradient.broadcast_mul(&broadcast(&self.scale)?)?,
        ))
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
            // candle's own ReLU passes gradients where its input is exactly 0, as
            // channels with a batch-norm weight of 0 have it; PyTorch's does not.
            Activation::Relu if image.track_op() => image * passed(image)?,
            Activation::Relu => image.relu(),
            Activation::Relu6 => image.clamp(0f32, 6f32),
        }
    }

    /// Weight and bias of the fused kernel.
    fn fused(&self) -> Result<(&[f32], &[f32])> {
        match &self.kernel {
            Kernel::Fused { weight, bias } => Ok((weight, bias)),
            Kernel::Candle(_) => {
                candle_core::bail!("this convolution was built for candle's operations")
            }
        }
    }

    fn run_fused(
        &self,
        x: &[f32],
        shape: &Shape,
        residual: Option<&[f32]>,
        precision: Precision,
    ) -> Result<(CpuStorage, Shape)> {
        let (height, width, _) = shape.dims3()?;
        let window = self.spec.window(height, width);
        let (weight, bias) = self.fused()?;
        let activation = self.spec.activation;
        let out = if self.spec.depthwise {
            cpu::depthwise(x, weight, bias, window, activation)
        } else {
            let dense = match precision {
                Precision::Single => cpu::dense,
                Precision::Double => cpu::dense_in_double,
            };
            dense(x, weight, bias, residual, window, activation)
        };
        let shape = Shape::from((window.output.0, window.output.1, self.spec.cout));
        Ok((CpuStorage::F32(out), shape))
    }
}

/// `[cout, cin, k, k]` to `[k, k, cin, cout]`.
fn pixels_first(weight: &[f32], spec: ConvSpec) -> Vec<f32> {
    let [cout, cin, kernel, _] = spec.weight_shape();
    let taps = kernel * kernel;
    let mut turned = vec![0.0; weight.len()];
    for (tap, slab) in turned.chunks_exact_mut(cin * cout).enumerate() {
        for (input, row) in slab.chunks_exact_mut(cout).enumerate() {
            for (output, value) in row.iter_mut().enumerate() {
                *value = weight[(output * cin + input) * taps + tap];
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests;
