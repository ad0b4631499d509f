//! What comes in from outside the panels: photos and other files, and the news of the threads.

use std::path::Path;

use eframe::egui::Context;

use crate::app::background::tasks::{Dialog, Found, TaskResult};
use crate::app::command::Command;
use crate::app::panels::start_screen;
use crate::app::state::Thumbnail;
use crate::app::{App, textures};
use crate::model::hub::{Fetch, FetchError, Fetched, HubModel, MODELS};
use crate::model::{ModelChoice, known_weights};
use crate::report::export::{Existing, MANIFEST};
use crate::worker::PhotoSource;

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

    /// Opens what was found behind paths.
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

    /// Weights that are opened or dropped like a photo become the model, files of class
    /// names its names.
    fn is_no_photo(&mut self, path: &Path) -> bool {
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        let command = match ending.as_deref() {
            Some("json") if path.ends_with(MANIFEST) => return false, // it is read first
            Some("safetensors" | "pth" | "pt" | "bin" | "ckpt") => {
                Command::UseModel(ModelChoice::File(path.to_owned()))
            }
            Some("txt" | "json") => Command::UseLabels(Some(path.to_owned())),
            _ => return false,
        };
        self.commands.push(command);
        true
    }

    pub(super) fn apply_event(&mut self, ctx: &Context) {
        while let Some(event) = self.worker.event() {
            self.state.apply_event(event);
        }
        while let Some((id, thumbnail)) = self.thumbnails.next() {
            match start_screen::sample_index(id) {
                Some(index) => self.state.samples[index] = thumbnail.ok(),
                None => {
                    if let Some(item) = self.state.photos.iter_mut().find(|item| item.id == id) {
                        item.thumbnail = Thumbnail::Made(thumbnail);
                    }
                }
            }
        }
        while let Some(outcome) = self.tasks.outcome() {
            self.finish_errand(ctx, outcome);
        }
        if let Some(result) = self.fetch.as_mut().and_then(Fetch::poll) {
            let known = self.fetch.take().map(|fetch| fetch.known);
            if let Some(known) = known {
                self.finish_fetch(known, result);
            }
        }
    }

    fn finish_fetch(&mut self, known: &HubModel, result: Result<Fetched, FetchError>) {
        match result {
            Ok(fetched) => {
                self.resnet18 = known_weights::find_resnet18();
                self.look_into_cache();
                let checked = if fetched.checked {
                    "its SHA-256 is the one announced"
                } else {
                    "the hub announced no SHA-256: only its size was checked"
                };
                self.state.info = Some(format!("{} is here; {checked}.", known.name));
                self.state.use_model(ModelChoice::File(fetched.path));
            }
            Err(FetchError::Cancelled { .. }) => {
                self.state.info = Some(format!(
                    "The download of {} was stopped. What is there is kept.",
                    known.name
                ));
            }
            Err(error) => self.state.error = Some(error.to_string()),
        }
    }

    pub(super) fn look_into_cache(&mut self) {
        let cached = MODELS.iter().map(|known| self.hub.cached(known));
        self.cached = cached.collect();
    }

    pub(super) fn start_fetch(&mut self, known: &'static HubModel) {
        if self.fetch.is_some() {
            return;
        }
        self.state.error = None;
        match self.hub.fetch(known, self.wake.clone()) {
            Ok(fetch) => self.fetch = Some(fetch),
            Err(error) => {
                self.state.error = Some(format!("The system has no thread to give ({error})."));
            }
        }
    }

    fn finish_errand(&mut self, ctx: &Context, outcome: TaskResult) {
        match outcome {
            TaskResult::Picked(Dialog::Photos | Dialog::Folder, paths) => {
                self.open(paths.into_iter().map(PhotoSource::File).collect());
            }
            TaskResult::Picked(Dialog::Model, paths) => {
                let choices = paths.into_iter().next().map(ModelChoice::File);
                self.commands.extend(choices.map(Command::UseModel));
            }
            TaskResult::Picked(Dialog::Labels, mut paths) => {
                self.commands.push(Command::UseLabels(paths.pop()));
            }
            TaskResult::Devices(devices) => self.devices = devices,
            TaskResult::Picked(Dialog::Export, paths) => {
                if let Some(path) = paths.into_iter().next() {
                    self.export(path);
                }
            }
            TaskResult::Picked(Dialog::Table, paths) => {
                if let Some(mut path) = paths.into_iter().next() {
                    // The dialog has asked about the name that was typed, and about no other.
                    let existing = match path.extension() {
                        Some(_) => Existing::Replace,
                        None => Existing::Keep,
                    };
                    if existing == Existing::Keep {
                        path.set_extension("csv");
                    }
                    match self.state.table() {
                        Ok(table) => self.tasks.write_table(path, existing, table),
                        Err(error) => self.state.error = Some(format!("No table: {error}.")),
                    }
                }
            }
            TaskResult::References(of, recipe, references) => {
                self.correlations.apply_event(&of, recipe, references);
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
                ctx.copy_image(textures::color_image(&picture));
                let (width, height) = (picture.width, picture.height);
                self.state.info = Some(format!("Copied {width}×{height} pixels."));
            }
        }
    }
}
