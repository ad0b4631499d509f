//! Errors from downloading weights, with messages for the user.

use std::path::PathBuf;

use crate::text::printable;

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// `HF_ENDPOINT` is not set to an address.
    #[error(
        "HF_ENDPOINT is {}, which is not the address of a hub. Set it to an address such as https://huggingface.co, or unset it.",
        printable::name(.endpoint)
    )]
    Endpoint {
        /// Its value.
        endpoint: String,
    },
    /// No connection.
    #[error(
        "{name} could not be downloaded: {} can't be reached ({}). Check the network connection, or set HF_ENDPOINT to a mirror or HTTPS_PROXY to your proxy.",
        printable::name(.host), printable::quotation(.cause)
    )]
    Offline {
        /// The entry.
        name: String,
        /// The host it was requested from.
        host: String,
        /// The system's reason.
        cause: String,
    },
    /// The hub refused the request.
    #[error("{name} could not be downloaded: {} answered {status}{}.", printable::name(.host), meaning(*.status))]
    Refused {
        /// The entry.
        name: String,
        /// The host it was requested from.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The answer is not what a hub should send.
    #[error(
        "{name} could not be downloaded: unexpected answer from {} ({}). Check HF_ENDPOINT and the network connection.",
        printable::name(.host), printable::quotation(.cause)
    )]
    Answer {
        /// The entry.
        name: String,
        /// The host it was requested from.
        host: String,
        /// What is wrong.
        cause: String,
    },
    /// The connection was lost.
    #[error(
        "The download of {name} was interrupted at {} of {} MB ({}). The partial download is kept: download it again to resume.",
        megabytes(*.done), megabytes(*.total), printable::quotation(.cause)
    )]
    Interrupted {
        /// The entry.
        name: String,
        /// Bytes downloaded.
        done: u64,
        /// Bytes in total.
        total: u64,
        /// The system's reason.
        cause: String,
    },
    /// The downloaded file is not the announced one.
    #[error(
        "{name} was downloaded, but its SHA-256 is not the expected one. The damaged file has been deleted. Download it again."
    )]
    Checksum {
        /// The entry.
        name: String,
    },
    /// Cancelled by the user.
    #[error(
        "The download of {name} was cancelled. The partial download is kept: download it again to resume."
    )]
    Cancelled {
        /// The entry.
        name: String,
    },
    /// Another program is downloading the same file.
    #[error("{name} is already being downloaded by another program.")]
    Busy {
        /// The entry.
        name: String,
    },
    /// The cache is not writable.
    #[error(
        "Can't write {path} ({cause}). Free some disk space, or set HF_HOME to another folder."
    )]
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
        500.. => " (server error; try again later)",
        _ => "",
    }
}
