//! The one call into `gemm`, behind a safe face.

/// `dst = lhs × rhs`, all row-major: `lhs` `[m, k]`, `rhs` `[k, n]`, `dst` `[m, n]`.
///
/// # Panics
/// If a slice does not have that length.
#[allow(unsafe_code)]
pub fn matmul(
    dst: &mut [f32],
    lhs: &[f32],
    rhs: &[f32],
    (m, n, k): (usize, usize, usize),
    parallelism: gemm::Parallelism,
) {
    assert_eq!(dst.len(), m * n, "dst is [m, n]");
    assert_eq!(lhs.len(), m * k, "lhs is [m, k]");
    assert_eq!(rhs.len(), k * n, "rhs is [k, n]");
    let stride = |columns: usize| isize::try_from(columns).expect("a slice's length fits isize");
    // SAFETY: with the strides given, `gemm` reads lhs[i·k + j] for i < m, j < k
    // and rhs[i·n + j] for i < k, j < n, and writes dst[i·n + j] for i < m, j < n.
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
            1,
            stride(n),
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::matmul;

    #[test]
    fn multiplies_row_major() {
        let lhs = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]; // [2, 3]
        let rhs = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]; // [3, 2]
        let mut dst = [9.0; 4];
        matmul(&mut dst, &lhs, &rhs, (2, 2, 3), gemm::Parallelism::None);
        let expected = [4.0, 5.0, 10.0, 11.0f32];
        assert!(dst.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}
