//! Attacks and errors by a hub or a server in between: the token, redirects, pages instead of
//! files, sizes, and files that change in the cache.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use camlens::model::hub::{FetchError, Hub};

use super::server::{Manner, Server, bytes};
use super::{finish, parts, start, weights};

const TOKEN: &str = "hf_SECRETTOKEN";

/// A cache with a token next to it, as `huggingface-cli login` stores it.
fn with_token() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), TOKEN).unwrap();
    let cache = home.path().join("hub");
    (home, cache)
}

#[test]
fn the_token_is_sent_to_the_hub_and_nowhere_else() {
    let elsewhere = Server::start(Manner::Whole);
    let server = Server::start(Manner::Redirects(elsewhere.port));
    let (_home, cache) = with_token();
    let fetched = finish(start(&server.hub(&cache))).unwrap();
    assert!(fetched.checked);
    assert_eq!(fs::read(&fetched.path).unwrap(), *server.weights);
    let bearer = Some(format!("Bearer {TOKEN}"));
    let at_hub = server.asked.lock().unwrap();
    assert!(
        at_hub.iter().all(|(_, token)| *token == bearer),
        "{at_hub:?}"
    );
    let at_other = elsewhere.asked.lock().unwrap();
    // One request for the size, and one for the bytes.
    assert!(at_other.len() >= 2, "{at_other:?}");
    assert!(
        at_other.iter().all(|(_, token)| token.is_none()),
        "{at_other:?}"
    );
}

#[test]
fn a_file_that_has_moved_on_the_hub_is_followed_with_the_token() {
    let server = Server::start(Manner::Moved);
    let (_home, cache) = with_token();
    let fetched = finish(start(&server.hub(&cache))).unwrap();
    assert_eq!(fs::read(&fetched.path).unwrap(), *server.weights);
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|(_, token)| token.is_some()), "{asked:?}");
}

/// The error with a hub that misbehaves in this way, and the number of requests. Checks that it
/// ends soon and leaves no files.
fn refused(manner: Manner) -> (String, usize) {
    let server = Server::start(manner);
    let cache = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let error = finish(start(&server.hub(cache.path()))).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(20), "{manner:?}");
    assert!(parts(cache.path()).is_empty(), "{manner:?} left a part");
    (
        error.to_string(),
        server.requests.load(std::sync::atomic::Ordering::SeqCst),
    )
}

#[test]
fn what_is_no_file_is_refused_and_not_kept() {
    for (manner, words) in [
        (Manner::Circles, "it redirects more than 10 times"),
        (
            Manner::RedirectsToDisk,
            "redirects to file:///etc/hostname, which is not an HTTP address",
        ),
        (Manner::LogIn, "a web page instead of the file"),
        (Manner::LogInForBytes, "a web page instead of the file"),
        (
            Manner::LogInCalledBytes,
            "it sends something other than the file",
        ),
        (
            Manner::WrongRange,
            "it sends bytes from 7 on, but bytes from 0 on were requested",
        ),
        (
            Manner::Announces(1_000_000_000_000_000),
            "it announces 1000000000000000 bytes",
        ),
        (
            Manner::Announces(10_000),
            "it announces 10000 bytes for model.safetensors",
        ),
        (
            Manner::AnnouncesConfig(3_000_000_000),
            "it announces 3000000000 bytes for config.json",
        ),
        (
            Manner::BadCommit,
            "its commit is not a file name: ../../../x",
        ),
    ] {
        let (message, requests) = refused(manner);
        assert!(message.contains(words), "{manner:?}: {message}");
        assert!(message.contains("could not be downloaded"), "{message}");
        assert!(requests <= 15, "{manner:?}: {requests} requests");
    }
}

#[test]
fn a_page_that_was_kept_before_is_no_beginning() {
    let server = Server::start(Manner::Whole);
    let cache = tempfile::tempdir().unwrap();
    let blobs = cache.path().join("models--timm--resnet18.tv_in1k/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let part = blobs.join(super::server::sha256(&server.weights) + ".part");
    fs::write(part, "<!doctype html><html>Log in</html>").unwrap();
    // The page is discarded at once, not only after a first attempt with a wrong checksum.
    let fetched = finish(start(&server.hub(cache.path()))).unwrap();
    assert_eq!(fs::read(&fetched.path).unwrap(), *server.weights);
}

#[test]
fn a_download_that_drips_ends_and_is_kept() {
    for manner in [Manner::Drips, Manner::DripsAndBreaks] {
        let server = Server::start(manner);
        let cache = tempfile::tempdir().unwrap();
        let hub = server
            .hub(cache.path())
            .with_patience(Duration::from_secs(1));
        let error = finish(start(&hub)).unwrap_err();
        assert!(matches!(error, FetchError::Interrupted { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("less than 1 kB per second arrived for 1 seconds"),
            "{error}"
        );
        assert!(parts(cache.path())[0] >= 20);
        server.set(Manner::Whole);
        let fetched = finish(start(&hub)).unwrap();
        assert_eq!(fs::read(&fetched.path).unwrap(), *server.weights);
    }
}

#[test]
fn a_hub_that_never_answers_is_given_up() {
    // It accepts connections but never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&address, cache.path().into()).with_patience(Duration::from_millis(300));
    let started = Instant::now();
    let error = finish(start(&hub)).unwrap_err();
    assert!(matches!(error, FetchError::Offline { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_file_that_was_damaged_in_the_cache_is_fetched_again() {
    let server = Server::start(Manner::Whole);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let path = finish(start(&hub)).unwrap().path;
    let mut damaged = bytes(1_000_000);
    damaged[123_456] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let again = finish(start(&hub)).unwrap();
    assert_eq!(again.path, path);
    assert_eq!(
        fs::read(&path).unwrap(),
        *server.weights,
        "it is still damaged"
    );
    assert!(again.checked && parts(cache.path()).is_empty());
}

#[test]
fn a_copy_that_was_damaged_in_the_cache_is_replaced() {
    let server = Server::start(Manner::Whole);
    let cache = tempfile::tempdir().unwrap();
    let hub = server.hub(cache.path());
    let path = finish(start(&hub)).unwrap().path;
    let config = path.with_file_name("config.json");
    // Copies next to the finished files, as `cp -L` makes them or on systems without links.
    for file in [&path, &config] {
        let whole = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        fs::write(file, &whole).unwrap();
    }
    let taken = |file: &PathBuf| fs::symlink_metadata(file).unwrap().is_symlink();
    finish(start(&hub)).unwrap();
    assert!(!taken(&path), "a sound copy stays");
    for file in [&path, &config] {
        let whole = fs::read(file).unwrap();
        let mut damaged = whole.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        for bytes in [&damaged[..], &whole[..middle], b""] {
            let _ = fs::remove_file(file);
            fs::write(file, bytes).unwrap();
            let again = finish(start(&hub)).unwrap();
            assert_eq!(again.path, path);
            assert_eq!(fs::read(file).unwrap(), whole, "{file:?} is still damaged");
        }
    }
}

#[test]
fn an_address_that_is_none_is_named() {
    let cache = tempfile::tempdir().unwrap();
    for address in ["hub.example", "file:///etc", "ht tp://x"] {
        let hub = Hub::new(address, cache.path().into());
        let message = finish(start(&hub)).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("HF_ENDPOINT is {address}")),
            "{message}"
        );
    }
    assert_eq!(weights().name, "timm/resnet18.tv_in1k");
}
