//! Paths that are not files, files that can't be read, and files with unusual names.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use camlens::input::photo::Photo;
use camlens::report::export::Manifest;

use super::common::needs::Need;

const CAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/upright.png");

fn explain(photo: &Path) -> Output {
    command(photo).output().unwrap()
}

fn explain_into(photo: &Path, out: &Path) -> Output {
    command(photo).arg("--export").arg(out).output().unwrap()
}

fn command(photo: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_camlens"));
    command
        .args(["explain", "--model", "efficientnet-lite0"])
        .args(["--device", "cpu"])
        .arg(photo);
    command
}

/// Checks for status 1 and a single line that contains these words.
fn refuses(photo: &Path, words: &str) {
    let output = explain(photo);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains(words) && message.lines().count() == 1,
        "{message}"
    );
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    refuses(folder.path(), "is a folder");
    refuses(&folder.path().join("gone.png"), "Can't read gone.png");
    #[cfg(unix)]
    {
        let fifo = folder.path().join("pipe.png");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        refuses(&fifo, "is not a file");
        let dangling = folder.path().join("link.png");
        std::os::unix::fs::symlink("nowhere.png", &dangling).unwrap();
        refuses(&dangling, "Can't read link.png");
    }
}

#[cfg(unix)]
#[test]
#[ignore = "needs a user who may not read every file"]
fn a_file_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret.png");
    fs::copy(CAT, &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let refused = fs::read(&path).is_err();
    if !Need::PlainUser.is_met(refused, "a user who may not read every file") {
        return;
    }
    refuses(&path, "Can't read secret.png");
}

#[test]
fn odd_names_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        "two words.png",
        "Käse & Brot.png",
        "🐈.png",
        "-x.png",
        "a'b\"c.png",
        "%41.png",
    ];
    let mut paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"not \xff\xfe utf-8.png");
        paths.push(folder.path().join(name));
    }
    for (index, path) in paths.into_iter().enumerate() {
        fs::copy(CAT, &path).unwrap();
        let out = folder.path().join(format!("out-{index}"));
        let output = explain_into(&path, &out);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {message}", path.display());
        let manifest = Manifest::read(&out.join("manifest.json")).unwrap();
        // JSON can't hold a name that is not UTF-8; such a photo must be given on the command line.
        let found = manifest.locate_photo(&out, &[]).ok();
        let said = path.file_name().unwrap().to_str();
        assert_eq!(found.is_some(), said.is_some(), "{}", path.display());
        assert_eq!(Photo::open(&path).unwrap().path.as_deref(), Some(&*path));
    }
}
