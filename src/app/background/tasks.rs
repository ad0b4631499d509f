//! Background tasks that take time, each on its own thread: file dialogs, exports and others. Their
//! results arrive through a channel.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SendError, Sender};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{panic, thread};

use crate::explain::analysis::Analysis;
use crate::explain::cam::Recipe;
use crate::explain::class_correlation::References;
use crate::input::photo;
use crate::input::photo::{Photo, Picture};
use crate::model::device;
use crate::model::device::DeviceStatus;
use crate::platform::panics::mistake;
use crate::report::export;
use crate::report::export::{Existing, ExportError, ExportScene, Located, MANIFEST, Manifest};
use crate::worker::Wake;

/// A dialog that reports "cancelled" sooner than this was never shown: without a portal and zenity,
/// rfd does so within about 20 ms.
const TOO_FAST_FOR_A_PERSON: Duration = Duration::from_millis(150);

/// The purpose of a file dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileDialog {
    /// Photos to open.
    Photos,
    /// A weight file.
    Model,
    /// A file of class names.
    Labels,
    /// A folder of photos.
    Folder,
    /// The folder in which the folder of an export is created.
    Export,
    /// The file for the table of predictions.
    Table,
}

/// The chosen paths, or `None`. The future is created on the UI thread (required by macOS) and
/// awaited on another thread.
pub type Picking = Pin<Box<dyn Future<Output = Option<Vec<PathBuf>>> + Send>>;
/// Shows a file dialog; tests use their own.
pub type Picker = Arc<dyn Fn(&FileDialog) -> Picking + Send + Sync>;

/// The result of a task.
#[derive(Debug)]
pub enum TaskResult {
    /// Paths were chosen.
    Picked(FileDialog, Vec<PathBuf>),
    /// Cancelled by the user.
    Cancelled,
    /// There is no file dialog on this system.
    NoDialog,
    /// The devices of this computer.
    Devices(Vec<DeviceStatus>),
    /// Export finished: the success message, or the error.
    Exported(Result<String, String>),
    /// A picture for the clipboard.
    Copied(Picture),
    /// The maps of other classes, for comparison.
    References(Arc<Analysis>, Recipe, References),
    /// What some paths contain.
    Found(Box<Found>),
    /// No result.
    Nothing,
    /// An internal error, as a message for the user, and whether it occurred in a dialog.
    Broken(String, bool),
}

/// What opened paths contain.
#[derive(Debug, Default)]
pub struct Found {
    /// Photos, including those in folders.
    pub photos: Vec<PathBuf>,
    /// The last manifest of an export, and the paths of its files.
    pub manifest: Option<(Manifest, Located)>,
    /// Paths that can't be read, as messages for the user.
    pub faults: Vec<String>,
}

impl Found {
    /// Reads folders and manifests; every other path is treated as a photo. The files of a manifest
    /// may be among `known` files, or among the other paths.
    fn behind(paths: Vec<PathBuf>, mut known: Vec<PathBuf>) -> Self {
        let mut found = Self::default();
        known.extend(paths.iter().cloned());
        for path in paths {
            if path.ends_with(MANIFEST) {
                let folder = path.parent().unwrap_or(Path::new(""));
                let read = Manifest::read(&path);
                match read.and_then(|manifest| Ok((manifest.locate(folder, &known)?, manifest))) {
                    Ok((located, manifest)) => found.manifest = Some((manifest, located)),
                    Err(error) => found.faults.push(error.to_string()),
                }
                continue;
            }
            if !path.is_dir() {
                found.photos.push(path);
                continue;
            }
            match photo::in_folder(&path) {
                Ok(photos) if photos.is_empty() => {
                    let path = path.display();
                    let fault = format!("There are no photos in {path}. Choose another folder.");
                    found.faults.push(fault);
                }
                Ok(photos) => found.photos.extend(photos),
                Err(error) => found.faults.push(error.to_string()),
            }
        }
        found
    }
}

/// How long a frame waits for the disk: too short to be noticed, but longer than a local disk
/// needs.
const DISK: Duration = Duration::from_millis(30);
/// How long a closing window waits until incomplete files are removed.
const FAREWELL: Duration = Duration::from_millis(800);
const DIALOG: &str = "camlens-dialog";
const EXPORT: &str = "camlens-export";

/// The background tasks of a window.
pub struct BackgroundTasks {
    picker: Picker,
    wake: Wake,
    sender: Sender<TaskResult>,
    outcomes: Receiver<TaskResult>,
    dialog_is_open: bool,
    /// Set when the window is closed, which cancels exports.
    closed: Arc<AtomicBool>,
    writing: Vec<JoinHandle<()>>,
}

impl Drop for BackgroundTasks {
    /// Waits a short time until incomplete files are removed.
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        let until = Instant::now() + FAREWELL;
        while self.writing.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl BackgroundTasks {
    /// `wake` is called after each result.
    pub fn new(picker: Picker, wake: Wake) -> Self {
        let (sender, outcomes) = mpsc::channel();
        Self {
            picker,
            wake,
            sender,
            outcomes,
            dialog_is_open: false,
            closed: Arc::default(),
            writing: Vec::new(),
        }
    }

    /// Shows a file dialog, unless one is open already.
    pub fn ask(&mut self, ask: FileDialog) {
        if self.dialog_is_open {
            return;
        }
        self.dialog_is_open = true;
        let picking = (self.picker)(&ask);
        self.spawn(DIALOG, move || {
            let started = Instant::now();
            match pollster::block_on(picking) {
                Some(paths) => TaskResult::Picked(ask, paths),
                None if started.elapsed() < TOO_FAST_FOR_A_PERSON => TaskResult::NoDialog,
                None => TaskResult::Cancelled,
            }
        });
    }

    /// Writes an export into a new folder in `parent`.
    pub fn export(&mut self, scene: ExportScene, parent: PathBuf) {
        let closed = self.closed.clone();
        self.spawn(EXPORT, move || {
            let folder = export::new_folder(&parent, &scene.photo.name);
            let wanted = || !closed.load(Ordering::Relaxed);
            let written = export::write_folder(&scene, &folder, Existing::Keep, &wanted);
            let said = written.map(|count| format!("Saved {count} files in {}.", folder.display()));
            TaskResult::Exported(said.map_err(|error| error.to_string()))
        });
    }

    /// Composes panes for the clipboard.
    pub fn copy_panes(&mut self, scene: ExportScene) {
        self.spawn(EXPORT, move || match scene.overlays(&scene.panes) {
            Ok(picture) => TaskResult::Copied(picture),
            Err(error) => TaskResult::Exported(Err(error.to_string())),
        });
    }

    /// Copies the pixels of a photo for the clipboard.
    pub fn copy_photo(&mut self, photo: Arc<Photo>) {
        self.spawn(EXPORT, move || {
            TaskResult::Copied(Picture {
                width: photo.width,
                height: photo.height,
                rgb: photo.rgb.clone(),
            })
        });
    }

    /// Writes a table. An existing file is replaced only if the dialog has asked about it.
    pub fn write_table(&mut self, path: PathBuf, existing: Existing, table: Vec<u8>) {
        self.spawn(EXPORT, move || {
            let written = export::write_atomically(&path, existing, |out| out.write_all(&table));
            TaskResult::Exported(match written {
                Ok(()) => Ok(format!("Saved {}.", path.display())),
                Err(ExportError::Exists(name)) => Err(format!(
                    "{name} already exists and was not changed. Type the name with its extension to replace it, or choose another name."
                )),
                Err(error) => Err(error.to_string()),
            })
        });
    }

    /// Finds out what paths contain; the files of a manifest may also be among `known` files. If
    /// the disk does not answer at once (such as a disconnected network drive), the window does not
    /// wait, and the result arrives as a [`TaskResult`].
    pub fn look_into(&mut self, paths: Vec<PathBuf>, known: Vec<PathBuf>) -> Option<Found> {
        // Rendezvous channel: the result is handed over only if the caller is still waiting.
        let (at_once, waiting) = mpsc::sync_channel(0);
        let (sender, wake) = (self.sender.clone(), self.wake.clone());
        self.spawn("camlens-folders", move || {
            let found = Found::behind(paths, known);
            if let Err(SendError(found)) = at_once.send(found) {
                let _ = sender.send(TaskResult::Found(Box::new(found)));
                wake();
            }
            TaskResult::Nothing
        });
        waiting.recv_timeout(DISK).ok()
    }

    /// Computes the maps of other classes at the last layer.
    pub fn make_references(&mut self, analysis: Arc<Analysis>, recipe: Recipe) {
        self.spawn("camlens-meter", move || {
            let references = References::at_last_layer(&analysis, recipe);
            TaskResult::References(analysis, recipe, references)
        });
    }

    /// Searches for devices in the background, because a GPU driver takes time.
    pub fn find_devices(&mut self) {
        self.spawn("camlens-devices", || TaskResult::Devices(device::list()));
    }

    /// The next result, if there is one.
    pub fn outcome(&mut self) -> Option<TaskResult> {
        let outcome = self.outcomes.try_recv().ok()?;
        if let TaskResult::Picked(..)
        | TaskResult::Cancelled
        | TaskResult::NoDialog
        | TaskResult::Broken(_, true) = outcome
        {
            self.dialog_is_open = false;
        }
        Some(outcome)
    }

    fn spawn(&mut self, name: &'static str, task: impl FnOnce() -> TaskResult + Send + 'static) {
        let (sender, wake) = (self.sender.clone(), self.wake.clone());
        let work = move || {
            let outcome = panic::catch_unwind(AssertUnwindSafe(task));
            let outcome = outcome.unwrap_or_else(|panic| {
                TaskResult::Broken(mistake(panic.as_ref()), name == DIALOG)
            });
            // There is no receiver once the window is closed.
            let _ = sender.send(outcome);
            wake();
        };
        match thread::Builder::new().name(name.into()).spawn(work) {
            Ok(thread) if name == EXPORT => {
                self.writing.retain(|thread| !thread.is_finished());
                self.writing.push(thread);
            }
            Ok(_) => {}
            Err(error) => {
                let message =
                    format!("Can't start a thread ({error}). Close other programs and try again.");
                let _ = self
                    .sender
                    .send(TaskResult::Broken(message, name == DIALOG));
            }
        }
    }
}

/// The system's file dialogs.
pub fn system_picker() -> Picker {
    Arc::new(|ask| {
        let dialog = rfd::AsyncFileDialog::new();
        let path = |handle: rfd::FileHandle| handle.path().to_owned();
        match ask {
            FileDialog::Photos => {
                let files = dialog
                    .set_title("Open photos")
                    .add_filter("Photos", &both_cases(&photo::EXTENSIONS))
                    .add_filter("All files", &["*"])
                    .pick_files();
                Box::pin(async move { Some(files.await?.into_iter().map(path).collect()) })
            }
            FileDialog::Model => {
                let file = dialog
                    .set_title("Open a model")
                    .add_filter(
                        "Models",
                        &both_cases(&["onnx", "safetensors", "pth", "pt", "bin", "ckpt"]),
                    )
                    .pick_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
            FileDialog::Labels => {
                let file = dialog
                    .set_title("Open class names")
                    .add_filter("Class names", &both_cases(&["txt", "json"]))
                    .pick_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
            FileDialog::Folder => {
                let folder = dialog.set_title("Open a folder of photos").pick_folder();
                Box::pin(async move { Some(vec![path(folder.await?)]) })
            }
            FileDialog::Export => {
                let folder = dialog
                    .set_title("Export into a new folder in …")
                    .pick_folder();
                Box::pin(async move { Some(vec![path(folder.await?)]) })
            }
            FileDialog::Table => {
                let file = dialog
                    .set_title("Save predictions")
                    .set_file_name("predictions.csv")
                    .add_filter("Table", &["csv"])
                    .save_file();
                Box::pin(async move { Some(vec![path(file.await?)]) })
            }
        }
    })
}

/// File filters are case-sensitive on Linux.
fn both_cases(endings: &[&str]) -> Vec<String> {
    endings
        .iter()
        .flat_map(|ending| [(*ending).to_owned(), ending.to_uppercase()])
        .collect()
}
