//! SHA-256 of weight files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread::JoinHandle;
use std::{io, thread};

use sha2::{Digest, Sha256};

/// Computes a SHA-256 in hexadecimal on its own thread.
pub fn hash_aside(
    mut reader: impl Read + Send + 'static,
) -> io::Result<JoinHandle<io::Result<String>>> {
    let work = move || {
        let mut sha256 = Sha256::new();
        hash_all(&mut reader, &mut sha256)?;
        Ok(hexadecimal(&sha256.finalize()))
    };
    thread::Builder::new()
        .name("camlens-sha256".into())
        .spawn(work)
}

/// SHA-256 of a file, in hexadecimal.
pub(crate) fn hash_file(path: &Path) -> io::Result<String> {
    let mut sha256 = Sha256::new();
    hash_all(&mut File::open(path)?, &mut sha256)?;
    Ok(hexadecimal(&sha256.finalize()))
}

/// Hashes everything that a reader returns. Returns the number of bytes.
pub(crate) fn hash_all(reader: &mut impl Read, hash: &mut Sha256) -> io::Result<u64> {
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                hash.update(&buffer[..count]);
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// SHA-256 in hexadecimal.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}
