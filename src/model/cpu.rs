//! The kernels of the CPU path: plain `f32` slices, no candle.
//!
//! candle's own convolution spends most of its time on copies and runs a
//! depthwise layer group by group (450 ms for EfficientNet-Lite0, where the
//! arithmetic takes 2 ms). Here images are channels last (`[height, width,
//! channels]`), so that a convolution is a product of contiguous pixel runs, and
//! bias, residual and activation are applied while a tile is in cache.

mod backward;
mod buffer_pool;
mod conv_geometry;
mod dense;
mod depthwise;
mod elementwise;
mod epilogue;
mod functions;
mod gemm;
mod gemm_f64;
mod grouped;
mod joining;
mod lanes;
mod matmul;
mod normalize;
mod packing;
mod pool;
mod prefetch;
mod reduce;
mod rows;
mod strided;
mod windows;
mod winograd;

use std::cell::Cell;
use std::sync::Arc;

pub use crate::model::cpu::backward::{add, dense_backward, relu_backward, scale};
pub use crate::model::cpu::buffer_pool::{Buffer, BufferPool};
pub use crate::model::cpu::conv_geometry::ConvGeometry;
pub use crate::model::cpu::dense::{dense, dense_gated};
pub use crate::model::cpu::depthwise::depthwise;
pub use crate::model::cpu::elementwise::{Combine, binary, unary};
pub use crate::model::cpu::epilogue::{Activation, Epilogue};
pub use crate::model::cpu::functions::Function;
pub use crate::model::cpu::gemm_f64::dense_in_double;
pub use crate::model::cpu::grouped::{Grouped, grouped};
pub use crate::model::cpu::joining::{ChannelAffine, affine, concat};
pub use crate::model::cpu::matmul::{Matrices, matmul};
pub use crate::model::cpu::normalize::{layer_norm, softmax};
pub use crate::model::cpu::packing::Panels;
pub use crate::model::cpu::pool::{dense_and_pool, max_pool_3x3};
pub use crate::model::cpu::reduce::{Reduction, reduce, resample};
pub use crate::model::cpu::rows::few_rows;
pub use crate::model::cpu::strided::{Loops, copy, pad};
pub use crate::model::cpu::windows::{average_pool, max_pool};
pub use crate::model::cpu::winograd::{Size, Winograd};
pub use crate::platform::simd::Isa;

/// The precision of sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// In f32: fast, with errors of about 1e-6 of an activation's usual size.
    #[default]
    Single,
    /// In f64, rounded to f32 once per layer; several times slower. A gradient changes if the input
    /// of a ReLU has the wrong sign, so the few inputs close to 0 matter for gradients.
    Double,
}

/// What the kernels need to run: the vector instructions of the processor, and memory.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// The instructions.
    pub level: Isa,
    /// The output.
    pub pool: BufferPool,
}

impl Cpu {
    /// With these instructions.
    #[must_use]
    pub fn new(level: Isa) -> Self {
        Self {
            level,
            pool: BufferPool::default(),
        }
    }

    /// An image whose values have not been written yet.
    fn image(&self, (height, width): (usize, usize), channels: usize) -> (Buffer, Shape) {
        let shape = Shape {
            height,
            width,
            channels,
        };
        (self.pool.take(shape.values()), shape)
    }
}

/// Makes rayon use as many threads as there are physical cores available, once for the whole
/// program: two threads on one core share its multipliers and only wait for each other.
/// `RAYON_NUM_THREADS` takes precedence.
pub fn use_physical_cores() {
    if std::env::var_os("RAYON_NUM_THREADS").is_some() {
        return; // rayon reads it itself
    }
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = allowed.min(num_cpus::get_physical().max(1));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("camlens-cpu-{index}"));
    if pool.build_global().is_err() {
        log::debug!("rayon's thread pool already exists");
    }
}

/// The dimensions of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
}

impl Shape {
    /// Number of values.
    #[must_use]
    pub fn values(self) -> usize {
        self.height * self.width * self.channels
    }
}

/// An image between layers: values `[height, width, channels]`. Clones share them.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its dimensions.
    pub shape: Shape,
    values: Arc<Buffer>,
}

impl Image {
    fn new((values, shape): (Buffer, Shape)) -> Self {
        Self {
            shape,
            values: Arc::new(values),
        }
    }

    /// An image from its values `[height, width, channels]`.
    ///
    /// # Panics
    /// If the number of values does not match.
    #[must_use]
    pub fn from_values(cpu: &Cpu, values: &[f32], (height, width): (usize, usize)) -> Self {
        let channels = values.len() / (height * width);
        let mut image = cpu.image((height, width), channels);
        image.0.copy_from_slice(values);
        Self::new(image)
    }

    /// The same values as an image with other dimensions.
    ///
    /// # Panics
    /// If the number of values differs.
    #[must_use]
    pub fn reshaped(&self, (height, width): (usize, usize), channels: usize) -> Self {
        let shape = Shape {
            height,
            width,
            channels,
        };
        assert_eq!(shape.values(), self.shape.values(), "the same values");
        Self {
            shape,
            values: self.values.clone(),
        }
    }

    /// `[height, width, channels]`.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

thread_local! {
    /// Scratch memory of each thread of the pool, for tiles; see [`Scratch`].
    static SCRATCH: Cell<[Vec<f32>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// Two scratch slices of this thread with arbitrary contents. (This is a guard and not a function
/// that takes a closure: closures are compiled without the vector instructions of a kernel unless
/// they happen to be inlined.)
struct Scratch {
    memory: [Vec<f32>; 2],
    lengths: [usize; 2],
}

impl Scratch {
    fn take(lengths: [usize; 2]) -> Self {
        let mut memory = SCRATCH.take();
        for (memory, length) in memory.iter_mut().zip(lengths) {
            if memory.len() < length {
                memory.resize(length, 0.0);
            }
        }
        Self { memory, lengths }
    }

    fn slices(&mut self) -> (&mut [f32], &mut [f32]) {
        let ([first, second], lengths) = (&mut self.memory, self.lengths);
        (&mut first[..lengths[0]], &mut second[..lengths[1]])
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        SCRATCH.set(std::mem::take(&mut self.memory));
    }
}
