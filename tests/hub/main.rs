//! Downloads of weights from a small hub on localhost: complete, interrupted, damaged, refused,
//! slow, cancelled.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod models;
mod safety;
mod server;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use camlens::model::hub;
use camlens::model::hub::{Fetch, FetchError, Fetched, Hub, HubModel};
use common::resnet;
use server::{Manner, Server};

/// The first entry of the catalog, but as small as the file of the test's hub.
static SMALL: HubModel = HubModel {
    name: "timm/resnet18.tv_in1k",
    network: "ResNet-18",
    megabytes: 1,
    license: "BSD-3-Clause",
    accuracy: "69.8 % top-1",
};

fn weights() -> &'static HubModel {
    &SMALL
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
    // On a second download, the file is only looked up in the cache.
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
    assert!(error.to_string().contains("download it again to resume"));
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
    // A damaged partial file does not prevent the next attempt.
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
        (503, "server error"),
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
    // Nothing listens on this port.
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
    let server = Server::with(resnet::file(resnet::RESNET18, false), Manner::Whole);
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
    assert_eq!(list(()).lines().count(), hub::MODELS.len());
    assert!(!list(()).contains("here"));
    let offline = camlens(&["fetch", "resnet18.tv_in1k"], "http://127.0.0.1:9");
    assert_eq!(offline.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&offline.stderr).contains("can't be reached"));
    // Names are accepted in upper and lower case.
    let output = camlens(&["fetch", "RESNET18.TV_IN1K"], &server.address);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let path = String::from_utf8(output.stdout).unwrap();
    assert_eq!(std::fs::read(path.trim()).unwrap(), *server.weights);
    assert!(list(()).lines().next().unwrap().ends_with("here"));
    let unknown = camlens(&["fetch", "resnet9000"], &server.address);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no resnet9000 in the catalog"));
    // If the weights were not downloaded, a message says what to do.
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

    // The served file is not a network, it only has the size of one.
    let server = Server::with(server::bytes(47_000_000), Manner::Slow);
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
            assert!(started.elapsed() < Duration::from_mins(1), "timed out");
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
    harness.get_by_label("Download weights…").click();
    harness.run_steps(3);
    let fetch = format!("Fetch {}", weights().name);
    harness.get_by_label(&fetch).click();
    harness.run_steps(3);
    until(&mut harness, &|_| {
        parts(cache.path()).first().is_some_and(|bytes| *bytes > 0)
    });
    harness.get_by_label("Stop").click();
    harness.run_steps(2);
    until(&mut harness, &|app| app.state().info.is_some());
    harness.get_by_label_contains("was stopped. The partial download is kept");
    let kept = parts(cache.path())[0];
    assert!(kept > 0 && kept < 47_000_000);

    server.set(Manner::Whole);
    harness.get_by_label(&fetch).click();
    harness.run_steps(2);
    until(&mut harness, &|app| app.state().error.is_some());
    harness.get_by_label_contains("is not a weight file that can be read");
    assert_eq!(harness.state().state().settings.model, ModelChoice::BuiltIn);
    harness.get_by_label(&format!("Use {}", weights().name));
    harness.get_by_label(&format!("Check {}", weights().name));
}
