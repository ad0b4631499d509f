//! Functions of one value and their derivatives. Not-a-number stays not-a-number.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use crate::model::graph::Unary;

/// The factor of the cubic term in the approximation of GELU.
const CUBIC: f64 = 0.044_715;

/// The function.
pub(super) fn value(unary: Unary, x: f64) -> f64 {
    match unary {
        Unary::Relu => limited(x, 0.0, f64::INFINITY),
        Unary::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                f64::from(slope) * x
            }
        }
        Unary::Elu(alpha) => elu(x, f64::from(alpha)),
        Unary::Selu(alpha, gamma) => f64::from(gamma) * elu(x, f64::from(alpha)),
        Unary::Clip(low, high) => limited(x, f64::from(low), f64::from(high)),
        Unary::Sigmoid => sigmoid(x),
        Unary::Tanh => x.tanh(),
        Unary::HardSigmoid(alpha, beta) => limited(line(x, alpha, beta), 0.0, 1.0),
        Unary::HardSwish => x * limited(x / 6.0 + 0.5, 0.0, 1.0),
        Unary::Silu => x * sigmoid(x),
        Unary::Gelu => x * normal(x),
        Unary::GeluTanh => 0.5 * x * (1.0 + inner(x).tanh()),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Erf => libm::erf(x),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => x.recip(),
        Unary::Abs => x.abs(),
        Unary::Neg => -x,
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Sign => sign(x),
    }
}

/// Its derivative; at kinks PyTorch's choice.
pub(super) fn derivative(unary: Unary, x: f64) -> f64 {
    match unary {
        Unary::Relu => step(x > 0.0 || x.is_nan()),
        Unary::LeakyRelu(slope) => {
            if x > 0.0 {
                1.0
            } else {
                f64::from(slope)
            }
        }
        Unary::Elu(alpha) => elu_slope(x, f64::from(alpha)),
        Unary::Selu(alpha, gamma) => f64::from(gamma) * elu_slope(x, f64::from(alpha)),
        Unary::Clip(low, high) => step(!(x <= f64::from(low) || x >= f64::from(high))),
        Unary::Sigmoid => {
            let y = sigmoid(x);
            y * (1.0 - y)
        }
        Unary::Tanh => 1.0 - x.tanh().powi(2),
        Unary::HardSigmoid(alpha, beta) => {
            let y = line(x, alpha, beta);
            f64::from(alpha) * step(!(y <= 0.0 || y >= 1.0))
        }
        Unary::HardSwish => {
            if x <= -3.0 {
                0.0
            } else if x >= 3.0 {
                1.0
            } else {
                x / 3.0 + 0.5
            }
        }
        Unary::Silu => {
            let y = sigmoid(x);
            y * (1.0 + x * (1.0 - y))
        }
        Unary::Gelu => {
            // Far out, x·e^(−x²/2) is 0 and not ∞·0.
            let density = FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5 * (-0.5 * x * x).exp();
            normal(x) + if density == 0.0 { 0.0 } else { x * density }
        }
        Unary::GeluTanh => {
            let t = inner(x).tanh();
            let slope = (2.0 / PI).sqrt() * (1.0 + 3.0 * CUBIC * x * x);
            let rest = 1.0 - t * t;
            0.5 * (1.0 + t)
                + if rest == 0.0 {
                    0.0
                } else {
                    0.5 * x * rest * slope
                }
        }
        Unary::Mish => {
            let t = softplus(x).tanh();
            t + x * (1.0 - t * t) * sigmoid(x)
        }
        Unary::Softplus => sigmoid(x),
        Unary::Softsign => (1.0 + x.abs()).powi(-2),
        Unary::Erf => FRAC_2_SQRT_PI * (-x * x).exp(),
        Unary::Exp => x.exp(),
        Unary::Log => x.recip(),
        Unary::Sqrt => 0.5 / x.sqrt(),
        Unary::Reciprocal => -(x * x).recip(),
        Unary::Abs => sign(x),
        Unary::Neg => -1.0,
        Unary::Sin => x.cos(),
        Unary::Cos => -x.sin(),
        Unary::Floor | Unary::Ceil | Unary::Round | Unary::Sign => 0.0,
    }
}

/// 1 or 0.
fn step(above: bool) -> f64 {
    f64::from(u8::from(above))
}

/// `min(max(x, low), high)`.
fn limited(x: f64, low: f64, high: f64) -> f64 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

fn line(x: f64, alpha: f32, beta: f32) -> f64 {
    f64::from(alpha) * x + f64::from(beta)
}

fn elu(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { x } else { alpha * x.exp_m1() }
}

fn elu_slope(x: f64, alpha: f64) -> f64 {
    if x > 0.0 { 1.0 } else { alpha * x.exp() }
}

fn sigmoid(x: f64) -> f64 {
    // e^(−x) overflows to ∞ for large negative x, and 1/∞ is the right 0.
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    limited(x, 0.0, f64::INFINITY) + (-x.abs()).exp().ln_1p()
}

/// The distribution function of the standard normal distribution.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x * FRAC_1_SQRT_2)
}

fn inner(x: f64) -> f64 {
    (2.0 / PI).sqrt() * (x + CUBIC * x * x * x)
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x // 0, or not a number
    }
}
