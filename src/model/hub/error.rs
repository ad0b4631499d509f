//! Why weights were not fetched, in words for the user.

use std::path::PathBuf;

use crate::text::printable;

/// Why weights were not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// `HF_ENDPOINT` is set to something else than an address.
    #[error(
        "HF_ENDPOINT is {}, which is no address of a hub. Give one such as https://huggingface.co, or unset it.",
        printable::name(.endpoint)
    )]
    Endpoint {
        /// What it is.
        endpoint: String,
    },
    /// No connection.
    #[error(
        "{name} could not be fetched: {} can't be reached ({}). Check the network connection, or set HF_ENDPOINT to a mirror or HTTPS_PROXY to your proxy.",
        printable::name(.host), printable::quotation(.cause)
    )]
    Offline {
        /// The entry.
        name: String,
        /// Where it was to come from.
        host: String,
        /// The system's reason.
        cause: String,
    },
    /// The hub refuses.
    #[error("{name} could not be fetched: {} answers {status}{}.", printable::name(.host), meaning(*.status))]
    Refused {
        /// The entry.
        name: String,
        /// Where it was to come from.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The hub answers what it should not.
    #[error(
        "{name} could not be fetched: {} does not answer as a hub does ({}). Check HF_ENDPOINT and the network connection.",
        printable::name(.host), printable::quotation(.cause)
    )]
    Answer {
        /// The entry.
        name: String,
        /// Where it was to come from.
        host: String,
        /// What is wrong.
        cause: String,
    },
    /// The connection broke.
    #[error(
        "The download of {name} broke off at {} of {} MB ({}). What is there is kept: fetch it again to go on.",
        megabytes(*.done), megabytes(*.total), printable::quotation(.cause)
    )]
    Interrupted {
        /// The entry.
        name: String,
        /// Bytes there.
        done: u64,
        /// Bytes in all.
        total: u64,
        /// The system's reason.
        cause: String,
    },
    /// What came is not what was announced.
    #[error(
        "{name} was downloaded but its SHA-256 is not the one announced: the download was damaged and has been deleted. Fetch it again."
    )]
    Checksum {
        /// The entry.
        name: String,
    },
    /// The user thought better of it.
    #[error(
        "The download of {name} was cancelled. What is there is kept: fetch it again to go on."
    )]
    Cancelled {
        /// The entry.
        name: String,
    },
    /// Another program is at it.
    #[error("{name} is being fetched by another program already.")]
    Busy {
        /// The entry.
        name: String,
    },
    /// The cache can't be written.
    #[error("Can't write {path} ({cause}). Make room, or set HF_HOME to another folder.")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        cause: String,
    },
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

fn meaning(status: u16) -> &'static str {
    match status {
        401 | 403 => " (no permission; a token can be set up with huggingface-cli login)",
        404 => " (there is no such file)",
        429 => " (too many requests; try again later)",
        500.. => " (its fault; try again later)",
        _ => "",
    }
}
