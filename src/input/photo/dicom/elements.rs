//! The elements of a DICOM file that its pixels need. All others are skipped, and nothing is
//! allocated by what the file claims: every value is a part of its bytes.
//!
//! Format: DICOM PS3.5 section 7 (data elements, sequences) and PS3.10 section 7 (files).

use std::collections::BTreeMap;

/// Maximum depth of sequences within sequences; real files have up to 8.
const MAX_DEPTH: usize = 32;
/// Maximum number of fragments of compressed pixels.
const MAX_FRAGMENTS: usize = 1 << 20;
const UNDEFINED: u32 = u32::MAX;
const ITEM: u32 = 0xfffe_e000;
const END_OF_ITEM: u32 = 0xfffe_e00d;
const END_OF_SEQUENCE: u32 = 0xfffe_e0dd;
/// Value representations whose length has 32 bits.
const LONG: [&[u8; 2]; 13] = [
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
];

/// Tags of what is needed.
pub mod tag {
    pub const TRANSFER_SYNTAX: u32 = 0x0002_0010;
    pub const SAMPLES_PER_PIXEL: u32 = 0x0028_0002;
    pub const PHOTOMETRIC: u32 = 0x0028_0004;
    pub const PLANAR: u32 = 0x0028_0006;
    pub const FRAMES: u32 = 0x0028_0008;
    pub const ROWS: u32 = 0x0028_0010;
    pub const COLUMNS: u32 = 0x0028_0011;
    pub const ASPECT_RATIO: u32 = 0x0028_0034;
    pub const BITS_ALLOCATED: u32 = 0x0028_0100;
    pub const BITS_STORED: u32 = 0x0028_0101;
    pub const HIGH_BIT: u32 = 0x0028_0102;
    pub const SIGNED: u32 = 0x0028_0103;
    pub const PADDING: u32 = 0x0028_0120;
    pub const CENTER: u32 = 0x0028_1050;
    pub const WIDTH: u32 = 0x0028_1051;
    pub const INTERCEPT: u32 = 0x0028_1052;
    pub const SLOPE: u32 = 0x0028_1053;
    pub const FUNCTION: u32 = 0x0028_1056;
    pub const PALETTE: [u32; 3] = [0x0028_1101, 0x0028_1102, 0x0028_1103];
    pub const PALETTE_DATA: [u32; 3] = [0x0028_1201, 0x0028_1202, 0x0028_1203];
    pub const LUT: u32 = 0x0028_3002;
    pub const LUT_DATA: u32 = 0x0028_3006;
    pub const MODALITY_LUT: u32 = 0x0028_3000;
    pub const VOI_LUT: u32 = 0x0028_3010;
    pub const PIXELS: u32 = 0x7fe0_0010;
    /// Floating-point pixels, of 32 and 64 bits.
    pub const FLOAT_PIXELS: [u32; 2] = [0x7fe0_0008, 0x7fe0_0009];
}

/// Sequences that may hold something needed: of lookup tables, and of the groups that apply to all
/// frames or to each, with the rescaling and the window of the first frame.
const SEQUENCES: [u32; 6] = [
    tag::MODALITY_LUT,
    tag::VOI_LUT,
    0x5200_9229,
    0x5200_9230,
    0x0028_9145,
    0x0028_9132,
];

/// The pixels as the file holds them.
#[derive(Debug)]
pub enum Pixels<'a> {
    /// Uncompressed.
    Native(&'a [u8]),
    /// Compressed: the fragments, without the table of offsets.
    Fragments(Vec<&'a [u8]>),
}

/// The needed elements of a file.
#[derive(Debug)]
pub struct Elements<'a> {
    /// The UID of the transfer syntax.
    pub syntax: String,
    /// Whether numbers are big-endian.
    big: bool,
    /// Values by tag; the outermost or else the first one counts.
    values: BTreeMap<u32, &'a [u8]>,
    /// The pixels.
    pub pixels: Option<Pixels<'a>>,
}

/// Reads elements.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
    explicit: bool,
}

/// The head of an element.
struct Head {
    tag: u32,
    length: u32,
    /// Whether its content is in implicit form although the file is not (unknown VR).
    implicit: bool,
}

fn cut_short() -> String {
    "it is cut short".into()
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).ok_or_else(cut_short)?;
        let part = self.bytes.get(self.at..end).ok_or_else(cut_short)?;
        self.at = end;
        Ok(part)
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn short(&mut self) -> Result<u16, String> {
        let bytes = self.take(2)?;
        let pair = [bytes[0], bytes[1]];
        Ok(if self.big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    }

    fn long(&mut self) -> Result<u32, String> {
        let (first, second) = (self.short()?, self.short()?);
        let (high, low) = if self.big {
            (first, second)
        } else {
            (second, first)
        };
        Ok(u32::from(high) << 16 | u32::from(low))
    }

    fn head(&mut self) -> Result<Head, String> {
        let (group, element) = (self.short()?, self.short()?);
        let tag = u32::from(group) << 16 | u32::from(element);
        if group == 0xfffe || !self.explicit {
            return Ok(Head {
                tag,
                length: self.long()?,
                implicit: false,
            });
        }
        let kind = self.take(2)?;
        if !LONG.iter().any(|long| long[..] == *kind) {
            if !kind.iter().all(u8::is_ascii_uppercase) {
                return Err("an element has no type".into());
            }
            let length = u32::from(self.short()?);
            return Ok(Head {
                tag,
                length,
                implicit: false,
            });
        }
        self.short()?;
        let length = self.long()?;
        Ok(Head {
            tag,
            length,
            implicit: kind == b"UN" && length == UNDEFINED,
        })
    }

    fn value(&mut self, length: u32) -> Result<&'a [u8], String> {
        self.take(usize::try_from(length).map_err(|_| cut_short())?)
    }

    /// Skips a value; of undefined length it is a sequence.
    fn skip(&mut self, head: &Head, depth: usize) -> Result<(), String> {
        if head.length != UNDEFINED {
            self.value(head.length)?;
            return Ok(());
        }
        let explicit = self.explicit;
        self.explicit &= !head.implicit;
        let done = self.items(depth, |reader, length, depth| {
            if length == UNDEFINED {
                reader.skip_item(depth)
            } else {
                reader.value(length).map(drop)
            }
        });
        self.explicit = explicit;
        done
    }

    fn skip_item(&mut self, depth: usize) -> Result<(), String> {
        loop {
            let head = self.head()?;
            if head.tag == END_OF_ITEM {
                return Ok(());
            }
            self.skip(&head, depth)?;
        }
    }

    /// Reads the items of a sequence of undefined length.
    fn items(
        &mut self,
        depth: usize,
        mut item: impl FnMut(&mut Self, u32, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err("its sequences are nested too deeply".into());
        }
        loop {
            let head = self.head()?;
            match head.tag {
                END_OF_SEQUENCE => return Ok(()),
                ITEM => item(self, head.length, depth + 1)?,
                _ => return Err("a sequence holds something else than items".into()),
            }
        }
    }
}

impl<'a> Elements<'a> {
    /// Reads a file, which begins with 128 bytes and `DICM`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut reader = Reader {
            bytes,
            at: 132,
            big: false,
            explicit: true,
        };
        let mut found = Self {
            syntax: String::new(),
            big: false,
            values: BTreeMap::new(),
            pixels: None,
        };
        // The beginning of a file describes the rest, always in the same form.
        while bytes.get(reader.at..reader.at + 2) == Some(&[2, 0]) {
            let head = reader.head()?;
            let value = reader.value(head.length)?;
            if head.tag == tag::TRANSFER_SYNTAX {
                found.syntax = text_of(value);
            }
        }
        match found.syntax.as_str() {
            "" => return Err("it does not say its transfer syntax".into()),
            "1.2.840.10008.1.2" => reader.explicit = false,
            "1.2.840.10008.1.2.2" => reader.big = true,
            _ => {}
        }
        found.big = reader.big;
        while !reader.is_at_end() && found.pixels.is_none() {
            found.element(&mut reader, 0, 0)?;
        }
        Ok(found)
    }

    /// Reads one element; `within` is the innermost sequence of a lookup table.
    fn element(
        &mut self,
        reader: &mut Reader<'a>,
        within: u32,
        depth: usize,
    ) -> Result<(), String> {
        let head = reader.head()?;
        if head.tag == tag::PIXELS && depth == 0 {
            self.pixels = Some(if head.length == UNDEFINED {
                Pixels::Fragments(fragments(reader)?)
            } else {
                Pixels::Native(reader.value(head.length)?)
            });
            return Ok(());
        }
        if SEQUENCES.contains(&head.tag) && !head.implicit {
            return self.sequence(reader, &head, depth);
        }
        if head.length == UNDEFINED {
            return reader.skip(&head, depth);
        }
        let value = reader.value(head.length)?;
        let is_needed = head.tag >> 16 == 0x0028 || tag::FLOAT_PIXELS.contains(&head.tag);
        if is_needed {
            // A table is kept by its sequence.
            let key = match head.tag {
                tag::LUT => within,
                tag::LUT_DATA => within + 1,
                tag => tag,
            };
            self.values.entry(key).or_insert(value);
        }
        Ok(())
    }

    /// Reads a sequence, of which the first item counts.
    fn sequence(
        &mut self,
        reader: &mut Reader<'a>,
        head: &Head,
        depth: usize,
    ) -> Result<(), String> {
        if depth >= MAX_DEPTH {
            return Err("its sequences are nested too deeply".into());
        }
        let mut inner = Reader {
            bytes: reader.bytes,
            ..*reader
        };
        if head.length != UNDEFINED {
            let value = reader.value(head.length)?;
            inner.bytes = &reader.bytes[..reader.at];
            if value.is_empty() {
                return Ok(());
            }
        }
        let first = inner.head()?;
        if first.tag == ITEM {
            let end = usize::try_from(first.length).ok();
            let end = end.and_then(|length| inner.at.checked_add(length));
            if first.length == UNDEFINED {
                while inner.bytes.get(inner.at..inner.at + 4).is_some() && !inner.at_end_of_item() {
                    self.element(&mut inner, head.tag, depth + 1)?;
                }
            } else if let Some(end) = end.filter(|end| *end <= inner.bytes.len()) {
                inner.bytes = &inner.bytes[..end];
                while !inner.is_at_end() {
                    self.element(&mut inner, head.tag, depth + 1)?;
                }
            } else {
                return Err(cut_short());
            }
        }
        if head.length == UNDEFINED {
            reader.skip(head, depth)?;
        }
        Ok(())
    }

    /// A whole number, unsigned.
    pub fn number(&self, tag: u32) -> Option<u32> {
        let value = self.values.get(&tag)?;
        match *value {
            [a, b] => Some(self.short([*a, *b]).into()),
            [a, b, c, d] => {
                let (first, second) = (self.short([*a, *b]), self.short([*c, *d]));
                let (high, low) = if self.big {
                    (first, second)
                } else {
                    (second, first)
                };
                Some(u32::from(high) << 16 | u32::from(low))
            }
            _ => None,
        }
    }

    fn short(&self, pair: [u8; 2]) -> u16 {
        if self.big {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    }

    /// Numbers of 16 bits.
    pub fn shorts(&self, tag: u32) -> Option<Vec<u16>> {
        let value = self.values.get(&tag)?;
        let pairs = value.as_chunks::<2>().0.iter();
        Some(pairs.map(|pair| self.short(*pair)).collect())
    }

    /// The bytes of a value.
    pub fn bytes(&self, tag: u32) -> Option<&'a [u8]> {
        self.values.get(&tag).copied()
    }

    /// Whether numbers are big-endian.
    pub fn is_big_endian(&self) -> bool {
        self.big
    }

    /// A short text without padding; empty if it is missing.
    pub fn text(&self, tag: u32) -> String {
        self.values
            .get(&tag)
            .map_or_else(String::new, |value| text_of(value))
    }

    /// The first of some decimal numbers in a text, if it is finite.
    pub fn decimal(&self, tag: u32) -> Option<f64> {
        let text = self.text(tag);
        let first = text.split('\\').next()?.trim().parse::<f64>().ok()?;
        first.is_finite().then_some(first)
    }
}

impl Reader<'_> {
    fn at_end_of_item(&mut self) -> bool {
        let at = self.at;
        let ends = self.head().is_ok_and(|head| head.tag == END_OF_ITEM);
        self.at = at;
        ends
    }
}

/// A text of at most 64 bytes without padding.
fn text_of(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(&value[..value.len().min(64)]);
    text.trim_matches(['\0', ' ']).to_owned()
}

/// The fragments of compressed pixels.
fn fragments<'a>(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>, String> {
    let mut found = Vec::new();
    reader.items(0, |reader, length, _| {
        if found.len() > MAX_FRAGMENTS {
            return Err("its pixels have too many fragments".into());
        }
        found.push(reader.value(length)?);
        Ok(())
    })?;
    if found.is_empty() {
        return Err("it has no pixels".into());
    }
    found.remove(0); // the table of offsets, which may be empty
    Ok(found)
}
