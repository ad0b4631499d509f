//! Selects the vector instructions that the kernels use. `pulp` compiles each kernel once for every
//! level; the level is chosen here, at run time.

use pulp::{Scalar, Simd, WithSimd};

/// A set of vector instructions that this processor supports.
#[derive(Clone, Copy, Debug)]
pub enum Isa {
    /// 16 values at once.
    #[cfg(target_arch = "x86_64")]
    Avx512(pulp::x86::V4),
    /// 8 values at once, with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2(pulp::x86::V3),
    /// 4 values at once, with fused multiply-add.
    #[cfg(target_arch = "aarch64")]
    Neon(pulp::aarch64::Neon),
    /// The baseline that every processor of its family supports.
    Portable,
}

impl Isa {
    /// All levels that this processor supports, the best first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(pulp::x86::V4::try_new().map(Self::Avx512));
            levels.extend(pulp::x86::V3::try_new().map(Self::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        levels.extend(pulp::aarch64::Neon::try_new().map(Self::Neon));
        levels.push(Self::Portable);
        levels
    }

    /// The best level, or the one that `CAMLENS_SIMD` names (for tests and measurements). A name
    /// that this processor does not support is logged and ignored.
    #[must_use]
    pub fn chosen() -> Self {
        let levels = Self::available();
        if let Ok(wanted) = std::env::var("CAMLENS_SIMD") {
            if let Some(level) = levels.iter().find(|level| level.name() == wanted) {
                return *level;
            }
            let names: Vec<_> = levels.iter().map(|level| level.name()).collect();
            log::error!(
                "CAMLENS_SIMD={wanted} is not available on this processor; available: {names:?}"
            );
        }
        levels[0]
    }

    /// Its name for `CAMLENS_SIMD`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable => "portable",
        }
    }

    /// Runs a kernel with these instructions.
    #[inline]
    pub fn run<K: WithSimd>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => Simd::vectorize(simd, kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => Simd::vectorize(simd, kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => Simd::vectorize(simd, kernel),
            Self::Portable => Simd::vectorize(Scalar, kernel),
        }
    }
}

/// The vector that begins at `at`.
#[inline(always)]
pub fn load<S: Simd>(values: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&values[at..at + S::F32_LANES]).0[0]
}

/// Writes a vector from `at` on.
#[inline(always)]
pub fn store<S: Simd>(values: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut values[at..at + S::F32_LANES]).0[0] = value;
}
