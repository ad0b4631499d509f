//! Parts of a photo for the screen, at full resolution or averaged in blocks.

use rayon::prelude::*;

use crate::input::photo::{Photo, Picture};

/// A rectangle of a photo's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns, at least 1.
    pub width: usize,
    /// Rows, at least 1.
    pub height: usize,
}

impl Area {
    /// Whether `other` lies completely within this area.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.left <= other.left
            && self.top <= other.top
            && other.left + other.width <= self.left + self.width
            && other.top + other.height <= self.top + self.height
    }
}

impl Photo {
    /// The whole photo.
    #[must_use]
    pub fn area(&self) -> Area {
        Area {
            left: 0,
            top: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// The smallest block size that makes the photo at most `side` pixels on its longer side.
    #[must_use]
    pub fn step_to(&self, side: usize) -> usize {
        self.width.max(self.height).div_ceil(side.max(1))
    }

    /// An area of the photo, with each `step`×`step` block of pixels averaged into one pixel:
    /// `⌈width/step⌉ × ⌈height/step⌉` pixels. Blocks at the right and lower edges may be smaller.
    ///
    /// # Panics
    /// If the area does not lie in the photo or `step` is 0.
    #[must_use]
    pub fn part(&self, area: Area, step: usize) -> Picture {
        let (width, height) = (area.width.div_ceil(step), area.height.div_ceil(step));
        let mut rgb = vec![0; 3 * width * height];
        rgb.par_chunks_exact_mut(3 * width)
            .enumerate()
            .for_each(|(row, out)| {
                let first = area.top + row * step;
                let rows = first..(first + step).min(area.top + area.height);
                let rows = rows.map(|row| {
                    let start = 3 * (row * self.width + area.left);
                    &self.rgb[start..start + 3 * area.width]
                });
                if step == 1 {
                    rows.for_each(|row| out.copy_from_slice(row));
                } else {
                    average(rows, step, out);
                }
            });
        Picture { width, height, rgb }
    }
}

/// Averages one row of blocks.
fn average<'a>(rows: impl Iterator<Item = &'a [u8]>, step: usize, out: &mut [u8]) {
    let mut sums = vec![[0u32; 3]; out.len() / 3];
    let mut count = 0;
    let mut columns = 0;
    for row in rows {
        count += 1;
        columns = row.len() / 3;
        for (sum, block) in sums.iter_mut().zip(row.chunks(3 * step)) {
            for pixel in block.chunks_exact(3) {
                for channel in 0..3 {
                    sum[channel] += u32::from(pixel[channel]);
                }
            }
        }
    }
    for (index, (sum, pixel)) in sums.iter().zip(out.chunks_exact_mut(3)).enumerate() {
        let wide = step.min(columns - index * step);
        let pixels = u32::try_from(count * wide).unwrap_or(u32::MAX);
        for channel in 0..3 {
            // An average of bytes fits into a byte.
            pixel[channel] = ((sum[channel] + pixels / 2) / pixels).min(255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo() -> Photo {
        let rgb = (0..5 * 4 * 3).map(|value| value * 4).collect();
        Photo::from_rgb("small", 5, 4, rgb)
    }

    #[test]
    fn a_part_at_its_own_pixels() {
        let photo = photo();
        let area = Area {
            left: 1,
            top: 2,
            width: 3,
            height: 2,
        };
        let part = photo.part(area, 1);
        assert_eq!((part.width, part.height), (3, 2));
        assert_eq!(part.rgb[..9], photo.rgb[3 * 11..3 * 14]);
        assert_eq!(part.rgb[9..], photo.rgb[3 * 16..3 * 19]);
    }

    #[test]
    fn blocks_are_averaged_and_those_at_the_edges_are_smaller() {
        let photo = photo();
        assert_eq!((photo.step_to(2), photo.step_to(5)), (3, 1));
        let part = photo.part(photo.area(), 3);
        assert_eq!((part.width, part.height), (2, 2));
        let at = |x: usize, y: usize| u32::from(photo.rgb[3 * (5 * y + x)]);
        let block: u32 = (0..9).map(|index| at(index % 3, index / 3)).sum();
        assert_eq!(u32::from(part.rgb[0]), (block + 4) / 9);
        // The lower right block: two columns of one row.
        let last = (at(3, 3) + at(4, 3)).div_ceil(2);
        assert_eq!(u32::from(part.rgb[9]), last);
    }

    #[test]
    fn a_flat_photo_stays_flat() {
        let photo = Photo::from_rgb("flat", 100, 70, vec![201; 3 * 100 * 70]);
        let area = Area {
            left: 7,
            top: 3,
            width: 90,
            height: 60,
        };
        assert!(photo.part(area, 7).rgb.iter().all(|&value| value == 201));
    }
}
