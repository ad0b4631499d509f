//! Gray pixels as Pillow makes them.

/// The gray level of a pixel: Pillow's `convert("L")`, the luma of ITU-R 601 in 16-bit fixed point.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // at most 255
pub fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

/// Interleaved RGB8 with three equal values in each pixel.
#[must_use]
pub fn in_gray(rgb: &[u8]) -> Vec<u8> {
    let pixels = rgb.as_chunks::<3>().0;
    pixels.iter().flat_map(|pixel| [luma(*pixel); 3]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pillow 13.0, `Image.convert("L")` of the 7×5 ramp.
    #[test]
    fn agrees_with_pillow() {
        let ramp = |n: u32| (n * n * 37).to_le_bytes()[0];
        let rgb: Vec<u8> = (0..7 * 5 * 3).map(ramp).collect();
        let gray: Vec<u8> = in_gray(&rgb)
            .chunks_exact(3)
            .map(|pixel| pixel[1])
            .collect();
        assert_eq!(
            gray,
            [
                39, 88, 35, 136, 136, 62, 114, 213, 90, 91, 140, 43, 174, 129, 132, 184, 13, 222,
                73, 78, 161, 68, 174, 56, 63, 225, 28, 165, 126, 135, 193, 27, 137, 100, 111
            ]
        );
        for gray in 0..=255 {
            assert_eq!(luma([gray; 3]), gray);
        }
    }
}
