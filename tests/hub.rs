//! Fetching weights, from a small hub on loopback: whole, interrupted, damaged, refused,
//! slow, cancelled.

// A test that can't go on should stop where it is.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use camlens::model::hub::{self, Fetch, FetchError, Fetched, Hub, Known};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the hub treats the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Whole,
    /// Closes the connection after so many bytes, each time.
    Breaks(usize),
    /// Sends nothing beyond this byte.
    StopsAt(usize),
    /// Sends other bytes than announced.
    Damages,
    Refuses(u16),
    /// Some bytes, then a pause, and so on.
    Slow,
    /// Never answers a request for the rest but sends everything again.
    WithoutRanges,
    /// Sends an `ETag` that is no SHA-256.
    WithoutChecksum,
}

struct Server {
    address: String,
    manner: Arc<Mutex<Manner>>,
    requests: Arc<AtomicUsize>,
    weights: Arc<Vec<u8>>,
}

impl Server {
    fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            manner: Arc::new(Mutex::new(manner)),
            requests: Arc::default(),
            weights: Arc::new(
                (0..1_000_000u32)
                    .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect(),
            ),
        };
        let (manner, requests, weights) = (
            server.manner.clone(),
            server.requests.clone(),
            server.weights.clone(),
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (manner, requests, weights) =
                    (manner.clone(), requests.clone(), weights.clone());
                thread::spawn(move || {
                    let manner = *manner.lock().unwrap();
                    requests.fetch_add(1, Ordering::SeqCst);
                    // A client that hangs up is no fault.
                    let _ = serve(stream, manner, &weights);
                });
            }
        });
        server
    }

    fn hub(&self, cache: &Path) -> Hub {
        Hub::new(&self.address, cache.into())
    }

    fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(bytes) {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn serve(mut stream: TcpStream, manner: Manner, weights: &[u8]) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap()?;
    let mut headers = HashMap::new();
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let path = first.split(' ').nth(1).unwrap().to_owned();
    let range = headers.get("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()))
    });
    let is_weights = path.ends_with("/resolve/main/model.safetensors");
    let config = br#"{"architecture": "resnet18"}"#;
    let (body, etag): (&[u8], String) = if is_weights {
        (weights, sha256(weights))
    } else if path.ends_with("/resolve/main/config.json") {
        (config, "c0ffee".into())
    } else {
        return write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    let etag = if manner == Manner::WithoutChecksum {
        "abc123".into()
    } else {
        etag
    };
    if let (true, Manner::Refuses(status)) = (is_weights, manner) {
        return write!(
            stream,
            "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    // The question for the size is one byte long.
    let question = range == Some((0, Some(0)));
    let (from, to) = match range {
        Some(_) if manner == Manner::WithoutRanges && !question => (0, body.len()),
        Some((from, to)) => (from, to.map_or(body.len(), |to| to + 1)),
        None => (0, body.len()),
    };
    let status = if to - from < body.len() {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nX-Repo-Commit: {COMMIT}\r\nETag: \"{etag}\"\r\nContent-Range: bytes {from}-{}/{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        to - 1,
        body.len(),
        to - from
    )?;
    let part = &body[from..to];
    match manner {
        Manner::Breaks(count) if is_weights && !question => {
            stream.write_all(&part[..count.min(part.len())])
        }
        Manner::StopsAt(limit) if is_weights && !question => {
            stream.write_all(&body[from.min(limit)..limit])
        }
        Manner::Damages if is_weights && !question => {
            let mut part = part.to_vec();
            part[500] ^= 1;
            stream.write_all(&part)
        }
        Manner::Slow if is_weights && !question => {
            for piece in part.chunks(20_000) {
                stream.write_all(piece)?;
                thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        }
        _ => stream.write_all(part),
    }
}

fn weights() -> &'static Known {
    hub::find("timm/resnet18.tv_in1k").unwrap()
}

fn start(hub: &Hub) -> Fetch {
    hub.fetch(weights(), Arc::new(|| ())).unwrap()
}

fn finish(mut fetch: Fetch) -> Result<Fetched, FetchError> {
    let started = Instant::now();
    loop {
        if let Some(result) = fetch.wait(Duration::from_millis(100)) {
            return result;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "it never ends");
    }
}

fn parts(cache: &Path) -> Vec<u64> {
    let blobs = cache.join("models--timm--resnet18.tv_in1k/blobs");
    let entries = std::fs::read_dir(blobs).into_iter().flatten().flatten();
    let part = |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "part");
    entries
        .filter(part)
        .map(|entry| entry.metadata().unwrap().len())
        .collect()
}

#[test]
fn a_whole_download_is_checked_and_found_again() {
    let server = Server::start(Manner::Whole);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    assert!(hub.cached(weights()).is_none());
    let fetched = finish(start(&hub)).unwrap();
    assert!(fetched.checked);
    assert_eq!(std::fs::read(&fetched.path).unwrap(), *server.weights);
    assert_eq!(hub.cached(weights()).unwrap(), fetched.path);
    let config = fetched.path.with_file_name("config.json");
    assert!(
        std::fs::read_to_string(config)
            .unwrap()
            .contains("resnet18")
    );
    assert!(parts(cache.path()).is_empty());
    // Fetched again, it is only looked up.
    let before = server.requests.load(Ordering::SeqCst);
    let again = finish(start(&hub)).unwrap();
    assert_eq!(again.path, fetched.path);
    assert!(server.requests.load(Ordering::SeqCst) - before <= 3);
}

#[test]
fn a_download_that_breaks_off_is_resumed() {
    let server = Server::start(Manner::Breaks(300_000));
    let cache = tempfile::tempdir().unwrap();
    let fetched = finish(start(&server.hub(cache.path()))).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), *server.weights);
}

#[test]
fn a_download_that_goes_no_further_is_kept_and_resumed_later() {
    let server = Server::start(Manner::StopsAt(400_000));
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let fetch = start(&hub);
    let error = finish(fetch).unwrap_err();
    let FetchError::Interrupted { done, total, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((done, total), (400_000, 1_000_000));
    assert!(hub.cached(weights()).is_none(), "half a file is no model");
    assert_eq!(parts(cache.path()), [done]);
    assert!(error.to_string().contains("fetch it again to go on"));
    server.set(Manner::Whole);
    let mut fetch = start(&hub);
    while fetch.progress().is_none() {
        assert!(fetch.wait(Duration::from_millis(20)).is_none());
    }
    assert!(fetch.progress().unwrap().done >= done, "it began anew");
    let fetched = finish(fetch).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), *server.weights);
}

#[test]
fn a_hub_that_can_not_resume_sends_everything_again() {
    let server = Server::start(Manner::Breaks(250_000));
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let mut fetch = start(&hub);
    while fetch
        .progress()
        .is_none_or(|progress| progress.done < 250_000)
    {
        assert!(fetch.wait(Duration::from_millis(20)).is_none());
    }
    server.set(Manner::WithoutRanges);
    let fetched = finish(fetch).unwrap();
    assert_eq!(std::fs::read(&fetched.path).unwrap(), *server.weights);
}

#[test]
fn a_wrong_checksum_leaves_nothing() {
    let server = Server::start(Manner::Damages);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let error = finish(start(&hub)).unwrap_err();
    assert!(matches!(error, FetchError::Checksum { .. }), "{error}");
    assert!(hub.cached(weights()).is_none() && parts(cache.path()).is_empty());
    // A damaged beginning does not spoil the next try for ever.
    server.set(Manner::Whole);
    finish(start(&hub)).unwrap();
}

#[test]
fn without_a_checksum_that_is_said() {
    let server = Server::start(Manner::WithoutChecksum);
    let cache = tempfile::tempdir().unwrap();
    assert!(!finish(start(&server.hub(cache.path()))).unwrap().checked);
}

#[test]
fn refusals_are_said_in_words() {
    for (status, words) in [
        (404, "there is no such file"),
        (403, "no permission"),
        (503, "its fault"),
    ] {
        let server = Server::start(Manner::Refuses(status));
        let cache = tempfile::tempdir().unwrap();
        let message = finish(start(&server.hub(cache.path())))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(words) && message.contains(&status.to_string()),
            "{message}"
        );
    }
}

#[test]
fn offline_is_a_plain_message() {
    let cache = tempfile::tempdir().unwrap();
    // Nothing listens there.
    let hub = Hub::new("http://127.0.0.1:9", cache.path().into());
    let message = finish(start(&hub)).unwrap_err().to_string();
    assert!(
        message.contains("can't be reached") && message.contains("HTTPS_PROXY"),
        "{message}"
    );
}

#[test]
fn a_slow_download_can_be_watched_and_cancelled() {
    let server = Server::start(Manner::Slow);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let mut fetch = start(&hub);
    while fetch
        .progress()
        .is_none_or(|progress| progress.done < 200_000)
    {
        assert!(fetch.wait(Duration::from_millis(20)).is_none());
    }
    assert_eq!(fetch.progress().unwrap().total, 1_000_000);
    assert!(fetch.speed().is_none_or(|speed| speed > 1e4));
    let second = finish(start(&hub)).unwrap_err();
    assert!(matches!(second, FetchError::Busy { .. }), "{second}");
    let started = Instant::now();
    fetch.cancel();
    let error = finish(fetch).unwrap_err();
    assert!(matches!(error, FetchError::Cancelled { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(hub.cached(weights()).is_none());
    assert!(parts(cache.path())[0] >= 200_000);
}

#[test]
fn the_command_line_fetches_and_lists() {
    let server = Server::start(Manner::Whole);
    let home = tempfile::tempdir().unwrap();
    let camlens = |arguments: &[&str], endpoint: &str| {
        Command::new(env!("CARGO_BIN_EXE_camlens"))
            .args(arguments)
            .env("HF_HOME", home.path())
            .env("HF_ENDPOINT", endpoint)
            .output()
            .unwrap()
    };
    let list = |()| String::from_utf8(camlens(&["fetch"], &server.address).stdout).unwrap();
    assert_eq!(list(()).lines().count(), hub::CATALOGUE.len());
    assert!(!list(()).contains("here"));
    let offline = camlens(&["fetch", "resnet18.tv_in1k"], "http://127.0.0.1:9");
    assert_eq!(offline.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&offline.stderr).contains("can't be reached"));
    let output = camlens(&["fetch", "resnet18.tv_in1k"], &server.address);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = String::from_utf8(output.stdout).unwrap();
    assert_eq!(std::fs::read(path.trim()).unwrap(), *server.weights);
    assert!(list(()).lines().next().unwrap().ends_with("here"));
    let unknown = camlens(&["fetch", "resnet9000"], &server.address);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no resnet9000 in the catalogue"));
    // Not fetched: what to do is said.
    let photo = "assets/samples/cat.png";
    let missing = camlens(
        &["explain", photo, "--model", "timm/resnet34.tv_in1k"],
        &server.address,
    );
    let message = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        message.contains("camlens fetch timm/resnet34.tv_in1k"),
        "{message}"
    );
}

#[test]
fn the_window_fetches_after_a_click_and_checks_before_it_runs() {
    use camlens::app::{App, Latest, Launch};
    use camlens::cli::WindowArgs;
    use camlens::model::ModelChoice;
    use camlens::model::device::DeviceChoice;
    use eframe::egui::accesskit::Role;
    use egui_kittest::kittest::Queryable;

    // What it serves is no network at all.
    let server = Server::start(Manner::Slow);
    let cache = tempfile::tempdir().unwrap();
    let launch = Launch {
        overrides: WindowArgs {
            photos: vec!["assets/samples/cat.png".into()],
            model: Some(ModelChoice::BuiltIn),
            device: Some(DeviceChoice::Cpu),
            ..WindowArgs::default()
        },
        picker: Arc::new(|_| Box::pin(async { None })),
        remember: false,
        hub: server.hub(cache.path()),
        server: camlens::app::Server::Other,
        started: std::time::Instant::now(),
    };
    let mut harness = egui_kittest::Harness::builder()
        .with_size([1100.0, 750.0])
        .build_eframe(|cc| App::new(cc, launch).unwrap());
    let until = |harness: &mut egui_kittest::Harness<App>, so: &dyn Fn(&App) -> bool| {
        let started = Instant::now();
        while !so(harness.state()) {
            assert!(started.elapsed() < Duration::from_mins(1), "waited in vain");
            thread::sleep(Duration::from_millis(5));
            harness.run_steps(1);
        }
        harness.run_steps(2);
    };
    until(&mut harness, &|app| {
        matches!(app.state().latest, Latest::Ready(_))
    });
    assert_eq!(
        server.requests.load(Ordering::SeqCst),
        0,
        "nothing is fetched unasked"
    );
    harness
        .get_by_role_and_label(Role::ComboBox, "Model")
        .click();
    harness.run_steps(2);
    harness.get_by_label("Get weights…").click();
    harness.run_steps(3);
    let fetch = format!("Fetch {}", weights().name);
    harness.get_by_label(&fetch).click();
    harness.run_steps(3);
    thread::sleep(Duration::from_millis(400));
    harness.run_steps(2);
    harness.get_by_label("Stop").click();
    harness.run_steps(2);
    until(&mut harness, &|app| app.state().info.is_some());
    harness.get_by_label_contains("was stopped. What is there is kept");
    let kept = parts(cache.path())[0];
    assert!(kept > 0 && kept < 1_000_000);

    server.set(Manner::Whole);
    harness.get_by_label(&fetch).click();
    harness.run_steps(2);
    until(&mut harness, &|app| app.state().error.is_some());
    harness.get_by_label_contains("is not a weight file that can be read");
    assert_eq!(harness.state().state().settings.model, ModelChoice::BuiltIn);
    harness.get_by_label(&format!("Use {}", weights().name));
}
