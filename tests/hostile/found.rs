//! Replays `tests/corpus/fuzz`: inputs found by fuzzing, and those it started from.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::inputs;

/// Timeout for one input.
const PATIENCE: Duration = Duration::from_secs(5);

fn replay(kind: &str, target: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/corpus/fuzz").join(kind);
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let started = Instant::now();
        target(&bytes);
        assert!(started.elapsed() < PATIENCE, "{} hangs", path.display());
        count += 1;
    }
    assert!(count > 0, "there are inputs for {kind}");
}

#[test]
fn photos() {
    replay("photo", inputs::photo);
}

#[test]
fn checkpoints() {
    replay("checkpoint", inputs::checkpoint);
}

#[test]
fn labels() {
    replay("labels", inputs::labels);
}

#[test]
fn manifests() {
    replay("manifest", inputs::manifest);
}
