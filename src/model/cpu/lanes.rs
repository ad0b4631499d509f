//! Sums along contiguous values in a fixed number of lanes, so that every instruction set adds in
//! the same order.

/// Number of partial sums: two vectors of AVX-512, four of AVX2.
const LANES: usize = 32;

/// `Σ x`.
#[inline(always)]
pub fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    fold(lanes)
}

/// `Σ (x − center)²`.
#[inline(always)]
pub fn squares(values: &[f32], center: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            let distance = value - center;
            *lane = distance.mul_add(distance, *lane);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        let distance = value - center;
        *lane = distance.mul_add(distance, *lane);
    }
    fold(lanes)
}

/// `Σ x·y`.
#[inline(always)]
pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (ones, others) = (one.chunks_exact(LANES), other.chunks_exact(LANES));
    let (one, other) = (ones.remainder(), others.remainder());
    for (one, other) in ones.zip(others) {
        for ((lane, x), y) in lanes.iter_mut().zip(one).zip(other) {
            *lane = x.mul_add(*y, *lane);
        }
    }
    for ((lane, x), y) in lanes.iter_mut().zip(one).zip(other) {
        *lane = x.mul_add(*y, *lane);
    }
    fold(lanes)
}

/// The largest value; NaN is skipped.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = if *value > *lane { *value } else { *lane };
    }
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of the lanes, halves first.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}
