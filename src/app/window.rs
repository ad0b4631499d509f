//! The window's frame loop. Each frame handles the events of the threads, draws the window, applies
//! the actions of keys and panels, and requests what is needed now.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eframe::egui;
use eframe::egui::{Context, FontId, TextStyle, Ui};

use crate::app::background::downloads::Downloads;
use crate::app::background::tasks::{BackgroundTasks, FileDialog, Picker};
use crate::app::background::thumbnails::Thumbnails;
use crate::app::display_server::Server;
use crate::app::input::drop_and_paste;
use crate::app::layout::Painting;
use crate::app::panels::controls::Offers;
use crate::app::persistence;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::action_log::ActionLog;
use crate::app::state::command::{Command, Theme};
use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::{Settings, Side};
use crate::cli::WindowArgs;
use crate::explain::analysis::Analysis;
use crate::model::device::DeviceStatus;
use crate::model::hub::Hub;
use crate::model::preprocessing::PreprocessChoice;
use crate::text::printable;
use crate::worker::{Job, PhotoSource, Wake, Worker};

/// The program's name in the system, for its window and its settings folder.
pub const NAME: &str = "camlens";

/// Size of small text in points; egui's default of 9 is hard to read.
const SMALL_TEXT: f32 = 11.0;

/// Frames that take longer than this are logged (`RUST_LOG=debug`).
const SLOW: Duration = Duration::from_millis(16);

/// The start parameters of a window.
pub struct Launch {
    /// Settings given on the command line.
    pub overrides: WindowArgs,
    /// How file dialogs are shown.
    pub picker: Picker,
    /// Whether the settings of the last window are used.
    pub remember: bool,
    /// The hub that weights are downloaded from.
    pub hub: Hub,
    /// The display system.
    pub server: Server,
    /// When the program started.
    pub started: Instant,
}

/// How the window was started.
struct Startup {
    server: Server,
    /// When the program started; `None` after the first frame was drawn.
    began: Option<Instant>,
    /// The stored settings, and the values that the command line replaced: `--model` applies only
    /// to this start.
    stored: Settings,
    given: WindowArgs,
}

/// The window: its state, the queue of actions, the threads, and everything needed for drawing.
pub struct App {
    pub(in crate::app) state: State,
    pub(in crate::app) actions: Actions,
    pub(in crate::app) log: ActionLog,
    pub(in crate::app) worker: Worker,
    pub(in crate::app) thumbnails: Thumbnails,
    pub(in crate::app) tasks: BackgroundTasks,
    pub(in crate::app) downloads: Downloads,
    pub(in crate::app) devices: Vec<DeviceStatus>,
    pub(in crate::app) wake: Wake,
    pub(in crate::app) painting: Painting,
    startup: Startup,
}

impl App {
    /// Starts the threads and opens the photos of the command line.
    ///
    /// # Errors
    /// If the system can't start a thread.
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
            settings.scores = None;
        }
        settings.labels = given.labels.clone().or(settings.labels);
        settings.scores = given.scores.or(settings.scores);
        settings.layer = given.layer.clone().unwrap_or(settings.layer);
        settings.device = given.device.unwrap_or(settings.device);
        settings.framing = given.framing.unwrap_or(settings.framing);
        settings.limits = given.limits.over(settings.limits);

        let mut app = Self {
            state: State::new(settings),
            actions: Actions::default(),
            log: ActionLog::from_env(),
            worker: Worker::start(wake.clone())?,
            thumbnails: Thumbnails::start(wake.clone())?,
            tasks: BackgroundTasks::new(launch.picker, wake.clone()),
            downloads: Downloads::new(launch.hub, wake.clone()),
            devices: Vec::new(),
            wake,
            painting: Painting::default(),
            startup: Startup {
                server: launch.server,
                began: Some(launch.started),
                stored: remembered,
                given,
            },
        };
        app.state.window = app.startup.given.window_level;
        app.tasks.find_devices();
        if !photos.is_empty() {
            let files: Vec<PhotoSource> = photos.into_iter().map(PhotoSource::File).collect();
            app.log.record(&Command::Open(files.clone()).into());
            app.open(files);
        }
        if lost.is_some() {
            app.state.error = lost;
        }
        Ok(app)
    }

    /// The state of the window.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What was last drawn in a map pane, and for which analysis.
    #[must_use]
    pub fn drawn(&self, side: Side) -> Option<(Arc<Analysis>, MapSpec)> {
        let heat = self.painting.textures.kept(side)?;
        Some((heat.analysis().clone(), heat.map_spec()))
    }

    /// The log of the actions since the window opened.
    #[must_use]
    pub fn log(&self) -> &ActionLog {
        &self.log
    }

    /// Queues an action, as keys and panels do. It is applied at the end of the next frame.
    pub fn act(&mut self, action: impl Into<Action>) {
        self.actions.push(action);
        (self.wake)();
    }

    /// Applies all queued actions in order, and runs the resulting commands.
    fn apply_actions(&mut self, ctx: &Context) {
        for action in self.actions.take() {
            self.log.record(&action);
            if let Some(command) = self.state.apply(action) {
                self.log.commands.push(command.clone());
                self.run(ctx, command);
            }
        }
        self.state.arrange();
    }

    /// Runs a command, which has an effect outside the state.
    fn run(&mut self, ctx: &Context, command: Command) {
        match command {
            Command::AskForPhotos => self.tasks.ask(FileDialog::Photos),
            Command::AskForModel => self.tasks.ask(FileDialog::Model),
            Command::AskForFolder => self.tasks.ask(FileDialog::Folder),
            Command::AskForExport => {
                if self.state.latest.shown().is_some() {
                    self.tasks.ask(FileDialog::Export);
                }
            }
            Command::AskForTable => self.tasks.ask(FileDialog::Table),
            Command::Export(folder) => self.export(folder),
            Command::WriteTable(path) => self.write_table(path),
            Command::CancelPredictions => self.reach_worker(|worker| worker.batch(None)),
            Command::Copy => self.copy(self.painting.panes.copied),
            Command::Open(sources) => self.open(sources),
            Command::AskForLabels => self.tasks.ask(FileDialog::Labels),
            Command::FindDownloads => self.downloads.look_up(),
            Command::Fetch(name) => self.start_fetch(&name),
            Command::CancelFetch => self.downloads.cancel(),
            Command::LinkZoom(linked) => self.painting.panes.cameras.link(linked),
            Command::FullScreen => {
                let full = ctx.input(|input| input.viewport().fullscreen.unwrap_or_default());
                ctx.send_viewport_cmd(egui::ViewportCommand::Fullscreen(!full));
            }
            Command::Fit => self.painting.panes.cameras.fit(),
            Command::Zoom(factor) => self.painting.panes.cameras.zoom_by(factor),
            Command::CancelGestures => {
                self.painting.panes.drawing = None;
                self.painting.panes.probe.by_key = None;
            }
            Command::SetTheme(theme) => ctx.set_theme(match theme {
                Theme::System => egui::ThemePreference::System,
                Theme::Light => egui::ThemePreference::Light,
                Theme::Dark => egui::ThemePreference::Dark,
            }),
        }
    }

    /// Requests the pictures and maps that were missing when the frame was drawn, and drops
    /// thumbnails that are out of view.
    fn ask_for_pictures(&mut self) {
        let Painting {
            textures,
            correlations,
            browser,
            ..
        } = &mut self.painting;
        for id in self.state.forget_thumbnails(&browser.in_view) {
            textures.forget_thumbnail(id);
        }
        let missing = self.state.missing_thumbnails(&browser.in_view);
        let limits = self.state.settings.limits;
        self.thumbnails.want(missing, limits);
        if let Some((analysis, recipes)) = correlations.take_wanted() {
            for recipe in recipes {
                self.tasks.make_references(analysis.clone(), recipe);
            }
        }
    }

    fn name_window(&mut self, ctx: &Context) {
        let title = match self.state.latest.shown() {
            Some(shown) => format!("camlens – {}", printable::name(&shown.photo.name)),
            None => "camlens".into(),
        };
        if title != self.painting.title {
            ctx.send_viewport_cmd(egui::ViewportCommand::Title(title.clone()));
            self.painting.title = title;
        }
    }

    /// Sends the worker the requests that are needed now.
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
            self.painting.panes.cameras.fit();
            self.painting.panes.drawing = None;
        }
        self.send(job);
    }

    /// Sends a request that is not a job. If the worker has stopped, the next job starts it again.
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
                    "Can't start a thread ({error}). Close other programs and try again."
                ));
            }
        }
    }
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &Context, _frame: &mut eframe::Frame) {
        self.painting.frame_began = Some(Instant::now());
        self.apply_event(ctx);
        // Not only while the window is drawn: a dialog may answer while it is minimized.
        self.apply_actions(ctx);
        self.submit();
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        if let Some(message) = drop_and_paste::take_photos_in(&ctx, &mut self.actions) {
            self.state.error = Some(message);
        }
        // Keys first, so that their changes are drawn in this frame.
        self.painting
            .take_keys(&ctx, &self.state, &mut self.actions);
        self.apply_actions(&ctx);
        let offers = Offers {
            devices: &self.devices,
            downloads: &self.downloads,
        };
        let offers = (&offers, self.startup.server);
        self.painting
            .draw(ui, &self.state, offers, &mut self.actions);
        self.name_window(&ctx);
        if !self.actions.is_empty() {
            // Changes by the panels are drawn in the next frame.
            ctx.request_repaint();
        }
        self.apply_actions(&ctx);
        self.submit();
        self.ask_for_pictures();
        if let Some(began) = self.startup.began.take() {
            log::debug!("the first frame is drawn after {:?}", began.elapsed());
        }
        let took = self.painting.frame_began.map(|began| began.elapsed());
        if let Some(took) = took.filter(|took| *took > SLOW) {
            log::debug!("a slow frame: {took:?}");
        }
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        let Startup { stored, given, .. } = &self.startup;
        let settings = persistence::to_keep(&self.state.settings, given, stored);
        eframe::set_value(storage, persistence::SETTINGS_KEY, &settings);
    }
}
