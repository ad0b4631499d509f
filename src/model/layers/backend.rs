//! Backends that run layers, the images between layers, and operations without weights.

use candle_core::{Device, Result, Tensor, bail};

use crate::model::activations::FeatureMaps;
use crate::model::cpu;
use crate::model::cpu::{Cpu, Isa};

/// The implementation that runs the layers.
#[derive(Clone, Debug)]
pub enum Backend {
    /// Our CPU kernels.
    Fused(Cpu),
    /// candle's operations on this device.
    Candle(Device),
}

/// An image between layers.
#[derive(Clone, Debug)]
pub enum Image {
    /// `[height, width, channels]`.
    Fused(cpu::Image),
    /// `[1, channels, height, width]`.
    Candle(Tensor),
}

impl Image {
    /// The tensor of a candle image.
    ///
    /// # Errors
    /// If this is not a candle image.
    pub fn tensor(&self) -> Result<&Tensor> {
        match self {
            Self::Candle(tensor) => Ok(tensor),
            Self::Fused(_) => bail!("this image belongs to the fused kernels"),
        }
    }

    /// The fused kernels' image.
    pub(super) fn fused(&self) -> Result<&cpu::Image> {
        match self {
            Self::Fused(image) => Ok(image),
            Self::Candle(_) => bail!("this image belongs to candle"),
        }
    }

    /// Height and width.
    ///
    /// # Errors
    /// If candle fails because the tensor is not an image.
    pub fn size(&self) -> Result<(usize, usize)> {
        match self {
            Self::Fused(image) => Ok((image.shape.height, image.shape.width)),
            Self::Candle(tensor) => tensor.dims4().map(|(_, _, height, width)| (height, width)),
        }
    }
}

/// 1 where a value is positive, otherwise 0.
pub fn passed(image: &Tensor) -> Result<Tensor> {
    image.gt(0f32)?.to_dtype(image.dtype())
}

impl Backend {
    /// Our kernels with the best instruction set of the processor (or the one that `CAMLENS_SIMD`
    /// names).
    #[must_use]
    pub fn fused() -> Self {
        Self::Fused(Cpu::new(Isa::chosen()))
    }

    /// The fastest backend for a device.
    #[must_use]
    pub fn for_device(device: &Device) -> Self {
        if device.is_cpu() {
            Self::fused()
        } else {
            Self::Candle(device.clone())
        }
    }

    /// Runs the layers of a network. The fused kernels run on a thread of rayon's
    /// pool; otherwise every layer would be sent to the pool separately.
    pub fn run_layers<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self {
            Self::Fused(_) => rayon::scope(|_| work()),
            Self::Candle(_) => work(),
        }
    }

    /// An image from interleaved values `[height, width, channels]`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn image(&self, values: &[f32], height: usize, width: usize) -> Result<Image> {
        Ok(match self {
            Self::Fused(cpu) => Image::Fused(cpu::Image::from_values(cpu, values, (height, width))),
            Self::Candle(device) => {
                let shape = (height, width, values.len() / (height * width));
                let tensor = Tensor::from_slice(values, shape, &Device::Cpu)?;
                let planes = tensor.permute((2, 0, 1))?.unsqueeze(0)?.contiguous()?;
                Image::Candle(planes.to_device(device)?)
            }
        })
    }

    /// The values of an image as plain numbers, channels first.
    ///
    /// # Errors
    /// If the device fails.
    pub fn feature_maps(&self, image: &Image) -> Result<FeatureMaps> {
        match image {
            Image::Fused(image) => {
                let shape = image.shape;
                let cells = shape.height * shape.width;
                let mut planes = vec![0.0; shape.values()];
                for (cell, pixel) in image.values().chunks_exact(shape.channels).enumerate() {
                    for (channel, value) in pixel.iter().enumerate() {
                        planes[channel * cells + cell] = *value;
                    }
                }
                Ok(FeatureMaps {
                    channels: shape.channels,
                    height: shape.height,
                    width: shape.width,
                    values: planes,
                })
            }
            Image::Candle(tensor) => {
                let planes = tensor.squeeze(0)?;
                let (channels, height, width) = planes.dims3()?;
                Ok(FeatureMaps {
                    channels,
                    height,
                    width,
                    values: planes.contiguous()?.flatten_all()?.to_vec1()?,
                })
            }
        }
    }

    /// An image of `height`×`width` equal pixels, from one value per channel.
    ///
    /// # Errors
    /// If the device fails.
    pub fn uniform(&self, pixel: &[f32], height: usize, width: usize) -> Result<Image> {
        self.image(&pixel.repeat(height * width), height, width)
    }

    /// The gradient before a ReLU, from the gradient after it and the output of the ReLU.
    ///
    /// # Errors
    /// If the device fails, or an image does not belong to this backend.
    pub fn relu_backward(&self, gradient: &Image, output: &Image) -> Result<Image> {
        Ok(match self {
            Self::Fused(cpu) => {
                Image::Fused(cpu::relu_backward(cpu, gradient.fused()?, output.fused()?))
            }
            Self::Candle(_) => Image::Candle((gradient.tensor()? * passed(output.tensor()?)?)?),
        })
    }

    /// The sum of two images of the same size.
    ///
    /// # Errors
    /// If the device fails, or an image does not belong to this backend.
    pub fn add(&self, one: &Image, other: &Image) -> Result<Image> {
        Ok(match self {
            Self::Fused(cpu) => Image::Fused(cpu::add(cpu, one.fused()?, other.fused()?)),
            Self::Candle(_) => Image::Candle((one.tensor()? + other.tensor()?)?),
        })
    }

    /// Multiplies each channel by its factor.
    ///
    /// # Errors
    /// If the device fails, or the image does not belong to this backend.
    pub fn scale(&self, image: &Image, factors: &[f32]) -> Result<Image> {
        Ok(match self {
            Self::Fused(cpu) => Image::Fused(cpu::scale(cpu, image.fused()?, factors)),
            Self::Candle(_) => {
                let factors = self.image(factors, 1, 1)?;
                Image::Candle(image.tensor()?.broadcast_mul(factors.tensor()?)?)
            }
        })
    }

    /// The 3×3 max pooling of ResNets with stride 2 and padding 1, for values ≥ 0.
    ///
    /// # Errors
    /// If the device fails, or the image does not belong to this backend.
    pub fn max_pool(&self, image: &Image) -> Result<Image> {
        Ok(match self {
            Self::Fused(cpu) => Image::Fused(cpu::max_pool_3x3(cpu, image.fused()?)),
            // For values ≥ 0, padding with zeros does not change the maximum.
            Self::Candle(_) => Image::Candle(
                image
                    .tensor()?
                    .pad_with_zeros(2, 1, 1)?
                    .pad_with_zeros(3, 1, 1)?
                    .max_pool2d_with_stride(3, 2)?,
            ),
        })
    }
}
