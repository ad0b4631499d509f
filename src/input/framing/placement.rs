//! Where the network's input lies on the photo.

use crate::input::framing::{CellAxis, CellGrid};

/// Where the network's input lies on the photo. Sizes are (width, height).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The photo, in its own pixels.
    pub photo: (usize, usize),
    /// The photo after resizing, in input pixels.
    pub resized: (usize, usize),
    /// Top left corner of the input on the resized photo, in input pixels; negative if the photo
    /// begins further inside the input.
    pub offset: (isize, isize),
    /// The network's input, in input pixels.
    pub input: (usize, usize),
}

impl Placement {
    /// A photo that is only resized to the input.
    pub(super) fn uncropped(photo: (usize, usize), input: (usize, usize)) -> Self {
        Self {
            photo,
            resized: input,
            offset: (0, 0),
            input,
        }
    }

    /// The photo position of an input position (x, y).
    #[must_use]
    pub fn photo_from_input(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let axis = |position: f64, offset: isize, photo: usize, resized: usize| {
            (position + offset as f64) * photo as f64 / resized as f64
        };
        (
            axis(x, self.offset.0, self.photo.0, self.resized.0),
            axis(y, self.offset.1, self.photo.1, self.resized.1),
        )
    }

    /// The input position of a photo position (x, y); outside the input where the network did not
    /// look.
    #[must_use]
    pub fn input_from_photo(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let axis = |position: f64, offset: isize, photo: usize, resized: usize| {
            position * resized as f64 / photo as f64 - offset as f64
        };
        (
            axis(x, self.offset.0, self.photo.0, self.resized.0),
            axis(y, self.offset.1, self.photo.1, self.resized.1),
        )
    }

    /// The position in cells of a photo position (x, y): cell `i` covers `i..i+1`. `None` outside the
    /// input.
    #[must_use]
    pub fn cells_from_photo(&self, position: (f64, f64), grid: CellGrid) -> Option<(f64, f64)> {
        let (x, y) = self.input_from_photo(position);
        let seen = |position: f64, input: usize| (0.0..=input as f64).contains(&position);
        let (columns, rows) = self.cell_axes(grid);
        (seen(x, self.input.0) && seen(y, self.input.1))
            .then(|| (columns.cell_from_input(x), rows.cell_from_input(y)))
    }

    /// The photo position of a position in cells: the inverse of [`Placement::cells_from_photo`].
    #[must_use]
    pub fn photo_from_cells(&self, (x, y): (f64, f64), grid: CellGrid) -> (f64, f64) {
        let (columns, rows) = self.cell_axes(grid);
        self.photo_from_input((columns.input_from_cell(x), rows.input_from_cell(y)))
    }

    /// Where the cells of a layer lie on the input.
    #[must_use]
    pub fn cell_axes(&self, grid: CellGrid) -> (CellAxis, CellAxis) {
        (
            CellAxis::new(self.input.0, grid.columns, grid.stride.0),
            CellAxis::new(self.input.1, grid.rows, grid.stride.1),
        )
    }

    /// The same placement on the photo scaled to another size (width, height).
    #[must_use]
    pub fn on_photo_of(&self, photo: (usize, usize)) -> Self {
        Self { photo, ..*self }
    }

    /// The part of the photo that the network saw: left, top, right, bottom in
    /// photo pixels.
    #[must_use]
    pub fn seen_in_photo(&self) -> [f64; 4] {
        let (left, top) = self.photo_from_input((0.0, 0.0));
        let (right, bottom) = self.photo_from_input((self.input.0 as f64, self.input.1 as f64));
        let (width, height) = (self.photo.0 as f64, self.photo.1 as f64);
        [
            left.max(0.0),
            top.max(0.0),
            right.min(width),
            bottom.min(height),
        ]
    }

    /// Whether part of the photo was cut away before the network saw it.
    #[must_use]
    pub fn hides_something(&self) -> bool {
        self.resized.0 > self.input.0 || self.resized.1 > self.input.1
    }

    /// Whether the network saw more than the photo: a color beside it.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.resized.0 < self.input.0 || self.resized.1 < self.input.1
    }
}
