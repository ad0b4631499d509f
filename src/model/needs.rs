//! Estimates how much memory a network needs, from its shape, before it is loaded and before it
//! runs. `tests/memory.rs` compares the estimates with the actual memory.

use crate::model::architecture::{Architecture, BlockKind};
use crate::model::cpu::Precision;

/// Loading holds the weights in the file's order and as packed for the kernels, two or three of the
/// largest at a time: 1.4 to 1.9 times the weights were measured.
const LOADING: f64 = 2.0;
/// Memory of a run relative to all activations together: 0.5 to 0.8 were measured for a run alone,
/// 1.0 to 1.25 with gradients at every layer.
const FORWARD: f64 = 1.0;
const WITH_GRADIENTS: f64 = 1.5;
/// Additional memory: the input, threads, small buffers.
const BASE: u64 = 24_000_000;

/// Number of parameters, and number of values in all outputs of convolutions per pixel of the
/// input.
struct Size {
    parameters: f64,
    activations: f64,
}

fn size(architecture: Architecture) -> Size {
    match architecture.blocks() {
        Some((blocks, kind)) => resnet(blocks, kind),
        // EfficientNet-Lite0 (timm counts 4.65 million parameters). Its activations are freed
        // during the run: at most 54 per pixel exist at once (measured).
        None => Size {
            parameters: 4.65e6,
            activations: 60.0,
        },
    }
}

fn resnet(blocks: [usize; 4], kind: BlockKind) -> Size {
    let mut size = Size {
        parameters: 0.0,
        activations: 0.0,
    };
    // Side of the kernel, channels, and input pixels per output pixel.
    let mut conv = |side: usize, cin: usize, cout: usize, pixels: usize| {
        size.parameters += (side * side * cin * cout) as f64;
        size.activations += cout as f64 / pixels as f64;
    };
    conv(7, 3, 64, 4);
    let mut cin = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = 64 << stage;
        let cout = match kind {
            BlockKind::Basic => width,
            BlockKind::Bottleneck => 4 * width,
        };
        let pixels = 16 << (2 * stage);
        for block in 0..count {
            // The first convolution of a bottleneck comes before the stride.
            let before = if block == 0 && stage > 0 {
                pixels / 4
            } else {
                pixels
            };
            match kind {
                BlockKind::Basic => {
                    conv(3, cin, width, pixels);
                    conv(3, width, width, pixels);
                }
                BlockKind::Bottleneck => {
                    conv(1, cin, width, before);
                    conv(3, width, width, pixels);
                    conv(1, width, cout, pixels);
                }
            }
            if cin != cout {
                conv(1, cin, cout, pixels);
            }
            cin = cout;
        }
    }
    conv(1, cin, 1000, usize::MAX);
    size
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // above 0 and far below 2^53
fn bytes(floats: f64) -> u64 {
    (4.0 * floats) as u64
}

/// Maximum number of bytes needed to load a network.
#[must_use]
pub fn to_load(architecture: Architecture) -> u64 {
    BASE + bytes(LOADING * size(architecture).parameters)
}

/// Maximum number of bytes needed to run a loaded network on an input of this width and height in
/// pixels. Runs in [`Precision::Double`] are followed by gradients.
#[must_use]
pub fn to_run(
    architecture: Architecture,
    (width, height): (usize, usize),
    precision: Precision,
) -> u64 {
    let factor = match precision {
        Precision::Single => FORWARD,
        Precision::Double => WITH_GRADIENTS,
    };
    let pixels = width as f64 * height as f64;
    BASE + bytes(factor * size(architecture).activations * pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_tables() {
        // Millions of parameters (torchvision), and millions of activations at 224×224 (timm's
        // benchmark tables), in percent.
        for (architecture, parameters, activations) in [
            (Architecture::ResNet18, 11.69, 2.48),
            (Architecture::ResNet34, 21.80, 3.74),
            (Architecture::ResNet50, 25.56, 11.11),
            (Architecture::ResNet101, 44.55, 16.23),
            (Architecture::ResNet152, 60.19, 22.56),
        ] {
            let found = size(architecture);
            let apart = (found.parameters / 1e6 / parameters - 1.0).abs();
            assert!(apart < 0.01, "{architecture:?}: {}", found.parameters);
            let millions = found.activations * 224.0 * 224.0 / 1e6;
            assert!(
                (millions / activations - 1.0).abs() < 0.01,
                "{architecture:?}: {millions}"
            );
        }
    }
}
