//! ResNet's max pooling.

use rayon::prelude::*;

use super::Window;

/// 3×3 max pooling with stride 2 and one pixel of padding (which never wins).
///
/// `x` `[height, width, channels]`; gives the result and its height and width.
#[must_use]
pub fn max_pool_3x3(
    x: &[f32],
    (height, width): (usize, usize),
    channels: usize,
) -> (Vec<f32>, (usize, usize)) {
    let half = |side: usize| (side + 2 - 3) / 2 + 1;
    let window = Window {
        input: (height, width),
        output: (half(height), half(width)),
        kernel: 3,
        stride: 2,
        before: (1, 1),
    };
    let mut out = vec![f32::NEG_INFINITY; window.output.0 * window.output.1 * channels];
    out.par_chunks_exact_mut(window.output.1 * channels)
        .enumerate()
        .for_each(|(down, line)| {
            for (across, pixel) in line.chunks_exact_mut(channels).enumerate() {
                let (vertical, horizontal) = window.on_input(down, across);
                for row in vertical.input..vertical.input + vertical.count {
                    for column in horizontal.input..horizontal.input + horizontal.count {
                        let values = &x[(row * width + column) * channels..][..channels];
                        for (best, value) in pixel.iter_mut().zip(values) {
                            *best = best.max(*value);
                        }
                    }
                }
            }
        });
    (out, window.output)
}
