//! Manifests that are too large are rejected before they are processed.

use serde_json::Value;

use std::fs;

use super::*;

#[test]
fn regions_are_bounded() {
    let text = fs::read_to_string("tests/corpus/fuzz/manifest/export.json").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    let read = |regions: usize, letters: usize| {
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        let mut region = manifest["regions"][0].clone();
        region["name"] = "n".repeat(letters).into();
        manifest["regions"] = vec![region; regions].into();
        fs::write(&file, manifest.to_string()).unwrap();
        Manifest::read(&file).map_err(|error| error.to_string())
    };
    assert_eq!(read(1000, 1000).unwrap().regions.len(), 1000);
    for (regions, letters, words) in [
        (1001, 1, "1001 regions, and the limit is 1000"),
        (20_000, 1, "20000 regions, and the limit is 1000"),
        (1, 1001, "a region is longer than 1000 characters"),
    ] {
        let message = read(regions, letters).unwrap_err();
        assert!(message.contains(words), "{message}");
        assert!(message.len() < 500, "{message}");
    }
}

#[test]
fn layers_of_older_manifests_are_read() {
    let text = fs::read_to_string("tests/corpus/fuzz/manifest/export.json").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifest.json");
    for (written, layer) in [
        ("last", "last"),
        ("Last", "last"),
        ("layer2", "layer2"),
        ("Layer2", "layer2"),
        ("last-conv", "last-conv"),
        ("LastConv", "last-conv"),
    ] {
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        manifest["maps"][0]["layer"] = written.into();
        fs::write(&file, manifest.to_string()).unwrap();
        let read = Manifest::read(&file).unwrap();
        assert_eq!(read.maps[0].layer, layer.into());
    }
}
