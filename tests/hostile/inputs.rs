//! Processes untrusted bytes, for the fuzz targets (`fuzz/`) and for `found.rs`, which replays
//! their findings. Nothing here may panic, hang, or allocate memory that the bytes only claim to
//! need.

#![allow(dead_code)] // each fuzz target uses one of these

use std::fs;
use std::path::PathBuf;

use camlens::explain::engine::Engine;
use camlens::input::photo::{Limits, Photo};
use camlens::labels::Labels;
use camlens::model::ModelChoice;
use camlens::model::device::DeviceChoice;
use camlens::model::weights::Checkpoint;
use camlens::report::export::Manifest;

/// The first byte selects the file's name and whether it is opened as a thumbnail.
pub fn photo(bytes: &[u8]) {
    let Some((&how, bytes)) = bytes.split_first() else {
        return;
    };
    let name = if how & 1 == 0 { "x.png" } else { "x.tga" };
    let side = if how & 2 == 0 { usize::MAX } else { 32 };
    // Low limits, so that many inputs can be tried per second.
    let limits = Limits {
        megapixels: 1,
        decoded_mb: 8,
        file_mb: 4,
    };
    match Photo::decode_at_least(name, bytes, side, limits) {
        Ok(photo) => {
            assert_eq!(photo.rgb.len(), 3 * photo.width * photo.height);
            let small = photo.scaled_down(16);
            assert!(small.width.max(small.height) <= 16 || photo.width.max(photo.height) <= 16);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A weight file: its list, each tensor of a plausible size, and the network that it is recognized
/// as.
pub fn checkpoint(bytes: &[u8]) {
    let file = File::of(bytes, "x.pth");
    let Ok(mut checkpoint) = Checkpoint::open(&file.0, None) else {
        return;
    };
    let names: Vec<String> = checkpoint.names().map(str::to_owned).collect();
    for name in names {
        let shape = checkpoint.shape(&name).unwrap_or_default().to_owned();
        let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if count.is_some_and(|count| count < 1 << 20) {
            checkpoint.tensor(&name, &shape);
        }
    }
    let _ = checkpoint.finish("ResNet-18", []);
    let _ = Engine::open(&ModelChoice::File(file.0.clone()), DeviceChoice::Cpu);
}

/// A file of class names; the first byte is the number of classes.
pub fn labels(bytes: &[u8]) {
    let Some((&classes, bytes)) = bytes.split_first() else {
        return;
    };
    let file = File::of(bytes, "x.json");
    if let Ok(labels) = Labels::open(&file.0, classes.into()) {
        assert_eq!(labels.len(), usize::from(classes));
        for class in labels.search("a") {
            let _ = labels.name(class);
        }
        let _ = labels.find("cat");
    }
}

/// A manifest.
pub fn manifest(bytes: &[u8]) {
    let file = File::of(bytes, "manifest.json");
    if let Ok(manifest) = Manifest::read(&file.0) {
        let _ = manifest.locate("/nowhere".as_ref(), &[]);
    }
}

/// A file in memory, unique to this process and thread.
struct File(PathBuf);

impl File {
    fn of(bytes: &[u8], ending: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let path = folder.join(format!("camlens-{process}-{thread:?}-{ending}"));
        fs::write(&path, bytes).expect("a place to write");
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
