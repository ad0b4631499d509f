//! Weights on demand from the Hugging Face hub, in its shared cache.
//!
//! The crate `hf-hub` knows the hub's addresses, its metadata and how the cache is laid
//! out; the transfer is here, because it must be cancelled, resumed and checked: into
//! `blobs/ETAG.part` (the name that `hf-hub` itself uses), and only when its SHA-256 is
//! the announced one does the file get its name. Nothing is fetched unasked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{Cache, CacheRepo, Repo};
use sha2::{Digest, Sha256};

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

/// Why weights were not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No connection.
    #[error(
        "{name} could not be fetched: {host} can't be reached ({cause}). Check the network connection, or set HF_ENDPOINT to a mirror or HTTPS_PROXY to your proxy."
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
    #[error("{name} could not be fetched: {host} answers {status}{}.", meaning(*.status))]
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
        "{name} could not be fetched: {host} does not answer as a hub does ({cause}). Check HF_ENDPOINT."
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
        "The download of {name} broke off at {} of {} MB ({cause}). What is there is kept: fetch it again to go on.",
        megabytes(*.done), megabytes(*.total)
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

/// After a broken connection the download is resumed so many times.
const RESUMES: u32 = 3;
/// Bytes in one step.
const STEP: usize = 256 << 10;
/// Nobody sees more than this.
const BETWEEN_NEWS: Duration = Duration::from_millis(50);

/// What the thread has.
struct Errand {
    hub: Hub,
    known: &'static Known,
    cancelled: Arc<AtomicBool>,
    sender: Sender<News>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Errand {
    fn run(self) {
        let result = self.fetch();
        self.tell(News::Finished(result));
    }

    fn tell(&self, news: News) {
        // Nobody listens once the window is closed.
        let _ = self.sender.send(news);
        (self.wake)();
    }

    fn name(&self) -> String {
        self.known.name.into()
    }

    fn fetch(&self) -> Result<Fetched, FetchError> {
        let mut builder = ApiBuilder::from_cache(self.hub.cache.clone()).with_progress(false);
        if let Some(endpoint) = &self.hub.endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/').into());
        }
        let api = builder.build().map_err(|error| self.api_error(error))?;
        match self.file(&api, CONFIG, false) {
            // Not every repository has one; the usual preprocessing stands in.
            Ok(_) | Err(FetchError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
        self.file(&api, WEIGHTS, true)
    }

    /// Fetches one file of the repository, or finds it in the cache.
    fn file(&self, api: &Api, file: &str, report: bool) -> Result<Fetched, FetchError> {
        let repository = Repo::model(self.name());
        let url = api.repo(repository.clone()).url(file);
        let metadata = api.metadata(&url).map_err(|error| self.api_error(error))?;
        self.check_cancelled()?;
        let etag = metadata.etag();
        let hexadecimal = |c: char| c.is_ascii_hexdigit();
        let safe = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        };
        if !safe(etag) || !safe(metadata.commit_hash()) {
            return Err(self.strange("its ETag is no file name"));
        }
        let sha256 = (etag.len() == 64 && etag.chars().all(hexadecimal)).then_some(etag);
        let cache = self.hub.cache.repo(repository);
        let blob = cache.blob_path(etag);
        let total = metadata.size() as u64;
        if fs::metadata(&blob).is_ok_and(|about| about.len() == total) {
            self.report(report, total, total);
        } else {
            self.download(&url, &blob, total, sha256, report)?;
        }
        let path = point_to(&blob, &cache, &metadata, file)?;
        Ok(Fetched {
            path,
            checked: sha256.is_some(),
        })
    }

    fn download(
        &self,
        url: &str,
        blob: &Path,
        total: u64,
        sha256: Option<&str>,
        report: bool,
    ) -> Result<(), FetchError> {
        let part = blob.with_extension("part");
        let io = |error: io::Error| cant_write(&part, &error);
        if let Some(folder) = blob.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = File::create(blob.with_extension("lock")).map_err(io)?;
        lock.try_lock()
            .map_err(|_| FetchError::Busy { name: self.name() })?;

        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&part)
            .map_err(io)?;
        // What is there is hashed first, and stays only if it can be a beginning.
        let mut hash = Sha256::new();
        let mut done = super::weights::hash_all(&mut file, &mut hash).map_err(io)?;
        if done > total {
            file.set_len(0).map_err(io)?;
            file.seek(SeekFrom::Start(0)).map_err(io)?;
            (hash, done) = (Sha256::new(), 0);
        }
        self.report(report, done, total);
        let mut resumes = 0;
        while done < total {
            let before = done;
            let mut so_far = SoFar {
                file: &mut file,
                hash: &mut hash,
                done: &mut done,
            };
            let Some(broken) = self.transfer(url, &mut so_far, total, report)? else {
                break;
            };
            resumes = if done > before { 0 } else { resumes + 1 };
            if resumes == RESUMES {
                return Err(FetchError::Interrupted {
                    name: self.name(),
                    done,
                    total,
                    cause: broken,
                });
            }
            thread::sleep(Duration::from_millis(300));
            self.check_cancelled()?;
        }
        file.sync_all().map_err(io)?;
        drop(file);
        if let Some(announced) = sha256 {
            let found = super::weights::hexadecimal(&hash.finalize());
            if !found.eq_ignore_ascii_case(announced) {
                fs::remove_file(&part).map_err(io)?;
                return Err(FetchError::Checksum { name: self.name() });
            }
        }
        fs::rename(&part, blob).map_err(io)
    }

    /// Asks for the rest of a file and appends it. Gives the reason if it broke off.
    fn transfer(
        &self,
        url: &str,
        so_far: &mut SoFar,
        total: u64,
        report: bool,
    ) -> Result<Option<String>, FetchError> {
        let done = *so_far.done;
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .user_agent(concat!("camlens/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let mut request = agent.get(url).header("Range", format!("bytes={done}-"));
        if let Some(token) = self.hub.cache.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(ureq::Error::StatusCode(status)) => return Err(self.refused(status)),
            Err(error) if done == 0 => return Err(self.offline(&error.to_string())),
            Err(error) => return Ok(Some(error.to_string())),
        };
        let io = |error: io::Error| cant_write(Path::new("the download"), &error);
        if done > 0 && response.status().as_u16() != 206 {
            // A server that sends everything again.
            so_far.restart().map_err(io)?;
        }
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; STEP];
        let mut told = Instant::now();
        while *so_far.done < total {
            self.check_cancelled()?;
            let count = match body.read(&mut buffer) {
                Ok(0) => return Ok(Some("the connection was closed".into())),
                Ok(count) => count,
                Err(error) => return Ok(Some(error.to_string())),
            };
            if *so_far.done + count as u64 > total {
                return Err(self.strange("it sends more than it announced"));
            }
            so_far.append(&buffer[..count]).map_err(io)?;
            if told.elapsed() > BETWEEN_NEWS || *so_far.done == total {
                self.report(report, *so_far.done, total);
                told = Instant::now();
            }
        }
        Ok(None)
    }

    fn report(&self, report: bool, done: u64, total: u64) {
        if report {
            self.tell(News::Progress(Downloaded { done, total }));
        }
    }

    fn check_cancelled(&self) -> Result<(), FetchError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(FetchError::Cancelled { name: self.name() });
        }
        Ok(())
    }

    fn api_error(&self, error: ApiError) -> FetchError {
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(status) => self.refused(status),
                error => self.offline(&error.to_string()),
            },
            ApiError::IoError(error) => self.offline(&error.to_string()),
            error => self.strange(&error.to_string()),
        }
    }

    fn refused(&self, status: u16) -> FetchError {
        FetchError::Refused {
            name: self.name(),
            host: self.hub.host().into(),
            status,
        }
    }

    fn offline(&self, cause: &str) -> FetchError {
        FetchError::Offline {
            name: self.name(),
            host: self.hub.host().into(),
            cause: cause.lines().next().unwrap_or_default().into(),
        }
    }

    fn strange(&self, cause: &str) -> FetchError {
        FetchError::Answer {
            name: self.name(),
            host: self.hub.host().into(),
            cause: cause.into(),
        }
    }
}

/// Makes a finished file known to the cache.
fn point_to(
    blob: &Path,
    cache: &CacheRepo,
    metadata: &Metadata,
    file: &str,
) -> Result<PathBuf, FetchError> {
    let folder = cache.pointer_path(metadata.commit_hash());
    let pointer = folder.join(file);
    let make = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        if !pointer.exists() {
            // A pointer to a file that is gone would be in the way.
            let _ = fs::remove_file(&pointer);
            link(blob, metadata.etag(), &pointer)?;
        }
        cache.create_ref(metadata.commit_hash())
    };
    make().map_err(|error| cant_write(&pointer, &error))?;
    Ok(pointer)
}

fn cant_write(path: &Path, error: &io::Error) -> FetchError {
    FetchError::Io {
        path: path.into(),
        cause: error.to_string(),
    }
}

/// The part of a file that is there, and its hash.
struct SoFar<'a> {
    file: &'a mut File,
    hash: &'a mut Sha256,
    /// Bytes.
    done: &'a mut u64,
}

impl SoFar<'_> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        *self.done += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        *self.hash = Sha256::new();
        *self.done = 0;
        Ok(())
    }
}

/// `snapshots/COMMIT/FILE` → `../../blobs/ETAG`, as the cache has it.
#[cfg(unix)]
fn link(_blob: &Path, etag: &str, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), pointer)
}

/// Links need a privilege on Windows; a second name for the same file does not.
#[cfg(not(unix))]
fn link(blob: &Path, _etag: &str, pointer: &Path) -> io::Result<()> {
    fs::hard_link(blob, pointer).or_else(|_| fs::copy(blob, pointer).map(|_| ()))
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
