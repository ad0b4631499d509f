//! Handles what comes from outside the panels: photos and other files, and the events of the
//! threads.

use std::path::{Path, PathBuf};

use eframe::egui::Context;

use crate::app::background::tasks::{FileDialog, Found, TaskResult};
use crate::app::painting;
use crate::app::state::action::Action;
use crate::app::state::command::Command;
use crate::app::window::App;
use crate::model::ModelChoice;
use crate::model::hub::{FetchError, Fetched, HubModel};
use crate::report::export::{Existing, MANIFEST};
use crate::worker::{PhotoSource, WorkerEvent};

impl App {
    pub(super) fn open(&mut self, sources: Vec<PhotoSource>) {
        let (mut paths, mut others) = (Vec::new(), Vec::new());
        for source in sources {
            match source {
                PhotoSource::File(path) if self.is_no_photo(&path) => {}
                PhotoSource::File(path) => paths.push(path),
                other => others.push(other),
            }
        }
        self.state.open(others);
        if !paths.is_empty()
            && let Some(found) = self.tasks.look_into(paths, self.state.known_files())
        {
            self.take(found);
        }
    }

    /// Opens what was found in paths.
    fn take(&mut self, found: Found) {
        let photos = found.photos.into_iter().map(PhotoSource::File);
        self.state.open(photos.collect());
        if let Some((manifest, located)) = found.manifest {
            self.state.restore(manifest, located);
        }
        if !found.faults.is_empty() {
            self.state.error = Some(found.faults.join(" "));
        }
    }

    /// Handles files that are not photos: weights become the model, and a file of class names
    /// becomes the names of its classes. This follows from opening them: a recording has only that.
    fn is_no_photo(&mut self, path: &Path) -> bool {
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("json") if path.ends_with(MANIFEST) => return false, // was already handled
            Some("safetensors" | "pth" | "pt" | "bin" | "ckpt" | "onnx") => {
                self.state.use_model(ModelChoice::File(path.to_owned()));
            }
            Some("txt" | "json") => self.state.use_labels(Some(path.to_owned())),
            _ => return false,
        }
        true
    }

    /// Handles the events of the threads. Pixels go to the graphics card, everything else to the
    /// state.
    pub(super) fn apply_event(&mut self, ctx: &Context) {
        while let Some(mut event) = self.worker.event() {
            let answer = match &mut event {
                WorkerEvent::Done(job, Some(shown)) => Some((*job, shown.overview.take())),
                _ => None,
            };
            self.state.apply_event(event);
            if let (Some((job, overview)), Some(shown)) = (answer, self.state.latest.shown()) {
                let overview = overview.filter(|_| shown.job == job);
                let textures = &mut self.painting.textures;
                textures.show_photo(ctx, &shown.photo, overview.as_deref());
            }
        }
        while let Some((id, thumbnail)) = self.thumbnails.next() {
            let textures = &mut self.painting.textures;
            let made = thumbnail.map(|picture| textures.add_thumbnail(ctx, id, &picture));
            self.state.take_thumbnail(id, made);
        }
        while let Some(outcome) = self.tasks.outcome() {
            self.finish_task(ctx, outcome);
        }
        if let Some((known, result)) = self.downloads.poll() {
            self.finish_fetch(known, result);
        }
    }

    fn finish_fetch(&mut self, known: &HubModel, result: Result<Fetched, FetchError>) {
        match result {
            Ok(fetched) => {
                let checked = if fetched.checked {
                    "its SHA-256 is correct"
                } else {
                    "the hub did not give a SHA-256: only its size was checked"
                };
                let action = Action::UseModel(ModelChoice::File(fetched.path));
                self.log.record(&action);
                let _ = self.state.apply(action); // it runs no command
                self.state.info = Some(format!("{} was downloaded; {checked}.", known.name));
            }
            Err(FetchError::Cancelled { .. }) => {
                self.state.info = Some(format!(
                    "The download of {} was stopped. The partial download is kept.",
                    known.name
                ));
            }
            Err(error) => self.state.error = Some(error.to_string()),
        }
    }

    /// Starts a download.
    pub(super) fn start_fetch(&mut self, name: &str) {
        match self.downloads.start(name) {
            Ok(true) => self.state.error = None,
            Ok(false) => {}
            Err(error) => {
                self.state.error = Some(format!("Can't start a thread ({error})."));
            }
        }
    }

    /// Writes the predictions as a table to the file chosen in the dialog.
    pub(super) fn write_table(&mut self, mut path: PathBuf) {
        // The dialog only asked about replacing the name as typed.
        let existing = match path.extension() {
            Some(_) => Existing::Replace,
            None => Existing::Keep,
        };
        if existing == Existing::Keep {
            path.set_extension("csv");
        }
        match self.state.table() {
            Ok(table) => self.tasks.write_table(path, existing, table),
            Err(error) => self.state.error = Some(format!("Can't save the table: {error}.")),
        }
    }

    fn finish_task(&mut self, ctx: &Context, outcome: TaskResult) {
        match outcome {
            TaskResult::Picked(FileDialog::Photos | FileDialog::Folder, paths) => {
                let sources = paths.into_iter().map(PhotoSource::File).collect();
                self.actions.push(Command::Open(sources));
            }
            TaskResult::Picked(FileDialog::Model, paths) => {
                let choices = paths.into_iter().next().map(ModelChoice::File);
                self.actions.extend(choices.map(Action::UseModel));
            }
            TaskResult::Picked(FileDialog::Labels, mut paths) => {
                self.actions.push(Action::UseLabels(paths.pop()));
            }
            TaskResult::Devices(devices) => self.devices = devices,
            TaskResult::Picked(FileDialog::Export, paths) => {
                let folder = paths.into_iter().next();
                self.actions.extend(folder.map(Command::Export));
            }
            TaskResult::Picked(FileDialog::Table, paths) => {
                let file = paths.into_iter().next();
                self.actions.extend(file.map(Command::WriteTable));
            }
            TaskResult::References(of, recipe, references) => {
                self.painting
                    .correlations
                    .apply_event(&of, recipe, references);
            }
            TaskResult::Found(found) => self.take(*found),
            TaskResult::Cancelled | TaskResult::Nothing => {}
            TaskResult::NoDialog => {
                self.state.error = Some(
                    "There is no file dialog on this system (install zenity or an xdg-desktop-portal). \
                     Drop photos on the window, paste a path with Ctrl+V, or give them on the command line."
                        .into(),
                );
            }
            TaskResult::Exported(Ok(said)) => self.state.info = Some(said),
            TaskResult::Exported(Err(message)) | TaskResult::Broken(message, _) => {
                self.state.error = Some(message);
            }
            TaskResult::Copied(picture) => {
                ctx.copy_image(painting::color_image(&picture));
                let (width, height) = (picture.width, picture.height);
                self.state.info = Some(format!("Copied {width}×{height} pixels."));
            }
        }
    }
}
