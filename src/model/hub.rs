//! Weights on demand from the Hugging Face hub, in its shared cache.
//!
//! The crate `hf-hub` knows how the cache is laid out. The requests are here, because
//! `hf-hub` sends the token wherever it is redirected; so is the transfer, because it must be
//! cancelled, resumed and checked: into `blobs/ETAG.part` (the name that `hf-hub` itself
//! uses), and only when its SHA-256 is the announced one does the file get its name. Nothing is
//! fetched unasked.

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
/// timm's description of the input, fetched along.
const CONFIG: &str = "config.json";

/// Whether a file in the cache is what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// Its SHA-256 is the one that the hub announced, by which the cache calls it.
    Intact,
    /// It is another file by now.
    Damaged,
    /// The hub announced no SHA-256.
    Unknown,
}

/// Compares the SHA-256 of a file in the cache with the names in the folder of its
/// repository's files.
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

/// The hub's shared cache. A variable that is set to nothing counts as not set.
fn usual_cache() -> Cache {
    match std::env::var("HF_HOME") {
        Ok(home) if home.trim().is_empty() => Cache::default(),
        _ => Cache::from_env(),
    }
}

/// Fetched weights.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Where they are.
    pub path: PathBuf,
    /// Whether their SHA-256 was announced and checked; else their size only.
    pub checked: bool,
}

/// How far a download is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// There.
    pub done: u64,
    /// In all.
    pub total: u64,
}

enum FetchEvent {
    Progress(Downloaded),
    Finished(Result<Fetched, FetchError>),
}

/// A hub, and the cache that goes with it.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: Option<String>,
    cache: Cache,
    patience: Duration,
}

/// Without an answer, or with hardly anything coming, for so long a download is given up.
const PATIENCE: Duration = Duration::from_mins(1);

impl Hub {
    /// As `HF_ENDPOINT` and `HF_HOME` say.
    #[must_use]
    pub fn from_env() -> Self {
        let endpoint = std::env::var("HF_ENDPOINT").ok();
        Self {
            endpoint: endpoint.filter(|address| !address.trim().is_empty()),
            cache: usual_cache(),
            patience: PATIENCE,
        }
    }

    /// A hub at an address, and a folder for what it gives.
    #[must_use]
    pub fn new(endpoint: &str, cache: PathBuf) -> Self {
        Self {
            endpoint: Some(endpoint.into()),
            cache: Cache::new(cache),
            patience: PATIENCE,
        }
    }

    /// The same, but it gives up a download that stands still or nearly so for so long; a
    /// minute without this.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Where an entry is in this cache, if it was fetched.
    #[must_use]
    pub fn cached(&self, known: &HubModel) -> Option<PathBuf> {
        known.cached_in(&self.cache)
    }

    fn host(&self) -> &str {
        self.endpoint.as_deref().unwrap_or("https://huggingface.co")
    }

    /// Starts fetching on a thread of its own. `wake` is called after each piece of news.
    ///
    /// # Errors
    /// The system's, if it has no thread to give.
    pub fn fetch(
        &self,
        known: &'static HubModel,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> io::Result<Fetch> {
        let (sender, event) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let errand = Transfer {
            hub: self.clone(),
            known,
            cancelled: cancelled.clone(),
            sender,
            wake,
        };
        thread::Builder::new()
            .name("camlens-fetch".into())
            .spawn(move || errand.run())?;
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
    /// What is fetched.
    pub known: &'static HubModel,
    cancelled: Arc<AtomicBool>,
    event: Receiver<FetchEvent>,
    progress: Option<Downloaded>,
    /// When the first bytes came, and how many were there before.
    first: Option<(Instant, u64)>,
    heard: Instant,
}

impl Fetch {
    /// How far it is; none before the hub has told the size.
    #[must_use]
    pub fn progress(&self) -> Option<Downloaded> {
        self.progress
    }

    /// Bytes in a second, on average since it began.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        let (since, before) = self.first?;
        let seconds = (self.heard - since).as_secs_f64();
        let bytes = self.progress?.done.saturating_sub(before) as f64;
        (seconds > 0.2).then(|| bytes / seconds)
    }

    /// How long nothing has come.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Stops it at the next opportunity; what is there is kept.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Takes in what has happened; gives the result once it is there.
    pub fn poll(&mut self) -> Option<Result<Fetched, FetchError>> {
        self.wait(Duration::ZERO)
    }

    /// As [`Fetch::poll`], but waits for the next piece of news for so long.
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
