//! The state of the window, without egui: settings, photos, and the latest answer.

pub(in crate::app) mod action;
pub(in crate::app) mod action_log;
mod apply;
pub(in crate::app) mod batch;
mod classes;
pub(in crate::app) mod command;
pub(in crate::app) mod dialogs;
mod latest;
pub(in crate::app) mod map_cache;
pub(in crate::app) mod map_spec;
mod map_specs;
pub(in crate::app) mod photo_item;
mod photo_list;
pub(in crate::app) mod range_locks;
pub(in crate::app) mod region_list;
mod reopen;
pub(in crate::app) mod samples;
pub(in crate::app) mod settings;
pub(in crate::app) mod table;

use std::path::PathBuf;

use crate::app::state::batch::Batch;
pub use crate::app::state::classes::ClassChoice;
use crate::app::state::dialogs::Dialogs;
pub use crate::app::state::latest::Latest;
use crate::app::state::map_cache::{MapCache, Remedy};
use crate::app::state::map_spec::MapSpec;
use crate::app::state::photo_item::{PhotoItem, PhotoOrder};
pub use crate::app::state::photo_list::Arrangement;
use crate::app::state::range_locks::RangeLocks;
use crate::app::state::region_list::{Regions, Tool};
use crate::app::state::reopen::Restoring;
use crate::app::state::samples::SAMPLES;
use crate::app::state::settings::Settings;
use crate::explain::cam::Variant;
use crate::input::framing::Framing;
use crate::input::photo::WindowLevel;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::preprocessing::{PreprocessChoice, Preset};
use crate::model::target_layer::LayerChoice;
use crate::worker::{Answer, BatchJob, Dropped, Fault, Job, Plan, RunningModel, WorkerEvent};

/// Maximum number of recent models.
const RECENT: usize = 8;

/// The state of the window.
#[derive(Debug, Default)]
pub struct State {
    /// The settings that are kept for the next start.
    pub settings: Settings,
    /// The opened photos, in order.
    pub photos: Vec<PhotoItem>,
    /// The window for photos that are opened; `None` for their own.
    pub window: Option<WindowLevel>,
    /// Which samples have a thumbnail.
    pub samples: [bool; SAMPLES.len()],
    /// Their order in the browser.
    pub order: PhotoOrder,
    /// The class whose probability [`PhotoOrder::Class`] sorts by.
    pub sorted_by: Option<ClassId>,
    /// The top class of the photos that the browser shows; `None` for all photos.
    pub filter: Option<ClassId>,
    /// The photos in that order.
    pub arrangement: Arrangement,
    /// The predictions for each photo.
    pub batch: Batch,
    /// The regions that the user drew on them.
    pub regions: Regions,
    /// What dragging in a pane does.
    pub tool: Tool,
    /// The windows that are open within the window.
    pub dialogs: Dialogs,
    /// The ID of the requested photo.
    pub current: Option<u64>,
    /// The latest answer.
    pub latest: Latest,
    /// The locked ranges.
    pub(super) range_locks: RangeLocks,
    /// The loaded model.
    pub model: Option<RunningModel>,
    /// The progress of loading its weights: bytes read, and bytes in total.
    pub loading: Option<(u64, u64)>,
    /// Which class is explained.
    pub class: ClassChoice,
    /// The contrast class: its maps are subtracted.
    pub contrast_class: Option<ClassId>,
    /// Classes that are pinned to a map pane.
    pub pinned: [Option<ClassId>; 2],
    /// Pinned classes that came from an export and belong to its photo.
    restored: [Option<ClassId>; 2],
    /// Maps at all layers.
    pub layers: MapCache,
    /// The text in the class search field.
    pub search: String,
    /// The last error, as a message for the user.
    pub error: Option<String>,
    /// The networks of a file that was rejected because it holds several.
    pub offers: Vec<ModelChoice>,
    /// The last action without a visible effect ("Saved …").
    pub info: Option<String>,
    /// The plan of the last job, or of what is on screen after a failure.
    requested: Option<Plan>,
    /// The plan of the last job that was answered.
    ran: Option<Plan>,
    /// An export that is being opened.
    restoring: Option<Restoring>,
    last_number: u64,
    last_photo: u64,
}

impl State {
    /// A state with stored settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Photos are counted apart from requests, so that replayed actions name the same photos.
    fn next_photo(&mut self) -> u64 {
        self.last_photo += 1;
        self.last_photo
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// The photo with an ID.
    #[must_use]
    pub fn photo_item(&self, id: Option<u64>) -> Option<&PhotoItem> {
        self.photos.iter().find(|item| Some(item.id) == id)
    }

    fn plan(&self, photo: Option<u64>) -> Plan {
        Plan {
            photo,
            model: self.settings.model.clone(),
            labels: self.settings.labels.clone(),
            preprocess: self.settings.preprocess,
            scores: self.settings.scores,
            device: self.settings.device,
            framing: self.settings.framing,
            window: self.photo_item(photo).and_then(|item| item.window),
        }
    }

    /// The requested plan: from the controls, or from the export that is being opened.
    #[must_use]
    pub fn wanted(&self) -> Plan {
        let plan = self.plan(self.current);
        let restoring = self.restoring.as_ref();
        restoring
            .and_then(|restoring| restoring.plan_over(&plan))
            .unwrap_or(plan)
    }

    /// The job that is needed now, if the requested plan has changed.
    pub fn next_job(&mut self) -> Option<Job> {
        let by_controls = self.plan(self.current);
        self.restoring
            .take_if(|restoring| restoring.plan_over(&by_controls).is_none());
        let plan = self.wanted();
        if self.requested.as_ref() == Some(&plan) {
            return None;
        }
        // A chosen photo is run again when the framing changes; without a photo there is only a
        // model to load.
        let same_model = |old: &Plan| {
            old.model == plan.model && old.labels == plan.labels && old.device == plan.device
        };
        let only_framing = plan.photo.is_none() && self.requested.as_ref().is_some_and(same_model);
        self.requested = Some(plan.clone());
        if only_framing {
            return None;
        }
        let id = self.next_number();
        self.loading = None;
        let previous = self.latest.take_shown();
        self.latest = Latest::Working {
            job: id,
            step: None,
            previous,
        };
        let item = self.photos.iter().find(|item| Some(item.id) == plan.photo);
        let source = item.map(|item| item.source.clone());
        Some(Job {
            id,
            plan,
            source,
            limits: self.settings.limits,
        })
    }

    /// Handles a job that could not be sent to a worker: the screen is unchanged, and the job is
    /// requested again after the user's next action.
    pub fn not_started(&mut self, message: String) {
        self.latest = match self.latest.take_shown() {
            Some(shown) => Latest::Ready(shown),
            None => Latest::Empty,
        };
        self.requested = None;
        self.error = Some(message);
    }

    /// Requests everything again, because the worker had stopped.
    pub fn ask_anew(&mut self) {
        self.requested = None;
        self.layers.ask_again();
        self.batch.ask_again();
    }

    /// The predictions that are needed now, if no job is running.
    pub fn next_batch(&mut self) -> Option<BatchJob> {
        if self.model.is_none() || matches!(self.latest, Latest::Working { .. }) {
            return None;
        }
        let plan = self.plan(None);
        self.batch
            .next_job(plan, &self.photos, self.settings.limits)
    }

    /// Handles an event of the worker. Answers to replaced jobs change nothing.
    pub fn apply_event(&mut self, event: WorkerEvent) {
        let current_job = match &self.latest {
            Latest::Working { job, .. } => Some(*job),
            _ => None,
        };
        match event {
            WorkerEvent::Model(model) => self.model = Some(model),
            WorkerEvent::Step(id, now) if Some(id) == current_job => {
                self.loading = None;
                if let Latest::Working { step, .. } = &mut self.latest {
                    *step = Some(now);
                }
            }
            WorkerEvent::Loading(id, done, total) if Some(id) == current_job => {
                self.loading = Some((done, total));
            }
            WorkerEvent::Offer(id, choices) if Some(id) == current_job => self.offers = choices,
            WorkerEvent::Predicted(id, photo, answer) => self.batch.apply_event(id, photo, answer),
            WorkerEvent::BatchDropped(id, why) => {
                // A batch that was replaced has been requested again; a cancelled one is not
                // needed.
                let gone = matches!(why, Dropped::Replaced | Dropped::Cancelled);
                if id == self.batch.id() && !gone {
                    self.batch.ask_again();
                }
            }
            WorkerEvent::BatchFailed(id, message) => {
                if id == self.batch.id() {
                    self.batch.stop();
                    self.error = Some(message);
                }
            }
            WorkerEvent::Layers(of, class, maps) => {
                if let Some(message) = self.layers.apply_event(of, class, maps) {
                    self.error = Some(message);
                }
            }
            WorkerEvent::LayersDropped(request, of, classes, why) => {
                let remedy = self.layers.apply_dropped((request, of), &classes, why);
                if remedy == Remedy::RunAgain && matches!(self.latest, Latest::Ready(_)) {
                    self.requested = None;
                }
            }
            WorkerEvent::Done(id, shown) if Some(id) == current_job => self.finish(shown),
            WorkerEvent::Failed(id, fault, message, run) if Some(id) == current_job => {
                self.fail(fault, message, run);
            }
            WorkerEvent::JobDropped(id, Dropped::Stopped) if Some(id) == current_job => {
                let message = "The inference thread stopped unexpectedly. It is started again when it is next needed.";
                self.fail(Fault::Run, message.into(), None);
            }
            // The newest job is never replaced. If it were, it would be requested again.
            WorkerEvent::JobDropped(id, _) if Some(id) == current_job => self.ask_anew(),
            WorkerEvent::JobDropped(..)
            | WorkerEvent::LayersDone(_)
            | WorkerEvent::BatchDone(_)
            | WorkerEvent::Step(..)
            | WorkerEvent::Loading(..)
            | WorkerEvent::Offer(..)
            | WorkerEvent::Done(..)
            | WorkerEvent::Failed(..) => {}
        }
    }

    /// Handles the answer to the last job.
    fn finish(&mut self, shown: Option<Answer>) {
        self.ran.clone_from(&self.requested);
        self.remember_model();
        let classes = self.model.as_ref().map(|model| model.info.labels.len());
        self.filter = self.filter.filter(|class| Some(class.index()) < classes);
        let previous = self.latest.take_shown();
        if let Some(shown) = &shown {
            self.layers.begin(shown.job);
            if let Some(previous) = &previous {
                self.leave(previous, shown);
            }
        }
        self.latest = match shown.map(Box::new).or(previous) {
            Some(shown) => Latest::Ready(shown),
            None => Latest::Empty,
        };
        self.finish_restoring();
    }

    /// Puts the current model first in the list of recent models.
    fn remember_model(&mut self) {
        let choice = self.model.as_ref().map(|model| model.choice.clone());
        let named =
            |choice: &ModelChoice| choice.file().is_some() || matches!(choice, ModelChoice::Hub(_));
        if let Some(choice) = choice.filter(named) {
            let recent = &mut self.settings.recent;
            recent.retain(|other| *other != choice);
            recent.insert(0, choice);
            recent.truncate(RECENT);
        }
    }

    /// Requests a model, with its own class names and preprocessing.
    pub fn use_model(&mut self, choice: ModelChoice) {
        self.dismiss();
        if choice != self.settings.model {
            self.settings.labels = None;
            self.settings.preprocess = PreprocessChoice::Model;
            self.settings.scores = None;
        }
        self.settings.model = choice;
    }

    /// Clears the messages.
    pub fn dismiss(&mut self) {
        self.error = None;
        self.info = None;
        self.offers.clear();
    }

    /// Requests a file of class names, or the default names without a file.
    pub fn use_labels(&mut self, file: Option<PathBuf>) {
        self.dismiss();
        self.settings.labels = file;
    }

    /// Handles a failed job. The current model and the photo on screen stay. If the worker no
    /// longer has the `run` of the screen, the network is run again.
    fn fail(&mut self, fault: Fault, message: String, run: Option<u64>) {
        if fault != Fault::Model {
            self.offers.clear();
        }
        // An export that can't be opened has not changed anything yet.
        let restoring = self.restoring.take().is_some();
        self.layers.ask_again();
        self.batch.ask_again();
        let asked = self.requested.take();
        self.latest = match self.latest.take_shown() {
            Some(shown) => Latest::Ready(shown),
            None => Latest::Empty,
        };
        let shown = self.latest.shown();
        let lost = shown.is_some_and(|shown| run != Some(shown.job));
        let shown = shown.map(|shown| shown.plan.clone());
        // The controls show the previous plan again.
        let before = shown.clone().or_else(|| self.ran.clone());
        let photo_before = shown.as_ref().and_then(|plan| plan.photo);
        match (fault, before) {
            _ if restoring => self.current = photo_before,
            (Fault::Model, Some(before)) => self.settings.adopt_model(&before),
            // At the start: first try without the class names, then with another model.
            (Fault::Model, None) if self.settings.labels.is_some() => self.settings.labels = None,
            (Fault::Model, None) => self.settings.model = ModelChoice::Auto,
            (Fault::Photo, _) => self.current = photo_before,
            (Fault::Run, before) => {
                self.current = photo_before;
                if let Some(before) = before {
                    self.settings.adopt_model(&before);
                    self.settings.framing = before.framing;
                }
            }
        }
        let target = self.plan(self.current);
        let model_runs = |model: &RunningModel| model.runs(&target);
        let needed = match &shown {
            Some(shown) => lost || target != *shown,
            None => target.photo.is_some() || !self.model.as_ref().is_some_and(model_runs),
        };
        // Not endlessly: a plan that has just failed is not requested again.
        let again = needed && asked.as_ref() != Some(&target);
        if needed && !again && lost {
            self.layers.give_up(message.clone());
        }
        self.error = Some(message);
        self.requested = (!again).then_some(target);
    }

    /// Selects all settings that the tutorial's figures were made with.
    pub fn as_in_the_tutorial(&mut self) {
        let settings = &mut self.settings;
        settings.framing = Framing::Squash;
        settings.preprocess = PreprocessChoice::Preset(Preset::Tutorial);
        settings.layer = LayerChoice::LastConv;
        settings.variant = Variant::TutorialSum;
        for pane in &mut settings.panes {
            pane.layer = None;
        }
    }
}

#[cfg(test)]
mod tests;
