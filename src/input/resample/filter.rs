//! Pillow's filters as runs of fixed-point coefficients.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Fractional bits of the fixed-point coefficients: 32 − 8 − 2 (Pillow, `Resample.c`).
pub const PRECISION_BITS: u32 = 22;

/// How pixels are interpolated when a photo is resized, as in Pillow. When shrinking, all but
/// `Nearest` average over as many pixels as one of the result covers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Resampling {
    /// Pillow's `BILINEAR`: torchvision's default.
    #[default]
    Bilinear,
    /// Pillow's `BICUBIC`, with a = −½: most of timm's models.
    Bicubic,
    /// Pillow's `LANCZOS`, with three lobes.
    Lanczos,
    /// Pillow's `NEAREST`: one pixel is taken, and the others are left out.
    Nearest,
}

impl Resampling {
    /// All of them, in the order of menus.
    pub const ALL: [Self; 4] = [Self::Bilinear, Self::Bicubic, Self::Lanczos, Self::Nearest];

    /// The name on the command line and in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
            Self::Nearest => "nearest",
        }
    }

    /// Half the width of the filter when enlarging. `Nearest` has none.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The weight at a distance, in the order of Pillow's operations.
    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// The filter for one axis: a run of input positions for each output position.
pub struct Taps {
    /// First input position and number of taps, for each output position.
    pub runs: Vec<(usize, usize)>,
    /// Fixed-point coefficients, `stride` for each output position.
    pub coefficients: Vec<i32>,
    /// The largest number of taps.
    pub stride: usize,
}

impl Taps {
    /// The filter that resizes `input` positions to `output`, for a part of the result.
    pub fn new(how: Resampling, input: usize, output: usize, part: Range<usize>) -> Self {
        match how {
            Resampling::Nearest => Self::nearest(input, output, part),
            _ => Self::filter(how, input, output, part),
        }
    }

    /// A convolution, in f64 as in Pillow (`precompute_coeffs`).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes below 2^31
    fn filter(how: Resampling, input: usize, output: usize, part: Range<usize>) -> Self {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = how.support() * filter_scale;
        let stride = support.ceil() as usize * 2 + 1;
        let mut runs = Vec::with_capacity(part.len());
        let mut coefficients = vec![0; stride * part.len()];
        let mut weights = Vec::with_capacity(stride);
        for (fixed, position) in coefficients.chunks_exact_mut(stride).zip(part) {
            let center = (position as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let last = ((center + support + 0.5) as usize).min(input);
            weights.clear();
            weights.extend((first..last).map(|x| {
                let distance = (x as f64 - center + 0.5) * (1.0 / filter_scale);
                how.weight(distance)
            }));
            let sum: f64 = weights.iter().sum();
            for (fixed, weight) in fixed.iter_mut().zip(&weights) {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let exact = weight * f64::from(1 << PRECISION_BITS);
                *fixed = (exact + f64::copysign(0.5, exact)) as i32;
            }
            runs.push((first, weights.len()));
        }
        Self {
            runs,
            coefficients,
            stride,
        }
    }

    /// One pixel each. Pillow adds up the step instead of multiplying it (`ImagingScaleAffine`).
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // sizes below 2^31
    fn nearest(input: usize, output: usize, part: Range<usize>) -> Self {
        let step = input as f64 / output as f64;
        let mut at = step * 0.5;
        let mut runs = Vec::with_capacity(part.len());
        for position in 0..part.end {
            if position >= part.start {
                runs.push(((at as usize).min(input - 1), 1));
            }
            at += step;
        }
        Self {
            coefficients: vec![1 << PRECISION_BITS; runs.len()],
            runs,
            stride: 1,
        }
    }
}
