//! Which modules may use which crates: only the models use candle, and only the window uses egui.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Crates, and the places in `src` that may use them.
const WALLS: [(&[&str], &[&str]); 2] = [
    (&["candle_core", "candle_nn"], &["model", "model.rs"]),
    (
        &["egui", "eframe", "egui_extras", "rfd", "winit"],
        &["app", "app.rs", "main.rs"],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
        .collect()
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let files = sources(Path::new("src"));
    // The number of files may change, but these must be among them.
    for name in ["lib.rs", "engine.rs", "app.rs", "worker.rs"] {
        let found = files.iter().any(|file| file.ends_with(name));
        assert!(found, "{name} was not read");
    }
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.strip_prefix("src").unwrap();
        for (crates, allowed) in WALLS {
            let names = |name: &&str| text.contains(&format!("{name}::"));
            let Some(name) = crates.iter().find(|name| names(name)) else {
                continue;
            };
            let inside = allowed.iter().any(|part| place.starts_with(part));
            assert!(inside, "{} names {name}", file.display());
            named += 1;
        }
    }
    assert!(
        named > 10,
        "the check is not effective: only {named} files name these crates"
    );
}

/// The exceptions, each with a safety comment.
#[test]
fn there_are_two_unsafe_blocks() {
    let mut unsafe_files = Vec::new();
    for file in sources(Path::new("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let blocks = text.matches("unsafe {").count();
        assert_eq!(blocks, text.matches("// SAFETY:").count(), "{file:?}");
        if blocks > 0 {
            unsafe_files.push((file, blocks));
        }
    }
    unsafe_files.sort();
    let expected = ["model/cpu/prefetch.rs", "platform/allocator.rs"]
        .map(|name| (Path::new("src").join(name), 1));
    assert_eq!(unsafe_files, expected);
}
