//! DICOM files as photos: the first frame, with the window that the file asks for.
//!
//! Nothing but the pixels and what they need is read, so that no data of a patient can reach the
//! screen, a log or an export. Our own reader, because the crates for DICOM allocate what an
//! element claims to be long, up to 4 GB.

mod codecs;
mod elements;
mod table;

use crate::input::photo::dicom::codecs::Jpeg;
use crate::input::photo::dicom::elements::{Elements, Pixels, tag};
use crate::input::photo::dicom::table::Table;
use crate::input::photo::limits::Limits;
use crate::input::photo::tones::{Curve, Tones, WindowLevel};
use crate::input::photo::{Photo, PhotoError};

/// Whether the bytes of a file begin as a DICOM file.
pub fn is_dicom(bytes: &[u8]) -> bool {
    bytes.get(128..132) == Some(b"DICM")
}

/// How the samples of a frame are stored.
struct Layout {
    width: usize,
    height: usize,
    samples: usize,
    /// Bytes of a sample: 1, 2 or 4.
    bytes: usize,
    bits: u32,
    high_bit: u32,
    signed: bool,
    photometric: String,
}

/// The pixels of the first frame.
enum Frame {
    /// Little-endian samples as stored, interleaved unless planar.
    Stored { bytes: Vec<u8>, planar: bool },
    /// Already RGB.
    Rgb(Vec<u8>),
}

/// Decodes the first frame of a file.
pub fn decode(name: &str, bytes: &[u8], limits: Limits) -> Result<Photo, PhotoError> {
    let refused = |what: String| PhotoError::Dicom {
        name: name.to_owned(),
        what,
    };
    let elements = Elements::read(bytes).map_err(refused)?;
    let syntax = supported(&elements.syntax).map_err(refused)?;
    let layout = Layout::of(&elements).map_err(refused)?;
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let sides = (side(layout.width), side(layout.height));
    // Levels take four bytes, whatever they were stored in.
    let decoded = 4 * layout.pixels() as u64 * layout.samples as u64;
    limits.check_picture(name, sides, decoded)?;
    let frame = layout.frame(&elements, syntax).map_err(refused)?;
    let mut photo = layout.photo(name, frame, &elements).map_err(refused)?;
    let frames: usize = elements.text(tag::FRAMES).parse().unwrap_or(1);
    if frames > 1 {
        photo
            .notices
            .push(format!("The first of its {frames} frames is shown."));
    }
    let ratio = elements.text(tag::ASPECT_RATIO);
    if let Some((vertical, horizontal)) = ratio.split_once('\\')
        && vertical.trim() != horizontal.trim()
    {
        photo
            .notices
            .push("Its pixels are not square, and are shown as squares.".into());
    }
    Ok(photo)
}

/// The ways in which pixels can be stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Native,
    RunLength,
    Jpeg,
}

fn supported(uid: &str) -> Result<Syntax, String> {
    let name = match uid.strip_prefix("1.2.840.10008.1.2") {
        Some("" | ".1" | ".2") => return Ok(Syntax::Native),
        Some(".5") => return Ok(Syntax::RunLength),
        Some(".4.50" | ".4.51" | ".4.57" | ".4.70") => return Ok(Syntax::Jpeg),
        Some(".1.99") => "deflate",
        Some(".4.80" | ".4.81") => "JPEG-LS",
        Some(".4.90" | ".4.91" | ".4.92" | ".4.93") => "JPEG 2000",
        Some(".4.201" | ".4.202" | ".4.203") => "High-Throughput JPEG 2000",
        Some(".4.110" | ".4.111" | ".4.112") => "JPEG XL",
        Some(rest) if rest.starts_with(".4.10") => "video (MPEG)",
        _ => "a way that camlens does not know",
    };
    Err(format!(
        "its pixels are compressed by {name}: decompress it first, for example by gdcmconv --raw"
    ))
}

impl Layout {
    fn of(elements: &Elements) -> Result<Self, String> {
        let needed = |tag: u32, what: &str| {
            let found = elements.number(tag);
            found.ok_or_else(|| format!("it has no picture ({what} are missing)"))
        };
        let [height, width] = [
            needed(tag::ROWS, "its rows")?,
            needed(tag::COLUMNS, "its columns")?,
        ]
        .map(|side| side as usize);
        if tag::FLOAT_PIXELS
            .iter()
            .any(|tag| elements.bytes(*tag).is_some())
        {
            return Err(
                "its pixels are floating-point numbers: save it with integer pixels".into(),
            );
        }
        let allocated = needed(tag::BITS_ALLOCATED, "the bits of its samples")?;
        let bits = elements.number(tag::BITS_STORED).unwrap_or(allocated);
        let high_bit = elements.number(tag::HIGH_BIT);
        let layout = Self {
            width,
            height,
            samples: elements.number(tag::SAMPLES_PER_PIXEL).unwrap_or(1) as usize,
            bytes: allocated as usize / 8,
            bits,
            high_bit: high_bit.unwrap_or_else(|| bits.saturating_sub(1)),
            signed: elements.number(tag::SIGNED) == Some(1),
            photometric: elements.text(tag::PHOTOMETRIC),
        };
        let is_color = layout.samples == 3 && allocated == 8 && bits == 8;
        let is_gray = layout.samples == 1 && matches!(allocated, 8 | 16 | 32);
        let has_bits =
            (1..=allocated).contains(&bits) && (bits - 1..allocated).contains(&layout.high_bit);
        let has_sides = [width, height]
            .iter()
            .all(|side| (1..=usize::from(u16::MAX)).contains(side));
        if !has_sides || !(is_color || is_gray) || !has_bits {
            return Err(format!(
                "its pixels have {} samples of {bits} bits in {allocated}, which camlens does not read",
                layout.samples
            ));
        }
        Ok(layout)
    }

    fn pixels(&self) -> usize {
        self.width * self.height
    }

    /// Decodes the first frame.
    fn frame(&self, elements: &Elements, syntax: Syntax) -> Result<Frame, String> {
        let length = self.pixels() * self.samples * self.bytes;
        let pixels = elements.pixels.as_ref().ok_or("it has no pixels")?;
        let planar = self.samples > 1 && elements.number(tag::PLANAR) == Some(1);
        match (pixels, syntax) {
            (Pixels::Native(bytes), Syntax::Native) => {
                let frame = bytes.get(..length).ok_or("it is cut short")?;
                let mut bytes = frame.to_vec();
                if elements.is_big_endian() {
                    bytes.chunks_exact_mut(self.bytes).for_each(<[u8]>::reverse);
                }
                Ok(Frame::Stored { bytes, planar })
            }
            (Pixels::Fragments(fragments), Syntax::RunLength) => {
                let first = fragments.first().ok_or("it has no pixels")?;
                let bytes = codecs::run_length(first, self.pixels(), self.samples, self.bytes)?;
                // Segments are planes, which were interleaved.
                Ok(Frame::Stored {
                    bytes,
                    planar: false,
                })
            }
            (Pixels::Fragments(fragments), Syntax::Jpeg) => {
                let stream = first_stream(fragments);
                let is_rgb = self.photometric == "RGB";
                match codecs::jpeg(&stream, (self.width, self.height), is_rgb)? {
                    Jpeg::Rgb(rgb) if self.samples == 3 => Ok(Frame::Rgb(rgb)),
                    Jpeg::Gray(samples) if self.samples == 1 && self.bytes <= 2 => {
                        let bytes = samples
                            .into_iter()
                            .flat_map(|sample| sample.to_le_bytes().into_iter().take(self.bytes));
                        Ok(Frame::Stored {
                            bytes: bytes.collect(),
                            planar: false,
                        })
                    }
                    Jpeg::Rgb(_) | Jpeg::Gray(_) => {
                        Err("its JPEG stream has other colors than the file says".into())
                    }
                }
            }
            _ => Err("its pixels are not stored as its transfer syntax says".into()),
        }
    }

    /// The photo of a frame.
    fn photo(&self, name: &str, frame: Frame, elements: &Elements) -> Result<Photo, String> {
        let of_rgb = |rgb| Photo::from_rgb(name, self.width, self.height, rgb);
        let (bytes, planar) = match frame {
            Frame::Rgb(rgb) => return Ok(of_rgb(rgb)),
            Frame::Stored { bytes, planar } => (bytes, planar),
        };
        match self.photometric.as_str() {
            "MONOCHROME1" | "MONOCHROME2" if self.samples == 1 => {
                let (tones, notice) = self.tones(&bytes, elements)?;
                let mut photo = of_rgb(tones.rgb());
                photo.tones = Some(tones.into());
                photo.notices.extend(notice);
                Ok(photo)
            }
            "PALETTE COLOR" if self.samples == 1 => Ok(of_rgb(self.palette(&bytes, elements)?)),
            "RGB" if self.samples == 3 => Ok(of_rgb(interleaved(bytes, planar))),
            "YBR_FULL" if self.samples == 3 => {
                let mut colors = interleaved(bytes, planar);
                colors.as_chunks_mut::<3>().0.iter_mut().for_each(to_rgb);
                Ok(of_rgb(colors))
            }
            other => Err(format!(
                "its colors are stored as {}, which camlens does not read",
                crate::text::printable::name(other)
            )),
        }
    }

    /// The samples as stored, with their sign.
    fn stored<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = i64> + 'a {
        let drop_low = self.high_bit + 1 - self.bits;
        let above = 64 - self.bits;
        bytes.chunks_exact(self.bytes).map(move |sample| {
            let value = sample
                .iter()
                .rev()
                .fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
            let value = (value >> drop_low) << above;
            if self.signed {
                value.cast_signed() >> above
            } else {
                (value >> above).cast_signed()
            }
        })
    }

    /// The levels of a gray frame with their window, and a notice if the file asks for something
    /// else.
    #[allow(clippy::cast_possible_truncation)] // levels are shown
    fn tones(&self, bytes: &[u8], elements: &Elements) -> Result<(Tones, Option<String>), String> {
        let slope = elements.decimal(tag::SLOPE).filter(|slope| *slope != 0.0);
        let (slope, intercept) = (
            slope.unwrap_or(1.0),
            elements.decimal(tag::INTERCEPT).unwrap_or(0.0),
        );
        let levels: Vec<f32> = match Table::of(elements, tag::MODALITY_LUT, self.signed)? {
            Some(table) => self.stored(bytes).map(|value| table.at(value)).collect(),
            None => self
                .stored(bytes)
                .map(|value| (value as f64 * slope + intercept) as f32)
                .collect(),
        };
        if levels.iter().any(|level| !level.is_finite()) {
            return Err("its rescaled levels are infinite".into());
        }
        let window = elements
            .decimal(tag::CENTER)
            .zip(elements.decimal(tag::WIDTH));
        let window = window
            .and_then(|(center, width)| WindowLevel::new(center as f32, (width as f32).max(1.0)));
        let curve = match elements.text(tag::FUNCTION).as_str() {
            "SIGMOID" if window.is_some() => Curve::Sigmoid,
            "LINEAR_EXACT" if window.is_some() => Curve::Exact,
            _ => Curve::Linear,
        };
        let inverted = self.photometric == "MONOCHROME1";
        let own = window.unwrap_or(WindowLevel::between(0.0, 1.0));
        let mut tones = Tones::new(levels, own, curve, inverted);
        let mut notice = None;
        if window.is_none() {
            tones.range = self.range_without_padding(bytes, &tones, elements);
            tones.own = tones.whole();
            tones.now = tones.own;
            notice = elements.bytes(tag::VOI_LUT).map(|_| {
                "Its lookup table for gray values is not used: it is shown from its lowest to its highest level.".into()
            });
        }
        Ok((tones, notice))
    }

    /// The range of levels that are not padding around the picture.
    #[allow(clippy::cast_possible_truncation)] // padding is stored like the pixels
    fn range_without_padding(
        &self,
        bytes: &[u8],
        tones: &Tones,
        elements: &Elements,
    ) -> (f32, f32) {
        let padding = elements.number(tag::PADDING).map(|padding| {
            // Stored like the pixels: with 16 bits.
            if self.signed {
                i64::from((padding as u16).cast_signed())
            } else {
                padding.into()
            }
        });
        let values = self.stored(bytes).zip(tones.levels.iter());
        let inside = values.filter(|(value, _)| Some(*value) != padding);
        let range = inside.fold(
            (f32::INFINITY, f32::NEG_INFINITY),
            |(low, high), (_, level)| (low.min(*level), high.max(*level)),
        );
        if range.0 <= range.1 {
            range
        } else {
            tones.range
        }
    }

    /// The colors of a palette.
    fn palette(&self, bytes: &[u8], elements: &Elements) -> Result<Vec<u8>, String> {
        let mut tables = Vec::new();
        for (descriptor, data) in tag::PALETTE.into_iter().zip(tag::PALETTE_DATA) {
            let table = Table::new(elements, (descriptor, data), false)?;
            tables.push(table.ok_or("its palette is missing or segmented")?);
        }
        let mut rgb = Vec::with_capacity(3 * bytes.len());
        for value in self.stored(bytes) {
            rgb.extend(tables.iter().map(|table| table.byte_at(value)));
        }
        Ok(rgb)
    }
}

/// The fragments up to the end of the first JPEG stream.
fn first_stream(fragments: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for (index, fragment) in fragments.iter().enumerate() {
        if index > 0 && fragment.starts_with(b"\xff\xd8\xff") {
            break;
        }
        stream.extend_from_slice(fragment);
    }
    stream
}

/// Samples by pixel instead of by plane.
fn interleaved(bytes: Vec<u8>, planar: bool) -> Vec<u8> {
    if !planar {
        return bytes;
    }
    let plane = bytes.len() / 3;
    let pixels = (0..plane).flat_map(|at| [bytes[at], bytes[plane + at], bytes[2 * plane + at]]);
    pixels.collect()
}

/// `YBR_FULL` to RGB: PS3.3, C.7.6.3.1.2.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 255
fn to_rgb(pixel: &mut [u8; 3]) {
    let [y, cb, cr] = pixel.map(f32::from);
    let (cb, cr) = (cb - 128.0, cr - 128.0);
    let rgb = [
        y + 1.402 * cr,
        y - 0.344_136 * cb - 0.714_136 * cr,
        y + 1.772 * cb,
    ];
    *pixel = rgb.map(|value| value.round().clamp(0.0, 255.0) as u8);
}

#[cfg(test)]
mod tests;
