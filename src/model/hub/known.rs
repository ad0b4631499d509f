//! The weights that can be downloaded.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use hf_hub::Cache;

use crate::model::hub::{WEIGHTS, usual_cache};
use crate::text::printable;

/// Weights that can be downloaded.
#[derive(Debug, PartialEq, Eq)]
pub struct HubModel {
    /// Its repository on the hub, which is its name here.
    pub name: &'static str,
    /// The network.
    pub network: &'static str,
    /// Approximate size of the file.
    pub megabytes: u32,
    /// The license stated by the repository.
    pub license: &'static str,
    /// Reported accuracy.
    pub accuracy: &'static str,
}

const fn known(
    name: &'static str,
    network: &'static str,
    megabytes: u32,
    license: &'static str,
    accuracy: &'static str,
) -> HubModel {
    HubModel {
        name,
        network,
        megabytes,
        license,
        accuracy,
    }
}

/// Accuracy as in the tables of timm's model cards (ImageNet validation set, the card of
/// `resnet18.fb_ssl_yfcc100m_ft_in1k`), license as in timm's `default_cfgs` (1.0.31).
pub const MODELS: [HubModel; 9] = [
    known(
        "timm/resnet18.tv_in1k",
        "ResNet-18",
        47,
        "BSD-3-Clause",
        "69.8 % top-1",
    ),
    known(
        "timm/resnet18.a1_in1k",
        "ResNet-18",
        47,
        "Apache-2.0",
        "71.5 % top-1",
    ),
    known(
        "timm/resnet34.tv_in1k",
        "ResNet-34",
        87,
        "BSD-3-Clause",
        "73.3 % top-1",
    ),
    known(
        "timm/resnet34.a1_in1k",
        "ResNet-34",
        87,
        "Apache-2.0",
        "76.4 % top-1",
    ),
    known(
        "timm/resnet50.tv_in1k",
        "ResNet-50",
        102,
        "BSD-3-Clause",
        "76.1 % top-1",
    ),
    known(
        "timm/resnet50.tv2_in1k",
        "ResNet-50",
        102,
        "BSD-3-Clause",
        "80.9 % top-1",
    ),
    known(
        "timm/resnet50.a1_in1k",
        "ResNet-50",
        102,
        "Apache-2.0",
        "81.2 % top-1 at 288×288",
    ),
    known(
        "timm/resnet101.tv_in1k",
        "ResNet-101",
        179,
        "BSD-3-Clause",
        "77.4 % top-1",
    ),
    known(
        "timm/resnet152.tv_in1k",
        "ResNet-152",
        241,
        "BSD-3-Clause",
        "78.3 % top-1",
    ),
];

/// The catalog entry with a name in any case, with or without `timm/`.
#[must_use]
pub fn find(name: &str) -> Option<&'static HubModel> {
    let name = name.to_lowercase();
    let name = name.strip_prefix("timm/").unwrap_or(&name);
    MODELS
        .iter()
        .find(|known| known.name.strip_prefix("timm/") == Some(name))
}

/// How to get weights that are not in the cache, as a message for the user.
#[must_use]
pub fn how_to_get(name: &str) -> String {
    match find(name) {
        Some(known) => format!(
            "{name} is not on this computer. Run camlens fetch {name}, or download it from the model menu ({} MB, {}).",
            known.megabytes, known.license
        ),
        None => format!(
            "There is no {} in the catalog. Run camlens fetch to list the catalog.",
            printable::name(name)
        ),
    }
}

impl HubModel {
    /// The path of its file, if it was downloaded (by camlens or by any other program).
    #[must_use]
    pub fn cached(&self) -> Option<PathBuf> {
        self.cached_in(&usual_cache())
    }

    /// The possible sizes of its file in bytes: [`HubModel::megabytes`] is rounded.
    pub(crate) fn sizes(&self) -> RangeInclusive<u64> {
        let about = u64::from(self.megabytes) * 1_000_000;
        about - about / 20..=about + about / 20
    }

    pub(super) fn cached_in(&self, cache: &Cache) -> Option<PathBuf> {
        cache.model(self.name.into()).get(WEIGHTS)
    }
}

/// The entry of a file in the cache.
#[must_use]
pub fn of_file(path: &Path) -> Option<&'static HubModel> {
    let folder = path.parent()?.parent()?.parent()?.file_name()?.to_str()?;
    let repository = folder.strip_prefix("models--")?.replace("--", "/");
    MODELS.iter().find(|known| known.name == repository)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_with_and_without_their_owner() {
        let first = &MODELS[0];
        assert_eq!(find("timm/resnet18.tv_in1k"), Some(first));
        assert_eq!(find("resnet18.tv_in1k"), Some(first));
        assert_eq!(find("RESNET18.TV_IN1K"), Some(first));
        assert_eq!(find("Timm/ResNet18.tv_in1k"), Some(first));
        assert_eq!(find("resnet18"), None);
        let path =
            Path::new("/h/hub/models--timm--resnet18.tv_in1k/snapshots/abc/model.safetensors");
        assert_eq!(of_file(path), Some(first));
        assert_eq!(of_file(Path::new("/a/b/c/model.safetensors")), None);
    }

    #[test]
    fn sizes_are_those_of_the_files() {
        for (name, bytes, possible) in [
            // Sizes in bytes of timm's ResNet-18, as listed by the hub.
            ("resnet18.tv_in1k", 46_807_446, true),
            ("resnet18.tv_in1k", 102_469_840, false),
            ("resnet18.tv_in1k", 1_000_000, false),
            ("resnet18.tv_in1k", 1_000_000_000_000_000, false),
        ] {
            let sizes = find(name).unwrap().sizes();
            assert_eq!(sizes.contains(&bytes), possible, "{bytes}");
        }
        for known in &MODELS {
            // Four bytes for each parameter (torchvision's tables), and 0.1 MB of names.
            let parameters = match known.network {
                "ResNet-18" => 11_689_512,
                "ResNet-34" => 21_797_672,
                "ResNet-50" => 25_557_032,
                "ResNet-101" => 44_549_160,
                "ResNet-152" => 60_192_808,
                other => panic!("{other}"),
            };
            assert!(
                known.sizes().contains(&(4 * parameters + 100_000)),
                "{}",
                known.name
            );
        }
    }
}
