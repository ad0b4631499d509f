//! Which files become the model automatically, and what is reported about the others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::common::resnet;
use super::server::{COMMIT, sha256};

static RESNET18: LazyLock<Vec<u8>> = LazyLock::new(|| resnet::file(resnet::RESNET18, false));

/// A computer on which nothing was downloaded: home, data folder, cache and working directory.
struct Computer(tempfile::TempDir);

impl Computer {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, path: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Weights in the hub's cache, stored under a SHA-256.
    fn fetched(&self, bytes: &[u8], announced: &str) -> PathBuf {
        let folder = "hf/hub/models--timm--resnet18.tv_in1k";
        self.file(&format!("{folder}/refs/main"), COMMIT.as_bytes());
        self.file(&format!("{folder}/blobs/{announced}"), bytes);
        // On systems without links, a copy is there instead.
        self.file(
            &format!("{folder}/snapshots/{COMMIT}/model.safetensors"),
            bytes,
        )
    }

    /// Success, stdout and stderr of `camlens explain`.
    fn explain(&self, arguments: &[&str]) -> (bool, String, String) {
        let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/samples/cat.png");
        let output = Command::new(env!("CARGO_BIN_EXE_camlens"))
            .arg("explain")
            .arg(photo)
            .args(arguments)
            .env("HOME", self.0.path())
            .env("XDG_DATA_HOME", self.0.path().join("data"))
            .env("HF_HOME", self.0.path().join("hf"))
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout),
            text(output.stderr),
        )
    }
}

#[test]
fn a_name_alone_makes_no_file_the_model() {
    let computer = Computer::new();
    let (done, report, said) = computer.explain(&[]);
    assert!(
        done && report.contains("EfficientNet-Lite0 (built in)"),
        "{report}{said}"
    );
    assert_eq!(said, "");
    let mine = computer.file("weights/resnet18-epoch3.safetensors", &RESNET18);
    let (done, report, said) = computer.explain(&[]);
    assert!(
        done && report.contains("EfficientNet-Lite0 (built in)"),
        "{report}{said}"
    );
    assert!(
        said.contains("Found, but not used automatically")
            && said.contains("resnet18-epoch3.safetensors"),
        "{said}"
    );
    // On request it runs, and a notice says what it is.
    let (done, report, said) = computer.explain(&["--model", "resnet18"]);
    assert!(
        done && report.contains("ResNet-18") && report.contains("accuracy unknown"),
        "{report}"
    );
    assert!(
        said.contains("Taken as ResNet-18 by its name") && said.contains("epoch3"),
        "{said}"
    );
    let (done, report, said) = computer.explain(&["--model", mine.to_str().unwrap()]);
    assert!(done && report.contains("ResNet-18"), "{report}{said}");
}

#[test]
fn a_file_of_the_right_size_must_be_the_right_file() {
    let computer = Computer::new();
    // It has the size of torchvision's file, but other contents.
    let path = computer.file("weights/resnet18-f37072fd.pth", b"PK\x03\x04");
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(46_830_571)
        .unwrap();
    let (done, report, said) = computer.explain(&[]);
    assert!(
        done && report.contains("EfficientNet-Lite0 (built in)"),
        "{report}{said}"
    );
    assert!(
        said.contains("resnet18-f37072fd.pth") && said.contains("Running the built-in"),
        "{said}"
    );
}

#[test]
fn what_was_fetched_is_the_model_unless_it_is_damaged() {
    let computer = Computer::new();
    let announced = sha256(&RESNET18);
    let path = computer.fetched(&RESNET18, &announced);
    for arguments in [
        &[][..],
        &["--model", "resnet18"],
        &["--model", "timm/resnet18.tv_in1k"],
    ] {
        let (done, report, said) = computer.explain(arguments);
        assert!(done && report.contains("ResNet-18"), "{report}{said}");
        assert!(
            report.contains("69.8 % top-1 on ImageNet (reported by timm)"),
            "{report}"
        );
    }
    let mut damaged = RESNET18.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let mut garbage = RESNET18.clone();
    garbage[20] ^= 0x80;
    for bytes in [damaged, garbage] {
        computer.fetched(&bytes, &announced);
        fs::write(&path, &bytes).unwrap();
        // By default the built-in model runs, with a notice that says why.
        let (done, report, said) = computer.explain(&[]);
        assert!(
            done && report.contains("EfficientNet-Lite0 (built in)"),
            "{report}{said}"
        );
        assert!(
            said.contains("are damaged") && said.contains("camlens fetch timm/resnet18.tv_in1k"),
            "{said}"
        );
        // On request it is an error that says what to do. The accuracy is never reported.
        for model in ["timm/resnet18.tv_in1k", "resnet18", path.to_str().unwrap()] {
            let (done, report, said) = computer.explain(&["--model", model]);
            assert!(!done && report.is_empty(), "{report}");
            assert!(
                said.contains("camlens fetch timm/resnet18.tv_in1k"),
                "{said}"
            );
        }
    }
}

#[test]
fn what_the_hub_did_not_vouch_for_is_not_called_by_its_accuracy() {
    let computer = Computer::new();
    let path = computer.fetched(&RESNET18, "abc123");
    let (done, report, said) = computer.explain(&[]);
    assert!(
        done && report.contains("EfficientNet-Lite0 (built in)"),
        "{report}{said}"
    );
    let (done, report, _) = computer.explain(&["--model", path.to_str().unwrap()]);
    assert!(done && report.contains("accuracy unknown"), "{report}");
}
