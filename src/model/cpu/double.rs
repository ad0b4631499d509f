//! The convolution once more with sums in f64, for gradients.

use rayon::prelude::*;

use super::dense::gather;
use super::matmul::{Rhs, matmul};
use super::{Cpu, Finish, Image, Panels, Window};

/// Pixels in a tile (measured, 2 cores).
const TILE: (usize, usize) = (64, 196);
/// Below this many pixels tiles would be too few to share out; the product itself is
/// shared out instead.
const FEW_PIXELS: usize = 200;

/// As [`super::dense()`], with products added up in f64 and rounded once.
///
/// # Panics
/// If something does not have its size.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded once
pub fn dense_in_double(
    cpu: &Cpu,
    x: &Image,
    weight: &Panels,
    window: Window,
    finish: Finish,
) -> Image {
    let (cin, cout) = (x.shape.channels, finish.bias.len());
    let depth = weight.depth();
    assert_eq!((x.shape.height, x.shape.width), window.input);
    assert_eq!(depth, window.kernel * window.kernel * cin);
    assert_eq!(weight.columns(), cout, "bias is [cout]");
    let weight: Vec<f64> = weight.unpack();
    let mut out = cpu.image(window.output, cout);
    finish.check(out.0.len());
    let threads = rayon::current_num_threads();
    let pixels = window.pixels();
    let (tile, parallelism) = if pixels < FEW_PIXELS {
        (pixels, gemm::Parallelism::Rayon(threads))
    } else {
        let share = pixels.div_ceil(2 * threads);
        (share.clamp(TILE.0, TILE.1), gemm::Parallelism::None)
    };
    let parts = out.0.par_chunks_mut(tile * cout).enumerate();
    parts.for_each_init(
        || (Vec::new(), Vec::new(), Vec::new()),
        |(gathered, rows, sums), (index, part)| {
            let (first, count) = (index * tile, part.len() / cout);
            gathered.resize(count * depth, 0.0);
            gather(gathered, x.values(), cin, window, first);
            rows.clear();
            rows.extend(gathered.iter().map(|value| f64::from(*value)));
            sums.resize(count * cout, 0.0);
            let sizes = (count, cout, depth);
            matmul(sums, rows, Rhs::Plain(&weight), sizes, parallelism);
            for (index, (value, sum)) in part.iter_mut().zip(&*sums).enumerate() {
                let at = first * cout + index;
                let rest = finish.residual.map_or(0.0, |rest| f64::from(rest[at]));
                let sum = sum + f64::from(finish.bias[index % cout]) + rest;
                *value = finish.activation.apply(sum as f32);
            }
        },
    );
    Image::new(out)
}
