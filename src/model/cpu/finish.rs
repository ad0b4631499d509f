//! What is done to a convolution's sums before they are written.

use pulp::Simd;

/// What follows a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(0, x)`.
    Relu,
    /// `min(6, max(0, x))`.
    Relu6,
}

impl Activation {
    /// Applies it to one value.
    #[inline(always)]
    #[must_use]
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Self::Linear => value,
            Self::Relu => value.max(0.0),
            Self::Relu6 => value.clamp(0.0, 6.0),
        }
    }

    /// Applies it to a vector.
    #[inline(always)]
    pub fn vector<S: Simd>(self, simd: S, value: S::f32s) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        match self {
            Self::Linear => value,
            Self::Relu => simd.max_f32s(value, zero),
            Self::Relu6 => simd.min_f32s(simd.max_f32s(value, zero), simd.splat_f32s(6.0)),
        }
    }
}

/// `activation(sum + bias + residual)`.
#[derive(Clone, Copy, Debug)]
pub struct Finish<'a> {
    /// `[channels]`.
    pub bias: &'a [f32],
    /// As large as the output.
    pub residual: Option<&'a [f32]>,
    /// What follows.
    pub activation: Activation,
}

impl Finish<'_> {
    /// # Panics
    /// If the residual is not as large as the output.
    pub fn check(&self, output: usize) {
        let fits = self.residual.is_none_or(|r| r.len() == output);
        assert!(fits, "residual is [h, w, cout]");
    }

    /// Finishes consecutive channels of one pixel: `sums` belong to the output's values
    /// from `at` on, whose first channel is `channel`.
    #[inline(always)]
    pub fn write<S: Simd>(
        &self,
        simd: S,
        out: &mut [f32],
        sums: &[f32],
        (at, channel): (usize, usize),
    ) {
        let count = out.len();
        let (sums, sums_tail) = S::as_simd_f32s(&sums[..count]);
        let (bias, bias_tail) = S::as_simd_f32s(&self.bias[channel..channel + count]);
        let (out, out_tail) = S::as_mut_simd_f32s(out);
        let activation = self.activation;
        if let Some(residual) = self.residual {
            let (rest, rest_tail) = S::as_simd_f32s(&residual[at..at + count]);
            for (((out, sum), bias), rest) in out.iter_mut().zip(sums).zip(bias).zip(rest) {
                let value = simd.add_f32s(simd.add_f32s(*sum, *bias), *rest);
                *out = activation.vector(simd, value);
            }
            let tail = out_tail.iter_mut().zip(sums_tail);
            for (((out, sum), bias), rest) in tail.zip(bias_tail).zip(rest_tail) {
                *out = activation.apply(sum + bias + rest);
            }
        } else {
            for ((out, sum), bias) in out.iter_mut().zip(sums).zip(bias) {
                *out = activation.vector(simd, simd.add_f32s(*sum, *bias));
            }
            for ((out, sum), bias) in out_tail.iter_mut().zip(sums_tail).zip(bias_tail) {
                *out = activation.apply(sum + bias);
            }
        }
    }
}
