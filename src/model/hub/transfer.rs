//! The transfer, on its own thread: it requests the missing range, hashes data as it arrives, keeps
//! a partial file if interrupted, and renames the file only if it is the announced one.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use hf_hub::{CacheRepo, Repo};
use sha2::Digest;

use crate::model::hub::part::{Kind, Pace, SLOWEST, SoFar};
use crate::model::hub::request::{Announced, Client, RequestError};
use crate::model::hub::{Downloaded, FetchError, FetchEvent, Fetched, Hub, HubModel};
use crate::model::weights::{hash_file, hexadecimal};

/// How often a download is resumed after the connection was lost.
const RESUMES: u32 = 3;
/// Bytes per read.
const STEP: usize = 256 << 10;
/// Minimum time between progress events; faster updates would not be visible.
const BETWEEN_NEWS: Duration = Duration::from_millis(50);
/// What the thread works with.
pub struct Transfer {
    pub hub: Hub,
    pub known: &'static HubModel,
    pub cancelled: Arc<AtomicBool>,
    pub sender: Sender<FetchEvent>,
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// A file of the entry that is downloaded.
struct Wanted<'a> {
    kind: Kind,
    url: &'a str,
    total: u64,
    sha256: Option<&'a str>,
}

impl Transfer {
    pub fn run(self) {
        let result = self.fetch();
        self.tell(FetchEvent::Finished(result));
    }

    fn tell(&self, event: FetchEvent) {
        // There is no receiver once the window is closed.
        let _ = self.sender.send(event);
        (self.wake)();
    }

    fn name(&self) -> String {
        self.known.name.into()
    }

    fn fetch(&self) -> Result<Fetched, FetchError> {
        let token = self.hub.cache.token();
        let client = Client::new(self.hub.host(), token, self.hub.patience);
        let client = client.ok_or_else(|| FetchError::Endpoint {
            endpoint: self.hub.host().into(),
        })?;
        match self.file(&client, Kind::Config) {
            // Not every repository has this file; the usual preprocessing is used without it.
            Ok(_) | Err(FetchError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
        self.file(&client, Kind::Weights)
    }

    /// Downloads one file of the repository, or finds it in the cache.
    fn file(&self, client: &Client, kind: Kind) -> Result<Fetched, FetchError> {
        let file = kind.file();
        let repository = Repo::model(self.name());
        let url = format!(
            "{}/{}/resolve/{}/{file}",
            self.hub.host().trim_end_matches('/'),
            repository.url(),
            repository.url_revision()
        );
        let announced = client.announced(&url).map_err(|error| self.failed(error))?;
        self.check_cancelled()?;
        let total = announced.size;
        if !kind.fits(self.known, total) {
            return Err(self.strange(&format!(
                "it announces {total} bytes for {file}, which can't be the size of that file"
            )));
        }
        let etag = announced.etag.as_str();
        let hexadecimal = |c: char| c.is_ascii_hexdigit();
        let sha256 = (etag.len() == 64 && etag.chars().all(hexadecimal)).then_some(etag);
        let cache = self.hub.cache.repo(repository);
        let blob = cache.blob_path(etag);
        let there = fs::metadata(&blob).is_ok_and(|about| about.len() == total);
        // A file may have been damaged after its download.
        let sound = there
            && sha256.is_none_or(|announced| {
                hash_file(&blob).is_ok_and(|found| found.eq_ignore_ascii_case(announced))
            });
        if sound {
            self.report(kind, total, total);
        } else {
            let wanted = Wanted {
                kind,
                url: &url,
                total,
                sha256,
            };
            self.download(client, &wanted, &blob)?;
        }
        let pointer = cache.pointer_path(&announced.commit).join(file);
        let stale = !sound || !is_same(&pointer, &blob, sha256);
        let path = point_to(&blob, &cache, &announced, file, stale)?;
        Ok(Fetched {
            path,
            checked: sha256.is_some(),
        })
    }

    fn download(&self, client: &Client, wanted: &Wanted, blob: &Path) -> Result<(), FetchError> {
        let part = blob.with_extension("part");
        let io = |error: io::Error| cant_write(&part, &error);
        if let Some(folder) = blob.parent() {
            fs::create_dir_all(folder).map_err(io)?;
        }
        let lock = File::create(blob.with_extension("lock")).map_err(io)?;
        lock.try_lock()
            .map_err(|_| FetchError::Busy { name: self.name() })?;

        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&part)
            .map_err(io)?;
        let mut so_far = SoFar::new(file, wanted.kind, wanted.total).map_err(io)?;
        let result = self.complete(client, wanted, &mut so_far, &part);
        let SoFar { file, hash, done } = so_far;
        if result.is_err() {
            drop(file);
            if done == 0 {
                let _ = fs::remove_file(&part);
            }
            return result;
        }
        file.sync_all().map_err(io)?;
        drop(file);
        if let Some(announced) = wanted.sha256 {
            let found = hexadecimal(&hash.finalize());
            if !found.eq_ignore_ascii_case(announced) {
                fs::remove_file(&part).map_err(io)?;
                return Err(FetchError::Checksum { name: self.name() });
            }
        }
        fs::rename(&part, blob).map_err(io)
    }

    /// Requests the missing part until the file is complete, and again if the connection is lost.
    fn complete(
        &self,
        client: &Client,
        wanted: &Wanted,
        so_far: &mut SoFar,
        part: &Path,
    ) -> Result<(), FetchError> {
        let total = wanted.total;
        self.report(wanted.kind, so_far.done, total);
        let mut pace = Pace::new(self.hub.patience);
        let mut resumes = 0;
        while so_far.done < total {
            let before = so_far.done;
            let Some(broken) = self.transfer(client, wanted, so_far, &mut pace, part)? else {
                break;
            };
            resumes = if so_far.done > before { 0 } else { resumes + 1 };
            if resumes == RESUMES {
                return Err(self.interrupted(so_far.done, total, broken));
            }
            thread::sleep(Duration::from_millis(300));
            self.check_cancelled()?;
        }
        Ok(())
    }

    /// Requests the rest of a file and appends it. Returns the reason if the transfer was
    /// interrupted.
    fn transfer(
        &self,
        client: &Client,
        wanted: &Wanted,
        so_far: &mut SoFar,
        pace: &mut Pace,
        part: &Path,
    ) -> Result<Option<String>, FetchError> {
        let (kind, total) = (wanted.kind, wanted.total);
        let (answer, from) = match client.part(wanted.url, so_far.done, total) {
            Ok(answer) => answer,
            Err(RequestError::Unreachable(cause)) if so_far.done > 0 => return Ok(Some(cause)),
            Err(error) => return Err(self.failed(error)),
        };
        let io = |error: io::Error| cant_write(part, &error);
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; STEP];
        // Check the first bytes before anything is deleted or kept.
        let mut ready = 0;
        if from == 0 {
            while ready < Kind::START.min(usize::try_from(total).unwrap_or(Kind::START)) {
                match body.read(&mut buffer[ready..]) {
                    Ok(0) => return Ok(Some("the connection was closed".into())),
                    Ok(count) => ready += count,
                    Err(error) => return Ok(Some(error.to_string())),
                }
            }
            if !kind.begins(&buffer[..ready], total) {
                return Err(self.strange("it sends something other than the file"));
            }
            if so_far.done > 0 {
                // The server sends the whole file again.
                so_far.restart().map_err(io)?;
            }
        }
        let mut told = Instant::now();
        loop {
            if so_far.done + ready as u64 > total {
                return Err(self.strange("it sends more than it announced"));
            }
            so_far.append(&buffer[..ready]).map_err(io)?;
            if told.elapsed() > BETWEEN_NEWS || so_far.done == total {
                self.report(kind, so_far.done, total);
                told = Instant::now();
            }
            if so_far.done == total {
                return Ok(None);
            }
            self.check_cancelled()?;
            if pace.is_too_slow(ready) {
                let cause = format!(
                    "less than {} kB per second arrived for {} seconds",
                    SLOWEST / 1000.0,
                    self.hub.patience.as_secs_f64()
                );
                return Err(self.interrupted(so_far.done, total, cause));
            }
            ready = match body.read(&mut buffer) {
                Ok(0) => return Ok(Some("the connection was closed".into())),
                Ok(count) => count,
                Err(error) => return Ok(Some(error.to_string())),
            };
        }
    }

    fn report(&self, kind: Kind, done: u64, total: u64) {
        if kind == Kind::Weights {
            self.tell(FetchEvent::Progress(Downloaded { done, total }));
        }
    }

    fn check_cancelled(&self) -> Result<(), FetchError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(FetchError::Cancelled { name: self.name() });
        }
        Ok(())
    }

    fn failed(&self, error: RequestError) -> FetchError {
        match error {
            RequestError::Status(status) => FetchError::Refused {
                name: self.name(),
                host: self.hub.host().into(),
                status,
            },
            RequestError::Unreachable(cause) => FetchError::Offline {
                name: self.name(),
                host: self.hub.host().into(),
                cause: cause.lines().next().unwrap_or_default().into(),
            },
            RequestError::Strange(cause) => self.strange(&cause),
        }
    }

    fn strange(&self, cause: &str) -> FetchError {
        FetchError::Answer {
            name: self.name(),
            host: self.hub.host().into(),
            cause: cause.into(),
        }
    }

    fn interrupted(&self, done: u64, total: u64, cause: String) -> FetchError {
        FetchError::Interrupted {
            name: self.name(),
            done,
            total,
            cause,
        }
    }
}

/// Whether the path of the file already points to the finished file: a link to it, or a copy with
/// the same bytes.
fn is_same(pointer: &Path, blob: &Path, sha256: Option<&str>) -> bool {
    let (Ok(there), Ok(whole)) = (pointer.canonicalize(), blob.canonicalize()) else {
        return false;
    };
    if there == whole {
        return true;
    }
    let expected = match sha256 {
        Some(announced) => announced.to_owned(),
        None => match hash_file(blob) {
            Ok(hash) => hash,
            Err(_) => return false,
        },
    };
    hash_file(pointer).is_ok_and(|found| found.eq_ignore_ascii_case(&expected))
}

/// Adds a finished file to the cache. An existing entry is replaced if it is `stale`: a broken
/// link, or a copy with other bytes.
fn point_to(
    blob: &Path,
    cache: &CacheRepo,
    announced: &Announced,
    file: &str,
    stale: bool,
) -> Result<PathBuf, FetchError> {
    let folder = cache.pointer_path(&announced.commit);
    let pointer = folder.join(file);
    let make = || -> io::Result<()> {
        fs::create_dir_all(&folder)?;
        if stale {
            let _ = fs::remove_file(&pointer);
            link(blob, &announced.etag, &pointer)?;
        }
        cache.create_ref(&announced.commit)
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

/// `snapshots/COMMIT/FILE` → `../../blobs/ETAG`, as in the layout of the cache.
#[cfg(unix)]
fn link(_blob: &Path, etag: &str, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), pointer)
}

/// On Windows, symbolic links need a privilege; hard links do not.
#[cfg(not(unix))]
fn link(blob: &Path, _etag: &str, pointer: &Path) -> io::Result<()> {
    fs::hard_link(blob, pointer).or_else(|_| fs::copy(blob, pointer).map(|_| ()))
}
