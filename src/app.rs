//! The window. Each frame: hear what the threads have to say, draw the panels,
//! run the commands they gave, and ask for whatever is now needed.

mod camera;
mod class_picker;
mod colour_bar;
mod command;
mod errands;
mod intake;
mod keys;
mod layer_book;
mod layer_panel;
mod model_panel;
mod pane_header;
mod panes;
mod photo_texture;
mod scales;
mod settings;
mod start_screen;
mod state;
mod status;
mod strip;
mod textures;
mod thumbnails;
mod toolbar;
mod weights_window;
mod window;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use eframe::egui::{self, Context, FontId, TextStyle, Ui};

use crate::cli::WindowArgs;
use crate::labels::ClassId;
use crate::model::device::DeviceStatus;
use crate::model::hub::{CATALOGUE, Fetch, FetchError, Fetched, Hub, Known};
use crate::model::preprocessing::PreprocessChoice;
use crate::model::{ModelChoice, catalog};
use crate::worker::{Job, PhotoSource, Wake, Worker};
use camera::Camera;
use command::Command;
use errands::{Ask, Errands, Outcome};
use textures::Textures;
use thumbnails::Thumbnails;

pub use errands::{Picker, Picking};
pub use settings::{ClassOrder, PaneSettings, Settings, Side, View};
pub use state::{ClassChoice, Latest, State, Subject, Thumbnail};
pub use window::open_window;

/// The key under which settings are stored.
const SETTINGS_KEY: &str = "settings";

/// Side remarks in points; egui's 9 are hard to read.
const SMALL_TEXT: f32 = 11.0;

/// What a window starts with.
pub struct Launch {
    /// Settings, where the command line gives them.
    pub overrides: WindowArgs,
    /// How file dialogs are shown.
    pub picker: Picker,
    /// Whether the last window's settings are taken over.
    pub remember: bool,
    /// Where weights are fetched from.
    pub hub: Hub,
    /// When the program began.
    pub started: Instant,
}

/// The window's contents.
pub struct App {
    state: State,
    worker: Worker,
    thumbnails: Thumbnails,
    errands: Errands,
    textures: Textures,
    camera: Camera,
    commands: Vec<Command>,
    devices: Vec<DeviceStatus>,
    /// Where ResNet-18's weights are, if they are on this computer.
    resnet18: Option<PathBuf>,
    show_keys: bool,
    show_weights: bool,
    hub: Hub,
    /// When the program began, until the first frame is drawn.
    started: Option<Instant>,
    /// Where the catalogue's weights are, as far as they are fetched; looked up when the
    /// catalogue is shown.
    cached: Vec<Option<PathBuf>>,
    fetch: Option<Fetch>,
    wake: Wake,
    /// Whether the samples' thumbnails have been asked for.
    samples_wanted: bool,
    /// The class the table last scrolled to.
    listed: Option<ClassId>,
    /// Settings as they were stored, and what the command line put in their place:
    /// one start with `--model` does not decide about the next.
    stored: Settings,
    given: WindowArgs,
    /// The photo the strip last scrolled to.
    strip_at: Option<u64>,
    /// The window's title now.
    title: String,
    /// The photo position under the pointer, 0..1 on both axes.
    probe: Option<egui::Pos2>,
}

impl App {
    /// Starts the threads and asks for the photos of the command line.
    ///
    /// # Errors
    /// The system's, if it has no threads to give.
    pub fn new(cc: &eframe::CreationContext, launch: Launch) -> std::io::Result<Self> {
        cc.egui_ctx.global_style_mut(|style| {
            // A blinking cursor would keep an idle window busy.
            style.visuals.text_cursor.blink = false;
            style
                .text_styles
                .insert(TextStyle::Small, FontId::proportional(SMALL_TEXT));
        });
        let ctx = cc.egui_ctx.clone();
        let wake: Wake = Arc::new(move || ctx.request_repaint());
        let stored = cc.storage.filter(|_| launch.remember);
        let mut settings: Settings = stored
            .and_then(|storage| eframe::get_value(storage, SETTINGS_KEY))
            .unwrap_or_default();
        let remembered = settings.clone();
        let mut given = launch.overrides;
        let photos = std::mem::take(&mut given.photos);
        if let Some(model) = &given.model {
            settings.model = model.clone();
            settings.labels = None;
            settings.preprocess = PreprocessChoice::Model;
        }
        settings.labels = given.labels.clone().or(settings.labels);
        settings.layer = given.layer.unwrap_or(settings.layer);
        settings.device = given.device.unwrap_or(settings.device);
        settings.framing = given.framing.unwrap_or(settings.framing);

        let mut app = Self {
            state: State::new(settings),
            worker: Worker::start(wake.clone())?,
            thumbnails: Thumbnails::start(wake.clone())?,
            errands: Errands::new(launch.picker, wake.clone()),
            textures: Textures::default(),
            camera: Camera::default(),
            commands: Vec::new(),
            devices: Vec::new(),
            resnet18: catalog::find_resnet18(),
            show_keys: false,
            show_weights: false,
            cached: Vec::new(),
            hub: launch.hub,
            started: Some(launch.started),
            fetch: None,
            wake,
            samples_wanted: false,
            listed: None,
            stored: remembered,
            given,
            strip_at: None,
            title: String::new(),
            probe: None,
        };
        app.errands.find_devices();
        if !photos.is_empty() {
            let files = photos.into_iter().map(PhotoSource::File);
            app.open(files.collect());
        }
        Ok(app)
    }

    /// What the window knows.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    fn open(&mut self, sources: Vec<PhotoSource>) {
        let sources: Vec<PhotoSource> = sources
            .into_iter()
            .filter(|source| !self.is_no_photo(source))
            .collect();
        self.state.open(sources);
        // One photo needs no strip, and so no thumbnail; the second one brings both.
        if self.state.photos.len() > 1 {
            for item in &mut self.state.photos {
                if matches!(item.thumbnail, Thumbnail::NotWanted) {
                    item.thumbnail = Thumbnail::Wanted;
                    self.thumbnails.want(item.id, item.source.clone());
                }
            }
        }
    }

    /// Weights that are opened or dropped like a photo become the model, files of class
    /// names its names.
    fn is_no_photo(&mut self, source: &PhotoSource) -> bool {
        let PhotoSource::File(path) = source else {
            return false;
        };
        let ending = path
            .extension()
            .map(|ending| ending.to_string_lossy().to_lowercase());
        let command = match ending.as_deref() {
            Some("safetensors" | "pth" | "pt" | "bin" | "ckpt") => {
                Command::UseModel(ModelChoice::File(path.clone()))
            }
            Some("txt" | "json") => Command::UseLabels(Some(path.clone())),
            _ => return false,
        };
        self.commands.push(command);
        true
    }

    fn hear(&mut self) {
        while let Some(news) = self.worker.news() {
            self.state.hear(news);
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
        while let Some(outcome) = self.errands.outcome() {
            self.finish_errand(outcome);
        }
        if let Some(result) = self.fetch.as_mut().and_then(Fetch::poll) {
            let known = self.fetch.take().map(|fetch| fetch.known);
            if let Some(known) = known {
                self.finish_fetch(known, result);
            }
        }
    }

    fn finish_fetch(&mut self, known: &Known, result: Result<Fetched, FetchError>) {
        match result {
            Ok(fetched) => {
                self.resnet18 = catalog::find_resnet18();
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

    fn look_into_cache(&mut self) {
        let cached = CATALOGUE.iter().map(|known| self.hub.cached(known));
        self.cached = cached.collect();
    }

    fn start_fetch(&mut self, known: &'static Known) {
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

    fn finish_errand(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Picked(Ask::Photos, paths) => {
                self.open(paths.into_iter().map(PhotoSource::File).collect());
            }
            Outcome::Picked(Ask::Model, paths) => {
                let choices = paths.into_iter().next().map(ModelChoice::File);
                self.commands.extend(choices.map(Command::UseModel));
            }
            Outcome::Picked(Ask::Labels, mut paths) => {
                self.commands.push(Command::UseLabels(paths.pop()));
            }
            Outcome::Devices(devices) => self.devices = devices,
            Outcome::Picked(Ask::Export(_), paths) => {
                if let Some(path) = paths.into_iter().next() {
                    self.export(path);
                }
            }
            Outcome::Cancelled => {}
            Outcome::NoDialog => {
                self.state.error = Some(
                    "There is no file dialog on this system (install zenity or an xdg-desktop-portal). \
                     Drop photos on the window, paste a path with Ctrl+V, or give them on the command line."
                        .into(),
                );
            }
            Outcome::Exported(Ok(path)) => {
                self.state.info = Some(format!("Saved {}.", path.display()));
            }
            Outcome::Exported(Err(message)) => self.state.error = Some(message),
        }
    }

    fn export(&mut self, mut path: PathBuf) {
        if path.extension().is_none() {
            path.set_extension("png");
        }
        let Some(shown) = self.state.latest.shown() else {
            return;
        };
        let analysis = &shown.analysis;
        let look = self.state.settings.look;
        // Each in the range in which its pane draws it.
        let map = |&side: &Side| {
            let subject = self.state.subject(side, analysis);
            let map = self.state.map(analysis, subject)?;
            let held = self.state.scales.held(analysis, subject, look.scaling);
            let range = scales::range(&map, look.scaling, held);
            Some((map, range))
        };
        match self.state.settings.view.sides().iter().map(map).collect() {
            Some(maps) => self.errands.export(shown, maps, look, path),
            None => {
                self.state.error =
                    Some("The maps are not ready yet. Export them once they are on screen.".into());
            }
        }
    }

    fn run(&mut self, command: Command) {
        match command {
            Command::AskForPhotos => self.errands.ask(Ask::Photos),
            Command::AskForModel => self.errands.ask(Ask::Model),
            Command::AskForExport => {
                if let Some(shown) = self.state.latest.shown() {
                    let stem = shown
                        .photo
                        .name
                        .rsplit_once('.')
                        .map_or(&*shown.photo.name, |(stem, _)| stem);
                    self.errands
                        .ask(Ask::Export(format!("{stem}-grad-cam.png")));
                }
            }
            Command::Open(sources) => self.open(sources),
            Command::Show(id) => self.state.show(id),
            Command::StepPhoto(by) => self.state.step_photo(by),
            Command::UseModel(choice) => self.state.use_model(choice),
            Command::AskForLabels => self.errands.ask(Ask::Labels),
            Command::UseLabels(path) => {
                self.state.error = None;
                self.state.settings.labels = path;
            }
            Command::ShowWeights => {
                self.show_weights = true;
                self.look_into_cache();
            }
            Command::Fetch(known) => self.start_fetch(known),
            Command::CancelFetch => {
                if let Some(fetch) = &self.fetch {
                    fetch.cancel();
                }
            }
            Command::StepClass(by) => self.state.step_class(by),
            Command::StepLayer(by) => self.state.step_layer(by),
            Command::Fit => self.camera = Camera::default(),
            Command::Zoom(factor) => self.camera.zoom_by(factor),
        }
    }

    fn name_window(&mut self, ctx: &Context) {
        let title = match self.state.latest.shown() {
            Some(shown) => format!("camlens – {}", shown.photo.name),
            None => "camlens".into(),
        };
        if title != self.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }

    /// Asks the worker for what is needed now.
    fn submit(&mut self) {
        let Some(job) = self.state.next_job() else {
            if let Some(job) = self.state.next_layer_job() {
                self.worker.explain(job);
            }
            return;
        };
        if job.plan.photo != self.state.latest.shown().and_then(|shown| shown.plan.photo) {
            self.camera = Camera::default();
        }
        self.send(job);
    }

    fn send(&mut self, job: Job) {
        match self.worker.submit(job) {
            Ok(false) => {}
            Ok(true) => {
                self.state.error =
                    Some("The inference thread had stopped and was started again.".into());
            }
            Err(error) => {
                self.state.error = Some(format!(
                    "The system has no thread to give ({error}). Close other programs and try again."
                ));
            }
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, _ctx: &Context, _frame: &mut eframe::Frame) {
        self.hear();
        self.submit();
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        self.take_photos_in(&ctx);
        keys::handle(self, &ctx);
        if let Some(shown) = self.state.latest.shown_mut() {
            self.textures.ready_photo(&ctx, shown);
        }
        toolbar::show(self, ui);
        model_panel::show(self, ui);
        strip::show(self, ui);
        status::show(self, ui);
        egui::CentralPanel::default().show(ui, |ui| {
            if self.state.latest.shown().is_some() {
                panes::panes_ui(self, ui);
            } else {
                start_screen::start_screen_ui(self, ui);
            }
        });
        if self.show_keys {
            keys::help_ui(&ctx, &mut self.show_keys);
        }
        weights_window::show(self, &ctx);
        start_screen::drop_hint(&ctx);
        self.name_window(&ctx);
        if !self.commands.is_empty() {
            // What they change is drawn in the next frame.
            ctx.request_repaint();
        }
        while !self.commands.is_empty() {
            for command in std::mem::take(&mut self.commands) {
                self.run(command);
            }
        }
        self.submit();
        if let Some(started) = self.started.take() {
            log::debug!("the first frame is drawn after {:?}", started.elapsed());
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        let mut settings = self.state.settings.clone();
        if self.given.model.as_ref() == Some(&settings.model) {
            settings.model = self.stored.model.clone();
        }
        if settings.model != self.state.settings.model {
            // Names and preprocessing belong to the model.
            settings.labels.clone_from(&self.stored.labels);
            settings.preprocess = self.stored.preprocess;
        } else if self.given.labels.is_some() && self.given.labels == settings.labels {
            settings.labels.clone_from(&self.stored.labels);
        }
        if self.given.layer == Some(settings.layer) {
            settings.layer = self.stored.layer;
        }
        if self.given.device == Some(settings.device) {
            settings.device = self.stored.device;
        }
        if self.given.framing == Some(settings.framing) {
            settings.framing = self.stored.framing;
        }
        eframe::set_value(storage, SETTINGS_KEY, &settings);
    }
}
