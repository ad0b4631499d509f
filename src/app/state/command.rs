//! Effects outside the state: dialogs, files, the clipboard, downloads, the cameras.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::worker::PhotoSource;

/// Something that the window does beyond changing its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Show a file dialog for photos.
    AskForPhotos,
    /// Show a file dialog for a weight file.
    AskForModel,
    /// Show a file dialog for a folder of photos.
    AskForFolder,
    /// Show a file dialog for class names.
    AskForLabels,
    /// Show a file dialog for the folder to export to.
    AskForExport,
    /// Show a file dialog for the table of predictions.
    AskForTable,
    /// Write everything on screen into a new folder in this one.
    Export(PathBuf),
    /// Write the predictions of the photos in the browser into a file.
    WriteTable(PathBuf),
    /// Copy a pane to the clipboard.
    Copy,
    /// Open photos, folders, exports, weights and class names; the first photo is shown.
    Open(#[serde(with = "sources")] Vec<PhotoSource>),
    /// Tell the worker that no more predictions are needed.
    CancelPredictions,
    /// Look up which weights of the catalog are downloaded already.
    FindDownloads,
    /// Download weights of the catalog, by their name.
    Fetch(String),
    /// Stop downloading.
    CancelFetch,
    /// Zoom all panes together, or each separately.
    LinkZoom(bool),
    /// Show the whole photo again.
    Fit,
    /// Zoom by a factor about the center of the panes.
    Zoom(f32),
    /// Drop the shape that is being drawn, and the cell chosen with the arrow keys.
    CancelGestures,
    /// Toggle full screen.
    FullScreen,
    /// Choose the colors of the window.
    SetTheme(Theme),
}

/// The colors of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Theme {
    /// Follow the system.
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// How photos are recorded: files by their path, samples by their name. Pixels from the
/// clipboard are not recorded.
mod sources {
    use std::path::PathBuf;

    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::app::state::samples::SAMPLES;
    use crate::worker::PhotoSource;

    #[derive(Serialize, Deserialize)]
    enum Recorded {
        File(PathBuf),
        Sample(String),
    }

    pub fn serialize<S: Serializer>(all: &[PhotoSource], out: S) -> Result<S::Ok, S::Error> {
        let record = |source: &PhotoSource| match source {
            PhotoSource::File(path) => Ok(Recorded::File(path.clone())),
            PhotoSource::Embedded { name, .. } => Ok(Recorded::Sample((*name).to_owned())),
            PhotoSource::Pixels(_) => Err(S::Error::custom("pixels are not recorded")),
        };
        let recorded = all.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        recorded.serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<PhotoSource>, D::Error> {
        let recorded = Vec::<Recorded>::deserialize(from)?;
        let source = |recorded| match recorded {
            Recorded::File(path) => Ok(PhotoSource::File(path)),
            Recorded::Sample(name) => {
                let sample = SAMPLES.into_iter().find(|sample| sample.name() == name);
                sample.ok_or_else(|| D::Error::custom(format!("there is no sample {name:?}")))
            }
        };
        recorded.into_iter().map(source).collect()
    }
}
