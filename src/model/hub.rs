//! Weights on demand from the Hugging Face hub, in its shared cache.
//!
//! The crate `hf-hub` knows the hub's addresses, its metadata and how the cache is laid
//! out; the transfer is here, because it must be cancelled, resumed and checked: into
//! `blobs/ETAG.part` (the name that `hf-hub` itself uses), and only when its SHA-256 is
//! the announced one does the file get its name. Nothing is fetched unasked.

mod error;
mod transfer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::Cache;

pub use error::FetchError;
use transfer::Errand;

/// Weights that can be fetched.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// Its repository on the hub, which is its name here.
    pub name: &'static str,
    /// The network.
    pub network: &'static str,
    /// About how large the file is.
    pub megabytes: u32,
    /// The licence that the repository states.
    pub licence: &'static str,
    /// Reported accuracy.
    pub accuracy: &'static str,
}

/// The file that holds the weights in timm's repositories.
const WEIGHTS: &str = "model.safetensors";
/// timm's description of the input, fetched along.
const CONFIG: &str = "config.json";

const fn known(
    name: &'static str,
    network: &'static str,
    megabytes: u32,
    licence: &'static str,
    accuracy: &'static str,
) -> Known {
    Known {
        name,
        network,
        megabytes,
        licence,
        accuracy,
    }
}

/// Accuracy as in the tables of timm's model cards (ImageNet validation set, the card of
/// `resnet18.fb_ssl_yfcc100m_ft_in1k`), licence as in timm's `default_cfgs` (1.0.31).
pub const CATALOGUE: [Known; 9] = [
    known(
        "timm/resnet18.tv_in1k",
        "ResNet-18",
        47,
        "BSD-3-Clause",
        "69.8 % top-1",
    ),
    known(
        "timm/resnet18.a1_in1k",
        "ResNet-18",
        47,
        "Apache-2.0",
        "71.5 % top-1",
    ),
    known(
        "timm/resnet34.tv_in1k",
        "ResNet-34",
        87,
        "BSD-3-Clause",
        "73.3 % top-1",
    ),
    known(
        "timm/resnet34.a1_in1k",
        "ResNet-34",
        87,
        "Apache-2.0",
        "76.4 % top-1",
    ),
    known(
        "timm/resnet50.tv_in1k",
        "ResNet-50",
        102,
        "BSD-3-Clause",
        "76.1 % top-1",
    ),
    known(
        "timm/resnet50.tv2_in1k",
        "ResNet-50",
        102,
        "BSD-3-Clause",
        "80.9 % top-1",
    ),
    known(
        "timm/resnet50.a1_in1k",
        "ResNet-50",
        102,
        "Apache-2.0",
        "81.2 % top-1 at 288×288",
    ),
    known(
        "timm/resnet101.tv_in1k",
        "ResNet-101",
        179,
        "BSD-3-Clause",
        "77.4 % top-1",
    ),
    known(
        "timm/resnet152.tv_in1k",
        "ResNet-152",
        241,
        "BSD-3-Clause",
        "78.3 % top-1",
    ),
];

/// The catalogue's entry of a name, with or without `timm/`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Known> {
    let name = name.strip_prefix("timm/").unwrap_or(name);
    CATALOGUE
        .iter()
        .find(|known| known.name.strip_prefix("timm/") == Some(name))
}

/// What to do to get weights that are not there, in words for the screen.
#[must_use]
pub fn how_to_get(name: &str) -> String {
    match find(name) {
        Some(known) => format!(
            "{name} is not on this computer. Run camlens fetch {name}, or fetch it from the model menu ({} MB, {}).",
            known.megabytes, known.licence
        ),
        None => format!("There is no {name} in the catalogue; camlens fetch lists it."),
    }
}

impl Known {
    /// Where it is, if it was fetched (by camlens or by any other program).
    #[must_use]
    pub fn cached(&self) -> Option<PathBuf> {
        self.cached_in(&Cache::from_env())
    }

    fn cached_in(&self, cache: &Cache) -> Option<PathBuf> {
        cache.model(self.name.into()).get(WEIGHTS)
    }
}

/// The entry whose file in the cache this is.
#[must_use]
pub fn of_file(path: &Path) -> Option<&'static Known> {
    let folder = path.parent()?.parent()?.parent()?.file_name()?.to_str()?;
    let repository = folder.strip_prefix("models--")?.replace("--", "/");
    CATALOGUE.iter().find(|known| known.name == repository)
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

enum News {
    Progress(Downloaded),
    Finished(Result<Fetched, FetchError>),
}

/// A hub, and the cache that goes with it.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: Option<String>,
    cache: Cache,
}

impl Hub {
    /// As `HF_ENDPOINT` and `HF_HOME` say.
    #[must_use]
    pub fn from_env() -> Self {
        Self {
            endpoint: std::env::var("HF_ENDPOINT").ok(),
            cache: Cache::from_env(),
        }
    }

    /// A hub at an address, and a folder for what it gives.
    #[must_use]
    pub fn new(endpoint: &str, cache: PathBuf) -> Self {
        Self {
            endpoint: Some(endpoint.into()),
            cache: Cache::new(cache),
        }
    }

    /// Where an entry is in this cache, if it was fetched.
    #[must_use]
    pub fn cached(&self, known: &Known) -> Option<PathBuf> {
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
        known: &'static Known,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> io::Result<Fetch> {
        let (sender, news) = mpsc::channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let errand = Errand {
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
            news,
            progress: None,
            first: None,
            heard: Instant::now(),
        })
    }
}

/// A download in progress. Dropping it cancels it.
pub struct Fetch {
    /// What is fetched.
    pub known: &'static Known,
    cancelled: Arc<AtomicBool>,
    news: Receiver<News>,
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
            match self.news.recv_timeout(longest) {
                Ok(News::Progress(progress)) => {
                    self.heard = Instant::now();
                    self.first.get_or_insert((self.heard, progress.done));
                    self.progress = Some(progress);
                }
                Ok(News::Finished(result)) => return Some(result),
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
    fn names_are_found_with_and_without_their_owner() {
        let first = &CATALOGUE[0];
        assert_eq!(find("timm/resnet18.tv_in1k"), Some(first));
        assert_eq!(find("resnet18.tv_in1k"), Some(first));
        assert_eq!(find("resnet18"), None);
        let path =
            Path::new("/h/hub/models--timm--resnet18.tv_in1k/snapshots/abc/model.safetensors");
        assert_eq!(of_file(path), Some(first));
        assert_eq!(of_file(Path::new("/a/b/c/model.safetensors")), None);
    }
}
