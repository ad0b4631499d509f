//! The convolution once more with sums in f64, for gradients.

use rayon::prelude::*;

use super::dense::gather;
use super::matmul::{Rhs, matmul};
use super::{Cpu, Finish, Image, Panels, Window};

/// Most pixels in a tile (measured, 2 cores).
const TILE: usize = 98;

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
    let mut out = cpu.image(window.output, cout);
    finish.check(out.0.len());
    let threads = rayon::current_num_threads();
    let pixels = window.pixels();
    let tile = pixels.div_ceil(2 * threads).clamp(1, TILE);
    // Panel by panel: in f64 a large layer's weights would take 38 MB.
    let mut columns = weight.cut(&mut out.0);
    for (panel, column) in weight.panels().zip(&mut columns) {
        let values = panel.values[..depth * panel.width].par_iter();
        let values: Vec<f64> = values.map(|value| f64::from(*value)).collect();
        let parts = column.par_chunks_mut(tile).enumerate();
        parts.for_each_init(
            || (Vec::new(), Vec::new(), Vec::new()),
            |(gathered, rows, sums), (index, part)| {
                let (first, count) = (index * tile, part.len());
                gathered.resize(count * depth, 0.0);
                gather(gathered, x.values(), cin, window, first);
                rows.clear();
                rows.extend(gathered.iter().map(|value| f64::from(*value)));
                sums.resize(count * panel.width, 0.0);
                let sizes = (count, panel.width, depth);
                let rhs = Rhs::Plain(&values);
                matmul(sums, rows, rhs, sizes, gemm::Parallelism::None);
                let pixels = part.iter_mut().zip(sums.chunks_exact(panel.width));
                for (index, (pixel, sums)) in pixels.enumerate() {
                    let at = (first + index) * cout + panel.first;
                    for (channel, (value, sum)) in pixel.iter_mut().zip(sums).enumerate() {
                        let rest = finish.residual.map_or(0.0, |r| f64::from(r[at + channel]));
                        let bias = f64::from(finish.bias[panel.first + channel]);
                        *value = finish.activation.apply((sum + bias + rest) as f32);
                    }
                }
            },
        );
    }
    drop(columns);
    Image::new(out)
}
