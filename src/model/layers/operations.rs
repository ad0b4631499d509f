//! The fused CPU kernels as candle's custom operations.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape};

use super::Conv;
use crate::model::cpu::{self, Activation, Precision, Window};

/// A convolution as an operation.
pub struct Forward<'a>(pub &'a Conv, pub Precision);

impl CustomOp1 for Forward<'_> {
    fn name(&self) -> &'static str {
        "fused convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Self(conv, precision) = self;
        conv.run_fused(values(storage, layout)?, layout.shape(), None, *precision)
    }
}

impl CustomOp2 for Forward<'_> {
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
        let Self(conv, precision) = self;
        let x = values(storage, layout)?;
        conv.run_fused(x, layout.shape(), Some(residual), *precision)
    }
}

/// A convolution without its bias and activation.
pub struct Bare<'a>(pub &'a Conv);

impl CustomOp1 for Bare<'_> {
    fn name(&self) -> &'static str {
        "convolution alone"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (weight, _) = self.0.fused()?;
        let spec = self.0.spec;
        let (height, width, _) = layout.shape().dims3()?;
        let window = spec.window(height, width);
        let x = values(storage, layout)?;
        let nothing = vec![0.0; spec.cout];
        let out = cpu::dense_in_double(x, weight, &nothing, None, window, Activation::Linear);
        let shape = Shape::from((window.output.0, window.output.1, spec.cout));
        Ok((CpuStorage::F32(out), shape))
    }
}

/// The gradient at a convolution's input.
pub struct Backward<'a> {
    pub conv: &'a Conv,
    pub window: Window,
}

impl CustomOp1 for Backward<'_> {
    fn name(&self) -> &'static str {
        "gradient of a convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (weight, _) = self.conv.fused()?;
        let cin = self.conv.spec.cin;
        let gradient = values(storage, layout)?;
        let out = cpu::dense_backward(gradient, weight, cin, self.window);
        let (height, width) = self.window.input;
        Ok((CpuStorage::F32(out), Shape::from((height, width, cin))))
    }
}

/// The gradient before a `ReLU`.
pub struct ReluBackward;

impl CustomOp2 for ReluBackward {
    fn name(&self) -> &'static str {
        "gradient of a ReLU"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        output: &CpuStorage,
        output_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = cpu::relu_backward(values(storage, layout)?, values(output, output_layout)?);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// ResNet's max pooling.
pub struct MaxPool;

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
