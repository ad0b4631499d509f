//! Known weight files, where they are searched for, and their accuracy.

use std::path::{Path, PathBuf};
use std::{env, fs};

use directories::ProjectDirs;

use crate::model::hub;
use crate::model::hub::Integrity;

/// The built-in model's weights: EfficientNet-Lite0, ImageNet-1k, f16.
pub const BUILT_IN_WEIGHTS: &[u8] =
    include_bytes!("../../weights/efficientnet-lite0-imagenet1k.safetensors");
/// Its file name.
pub const BUILT_IN_NAME: &str = "efficientnet-lite0-imagenet1k.safetensors";

/// A file that is recognized by its contents.
struct KnownFile {
    sha256: &'static str,
    /// Its size, which rules out most other files without reading them.
    bytes: u64,
    accuracy: &'static str,
}

/// Accuracy: top-1 on ImageNet's validation set, as reported by the publishers.
const KNOWN: [KnownFile; 3] = [
    KnownFile {
        sha256: "8684fd21258eb32ddefe8f43301762b165f5606fb3f80155051259443fe399d4",
        bytes: BUILT_IN_WEIGHTS.len() as u64,
        accuracy: "75.1 % top-1 on ImageNet (reported by its authors)",
    },
    KnownFile {
        // torchvision resnet18-f37072fd.pth, IMAGENET1K_V1
        sha256: "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
        bytes: 46_830_571,
        accuracy: "69.8 % top-1 on ImageNet (reported by torchvision)",
    },
    KnownFile {
        // torchvision's earlier copy of the same weights, resnet18-5c106cde.pth
        sha256: "5c106cde386e87d4033832f2996f5493238eda96ccf559d1d62760c4de0613f8",
        bytes: 46_827_520,
        accuracy: "69.8 % top-1 on ImageNet (reported by torchvision)",
    },
];

/// How to get ResNet-18, as a message for the user.
#[must_use]
pub fn how_to_get_resnet18() -> String {
    format!(
        "ResNet-18 is not on this computer. Download it from the model menu or with camlens fetch {RESNET18} (47 MB, BSD-3), \
         or put torchvision's resnet18-f37072fd.pth (https://download.pytorch.org/models/resnet18-f37072fd.pth) in {}.",
        user_folder().map_or_else(
            || "a folder named weights".into(),
            |folder| folder.display().to_string()
        ),
    )
}

/// Whether a weight file is one of the known files.
#[must_use]
pub fn is_known(sha256: &str) -> bool {
    KNOWN.iter().any(|known| known.sha256 == sha256)
}

/// The accuracy reported by the publisher of a weight file, if its SHA-256 is known: listed here,
/// or announced by the hub for the file in its cache.
#[must_use]
pub fn reported_accuracy(sha256: &str, path: Option<&Path>) -> Option<String> {
    if let Some(known) = KNOWN.iter().find(|known| known.sha256 == sha256) {
        return Some(known.accuracy.into());
    }
    let path = path?;
    let known = hub::of_file(path)?;
    (hub::integrity(path, sha256) == Integrity::Intact)
        .then(|| format!("{} on ImageNet (reported by timm)", known.accuracy))
}

/// What is known about the accuracy of a weight file, in words.
#[must_use]
pub fn accuracy(sha256: &str, path: Option<&Path>) -> String {
    reported_accuracy(sha256, path)
        .unwrap_or_else(|| "accuracy unknown: this file is not one that camlens knows".into())
}

/// The standard ResNet-18 of the catalog: torchvision's weights.
pub const RESNET18: &str = "timm/resnet18.tv_in1k";

/// Files that may be weights of a ResNet-18.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ResNet18Files {
    /// Files with a known size, and the file downloaded from the hub. Reading them shows whether
    /// they are the known files. The first known file is used automatically.
    pub likely: Vec<PathBuf>,
    /// Other files named `resnet18*.safetensors` or `.pth`. They are offered but not used
    /// automatically: a file name does not say what the network was trained for.
    pub others: Vec<PathBuf>,
}

impl ResNet18Files {
    /// All files, the likely ones first. `--model resnet18` tries them in this order.
    pub fn iter(&self) -> impl Iterator<Item = &PathBuf> {
        self.likely.iter().chain(&self.others)
    }
}

/// Searches for weights of a ResNet-18, in this order: the user's data folder, `weights` next to
/// the program, the hub's cache, and `weights` in the working directory.
#[must_use]
pub fn find_resnet18() -> ResNet18Files {
    let fetched = hub::find(RESNET18).and_then(hub::HubModel::cached);
    let here = env::current_dir().ok().map(|folder| folder.join("weights"));
    let installed: Vec<PathBuf> = [user_folder(), folder_beside()]
        .into_iter()
        .flatten()
        .collect();
    resnet18_among(&installed, fetched, here.as_deref())
}

fn resnet18_among(
    installed: &[PathBuf],
    fetched: Option<PathBuf>,
    here: Option<&Path>,
) -> ResNet18Files {
    let mut files = ResNet18Files::default();
    for folder in installed {
        files.add(folder);
    }
    files.likely.extend(fetched);
    if let Some(folder) = here.filter(|here| !installed.iter().any(|folder| folder == here)) {
        files.add(folder);
    }
    files
}

fn folder_beside() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    Some(program.parent()?.join("weights"))
}

fn user_folder() -> Option<PathBuf> {
    Some(
        ProjectDirs::from("", "", "camlens")?
            .data_dir()
            .join("weights"),
    )
}

impl ResNet18Files {
    fn add(&mut self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let mut found: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                let name = crate::input::photo::display_name(path).to_lowercase();
                let ending = Path::new(&name).extension();
                name.starts_with("resnet18")
                    && ending.is_some_and(|e| e == "safetensors" || e == "pth")
                    && path.is_file()
            })
            .collect();
        // A stable order: safetensors first, then by name.
        found.sort_by_key(|path| (path.extension().is_some_and(|e| e == "pth"), path.clone()));
        for path in found {
            let size = fs::metadata(&path).map(|about| about.len());
            let likely = size.is_ok_and(|size| KNOWN.iter().any(|known| known.bytes == size));
            if likely {
                self.likely.push(path);
            } else {
                self.others.push(path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::hex_sha256;

    #[test]
    fn the_built_in_weights_are_known() {
        assert_eq!(hex_sha256(BUILT_IN_WEIGHTS), KNOWN[0].sha256);
    }

    /// A file with a given size that takes little space on the disk.
    fn file(folder: &Path, name: &str, bytes: u64) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        fs::File::create(&path).unwrap().set_len(bytes).unwrap();
        path
    }

    #[test]
    fn a_name_makes_no_file_likely() {
        let root = tempfile::tempdir().unwrap();
        let [user, beside, here] = ["user", "beside", "here"].map(|name| root.path().join(name));
        let installed = [user.clone(), beside.clone()];
        let fetched = root.path().join("model.safetensors");
        let display_options =
            |fetched: Option<PathBuf>| resnet18_among(&installed, fetched, Some(&here));
        assert_eq!(display_options(None), ResNet18Files::default());
        for name in ["resnet180.txt", "resnet50.pth", "my-resnet18.pth"] {
            file(&here, name, 46_830_571);
        }
        assert_eq!(display_options(None), ResNet18Files::default());
        let known = file(&here, "resnet18-f37072fd.pth", 46_830_571);
        let earlier = file(&beside, "resnet18-5c106cde.pth", 46_827_520);
        let mine = file(&user, "ResNet18-epoch3.pth", 46_000_000);
        let other = file(&here, "resnet18-b.safetensors", 10);
        let found = display_options(Some(fetched.clone()));
        assert_eq!(found.likely, [earlier, fetched, known]);
        assert_eq!(found.others, [mine, other]);
    }

    #[test]
    fn a_folder_is_looked_in_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().to_path_buf();
        let path = file(&folder, "resnet18-a.pth", 1);
        let found = resnet18_among(std::slice::from_ref(&folder), None, Some(&folder));
        assert_eq!(found.others, [path]);
    }

    #[test]
    fn accuracy_is_stated_only_for_known_files() {
        for known in &KNOWN {
            assert_eq!(accuracy(known.sha256, None), known.accuracy);
        }
        // The first digits are not enough.
        for sha256 in ["f37072fd0000", "f37072fd", "00", ""] {
            assert!(accuracy(sha256, None).starts_with("accuracy unknown"));
        }
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("models--timm--resnet18.tv_in1k");
        let path = folder.join("snapshots/abc/model.safetensors");
        let (announced, damaged) = ("ab".repeat(32), "cd".repeat(32));
        let unknown = accuracy(&announced, Some(&path));
        assert!(unknown.starts_with("accuracy unknown"), "{unknown}");
        fs::create_dir_all(folder.join("blobs")).unwrap();
        fs::write(folder.join("blobs").join(&announced), "").unwrap();
        assert!(accuracy(&announced, Some(&path)).starts_with("69.8 %"));
        assert!(accuracy(&damaged, Some(&path)).starts_with("accuracy unknown"));
    }
}
