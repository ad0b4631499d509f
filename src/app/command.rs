//! What the window can be told to do beyond editing its settings.

use std::path::PathBuf;

use crate::model::ModelChoice;
use crate::model::hub::HubModel;
use crate::worker::PhotoSource;

/// Something that reaches outside the panels; run once at the end of a frame.
#[derive(Debug)]
pub enum Command {
    /// Ask for photos in a file dialog.
    AskForPhotos,
    /// Ask for a weight file in a file dialog.
    AskForModel,
    /// Ask for a folder of photos in a file dialog.
    AskForFolder,
    /// Ask for the folder in which all that is on screen is written.
    AskForExport,
    /// Ask where to write the predictions.
    AskForTable,
    /// Classify no more photos.
    StopBatch,
    /// Copy a pane to the clipboard.
    Copy,
    /// Open photos; the first one is shown.
    Open(Vec<PhotoSource>),
    /// Show a photo of the browser.
    Show(u64),
    /// Show the photo so many places further on in the browser.
    StepPhoto(isize),
    /// Run a model.
    UseModel(ModelChoice),
    /// Ask for a file of class names in a file dialog.
    AskForLabels,
    /// Name the classes by a file, or as they were without one.
    UseLabels(Option<PathBuf>),
    /// Show the catalog of weights.
    ShowWeights,
    /// Fetch weights of the catalog.
    Fetch(&'static HubModel),
    /// Stop fetching.
    CancelFetch,
    /// Move the choice in the class table.
    StepClass(isize),
    /// Choose the layer so many places after this one.
    StepLayer(isize),
    /// Let the two map panes change places.
    SwapPanes,
    /// Zoom all panes together, or each on its own.
    LinkZoom(bool),
    /// Fill the screen, or no longer.
    FullScreen,
    /// Show the whole photo again.
    Fit,
    /// Zoom about the center of the panes, by a factor.
    Zoom(f32),
}
