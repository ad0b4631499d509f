//! The building blocks of the networks, each with two implementations behind one
//! face: [`Backend::Fused`] (our CPU kernels, as candle custom operations) and
//! [`Backend::Candle`] (candle's own operations: CUDA, Metal, and the reference
//! that the fused kernels are tested against).
//!
//! Images between layers are `[height, width, channels]` for `Fused` and
//! `[1, channels, height, width]` for `Candle`.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Device, Layout, Result, Shape, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, Module};

use super::cpu::{self, Activation, Window};
use crate::analysis::FeatureMaps;

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
    /// From a weight `[cout, cin per group, kernel, kernel]` and a bias `[cout]`.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
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
        Ok(Self { spec, kernel })
    }

    /// `activation(conv(image) + bias)`.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn forward(&self, image: &Tensor) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Fused { .. } => image.apply_op1_no_bwd(self),
            Kernel::Candle(conv) => self.activate(&self.convolve(conv, image)?),
        }
    }

    /// `activation(conv(image) + bias + residual)`.
    ///
    /// # Errors
    /// candle's, where the device fails or an image has another layout.
    pub fn forward_add(&self, image: &Tensor, residual: &Tensor) -> Result<Tensor> {
        match &self.kernel {
            Kernel::Fused { .. } => image.apply_op2_no_bwd(residual, self),
            Kernel::Candle(conv) => self.activate(&(self.convolve(conv, image)? + residual)?),
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
            Activation::Relu => image.relu(),
            Activation::Relu6 => image.clamp(0f32, 6f32),
        }
    }

    fn run_fused(
        &self,
        x: &[f32],
        shape: &Shape,
        residual: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let (height, width, _) = shape.dims3()?;
        let window = self.spec.window(height, width);
        let Kernel::Fused { weight, bias } = &self.kernel else {
            candle_core::bail!("this convolution was built for candle's operations");
        };
        let activation = self.spec.activation;
        let out = if self.spec.depthwise {
            cpu::depthwise(x, weight, bias, window, activation)
        } else {
            cpu::dense(x, weight, bias, residual, window, activation)
        };
        let shape = Shape::from((window.output.0, window.output.1, self.spec.cout));
        Ok((CpuStorage::F32(out), shape))
    }
}

impl CustomOp1 for Conv {
    fn name(&self) -> &'static str {
        "fused convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run_fused(values(storage, layout)?, layout.shape(), None)
    }
}

impl CustomOp2 for Conv {
    fn name(&self) -> &'static str {
        "fused convolution with a residual"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let residual = values(residual, residual_layout)?;
        self.run_fused(values(storage, layout)?, layout.shape(), Some(residual))
    }
}

struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "max pooling 3×3"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (height, width, channels) = layout.shape().dims3()?;
        let x = values(storage, layout)?;
        let (out, (height, width)) = cpu::max_pool_3x3(x, (height, width), channels);
        Ok((CpuStorage::F32(out), Shape::from((height, width, channels))))
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("the fused kernels need contiguous images");
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
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
