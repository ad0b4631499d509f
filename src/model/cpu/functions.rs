//! Functions of single values with vector instructions: the same bits with every instruction set
//! that has fused multiply-add, and errors of one or two units in the last place.
//!
//! NaN stays NaN: comparisons with it are false, and every selection keeps the value then.

use pulp::{Simd, WithSimd};

use crate::platform::simd::{Isa, load, store};

/// The largest number of values in a vector.
const WIDEST: usize = 16;
/// Adding and subtracting it rounds to an integer, which is then in the low bits: 1.5·2²³.
const ROUND: f32 = 12_582_912.0;

/// A function of one value. See [`crate::model::graph::Unary`] for their definitions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `x` above 0, else `slope·x`.
    LeakyRelu(f32),
    /// `x` above 0, else `alpha·(eˣ − 1)`, all times the second factor.
    Elu(f32, f32),
    /// Limited to a range.
    Clip(f32, f32),
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `clip(alpha·x + beta, 0, 1)`.
    HardSigmoid(f32, f32),
    /// `x·clip(x/6 + 0.5, 0, 1)`.
    HardSwish,
    /// `x·sigmoid(x)`.
    Silu,
    /// `x·Φ(x)` with the error function.
    Gelu,
    /// Its approximation with tanh.
    GeluTanh,
    /// `x·tanh(softplus(x))`.
    Mish,
    /// The error function.
    Erf,
    /// `eˣ`.
    Exp,
    /// Absolute value.
    Abs,
    /// `−x`.
    Neg,
    /// Square root.
    Sqrt,
    /// `1/x`.
    Reciprocal,
    /// `scale·x + shift`, rounded once.
    Affine(f32, f32),
}

impl Function {
    /// Applies the function to all values in place.
    #[inline(never)]
    pub fn run(self, level: Isa, values: &mut [f32]) {
        level.run(Apply(self, values));
    }

    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, values: &mut [f32]) {
        match self {
            Self::Relu => map(simd, Relu, values),
            Self::LeakyRelu(slope) => map(simd, LeakyRelu(slope), values),
            Self::Elu(alpha, gamma) => map(simd, Elu(alpha, gamma), values),
            Self::Clip(low, high) => map(simd, Clip(low, high), values),
            Self::Sigmoid => map(simd, Sigmoid, values),
            Self::Tanh => map(simd, Tanh, values),
            Self::HardSigmoid(alpha, beta) => map(simd, HardSigmoid(alpha, beta), values),
            Self::HardSwish => map(simd, HardSwish, values),
            Self::Silu => map(simd, Silu, values),
            Self::Gelu => map(simd, Gelu, values),
            Self::GeluTanh => map(simd, GeluTanh, values),
            Self::Mish => map(simd, Mish, values),
            Self::Erf => map(simd, Erf, values),
            Self::Exp => map(simd, Exp, values),
            Self::Abs => map(simd, Abs, values),
            Self::Neg => map(simd, Affine(-1.0, -0.0), values),
            Self::Sqrt => map(simd, Sqrt, values),
            Self::Reciprocal => map(simd, Reciprocal, values),
            Self::Affine(scale, shift) => map(simd, Affine(scale, shift), values),
        }
    }
}

struct Apply<'a>(Function, &'a mut [f32]);

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.apply(simd, self.1);
    }
}

/// A function of a vector. (A trait instead of closures, which would be compiled without the vector
/// instructions.)
trait Map: Copy {
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s;
}

#[inline(always)]
fn map<S: Simd, M: Map>(simd: S, map: M, values: &mut [f32]) {
    let (vectors, rest) = S::as_mut_simd_f32s(values);
    for value in vectors {
        *value = map.vector(simd, *value);
    }
    if !rest.is_empty() {
        let mut padded = [0.0; WIDEST];
        padded[..rest.len()].copy_from_slice(rest);
        let value = map.vector(simd, load::<S>(&padded, 0));
        store::<S>(&mut padded, 0, value);
        rest.copy_from_slice(&padded[..rest.len()]);
    }
}

#[derive(Clone, Copy)]
struct Relu;
#[derive(Clone, Copy)]
struct LeakyRelu(f32);
#[derive(Clone, Copy)]
struct Elu(f32, f32);
#[derive(Clone, Copy)]
struct Clip(f32, f32);
#[derive(Clone, Copy)]
struct Sigmoid;
#[derive(Clone, Copy)]
struct Tanh;
#[derive(Clone, Copy)]
struct HardSigmoid(f32, f32);
#[derive(Clone, Copy)]
struct HardSwish;
#[derive(Clone, Copy)]
struct Silu;
#[derive(Clone, Copy)]
struct Gelu;
#[derive(Clone, Copy)]
struct GeluTanh;
#[derive(Clone, Copy)]
struct Mish;
#[derive(Clone, Copy)]
struct Erf;
#[derive(Clone, Copy)]
struct Exp;
#[derive(Clone, Copy)]
struct Abs;
#[derive(Clone, Copy)]
struct Sqrt;
#[derive(Clone, Copy)]
struct Reciprocal;
#[derive(Clone, Copy)]
struct Affine(f32, f32);

impl Map for Relu {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        at_least(simd, x, 0.0)
    }
}

impl Map for LeakyRelu {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let scaled = simd.mul_f32s(simd.splat_f32s(self.0), x);
        simd.select_f32s(above(simd, x, 0.0), x, scaled)
    }
}

impl Map for Elu {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        // eˣ − 1 = tanh(x/2)·(eˣ + 1) does not cancel.
        let negative = at_most(simd, x, 0.0);
        let half = simd.mul_f32s(simd.splat_f32s(0.5), negative);
        let sum = simd.add_f32s(exp(simd, negative), simd.splat_f32s(1.0));
        let less = simd.mul_f32s(tanh(simd, half), sum);
        let scaled = simd.mul_f32s(simd.splat_f32s(self.0), less);
        let chosen = simd.select_f32s(above(simd, x, 0.0), x, scaled);
        simd.mul_f32s(simd.splat_f32s(self.1), chosen)
    }
}

impl Map for Clip {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        at_most(simd, at_least(simd, x, self.0), self.1)
    }
}

impl Map for Sigmoid {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        sigmoid(simd, x)
    }
}

impl Map for Tanh {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        tanh(simd, x)
    }
}

impl Map for HardSigmoid {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let line = simd.mul_add_e_f32s(simd.splat_f32s(self.0), x, simd.splat_f32s(self.1));
        at_most(simd, at_least(simd, line, 0.0), 1.0)
    }
}

impl Map for HardSwish {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let line = simd.add_f32s(x, simd.splat_f32s(3.0));
        let gate = at_most(simd, at_least(simd, line, 0.0), 6.0);
        simd.mul_f32s(simd.mul_f32s(x, gate), simd.splat_f32s(1.0 / 6.0))
    }
}

impl Map for Silu {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        simd.mul_f32s(x, sigmoid(simd, x))
    }
}

impl Map for Gelu {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        let scaled = simd.mul_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_SQRT_2));
        let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
        simd.mul_add_e_f32s(half, erf(simd, scaled), half)
    }
}

impl Map for GeluTanh {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        const FACTOR: f32 = 0.797_884_6; // √(2/π)
        let square = simd.mul_f32s(x, x);
        let (cubic, linear) = (simd.splat_f32s(0.044_715 * FACTOR), simd.splat_f32s(FACTOR));
        let inner = simd.mul_f32s(x, simd.mul_add_e_f32s(cubic, square, linear));
        let half = simd.mul_f32s(x, simd.splat_f32s(0.5));
        simd.mul_add_e_f32s(half, tanh(simd, inner), half)
    }
}

impl Map for Mish {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        // tanh(ln(1 + e)) = (e² + 2e) / (e² + 2e + 2)
        let e = exp(simd, at_most(simd, x, 20.0));
        let above = simd.mul_f32s(e, simd.add_f32s(e, simd.splat_f32s(2.0)));
        let below = simd.add_f32s(above, simd.splat_f32s(2.0));
        simd.mul_f32s(x, simd.div_f32s(above, below))
    }
}

impl Map for Erf {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        erf(simd, x)
    }
}

impl Map for Exp {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        exp(simd, x)
    }
}

impl Map for Abs {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        simd.abs_f32s(x)
    }
}

impl Map for Sqrt {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        simd.sqrt_f32s(x)
    }
}

impl Map for Reciprocal {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        simd.div_f32s(simd.splat_f32s(1.0), x)
    }
}

impl Map for Affine {
    #[inline(always)]
    fn vector<S: Simd>(self, simd: S, x: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(simd.splat_f32s(self.0), x, simd.splat_f32s(self.1))
    }
}

#[inline(always)]
fn above<S: Simd>(simd: S, x: S::f32s, limit: f32) -> S::m32s {
    simd.less_than_f32s(simd.splat_f32s(limit), x)
}

/// The limit where `x` is below it.
#[inline(always)]
fn at_least<S: Simd>(simd: S, x: S::f32s, limit: f32) -> S::f32s {
    let limit = simd.splat_f32s(limit);
    simd.select_f32s(simd.less_than_f32s(x, limit), limit, x)
}

/// The limit where `x` is above it.
#[inline(always)]
fn at_most<S: Simd>(simd: S, x: S::f32s, limit: f32) -> S::f32s {
    let limit = simd.splat_f32s(limit);
    simd.select_f32s(simd.less_than_f32s(limit, x), limit, x)
}

/// A polynomial; the factors begin with the highest power.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, factors: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(factors[0]);
    for factor in &factors[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*factor));
    }
    sum
}

/// `eˣ`, with the polynomial of Cephes' `expf`.
#[inline(always)]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = at_most(simd, at_least(simd, x, -105.0), 89.5);
    let round = simd.splat_f32s(ROUND);
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let whole = simd.sub_f32s(rounded, round);
    // ln 2 in two parts, the first of which has few digits.
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(-0.693_359_4), x);
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(2.121_944_4e-4), rest);
    let factors = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let square = simd.mul_f32s(rest, rest);
    let curve = simd.mul_add_e_f32s(polynomial(simd, rest, factors), square, rest);
    let value = simd.add_f32s(curve, simd.splat_f32s(1.0));
    // Times 2ⁿ in two steps, because n goes from -151 to 129.
    let offset = simd.splat_u32s(256u32.wrapping_sub(ROUND.to_bits()));
    let n = simd.add_u32s(simd.transmute_u32s_f32s(rounded), offset); // n + 256
    let half = simd.wrapping_dyn_shr_u32s(n, simd.splat_u32s(1)); // ⌊n/2⌋ + 128
    let other = simd.sub_u32s(n, half);
    simd.mul_f32s(simd.mul_f32s(value, power(simd, half)), power(simd, other))
}

/// [`exp`] of all values in place.
#[inline(always)]
pub fn exp_all<S: Simd>(simd: S, values: &mut [f32]) {
    map(simd, Exp, values);
}

/// 2ⁿ for n + 128.
#[inline(always)]
fn power<S: Simd>(simd: S, n: S::u32s) -> S::f32s {
    let exponent = simd.sub_u32s(n, simd.splat_u32s(1));
    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23)))
}

/// `1 / (1 + e⁻ˣ)` from `e^−|x|`.
#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp(simd, simd.neg_f32s(simd.abs_f32s(x)));
    let negative = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    let above = simd.select_f32s(negative, e, one);
    simd.div_f32s(above, simd.add_f32s(one, e))
}

/// The hyperbolic tangent, as in Cephes' `tanhf`.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let positive = simd.abs_f32s(x);
    let e = exp(simd, simd.mul_f32s(simd.splat_f32s(-2.0), positive));
    let far = simd.div_f32s(simd.sub_f32s(one, e), simd.add_f32s(one, e));
    let far = simd.select_f32s(
        simd.less_than_f32s(x, simd.splat_f32s(0.0)),
        simd.neg_f32s(far),
        far,
    );
    let factors = [
        -5.704_988_7e-3,
        2.063_908_8e-2,
        -5.373_971_5e-2,
        1.333_144_2e-1,
        -3.333_328_2e-1,
    ];
    let square = simd.mul_f32s(x, x);
    let curve = simd.mul_f32s(polynomial(simd, square, factors), square);
    let near = simd.mul_add_e_f32s(curve, x, x);
    let is_near = simd.less_than_f32s(positive, simd.splat_f32s(0.625));
    simd.select_f32s(is_near, near, far)
}

/// The error function: minimax polynomials for `erf(x)/x` near 0 and for `ln(1 − erf(x))` beyond
/// (N. Juffa's, at most 1 unit in the last place).
#[inline(always)]
fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let positive = simd.abs_f32s(x);
    let square = simd.mul_f32s(x, x);
    let factors = [
        -5.967_617e-4,
        4.991_194_2e-3,
        -2.676_813_5e-2,
        1.128_199_25e-1,
        -3.761_253_4e-1,
        1.283_791_7e-1,
    ];
    let near = simd.mul_add_e_f32s(polynomial(simd, square, factors), x, x);
    let far = [
        -1.728_534_7e-5,
        3.831_972e-4,
        -3.883_964_4e-3,
        2.425_462_2e-2,
        -1.067_778_8e-1,
        -6.348_468_7e-1,
        -1.287_175_1e-1,
    ];
    let limited = at_most(simd, positive, 4.5);
    let exponent = polynomial(simd, limited, far);
    let exponent = simd.mul_add_e_f32s(exponent, limited, simd.neg_f32s(limited));
    let far = simd.sub_f32s(simd.splat_f32s(1.0), exp(simd, exponent));
    let far = simd.select_f32s(
        simd.less_than_f32s(x, simd.splat_f32s(0.0)),
        simd.neg_f32s(far),
        far,
    );
    let is_near = simd.less_than_f32s(positive, simd.splat_f32s(0.927_734_4));
    simd.select_f32s(is_near, near, far)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(function: Function, x: &[f32]) -> Vec<f32> {
        let mut out: Option<Vec<f32>> = None;
        for level in Isa::available() {
            let mut values = x.to_vec();
            function.run(level, &mut values);
            let same = |found: &Vec<f32>| {
                let pairs = found.iter().zip(&values);
                pairs
                    .into_iter()
                    .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
            };
            // Without fused multiply-add, the portable level may differ in the last bit.
            if level.name() != "portable" {
                assert!(
                    out.as_ref().is_none_or(same),
                    "{function:?} {}",
                    level.name()
                );
            }
            out = out.or(Some(values));
        }
        out.unwrap()
    }

    fn worst(function: Function, range: (f64, f64), exact: impl Fn(f64) -> f64) -> f64 {
        let steps = 200_003;
        let x: Vec<f32> = (0..=steps)
            .map(|n| (range.0 + (range.1 - range.0) * f64::from(n) / f64::from(steps)) as f32)
            .collect();
        let found = run(function, &x);
        let errors = x.iter().zip(&found).map(|(x, y)| {
            let exact = exact(f64::from(*x));
            (f64::from(*y) - exact).abs() / exact.abs().max(1e-30)
        });
        errors.fold(0.0, f64::max)
    }

    #[test]
    fn exponentials_are_exact_to_the_last_places() {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        assert!(worst(Function::Exp, (-86.0, 88.7), f64::exp) < 1.5e-7);
        assert!(worst(Function::Sigmoid, (-60.0, 60.0), sigmoid) < 2e-7);
        assert!(worst(Function::Silu, (-60.0, 60.0), |x| x * sigmoid(x)) < 3e-7);
        assert!(worst(Function::Tanh, (-12.0, 12.0), f64::tanh) < 2e-7);
        let elu = |x: f64| if x > 0.0 { x } else { x.exp_m1() };
        assert!(worst(Function::Elu(1.0, 1.0), (-20.0, 3.0), elu) < 4e-7);
        let mish = |x: f64| x * x.exp().ln_1p().tanh();
        assert!(worst(Function::Mish, (-60.0, 60.0), mish) < 5e-7);
    }

    /// The error function by its series, and by the continued fraction of its complement.
    fn exact_erf(x: f64) -> f64 {
        let a = x.abs();
        if a < 3.0 {
            let (mut sum, mut term, mut n) = (0.0, a, 0.0);
            while f64::abs(term) > 1e-18 {
                sum += term / (2.0 * n + 1.0);
                n += 1.0;
                term *= -a * a / n;
            }
            return x.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
        }
        let fraction = (1..60)
            .rev()
            .fold(a, |rest, n| a + f64::from(n) / 2.0 / rest);
        let rest = (-a * a).exp() / fraction * std::f64::consts::FRAC_2_SQRT_PI / 2.0;
        x.signum() * (1.0 - rest)
    }

    #[test]
    fn the_error_function_is_exact_to_the_last_places() {
        assert!(worst(Function::Erf, (-6.0, 6.0), exact_erf) < 2e-7);
        let gelu = |x: f64| x * 0.5 * (1.0 + exact_erf(x / 2f64.sqrt()));
        assert!(worst(Function::Gelu, (-1.0, 8.0), gelu) < 4e-7);
    }

    #[test]
    fn what_is_no_number_stays_so() {
        let all = [
            Function::Relu,
            Function::LeakyRelu(0.1),
            Function::Elu(1.0, 1.0),
            Function::Clip(0.0, 6.0),
            Function::Sigmoid,
            Function::Tanh,
            Function::HardSigmoid(0.2, 0.5),
            Function::HardSwish,
            Function::Silu,
            Function::Gelu,
            Function::GeluTanh,
            Function::Mish,
            Function::Erf,
            Function::Exp,
            Function::Sqrt,
        ];
        for function in all {
            let x = [f32::NAN, 0.5, 2.0, f32::NAN, 1.0];
            let found = run(function, &x);
            assert!(found[0].is_nan() && found[3].is_nan(), "{function:?}");
            assert!(found[1].is_finite(), "{function:?}");
        }
        let ends = [f32::INFINITY, f32::NEG_INFINITY];
        assert_eq!(run(Function::Exp, &ends), [f32::INFINITY, 0.0]);
        assert_eq!(run(Function::Sigmoid, &ends), [1.0, 0.0]);
        assert_eq!(run(Function::Tanh, &ends), [1.0, -1.0]);
        assert_eq!(run(Function::Erf, &ends), [1.0, -1.0]);
    }
}
