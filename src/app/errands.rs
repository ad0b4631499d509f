//! Errands that take their time, each on a thread of its own: file dialogs and
//! writing overlays. Their results come back through a channel.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::cam::Map;
use crate::export::{self, Look};
use crate::heatmap::Range;
use crate::model::device::{self, DeviceStatus};
use crate::photo;
use crate::worker::{Shown, Wake};

/// A dialog that says "cancelled" sooner than this was never seen: rfd answers so
/// within some 20 ms where there is neither a portal nor zenity.
const TOO_FAST_FOR_A_PERSON: Duration = Duration::from_millis(150);

/// What a file dialog asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Photos to open.
    Photos,
    /// A weight file.
    Model,
    /// A file of class names.
    Labels,
    /// Where to write the overlays, with a name to start from.
    Export(String),
}

/// The paths chosen, or none. The future is made on the UI's thread (as macOS
/// wants it) and waited for on another.
pub type Picking = Pin<Box<dyn Future<Output = Option<Vec<PathBuf>>> + Send>>;
/// Shows a file dialog; a test puts its own in.
pub type Picker = Arc<dyn Fn(&Ask) -> Picking + Send + Sync>;

/// What came of an errand.
#[derive(Debug)]
pub enum Outcome {
    /// Paths were chosen.
    Picked(Ask, Vec<PathBuf>),
    /// The user thought better of it.
    Cancelled,
    /// There is no file dialog on this system.
    NoDialog,
    /// The devices of this computer.
    Devices(Vec<DeviceStatus>),
    /// The overlays were written, or why not.
    Exported(Result<PathBuf, String>),
}

/// The errands of one window.
pub struct Errands {
    picker: Picker,
    wake: Wake,
    sender: Sender<Outcome>,
    outcomes: Receiver<Outcome>,
    dialog_is_open: bool,
}

impl Errands {
    /// `wake` is called after each outcome.
    pub fn new(picker: Picker, wake: Wake) -> Self {
        let (sender, outcomes) = mpsc::channel();
        Self {
            picker,
            wake,
            sender,
            outcomes,
            dialog_is_open: false,
        }
    }

    /// Shows a file dialog, unless one is open already.
    pub fn ask(&mut self, ask: Ask) {
        if self.dialog_is_open {
            return;
        }
        self.dialog_is_open = true;
        let picking = (self.picker)(&ask);
        self.spawn("camlens-dialog", move || {
            let started = Instant::now();
            match pollster::block_on(picking) {
                Some(paths) => Outcome::Picked(ask, paths),
                None if started.elapsed() < TOO_FAST_FOR_A_PERSON => Outcome::NoDialog,
                None => Outcome::Cancelled,
            }
        });
    }

    /// Composes overlays at full size and writes them as PNG.
    pub fn export(
        &self,
        shown: &Shown,
        maps: Vec<(Map, Option<Range>)>,
        look: Look,
        path: PathBuf,
    ) {
        let (photo, analysis) = (shown.photo.clone(), shown.analysis.clone());
        self.spawn("camlens-export", move || {
            let maps: Vec<_> = maps.iter().map(|(map, range)| (map, *range)).collect();
            let picture = export::compose(&photo, &analysis, &maps, look);
            let written = export::write_png(&picture, &path, photo.path.as_deref());
            Outcome::Exported(written.map(|()| path).map_err(|error| error.to_string()))
        });
    }

    /// Looks for devices: a GPU's driver takes its time.
    pub fn find_devices(&self) {
        self.spawn("camlens-devices", || Outcome::Devices(device::list()));
    }

    /// The next outcome, if there is one.
    pub fn outcome(&mut self) -> Option<Outcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        if !matches!(outcome, Outcome::Exported(_) | Outcome::Devices(_)) {
            self.dialog_is_open = false;
        }
        Some(outcome)
    }

    fn spawn(&self, name: &str, errand: impl FnOnce() -> Outcome + Send + 'static) {
        let (sender, wake) = (self.sender.clone(), self.wake.clone());
        let work = move || {
            // Nobody listens once the window is closed.
            let _ = sender.send(errand());
            wake();
        };
        if let Err(error) = thread::Builder::new().name(name.into()).spawn(work) {
            let message =
                format!("The system has no thread to give ({error}). Close other programs.");
            let _ = self.sender.send(Outcome::Exported(Err(message)));
        }
    }
}

/// The system's file dialogs.
pub fn system_picker() -> Picker {
    Arc::new(|ask| {
        let dialog = rfd::AsyncFileDialog::new();
        let path = |handle: rfd::FileHandle| handle.path().to_owned();
        match ask {
            Ask::Photos => {
                let files = dialog
                    .set_title("Open photos")
                    .add_filter("Photos", &both_cases(&photo::EXTENSIONS))
                    .add_filter("All files", &["*"])
                    .pick_files();
                Box::pin(async move { Some(files.await?.into_iter().map(path).collect()) })
            }
            Ask::Model => {
                let file = dialog
                    .set_title("Open model weights")
                    .add_filter("Weights", &both_cases(&["safetensors", "pth", "pt"]))
                    .pick_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
            Ask::Labels => {
                let file = dialog
                    .set_title("Open class names")
                    .add_filter("Class names", &both_cases(&["txt", "json"]))
                    .pick_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
            Ask::Export(name) => {
                let file = dialog
                    .set_title("Export overlays")
                    .set_file_name(name)
                    .add_filter("PNG", &["png"])
                    .save_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
        }
    })
}

/// Filters are case-sensitive on Linux.
fn both_cases(endings: &[&str]) -> Vec<String> {
    endings
        .iter()
        .flat_map(|ending| [(*ending).to_owned(), ending.to_uppercase()])
        .collect()
}
