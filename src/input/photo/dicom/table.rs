//! Lookup tables in DICOM files.

use crate::input::photo::dicom::elements::Elements;

/// A lookup table: PS3.3, C.11.1.1 and C.7.6.3.1.5.
pub struct Table {
    first: i64,
    bits: u16,
    values: Vec<u16>,
}

impl Table {
    /// The table in a sequence.
    pub fn of(elements: &Elements, sequence: u32, signed: bool) -> Result<Option<Self>, String> {
        Self::new(elements, (sequence, sequence + 1), signed)
    }

    /// The table with its descriptor and its data at these tags; `None` if there is none.
    pub fn new(
        elements: &Elements,
        (descriptor, data): (u32, u32),
        signed: bool,
    ) -> Result<Option<Self>, String> {
        let Some([length, first, bits]) =
            elements.shorts(descriptor).as_deref().map(|d| match *d {
                [length, first, bits, ..] => [length, first, bits],
                _ => [0, 0, 0],
            })
        else {
            return Ok(None);
        };
        let length = if length == 0 {
            1 << 16
        } else {
            usize::from(length)
        };
        let damaged = || "its lookup table is damaged".to_owned();
        let values = match elements.bytes(data) {
            None => return Ok(None),
            Some(bytes) if bytes.len() == length || bytes.len() == length + 1 && bits <= 8 => bytes
                [..length]
                .iter()
                .map(|byte| u16::from(*byte))
                .collect(),
            Some(_) => elements.shorts(data).unwrap_or_default(),
        };
        if values.len() < length || !(1..=16).contains(&bits) {
            return Err(damaged());
        }
        let first = if signed {
            first.cast_signed().into()
        } else {
            first.into()
        };
        Ok(Some(Self {
            first,
            bits,
            values: values[..length].to_vec(),
        }))
    }

    fn entry(&self, value: i64) -> u16 {
        let last = self.values.len() - 1;
        let index = usize::try_from(value - self.first).unwrap_or(0);
        self.values[index.min(last)]
    }

    /// The entry of a stored value.
    pub fn at(&self, value: i64) -> f32 {
        self.entry(value).into()
    }

    /// The most significant 8 bits.
    #[allow(clippy::cast_possible_truncation)] // at most 8 bits remain
    pub fn byte_at(&self, value: i64) -> u8 {
        (self.entry(value) >> self.bits.saturating_sub(8)).min(255) as u8
    }
}
