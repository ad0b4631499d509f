//! Known weight files, where they are looked for, and what is known of them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use super::hub;

/// The built-in model's weights: EfficientNet-Lite0, ImageNet-1k, f16.
pub const BUILT_IN_WEIGHTS: &[u8] =
    include_bytes!("../../weights/efficientnet-lite0-imagenet1k.safetensors");
/// Its file name.
pub const BUILT_IN_NAME: &str = "efficientnet-lite0-imagenet1k.safetensors";

/// A file that is recognised by its contents.
struct Known {
    /// How the SHA-256 of the file begins (torchvision names its files by it).
    sha256: &'static str,
    accuracy: &'static str,
}

/// Accuracies: top-1 on ImageNet's validation set as their publishers report
/// them; the figures on 500 and 1000 photographs were measured for this project.
const KNOWN: [Known; 4] = [
    Known {
        sha256: "8684fd21258eb32ddefe8f43301762b1",
        accuracy: "75.1 % top-1 on ImageNet (reported by its authors)",
    },
    Known {
        // torchvision resnet18-f37072fd.pth, IMAGENET1K_V1
        sha256: "f37072fd",
        accuracy: "69.8 % top-1 on ImageNet (reported by torchvision)",
    },
    Known {
        // torchvision's earlier copy of the same weights, resnet18-5c106cde.pth
        sha256: "5c106cde",
        accuracy: "69.8 % top-1 on ImageNet (reported by torchvision)",
    },
    Known {
        // Partly rebuilt weights for this project's tests; not for distribution.
        sha256: "d75eff6e27965e146a5f3a8058c3988c",
        accuracy: "78.6 % top-1 on 1000 labelled photographs; not torchvision's own file: its layer4 is rebuilt",
    },
];

/// What to do to get ResNet-18, in words for the screen.
#[must_use]
pub fn how_to_get_resnet18() -> String {
    format!(
        "ResNet-18 is not on this computer. Fetch it from the model menu or with camlens fetch {RESNET18} (47 MB, BSD-3), \
         or put torchvision's resnet18-f37072fd.pth (https://download.pytorch.org/models/resnet18-f37072fd.pth) in {}.",
        user_folder().map_or_else(
            || "a folder called weights".into(),
            |folder| folder.display().to_string()
        ),
    )
}

/// Whether a weight file is one whose contents are known.
#[must_use]
pub fn is_known(sha256: &str) -> bool {
    KNOWN.iter().any(|known| sha256.starts_with(known.sha256))
}

/// What is known about the accuracy of a weight file.
#[must_use]
pub fn accuracy(sha256: &str, path: Option<&Path>) -> String {
    let known = KNOWN.iter().find(|known| sha256.starts_with(known.sha256));
    match (known, path.and_then(hub::of_file)) {
        (Some(known), _) => known.accuracy.into(),
        (None, Some(known)) => format!("{} on ImageNet (reported by timm)", known.accuracy),
        (None, None) => "accuracy unknown: this file is not one that camlens knows".into(),
    }
}

/// The catalogue's ResNet-18 that is the usual one: torchvision's weights.
pub const RESNET18: &str = "timm/resnet18.tv_in1k";

/// The first `resnet18*.safetensors` or `.pth` in the folders looked in, else the one
/// fetched from the hub.
#[must_use]
pub fn find_resnet18() -> Option<PathBuf> {
    let mut found = search_folders()
        .into_iter()
        .filter_map(|folder| resnet18_in(&folder));
    found.next().or_else(|| hub::find(RESNET18)?.cached())
}

/// `weights` beside the program, in the working directory, and in the user's
/// data directory, in this order.
#[must_use]
pub fn search_folders() -> Vec<PathBuf> {
    let beside = env::current_exe().ok();
    let beside = beside
        .as_deref()
        .and_then(Path::parent)
        .map(|folder| folder.join("weights"));
    let here = env::current_dir().ok().map(|folder| folder.join("weights"));
    [beside, here, user_folder()]
        .into_iter()
        .flatten()
        .collect()
}

fn user_folder() -> Option<PathBuf> {
    Some(
        ProjectDirs::from("", "", "camlens")?
            .data_dir()
            .join("weights"),
    )
}

fn resnet18_in(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = crate::photo::display_name(path).to_lowercase();
            let ending = Path::new(&name).extension();
            name.starts_with("resnet18")
                && ending.is_some_and(|e| e == "safetensors" || e == "pth")
                && path.is_file()
        })
        .collect();
    // The same choice on every start: safetensors first, then by name.
    found.sort_by_key(|path| (path.extension().is_some_and(|e| e == "pth"), path.clone()));
    found.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resnet18_is_found_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(resnet18_in(folder.path()), None);
        for name in [
            "resnet180.txt",
            "resnet50.pth",
            "my-resnet18.pth",
            "resnet18-b.pth",
            "resnet18-c.safetensors",
        ] {
            fs::write(folder.path().join(name), b"").unwrap();
        }
        let found = resnet18_in(folder.path()).unwrap();
        assert_eq!(found.file_name().unwrap(), "resnet18-c.safetensors");
    }

    #[test]
    fn accuracy_is_stated_only_for_known_files() {
        assert!(accuracy("f37072fd0000", None).starts_with("69.8 %"));
        assert!(accuracy("00", None).starts_with("accuracy unknown"));
    }
}
