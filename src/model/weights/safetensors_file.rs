//! The header of a safetensors file.

use std::collections::HashSet;
use std::io::{Read, Seek, SeekFrom};
use std::{fmt, io};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use crate::model::weights::layout::{Element, Entry, Listing};
use crate::model::weights::refusal::short;

/// Maximum size of a header. For a ResNet-152 it is 100 kB.
const MAX_HEADER: u64 = 4 << 20;

/// Reads the header of a safetensors file of `size` bytes.
pub fn list(file: &mut (impl Read + Seek), size: u64) -> Result<Listing, String> {
    let io = |error: io::Error| error.to_string();
    let mut length = [0; 8];
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let unknown = || "it is neither safetensors nor a zip archive, or it is cut short".to_owned();
    if size < 8 {
        return Err(unknown());
    }
    file.read_exact(&mut length).map_err(io)?;
    let length = u64::from_le_bytes(length);
    if length > size - 8 {
        return Err(unknown());
    }
    if length > MAX_HEADER {
        return Err(format!(
            "its safetensors header would have {length} bytes, and at most {MAX_HEADER} are read"
        ));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(io)?;
    // Check this first: of two equal names the library would take the last.
    let _: UniqueNames = serde_json::from_slice(&header)
        .map_err(|error| format!("its safetensors header is damaged: {error}"))?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|error| format!("its safetensors header is damaged: {error}"))?;
    let start = 8 + length;
    if size != start + metadata.data_len() as u64 {
        return Err("it is cut short".into());
    }
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (from, to) = info.data_offsets;
        let element = match info.dtype {
            Dtype::F64 => Element::F64,
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            other => Element::Other(format!("{other:?}").to_lowercase()),
        };
        let entry = Entry {
            element,
            shape: info.shape.clone(),
            strides: None,
            first: 0,
            start: start + from as u64,
            length: (to - from) as u64,
        };
        (name, entry)
    };
    Ok(Listing {
        entries: metadata.tensors().into_iter().map(entry).collect(),
        ..Listing::default()
    })
}

/// A JSON object in which every name occurs only once.
struct UniqueNames;

impl<'de> Deserialize<'de> for UniqueNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for UniqueNames {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("it has {} twice", short(&name))));
            }
            names.insert(name);
        }
        Ok(self)
    }
}
