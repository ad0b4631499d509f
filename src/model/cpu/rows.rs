//! Linear layers for few rows: each weight is used so rarely that reading it takes all the time, so
//! weights are used as they are in the file.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::model::cpu::{Cpu, Epilogue, Image, lanes};

/// Approximate number of weights in a task.
const TASK: usize = 32 << 10;

/// `activation(scale·(x·Wᵀ) + bias + residual)` for the rows of `x` `[1, rows, depth]` and a weight
/// `[columns, depth]`; scale and bias have a value for each column.
///
/// # Panics
/// If an argument does not have this size.
#[must_use]
pub fn few_rows(
    cpu: &Cpu,
    x: &Image,
    weight: &[f32],
    scale: Option<&[f32]>,
    finish: Epilogue,
) -> Image {
    let (rows, depth) = (x.shape.height * x.shape.width, x.shape.channels);
    let columns = finish.bias.len();
    assert_eq!(weight.len(), columns * depth, "weight is [columns, depth]");
    assert!(scale.is_none_or(|scale| scale.len() == columns));
    let mut out = cpu.image((x.shape.height, x.shape.width), columns);
    finish.check(out.0.len());
    let part = (TASK / depth).clamp(1, columns);
    let mut parts: Vec<Vec<&mut [f32]>> = (0..columns.div_ceil(part))
        .map(|_| Vec::with_capacity(rows))
        .collect();
    for row in out.0.chunks_exact_mut(columns) {
        for (list, piece) in parts.iter_mut().zip(row.chunks_mut(part)) {
            list.push(piece);
        }
    }
    let parts = parts.into_par_iter().enumerate();
    parts.for_each(|(index, mut out)| {
        cpu.level.run(Part {
            x: x.values(),
            weight,
            scale,
            finish,
            depth,
            first: index * part,
            out: &mut out,
        });
        for out in out {
            finish.after(cpu.level, out);
        }
    });
    Image::new(out)
}

/// Some columns of all rows.
struct Part<'a, 'b> {
    x: &'a [f32],
    weight: &'a [f32],
    scale: Option<&'a [f32]>,
    finish: Epilogue<'a>,
    depth: usize,
    first: usize,
    out: &'a mut [&'b mut [f32]],
}

impl WithSimd for Part<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let columns = self.finish.bias.len();
        let count = self.out.first().map_or(0, |out| out.len());
        for column in 0..count {
            let weight = &self.weight[(self.first + column) * self.depth..][..self.depth];
            let scale = self.scale.map_or(1.0, |scale| scale[self.first + column]);
            let bias = self.finish.bias[self.first + column];
            for (row, out) in self.out.iter_mut().enumerate() {
                let x = &self.x[row * self.depth..][..self.depth];
                let mut value = lanes::dot(x, weight).mul_add(scale, bias);
                if let Some(residual) = self.finish.residual {
                    value += residual[row * columns + self.first + column];
                }
                out[column] = self.finish.activation.apply(value);
            }
        }
    }
}
