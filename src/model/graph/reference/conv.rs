//! Convolution. Its gradient is a convolution as well: each of the stride's phases of the input
//! is one, with the taps that reach it.

use rayon::prelude::*;

use crate::model::cpu::Isa;
use crate::model::graph::Conv;
use crate::model::graph::reference::Tensor;
use crate::model::graph::reference::multiply::multiply;
use crate::model::graph::reference::operand::{Geometry, Kernels, Matrix, Slice, Windows};

/// With at most this many output channels per group, the taps are added up directly.
const DIRECT: usize = 3;

/// The output, without bias: `x [n, channels, ..]`, weight `[m, channels / groups, ..]`.
pub(super) fn forward(
    conv: &Conv,
    (x, weight): (&Tensor, &Tensor),
    out_shape: &[usize],
    level: Isa,
) -> Vec<f64> {
    let sizes = Sizes::new(conv, &x.shape, &weight.shape, out_shape);
    let geometry = sizes.forward(conv);
    let values = x.doubles();
    let mut out = vec![0.0; out_shape.iter().product()];
    let (per_group, area) = (sizes.channels * area(sizes.source), area(sizes.target));
    let groups = out.par_chunks_mut(sizes.filters * area).enumerate();
    groups.for_each(|(index, out)| {
        let kernels = Kernels {
            values: sizes.weights(weight, index % conv.groups),
            strides: (sizes.kernel_area(), sizes.channels * sizes.kernel_area()),
            taps: &geometry.taps,
        };
        let planes = &values[index * per_group..][..per_group];
        let counts = (sizes.filters, sizes.channels);
        correlate(
            &geometry,
            (planes, &kernels),
            counts,
            conv.groups,
            level,
            out,
        );
    });
    out
}

/// The gradient with respect to `x`.
pub(super) fn backward(
    conv: &Conv,
    (x, weight): (&Tensor, &Tensor),
    gradient: &Tensor,
    level: Isa,
) -> Vec<f64> {
    let sizes = Sizes::new(conv, &x.shape, &weight.shape, &gradient.shape);
    let phases = sizes.backward(conv);
    let values = gradient.doubles();
    let mut out = vec![0.0; x.shape.iter().product()];
    let (per_group, area) = (sizes.filters * area(sizes.target), area(sizes.source));
    let groups = out.par_chunks_mut(sizes.channels * area).enumerate();
    groups.for_each(|(index, out)| {
        let planes = &values[index * per_group..][..per_group];
        for (geometry, first) in &phases {
            let kernels = Kernels {
                values: sizes.weights(weight, index % conv.groups),
                strides: (sizes.channels * sizes.kernel_area(), sizes.kernel_area()),
                taps: &geometry.taps,
            };
            let counts = (sizes.channels, sizes.filters);
            let sides = (planes, &kernels);
            if conv.strides == [1, 1] {
                correlate(geometry, sides, counts, conv.groups, level, out);
            } else {
                let mut part = vec![0.0; sizes.channels * geometry.grid.0 * geometry.grid.1];
                correlate(geometry, sides, counts, conv.groups, level, &mut part);
                spread(&part, geometry, (*first, conv.strides), (out, sizes.source));
            }
        }
    });
    out
}

fn area((height, width): (usize, usize)) -> usize {
    height * width
}

/// The sizes of a convolution.
struct Sizes {
    /// Input channels and output channels of a group.
    channels: usize,
    filters: usize,
    /// Height and width of the input, the output and the kernel.
    source: (usize, usize),
    target: (usize, usize),
    kernel: (usize, usize),
}

impl Sizes {
    fn new(conv: &Conv, x: &[usize], weight: &[usize], out: &[usize]) -> Self {
        Self {
            channels: weight[1],
            filters: weight[0] / conv.groups,
            source: (x[2], x[3]),
            target: (out[2], out[3]),
            kernel: (weight[2], weight[3]),
        }
    }

    fn kernel_area(&self) -> usize {
        area(self.kernel)
    }

    /// The weights of a group.
    fn weights<'a>(&self, weight: &'a Tensor, group: usize) -> Slice<'a> {
        let count = self.filters * self.channels * self.kernel_area();
        Slice::of(&weight.values).part(group * count, count)
    }

    fn forward(&self, conv: &Conv) -> Geometry {
        let mut geometry = Geometry {
            source: self.source,
            grid: self.target,
            step: conv.strides,
            offsets: Vec::new(),
            taps: (0..self.kernel_area()).collect(),
        };
        for ky in 0..self.kernel.0 {
            for kx in 0..self.kernel.1 {
                geometry.offsets.push((
                    difference(ky * conv.dilations[0], conv.pads[0]),
                    difference(kx * conv.dilations[1], conv.pads[1]),
                ));
            }
        }
        geometry
    }

    /// The phases of the input, each with its first row and column. Those that no tap reaches
    /// are left out.
    fn backward(&self, conv: &Conv) -> Vec<(Geometry, (usize, usize))> {
        let [down, across] = conv.strides;
        let axis = |at: usize, kernel: usize, phase: usize| {
            let reach = |k: usize| {
                let shift = difference(phase + conv.pads[at], k * conv.dilations[at]);
                let stride = isize::try_from(conv.strides[at]).ok()?;
                (shift % stride == 0).then(|| (k, shift / stride))
            };
            (0..kernel).filter_map(reach).collect::<Vec<_>>()
        };
        let columns: Vec<_> = (0..across.min(self.source.1))
            .map(|phase| axis(1, self.kernel.1, phase))
            .collect();
        let mut phases = Vec::new();
        for top in 0..down.min(self.source.0) {
            let rows = axis(0, self.kernel.0, top);
            for (left, columns) in columns.iter().enumerate() {
                if rows.is_empty() || columns.is_empty() {
                    continue;
                }
                let mut geometry = Geometry {
                    source: self.target,
                    grid: (
                        (self.source.0 - top).div_ceil(down),
                        (self.source.1 - left).div_ceil(across),
                    ),
                    step: [1, 1],
                    offsets: Vec::new(),
                    taps: Vec::new(),
                };
                for (ky, dy) in &rows {
                    for (kx, dx) in columns {
                        geometry.offsets.push((*dy, *dx));
                        geometry.taps.push(ky * self.kernel.1 + kx);
                    }
                }
                phases.push((geometry, (top, left)));
            }
        }
        phases
    }
}

/// `a − b`, for sizes of tensors.
fn difference(a: usize, b: usize) -> isize {
    a.cast_signed().wrapping_sub(b.cast_signed())
}

/// Adds `Σ weight · source` over planes and taps to `out [lines, grid]`, for one group.
fn correlate(
    geometry: &Geometry,
    (planes, kernels): (&[f64], &Kernels<'_>),
    (lines, count): (usize, usize),
    groups: usize,
    level: Isa,
    out: &mut [f64],
) {
    let positions = area(geometry.grid);
    if groups > 1 && lines <= DIRECT {
        level.run(Direct {
            geometry,
            planes,
            kernels,
            count,
            out,
        });
        return;
    }
    let sizes = (lines, count * geometry.taps.len(), positions);
    if geometry.is_identity() {
        let right = Matrix {
            values: Slice::Double(planes),
            depth: positions,
            lines: 1,
        };
        multiply(level, sizes, kernels, &right, out);
    } else {
        let right = Windows { geometry, planes };
        multiply(level, sizes, kernels, &right, out);
    }
}

/// Writes a phase to its rows and columns of each plane.
fn spread(
    part: &[f64],
    geometry: &Geometry,
    ((top, left), [down, across]): ((usize, usize), [usize; 2]),
    (out, (height, width)): (&mut [f64], (usize, usize)),
) {
    let planes = part.chunks_exact(area(geometry.grid));
    for (part, out) in planes.zip(out.chunks_exact_mut(height * width)) {
        let rows = out.chunks_exact_mut(width).skip(top).step_by(down);
        for (part, out) in part.chunks_exact(geometry.grid.1).zip(rows) {
            let out = out[left..].iter_mut().step_by(across);
            for (to, from) in out.zip(part) {
                *to = *from;
            }
        }
    }
}

/// A convolution with few output channels per group, such as a depthwise one: rows times weights.
struct Direct<'a> {
    geometry: &'a Geometry,
    planes: &'a [f64],
    kernels: &'a Kernels<'a>,
    /// Number of planes.
    count: usize,
    out: &'a mut [f64],
}

impl pulp::WithSimd for Direct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Geometry { source, grid, .. } = self.geometry;
        let lines = self.out.chunks_exact_mut(area(*grid));
        for (line, out) in lines.enumerate() {
            for plane in 0..self.count {
                let from = &self.planes[plane * area(*source)..][..area(*source)];
                for tap in 0..self.geometry.taps.len() {
                    let weight = self.kernels.get(line, plane, tap);
                    add_tap(self.geometry, (from, tap), weight, out);
                }
            }
        }
    }
}

/// Adds one tap of a plane to all positions.
#[inline(always)]
fn add_tap(geometry: &Geometry, (from, tap): (&[f64], usize), weight: f64, out: &mut [f64]) {
    let (dy, dx) = geometry.offsets[tap];
    let (width, step) = (geometry.source.1, geometry.step[1]);
    let inside = geometry.inside(0, geometry.grid.1, dx);
    if inside.is_empty() {
        return;
    }
    let start = (inside.start * step).saturating_add_signed(dx);
    for (i, out) in out.chunks_exact_mut(geometry.grid.1).enumerate() {
        let Some(row) = geometry.row(i, dy) else {
            continue;
        };
        let from = &from[row * width..][start..width];
        let out = &mut out[inside.start..inside.end];
        if step == 1 {
            for (to, from) in out.iter_mut().zip(from) {
                *to += weight * from;
            }
        } else {
            for (to, from) in out.iter_mut().zip(from.iter().step_by(step)) {
                *to += weight * from;
            }
        }
    }
}
