//! The window. Each frame: hear what the threads have to say, draw the panels,
//! run the commands they gave, and ask for whatever is now needed.

mod background;
mod command;
mod elide;
mod events;
mod exporting;
mod input;
mod native;
mod pane;
mod panels;
mod persistence;
mod state;
mod textures;
mod widgets;

use crate::app::input::keys;
use crate::app::pane::panes;
use crate::app::panels::browser;
use crate::app::panels::controls;
use crate::app::panels::network_input_window;
use crate::app::panels::region_panel;
use crate::app::panels::start_screen;
use crate::app::panels::status;
use crate::app::panels::toolbar;
use crate::app::panels::weights_window;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use eframe::egui::{Context, FontId, TextStyle, Ui};

use crate::app::background::class_correlations::ClassCorrelations;
use crate::app::background::tasks::{BackgroundTasks, Dialog};
use crate::app::background::thumbnails::Thumbnails;
use crate::app::command::Command;
use crate::app::exporting::Copied;
use crate::app::pane::camera::Cameras;
use crate::app::pane::probe::CellClasses;
use crate::app::pane::region_tool::Drawing;
use crate::app::panels::network_input_window::InputTexture;
use crate::app::textures::Textures;
use crate::cli::WindowArgs;
use crate::explain::analysis::Analysis;
use crate::labels::ClassId;
use crate::model::device::DeviceStatus;
use crate::model::hub::{Fetch, Hub};
use crate::model::known_weights;
use crate::model::preprocessing::PreprocessChoice;
use crate::text::printable;
use crate::worker::{Job, PhotoSource, Wake, Worker};

pub use crate::app::background::tasks::{Picker, Picking};
pub use crate::app::native::{Server, open_window};
pub use crate::app::pane::region_tool::{Regions, Tool};
pub use crate::app::state::batch::Batch;
pub use crate::app::state::settings::{ClassOrder, PaneSettings, Settings, Side, View};
pub use crate::app::state::{
    Arrangement, ClassChoice, Latest, MapSpec, PhotoItem, PhotoOrder, State, Thumbnail,
};

/// What the system knows the program as: its window, its settings' folder.
const NAME: &str = "camlens";

/// Side remarks in points; egui's 9 are hard to read.
const SMALL_TEXT: f32 = 11.0;

/// Frames that take longer than this are logged (`RUST_LOG=debug`).
const SLOW: Duration = Duration::from_millis(16);

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
    /// What shows the window.
    pub server: Server,
    /// When the program began.
    pub started: Instant,
}

/// The window's contents.
pub struct App {
    state: State,
    worker: Worker,
    thumbnails: Thumbnails,
    tasks: BackgroundTasks,
    textures: Textures,
    correlations: ClassCorrelations,
    cameras: Cameras,
    tool: Tool,
    drawing: Option<Drawing>,
    commands: Vec<Command>,
    devices: Vec<DeviceStatus>,
    /// Where weights of a ResNet-18 seem to be.
    resnet18: known_weights::ResNet18Files,
    show_keys: bool,
    show_weights: bool,
    show_input: bool,
    input_texture: Option<InputTexture>,
    hub: Hub,
    server: Server,
    /// When the program began, until the first frame is drawn.
    started: Option<Instant>,
    frame_began: Instant,
    /// Where the catalog's weights are, as far as they are fetched; looked up when the
    /// catalog is shown.
    cached: Vec<Option<PathBuf>>,
    fetch: Option<Fetch>,
    wake: Wake,
    /// The class the table last scrolled to.
    listed: Option<ClassId>,
    /// Settings as they were stored, and what the command line put in their place:
    /// one start with `--model` does not decide about the next.
    stored: Settings,
    given: WindowArgs,
    /// The photo the browser last scrolled to, and how far it is scrolled, in points.
    browsed: Option<u64>,
    browser_top: f32,
    /// The window's title now.
    title: String,
    /// The photo position under the pointer, 0..1 on both axes.
    probe: Option<egui::Pos2>,
    /// One that was moved with the arrow keys.
    probe_by_key: Option<egui::Pos2>,
    cell_classes: Option<CellClasses>,
    /// What Ctrl+C copies: the pane under the pointer, else the first map.
    copied: Copied,
}

impl App {
    /// Starts the threads and asks for the photos of the command line.
    ///
    /// # Errors
    /// The system's, if it has no threads to give.
    pub fn new(cc: &eframe::CreationContext, launch: Launch) -> std::io::Result<Self> {
        cc.egui_ctx.all_styles_mut(|style| {
            // A blinking cursor would keep an idle window busy.
            style.visuals.text_cursor.blink = false;
            style
                .text_styles
                .insert(TextStyle::Small, FontId::proportional(SMALL_TEXT));
        });
        let ctx = cc.egui_ctx.clone();
        let wake: Wake = Arc::new(move || ctx.request_repaint());
        let (mut settings, lost) = if launch.remember {
            let folder = eframe::storage_dir(NAME);
            persistence::load(cc.storage, folder.as_deref())
        } else {
            (Settings::default(), None)
        };
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
        settings.limits = given.limits.over(settings.limits);

        let mut app = Self {
            state: State::new(settings),
            worker: Worker::start(wake.clone())?,
            thumbnails: Thumbnails::start(wake.clone())?,
            tasks: BackgroundTasks::new(launch.picker, wake.clone()),
            textures: Textures::default(),
            correlations: ClassCorrelations::default(),
            cameras: Cameras::default(),
            tool: Tool::default(),
            drawing: None,
            commands: Vec::new(),
            devices: Vec::new(),
            resnet18: known_weights::find_resnet18(),
            show_keys: false,
            show_weights: false,
            show_input: false,
            input_texture: None,
            cached: Vec::new(),
            hub: launch.hub,
            server: launch.server,
            started: Some(launch.started),
            frame_began: launch.started,
            fetch: None,
            wake,
            listed: None,
            stored: remembered,
            given,
            browsed: None,
            browser_top: 0.0,
            title: String::new(),
            probe: None,
            probe_by_key: None,
            cell_classes: None,
            copied: Copied::Map(Side::Left),
        };
        app.tasks.find_devices();
        if !photos.is_empty() {
            let files = photos.into_iter().map(PhotoSource::File);
            app.open(files.collect());
        }
        app.state.error = lost;
        Ok(app)
    }

    /// What the window knows.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What was drawn last in a map pane, and of which answer.
    #[must_use]
    pub fn drawn(&self, side: Side) -> Option<(Arc<Analysis>, MapSpec)> {
        let heat = self.textures.kept(side)?;
        Some((heat.analysis().clone(), heat.map_spec()))
    }

    fn run(&mut self, ctx: &Context, command: Command) {
        match command {
            Command::AskForPhotos => self.tasks.ask(Dialog::Photos),
            Command::AskForModel => self.tasks.ask(Dialog::Model),
            Command::AskForFolder => self.tasks.ask(Dialog::Folder),
            Command::AskForExport => {
                if self.state.latest.shown().is_some() {
                    self.tasks.ask(Dialog::Export);
                }
            }
            Command::AskForTable => self.tasks.ask(Dialog::Table),
            Command::StopBatch => {
                self.state.batch.stop();
                self.reach_worker(|worker| worker.batch(None));
            }
            Command::Copy => self.copy(self.copied),
            Command::Open(sources) => self.open(sources),
            Command::Show(id) => self.state.show(id),
            Command::StepPhoto(by) => self.state.step_photo(by),
            Command::UseModel(choice) => self.state.use_model(choice),
            Command::AskForLabels => self.tasks.ask(Dialog::Labels),
            Command::UseLabels(path) => self.state.use_labels(path),
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
            Command::SwapPanes => {
                self.state.settings.panes.swap(0, 1);
                self.state.pinned.swap(0, 1);
            }
            Command::LinkZoom(linked) => self.cameras.link(linked),
            Command::FullScreen => {
                let full = ctx.input(|input| input.viewport().fullscreen.unwrap_or_default());
                ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(!full));
            }
            Command::Fit => self.cameras.fit(),
            Command::Zoom(factor) => self.cameras.zoom_by(factor),
        }
    }

    fn name_window(&mut self, ctx: &Context) {
        let title = match self.state.latest.shown() {
            Some(shown) => format!("camlens – {}", printable::name(&shown.photo.name)),
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
                self.reach_worker(|worker| worker.explain(job));
            }
            if let Some(job) = self.state.next_batch() {
                self.reach_worker(|worker| worker.batch(Some(job)));
            }
            return;
        };
        if job.plan.photo != self.state.latest.shown().and_then(|shown| shown.plan.photo) {
            self.cameras.fit();
            self.drawing = None;
        }
        self.send(job);
    }

    /// Sends a request that no job starts. A dead worker is started again by the next job.
    fn reach_worker(&mut self, send: impl FnOnce(&Worker) -> bool) {
        if !send(&self.worker) {
            self.state.ask_anew();
            (self.wake)();
        }
    }

    fn send(&mut self, job: Job) {
        match self.worker.submit(job) {
            Ok(false) => {}
            Ok(true) => {
                self.state.error =
                    Some("The inference thread had stopped and was started again.".into());
            }
            Err(error) => {
                self.state.not_started(format!(
                    "The system has no thread to give ({error}). Close other programs and try again."
                ));
            }
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.frame_began = Instant::now();
        self.apply_event(ctx);
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
        controls::show(self, ui);
        browser::show(self, ui);
        let layers = status::layers(self);
        status::show(self, ui);
        region_panel::show(self, ui);
        egui::CentralPanel::default().show(ui, |ui| {
            if self.state.latest.shown().is_some() {
                panes::panes_ui(self, ui);
            } else {
                start_screen::start_screen_ui(self, ui);
            }
        });
        if status::layers(self) != layers {
            // The status line was drawn before the maps.
            ctx.request_repaint();
        }
        if self.show_keys {
            keys::help_ui(&ctx, &mut self.show_keys);
        }
        weights_window::show(self, &ctx);
        network_input_window::show(self, &ctx);
        start_screen::drop_hint(&ctx);
        self.name_window(&ctx);
        if !self.commands.is_empty() {
            // What they change is drawn in the next frame.
            ctx.request_repaint();
        }
        while !self.commands.is_empty() {
            for command in std::mem::take(&mut self.commands) {
                self.run(&ctx, command);
            }
        }
        self.submit();
        if let Some(started) = self.started.take() {
            log::debug!("the first frame is drawn after {:?}", started.elapsed());
        }
        let took = self.frame_began.elapsed();
        if took > SLOW {
            log::debug!("a slow frame: {took:?}");
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        let settings = persistence::to_keep(&self.state.settings, &self.given, &self.stored);
        eframe::set_value(storage, persistence::SETTINGS_KEY, &settings);
    }
}
