//! The geometry of a convolution: where a kernel lies on its input.

/// A square kernel sliding over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Input height and width.
    pub input: (usize, usize),
    /// Output height and width.
    pub output: (usize, usize),
    /// Side of the kernel.
    pub kernel: usize,
    /// Step of the kernel.
    pub stride: usize,
    /// Zero rows above and zero columns left of the input.
    pub before: (usize, usize),
}

impl ConvGeometry {
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
        (
            self.span(oy, self.before.0, self.input.0),
            self.span(ox, self.before.1, self.input.1),
        )
    }

    /// The geometry of the backward pass, from the output to the input, if the kernel moves in
    /// single steps and the padding does not reach beyond the kernel.
    #[must_use]
    pub fn reversed(&self) -> Option<Self> {
        let last = self.kernel - 1;
        let before = (
            last.checked_sub(self.before.0)?,
            last.checked_sub(self.before.1)?,
        );
        (self.stride == 1).then_some(Self {
            input: self.output,
            output: self.input,
            before,
            ..*self
        })
    }

    /// The output position whose kernel has tap `tap` on a given input position.
    #[inline(always)]
    #[must_use]
    pub fn output_of(&self, input: usize, tap: usize, before: usize, side: usize) -> Option<usize> {
        let padded = (input + before).checked_sub(tap)?;
        let output = padded / self.stride;
        (padded % self.stride == 0 && output < side).then_some(output)
    }

    #[inline(always)]
    fn span(&self, out: usize, before: usize, side: usize) -> Span {
        let start = out * self.stride; // in padded coordinates
        let skip = before.saturating_sub(start);
        let end = self.kernel.min((side + before).saturating_sub(start));
        Span {
            first: skip,
            count: end.saturating_sub(skip),
            input: start + skip - before,
        }
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
        let window = ConvGeometry {
            input: (5, 5),
            output: (3, 3),
            kernel: 3,
            stride: 2,
            before: (1, 1),
        };
        let span = |first, count, input| Span {
            first,
            count,
            input,
        };
        assert_eq!(window.on_input(0, 1), (span(1, 2, 0), span(0, 3, 1)));
        assert_eq!(window.on_input(2, 2).0, span(0, 2, 3));
    }
}
