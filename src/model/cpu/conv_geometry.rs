//! The geometry of a convolution: where a kernel lies on its input.

/// A kernel sliding over an image. Pairs are (down, across).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input height and width.
    pub input: (usize, usize),
    /// Output height and width.
    pub output: (usize, usize),
    /// Height and width of the kernel.
    pub kernel: (usize, usize),
    /// Steps of the kernel.
    pub stride: (usize, usize),
    /// Distances of its taps; 1 is an ordinary convolution.
    pub dilation: (usize, usize),
    /// Zero rows above and zero columns left of the input.
    pub before: (usize, usize),
}

impl ConvGeometry {
    /// A square kernel with the same step in both directions, and zeros above and to the left.
    #[must_use]
    pub const fn square(
        input: (usize, usize),
        output: (usize, usize),
        kernel: usize,
        stride: usize,
        before: (usize, usize),
    ) -> Self {
        Self {
            input,
            output,
            kernel: (kernel, kernel),
            stride: (stride, stride),
            dilation: (1, 1),
            before,
        }
    }

    /// Number of taps of the kernel.
    #[must_use]
    pub const fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// Whether the output pixels are the input pixels: 1×1 without steps and padding.
    #[must_use]
    pub fn is_pointwise(&self) -> bool {
        self.kernel == (1, 1)
            && self.stride == (1, 1)
            && self.before == (0, 0)
            && self.input == self.output
    }

    /// Output pixels.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.output.0 * self.output.1
    }

    /// For output pixel (`oy`, `ox`): the kernel rows and columns that lie on
    /// the input, and the input row and column of the first of them.
    #[inline(always)]
    #[must_use]
    pub fn on_input(&self, oy: usize, ox: usize) -> (Span, Span) {
        (self.down(oy), self.across(ox))
    }

    /// The geometry of the backward pass, from the output to the input, if the kernel moves in
    /// single steps and the padding does not reach beyond the kernel.
    #[must_use]
    pub fn reversed(&self) -> Option<Self> {
        let before = (
            (self.kernel.0 - 1).checked_sub(self.before.0)?,
            (self.kernel.1 - 1).checked_sub(self.before.1)?,
        );
        (self.stride == (1, 1) && self.dilation == (1, 1)).then_some(Self {
            input: self.output,
            output: self.input,
            before,
            ..*self
        })
    }

    /// The output line whose kernel has line `tap` on a given input line (without dilation).
    #[inline(always)]
    #[must_use]
    pub fn output_of(&self, input: usize, tap: usize) -> Option<usize> {
        let padded = (input + self.before.0).checked_sub(tap)?;
        let output = padded / self.stride.0;
        (padded % self.stride.0 == 0 && output < self.output.0).then_some(output)
    }

    /// The kernel rows of an output line that lie on the input.
    #[inline(always)]
    #[must_use]
    pub fn down(&self, line: usize) -> Span {
        let start = line * self.stride.0;
        span(
            start,
            self.kernel.0,
            self.dilation.0,
            self.before.0,
            self.input.0,
        )
    }

    /// The kernel columns of an output column that lie on the input.
    #[inline(always)]
    #[must_use]
    pub fn across(&self, column: usize) -> Span {
        let start = column * self.stride.1;
        span(
            start,
            self.kernel.1,
            self.dilation.1,
            self.before.1,
            self.input.1,
        )
    }
}

/// The taps on an input of this side; `start` is the position of the first tap, padding included.
#[inline(always)]
fn span(start: usize, taps: usize, dilation: usize, before: usize, side: usize) -> Span {
    let (above, below) = (
        before.saturating_sub(start),
        (side + before).saturating_sub(start),
    );
    let (skip, end) = if dilation == 1 {
        (above, below)
    } else {
        (above.div_ceil(dilation), below.div_ceil(dilation))
    };
    Span {
        first: skip,
        count: taps.min(end).saturating_sub(skip),
        input: (start + skip * dilation).saturating_sub(before),
    }
}

/// The part of a kernel axis that lies on the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First kernel position.
    pub first: usize,
    /// Number of kernel positions.
    pub count: usize,
    /// The input position under the first kernel position.
    pub input: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_leave_out_the_padding() {
        let window = ConvGeometry::square((5, 5), (3, 3), 3, 2, (1, 1));
        let span = |first, count, input| Span {
            first,
            count,
            input,
        };
        assert_eq!(window.on_input(0, 1), (span(1, 2, 0), span(0, 3, 1)));
        assert_eq!(window.on_input(2, 2).0, span(0, 2, 3));
        // Taps at -2, 0 and 2; at 2, 4 and 6.
        let window = ConvGeometry {
            dilation: (2, 2),
            before: (2, 2),
            ..window
        };
        assert_eq!(window.on_input(0, 0).0, span(1, 2, 0));
        assert_eq!(window.on_input(0, 2).1, span(0, 2, 2));
    }
}
