//! The one call into `gemm`, behind a safe face.

/// The numbers that are multiplied.
pub trait Number: Copy + Send + Sync + 'static {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
}

impl Number for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

/// The right-hand matrix of a product.
#[derive(Clone, Copy)]
pub enum Rhs<'a, T> {
    /// `[k, n]`, row-major.
    Plain(&'a [T]),
    /// `[n, k]`, row-major: its transpose is meant.
    Transposed(&'a [T]),
}

/// `dst = lhs × rhs`: `lhs` `[m, k]` and `dst` `[m, n]` row-major.
///
/// # Panics
/// If a slice does not have that length.
#[allow(unsafe_code)]
pub fn matmul<T: Number>(
    dst: &mut [T],
    lhs: &[T],
    rhs: Rhs<T>,
    (m, n, k): (usize, usize, usize),
    parallelism: gemm::Parallelism,
) {
    assert_eq!(dst.len(), m * n, "dst is [m, n]");
    assert_eq!(lhs.len(), m * k, "lhs is [m, k]");
    let stride = |columns: usize| isize::try_from(columns).expect("a slice's length fits isize");
    // Steps from one column and from one row to the next.
    let (rhs, (across, down)) = match rhs {
        Rhs::Plain(values) => (values, (1, stride(n))),
        Rhs::Transposed(values) => (values, (stride(k), 1)),
    };
    assert_eq!(rhs.len(), k * n, "rhs has k·n values");
    // SAFETY: with the strides given, `gemm` reads lhs[i·k + j] for i < m, j < k
    // and rhs[i·down + j·across] for i < k, j < n, that is rhs[i·n + j] or rhs[j·k + i],
    // below k·n in both cases, and writes dst[i·n + j] for i < m, j < n.
    // The three assertions say that these are the slices' own elements. `dst` is
    // borrowed mutably, so it overlaps neither input; `read_dst` is false.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            stride(n),
            false,
            lhs.as_ptr(),
            1,
            stride(k),
            rhs.as_ptr(),
            across,
            down,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Rhs, matmul};

    #[test]
    fn multiplies_row_major() {
        let lhs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
        let rhs = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]; // [3, 2]
        let turned = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]; // the same as [2, 3]
        for rhs in [Rhs::Plain(&rhs), Rhs::Transposed(&turned)] {
            let mut dst = [9.0; 4];
            matmul(&mut dst, &lhs, rhs, (2, 2, 3), gemm::Parallelism::None);
            let expected = [4.0, 5.0, 10.0, 11.0f32];
            assert!(dst.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }
}
