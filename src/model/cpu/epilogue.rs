//! The epilogue of a convolution: what is applied to the sums before they are written.

use pulp::Simd;

use crate::model::cpu::functions::Function;
use crate::platform::simd::{Isa, load, store};

/// The activation after a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// None.
    Linear,
    /// `max(0, x)`.
    Relu,
    /// `min(6, max(0, x))`.
    Relu6,
    /// Another function. It is applied to the finished values while they are in a cache.
    Other(Function),
}

impl Activation {
    /// Applies the activation to one value, apart from [`Self::Other`]. NaN propagates, as in PyTorch; `f32::max` would turn it
    /// into 0 and hide an overflow.
    #[inline(always)]
    #[must_use]
    pub fn apply(self, value: f32) -> f32 {
        match self {
            Self::Linear | Self::Other(_) => value,
            Self::Relu => {
                if value < 0.0 {
                    0.0
                } else {
                    value
                }
            }
            Self::Relu6 => value.clamp(0.0, 6.0),
        }
    }

    /// Applies [`Self::Other`] to values; see [`Epilogue::after`].
    pub fn after(self, level: Isa, out: &mut [f32]) {
        if let Self::Other(function) = self {
            function.run(level, out);
        }
    }

    /// Applies the activation to a vector, apart from [`Self::Other`].
    #[inline(always)]
    pub fn vector<S: Simd>(self, simd: S, value: S::f32s) -> S::f32s {
        let (zero, six) = (simd.splat_f32s(0.0), simd.splat_f32s(6.0));
        if S::F32_LANES == 1 {
            // The comparisons are false for NaN.
            let above = simd.select_f32s(simd.less_than_f32s(value, zero), zero, value);
            return match self {
                Self::Linear | Self::Other(_) => value,
                Self::Relu => above,
                Self::Relu6 => simd.select_f32s(simd.less_than_f32s(six, above), six, above),
            };
        }
        // Vector minimum and maximum return NaN if the second operand (x86) or either operand (ARM)
        // is NaN.
        match self {
            Self::Linear | Self::Other(_) => value,
            Self::Relu => simd.max_f32s(zero, value),
            Self::Relu6 => simd.min_f32s(six, simd.max_f32s(zero, value)),
        }
    }
}

/// `activation(sum + bias + residual)`.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// `[channels]`.
    pub bias: &'a [f32],
    /// Has the size of the output.
    pub residual: Option<&'a [f32]>,
    /// The activation.
    pub activation: Activation,
}

impl Epilogue<'_> {
    /// # Panics
    /// If the residual is not as large as the output.
    pub fn check(&self, output: usize) {
        let fits = self.residual.is_none_or(|r| r.len() == output);
        assert!(fits, "residual is [h, w, cout]");
    }

    /// Applies the epilogue to a vector of sums: the output's values from `at` on, whose first
    /// channel is `channel`.
    #[inline(always)]
    pub fn vector<S: Simd>(
        &self,
        simd: S,
        sums: S::f32s,
        (at, channel): (usize, usize),
    ) -> S::f32s {
        let mut value = simd.add_f32s(sums, load::<S>(self.bias, channel));
        if let Some(residual) = self.residual {
            value = simd.add_f32s(value, load::<S>(residual, at));
        }
        self.activation.vector(simd, value)
    }

    /// Applies the epilogue to consecutive channels of one pixel in place; they fill whole vectors.
    #[inline(always)]
    pub fn apply<S: Simd>(&self, simd: S, sums: &mut [f32], (at, channel): (usize, usize)) {
        for index in (0..sums.len()).step_by(S::F32_LANES) {
            let value = self.vector(simd, load::<S>(sums, index), (at + index, channel + index));
            store::<S>(sums, index, value);
        }
    }

    /// Applies the epilogue to consecutive channels of one pixel and writes them: `sums` belong to
    /// the output's values from `at` on, whose first channel is `channel`.
    #[inline(always)]
    pub fn write<S: Simd>(
        &self,
        simd: S,
        out: &mut [f32],
        sums: &[f32],
        (at, channel): (usize, usize),
    ) {
        let whole = out.len() / S::F32_LANES * S::F32_LANES;
        out[..whole].copy_from_slice(&sums[..whole]);
        self.apply(simd, &mut out[..whole], (at, channel));
        for index in whole..out.len() {
            let mut sum = sums[index] + self.bias[channel + index];
            if let Some(rest) = self.residual {
                sum += rest[at + index];
            }
            out[index] = self.activation.apply(sum);
        }
    }

    /// Applies an activation that is another function to values to which everything else has been
    /// applied. It is not part of the kernels, each of which would contain all functions.
    pub fn after(&self, level: Isa, out: &mut [f32]) {
        self.activation.after(level, out);
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use pulp::WithSimd;

    use super::*;

    struct Apply<'a>(Activation, &'a mut [f32]);

    impl WithSimd for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for at in (0..self.1.len()).step_by(S::F32_LANES) {
                let value = self.0.vector(simd, load::<S>(self.1, at));
                store::<S>(self.1, at, value);
            }
        }
    }

    #[test]
    fn what_is_no_number_stays_so_with_all_instructions() {
        let values = [
            -1.0,
            0.0,
            3.0,
            9.0,
            f32::NAN,
            f32::INFINITY,
            f32::NEG_INFINITY,
            -0.0,
        ];
        let all: Vec<f32> = values.iter().cycle().take(64).copied().collect();
        for activation in [Activation::Linear, Activation::Relu, Activation::Relu6] {
            let expected: Vec<f32> = all.iter().map(|&value| activation.apply(value)).collect();
            for level in Isa::available() {
                let mut found = all.clone();
                level.run(Apply(activation, &mut found));
                for (a, b) in found.iter().zip(&expected) {
                    let same =
                        a.partial_cmp(b) == Some(Ordering::Equal) || (a.is_nan() && b.is_nan());
                    assert!(same, "{activation:?}, {}: {a} for {b}", level.name());
                }
            }
        }
    }
}
