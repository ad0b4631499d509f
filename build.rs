//! Tells the program which commit it was built from, for `camlens --version`.
//!
//! In release builds only: in others every commit would compile everything anew.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CAMLENS_BUILD={}", build());
}

/// The commit, or what else is known of where the sources come from.
fn build() -> String {
    if std::env::var("PROFILE").as_deref() != Ok("release") {
        return "development build".into();
    }
    // `git rev-parse` would find a repository around the unpacked sources, too.
    if !Path::new(".git").exists() {
        return "not built from a git checkout".into();
    }
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    match git(&["rev-parse", "--short=12", "HEAD"]) {
        Some(commit) => format!("commit {commit}"),
        None => "commit unknown".into(),
    }
}

/// The first line that git answers.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}
