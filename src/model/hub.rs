//! Downloads weights on demand from the Hugging Face hub into its shared cache.
//!
//! The crate `hf-hub` knows the layout of the cache. The requests are our own, because `hf-hub`
//! sends the token to every address it is redirected to. The transfer is our own too, because it
//! must be cancelled, resumed and checked. It writes to `blobs/ETAG.part` (the name that `hf-hub`
//! itself uses), and the file gets its final name only if its SHA-256 matches the announced one.
//! Nothing is downloaded unless the user asks for it.

mod error;
mod known;
mod part;
mod request;
mod transfer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use hf_hub::Cache;

pub use crate::model::hub::error::FetchError;
pub use crate::model::hub::known::{HubModel, MODELS, find, how_to_get, of_file};
use crate::model::hub::transfer::Transfer;

/// The file that holds the weights in timm's repositories.
const WEIGHTS: &str = "model.safetensors";
/// timm's description of the input, downloaded together with the weights.
const CONFIG: &str = "config.json";

/// Whether a file in the cache is still the file that was downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Its SHA-256 is the one that the hub announced, which is its name in the cache.
    Intact,
    /// The file has changed.
    Damaged,
    /// The hub announced no SHA-256.
    Unknown,
}

/// Compares the SHA-256 of a file in the cache with the names of the blobs of its repository.
#[must_use]
pub fn integrity(path: &Path, sha256: &str) -> Integrity {
    let repository = path.ancestors().nth(3);
    let names = repository.and_then(|folder| fs::read_dir(folder.join("blobs")).ok());
    let names = names.into_iter().flatten().flatten();
    let announced: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()))
        .collect();
    if announced.is_empty() {
        Integrity::Unknown
    } else if announced
        .iter()
        .any(|name| name.eq_ignore_ascii_case(sha256))
    {
        Integrity::Intact
    } else {
        Integrity::Damaged
    }
}

/// The hub's shared cache. Environment variables that are empty count as not set.
fn usual_cache() -> Cache {
    match std::env::var("HF_HOME") {
        Ok(home) if home.trim().is_empty() => Cache::default(),
        _ => Cache::from_env(),
    }
}

/// Downloaded weights.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Their path.
    pub path: PathBuf,
    /// Whether the SHA-256 was announced and checked. Otherwise only the size was checked.
    pub checked: bool,
}

/// The progress of a download, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes downloaded.
    pub done: u64,
    /// Bytes in total.
    pub total: u64,
}

enum FetchEvent {
    Progress(Downloaded),
    Finished(Result<Fetched, FetchError>),
}

/// A hub, and its cache.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: Option<String>,
    cache: Cache,
    patience: Duration,
}

/// A download fails after this long without an answer, or with hardly any data.
const PATIENCE: Duration = Duration::from_mins(1);

impl Hub {
    /// The hub and the cache set by `HF_ENDPOINT` and `HF_HOME`.
    #[must_use]
    pub fn from_env() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT").ok();
        Self {
            endpoint: endpoint.filter(|address| !address.trim().is_empty()),
            cache: usual_cache(),
            patience: PATIENCE,
        }
    }

    /// A hub at an address, with a folder as its cache.
    #[must_use]
    pub fn new(endpoint: &str, cache: PathBuf) -> Self {
        Self {
            endpoint: Some(endpoint.into()),
            cache: Cache::new(cache),
            patience: PATIENCE,
        }
    }

    /// The same hub with another timeout for downloads that stop or nearly stop. The default is one
    /// minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The path of an entry in this cache, if it was downloaded.
    #[must_use]
    pub fn cached(&self, known: &HubModel) -> Option<PathBuf> {
        known.cached_in(&self.cache)
    }

    fn host(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("https://huggingface.co")
    }

    /// Starts a download on its own thread. `wake` is called after each event.
    ///
    /// # Errors
    /// If the system can't start a thread.
    pub fn fetch(
        &self,
        known: &'static HubModel,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> io::Result<Fetch> {
        let (sender, event) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let transfer = Transfer {
            hub: self.clone(),
            known,
            cancelled: cancelled.clone(),
            sender,
            wake,
        };
        thread::Builder::new()
            .name("camlens-fetch".into())
            .spawn(move || transfer.run())?;
        Ok(Fetch {
            known,
            cancelled,
            event,
            progress: None,
            first: None,
            heard: Instant::now(),
        })
    }
}

/// A download in progress. Dropping it cancels it.
pub struct Fetch {
    /// The entry that is downloaded.
    pub known: &'static HubModel,
    cancelled: Arc<AtomicBool>,
    event: Receiver<FetchEvent>,
    progress: Option<Downloaded>,
    /// When the first bytes arrived, and how many bytes were there before.
    first: Option<(Instant, u64)>,
    heard: Instant,
}

impl Fetch {
    /// The progress; `None` before the hub has sent the size.
    #[must_use]
    pub fn progress(&self) -> Option<Downloaded> {
        self.progress
    }

    /// Average speed in bytes per second.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        let (since, before) = self.first?;
        let seconds = (self.heard - since).as_secs_f64();
        let bytes = self.progress?.done.saturating_sub(before) as f64;
        (seconds > 0.2).then(|| bytes / seconds)
    }

    /// How long no data has arrived.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Stops the download as soon as possible. The partial file is kept.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Handles the events so far; returns the result once the download has ended.
    pub fn poll(&mut self) -> Option<Result<Fetched, FetchError>> {
        self.wait(Duration::ZERO)
    }

    /// As [`Fetch::poll`], but waits up to this long for the next event.
    pub fn wait(&mut self, longest: Duration) -> Option<Result<Fetched, FetchError>> {
        let mut longest = longest;
        loop {
            match self.event.recv_timeout(longest) {
                Ok(FetchEvent::Progress(progress)) => {
                    self.heard = Instant::now();
                    self.first.get_or_insert((self.heard, progress.done));
                    self.progress = Some(progress);
                }
                Ok(FetchEvent::Finished(result)) => return Some(result),
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => {
                    let error = FetchError::Answer {
                        name: self.known.name.into(),
                        host: "the hub".into(),
                        cause: "the download stopped unexpectedly".into(),
                    };
                    return Some(Err(error));
                }
            }
            longest = Duration::ZERO;
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_tells_whether_a_file_is_what_was_fetched() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--timm--resnet18.tv_in1k");
        let path = folder.join("snapshots/abc/model.safetensors");
        let sha256 = "ab".repeat(32);
        assert_eq!(integrity(&path, &sha256), Integrity::Unknown);
        fs::create_dir_all(folder.join("blobs")).unwrap();
        fs::write(folder.join("blobs/c0ffee"), "").unwrap();
        assert_eq!(integrity(&path, &sha256), Integrity::Unknown);
        fs::write(folder.join("blobs").join(&sha256), "").unwrap();
        assert_eq!(integrity(&path, &sha256), Integrity::Intact);
        assert_eq!(integrity(&path, &"cd".repeat(32)), Integrity::Damaged);
    }
}
