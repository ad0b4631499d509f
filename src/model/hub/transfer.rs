//! The transfer itself, on a thread of its own: asked for by range, hashed as it comes,
//! kept if it breaks off, and given its name only when it is the announced file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{CacheRepo, Repo};
use sha2::{Digest, Sha256};

use super::{CONFIG, Downloaded, FetchError, Fetched, Hub, Known, News, WEIGHTS};
use crate::model::weights::{hash_all, hexadecimal};

/// After a broken connection the download is resumed so many times.
const RESUMES: u32 = 3;
/// Bytes in one step.
const STEP: usize = 256 << 10;
/// Nobody sees more than this.
const BETWEEN_NEWS: Duration = Duration::from_millis(50);

/// What the thread has.
pub struct Errand {
    pub hub: Hub,
    pub known: &'static Known,
    pub cancelled: Arc<AtomicBool>,
    pub sender: Sender<News>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

impl Errand {
    pub fn run(self) {
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
        let mut done = hash_all(&mut file, &mut hash).map_err(io)?;
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
            let found = hexadecimal(&hash.finalize());
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
