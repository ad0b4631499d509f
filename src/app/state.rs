//! What the window knows, without egui: settings, photos, and the latest answer.

mod album;
mod latest;
mod restore;
mod subject;

use std::path::PathBuf;

use super::layer_book::{LayerBook, Remedy};
use super::regions::Regions;
use super::scales::Scales;
use super::settings::{ClassOrder, Settings, Side};
use super::start_screen::SAMPLES;
use super::survey::Survey;
use crate::analysis::{Analysis, Layer};
use crate::cam::Variant;
use crate::framing::Framing;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::preprocessing::{PreprocessChoice, Preset};
use crate::photo::Picture;
use crate::worker::{Fault, Job, News, Plan, RunningModel, Shown, SurveyJob};
pub use album::{Arrangement, PhotoItem, PhotoOrder, Thumbnail};
pub use latest::Latest;
use restore::Restoring;
pub use subject::Subject;

/// How many models are remembered.
const RECENT: usize = 8;

/// Which class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassChoice {
    /// The most probable one of each photo.
    #[default]
    Top,
    /// This one, as long as the photo on screen stays.
    Chosen(ClassId),
    /// This one, for the next photos as well.
    Kept(ClassId),
}

impl ClassChoice {
    /// The class, unless it is the most probable one.
    #[must_use]
    pub fn class(self) -> Option<ClassId> {
        match self {
            Self::Top => None,
            Self::Chosen(class) | Self::Kept(class) => Some(class),
        }
    }
}

/// What the window knows.
#[derive(Debug, Default)]
pub struct State {
    /// What survives a restart.
    pub settings: Settings,
    /// The opened photos, in order.
    pub photos: Vec<PhotoItem>,
    /// Thumbnails of the samples, as they are made.
    pub samples: [Option<Picture>; SAMPLES.len()],
    /// Their order in the browser.
    pub order: PhotoOrder,
    /// The class by whose probability they are sorted in [`PhotoOrder::Class`].
    pub sorted_by: Option<ClassId>,
    /// The top class of the photos that the browser shows; none for all photos.
    pub filter: Option<ClassId>,
    /// The photos in that order.
    pub arrangement: Arrangement,
    /// What the network says of each.
    pub survey: Survey,
    /// What the user drew on them.
    pub regions: Regions,
    /// The photo asked for, by its number.
    pub current: Option<u64>,
    /// The latest answer.
    pub latest: Latest,
    /// Ranges that are held.
    pub(super) scales: Scales,
    /// The model that runs.
    pub model: Option<RunningModel>,
    /// Bytes of its weights that are read, and bytes in total, while it is loaded.
    pub loading: Option<(u64, u64)>,
    /// Which class is explained.
    pub class: ClassChoice,
    /// The class that the maps are compared with: why not this one.
    pub against: Option<ClassId>,
    /// Classes that are pinned to a map pane.
    pub held: [Option<ClassId>; 2],
    /// Maps at all layers.
    pub layers: LayerBook,
    /// The text in the class search field.
    pub search: String,
    /// What went wrong last, in words for the user.
    pub error: Option<String>,
    /// What was done last that can't be seen otherwise ("Saved …").
    pub info: Option<String>,
    /// The plan of the last job, or of what is on screen after a failure.
    requested: Option<Plan>,
    /// The plan of the last job that was answered.
    ran: Option<Plan>,
    /// An export that is being opened again.
    restoring: Option<Restoring>,
    last_number: u64,
}

impl State {
    /// A state with settings from the last time.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn plan(&self, photo: Option<u64>) -> Plan {
        Plan {
            photo,
            model: self.settings.model.clone(),
            labels: self.settings.labels.clone(),
            preprocess: self.settings.preprocess,
            device: self.settings.device,
            framing: self.settings.framing,
        }
    }

    /// What is asked for now: by the controls, or by the export that is being opened.
    #[must_use]
    pub fn wanted(&self) -> Plan {
        let plan = self.plan(self.current);
        let restoring = self.restoring.as_ref();
        restoring
            .and_then(|restoring| restoring.plan_over(&plan))
            .unwrap_or(plan)
    }

    /// The job that is needed now, if what is asked for has changed.
    pub fn next_job(&mut self) -> Option<Job> {
        let by_controls = self.plan(self.current);
        self.restoring
            .take_if(|restoring| restoring.plan_over(&by_controls).is_none());
        let plan = self.wanted();
        if self.requested.as_ref() == Some(&plan) {
            return None;
        }
        // A photo, once chosen, follows the framing; without one there is only a
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

    /// Asks anew for all that is wanted: the worker had stopped.
    pub fn ask_anew(&mut self) {
        self.requested = None;
        self.layers.ask_again();
        self.survey.ask_again();
    }

    /// The predictions that are needed now, once no job runs.
    pub fn next_survey(&mut self) -> Option<SurveyJob> {
        if self.model.is_none() || matches!(self.latest, Latest::Working { .. }) {
            return None;
        }
        let plan = self.plan(None);
        self.survey
            .next_job(plan, &self.photos, self.settings.limits)
    }

    /// Takes a piece of news in. Answers to jobs that a newer one has replaced
    /// change nothing.
    pub fn hear(&mut self, news: News) {
        let current_job = match &self.latest {
            Latest::Working { job, .. } => Some(*job),
            _ => None,
        };
        match news {
            News::Model(model) => self.model = Some(model),
            News::Step(id, now) if Some(id) == current_job => {
                self.loading = None;
                if let Latest::Working { step, .. } = &mut self.latest {
                    *step = Some(now);
                }
            }
            News::Loading(id, done, total) if Some(id) == current_job => {
                self.loading = Some((done, total));
            }
            News::Predicted(id, photo, answer) => self.survey.hear(id, photo, answer),
            News::SurveyDropped(id) => {
                if id == self.survey.id() {
                    self.survey.ask_again();
                }
            }
            News::SurveyFailed(id, message) => {
                if id == self.survey.id() {
                    self.survey.stop();
                    self.error = Some(message);
                }
            }
            News::Layers(of, class, maps) => {
                if let Some(message) = self.layers.hear(of, class, maps) {
                    self.error = Some(message);
                }
            }
            News::LayersDropped(request, of, classes, why) => {
                let remedy = self.layers.hear_dropped((request, of), &classes, why);
                if remedy == Remedy::RunAgain && matches!(self.latest, Latest::Ready(_)) {
                    self.requested = None;
                }
            }
            News::Done(id, shown) if Some(id) == current_job => self.finish(shown),
            News::Failed(id, fault, message, run) if Some(id) == current_job => {
                self.fail(fault, message, run);
            }
            News::Step(..) | News::Loading(..) | News::Done(..) | News::Failed(..) => {}
        }
    }

    /// Takes in the answer to the last job.
    fn finish(&mut self, shown: Option<Shown>) {
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

    /// Forgets what was chosen for the last answer and says nothing about the next one:
    /// classes, with another photo (unless they are to be kept) or other classes.
    fn leave(&mut self, previous: &Shown, next: &Shown) {
        let [old, new] = [previous, next].map(|shown| &shown.analysis.model);
        let same_network = old.sha256 == new.sha256 && old.network == new.network;
        if !same_network && !old.labels.same_names(&new.labels) {
            self.class = ClassChoice::Top;
            self.against = None;
            self.filter = None;
            self.sorted_by = None;
            self.held = [None; 2];
        } else if previous.plan.photo != next.plan.photo
            && !matches!(self.class, ClassChoice::Kept(_))
        {
            self.class = ClassChoice::Top;
            self.against = None;
        }
    }

    /// Puts the model that runs first in the menu's list of recent ones.
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

    /// Asks for a model, with its own class names and preprocessing.
    pub fn use_model(&mut self, choice: ModelChoice) {
        self.error = None;
        if choice != self.settings.model {
            self.settings.labels = None;
            self.settings.preprocess = PreprocessChoice::Model;
        }
        self.settings.model = choice;
    }

    /// Asks for a file of class names, or for the usual names without one.
    pub fn use_labels(&mut self, file: Option<PathBuf>) {
        self.error = None;
        self.settings.labels = file;
    }

    /// Explains a class: of this photo, or also of the next ones if one is kept.
    pub fn choose_class(&mut self, class: ClassId) {
        if self.order == PhotoOrder::Class {
            self.sorted_by = Some(class);
        }
        self.class = match self.class {
            ClassChoice::Kept(_) => ClassChoice::Kept(class),
            ClassChoice::Top | ClassChoice::Chosen(_) => ClassChoice::Chosen(class),
        };
    }

    /// Explains the most probable class again, in a pane too where another one is pinned.
    pub fn explain_top(&mut self, side: Option<Side>) {
        self.class = ClassChoice::Top;
        if let Some(side) = side {
            self.held[side.index()] = None;
        }
    }

    /// Keeps the class that is explained for the next photos, or no longer.
    pub fn keep_class(&mut self, keep: bool) {
        self.class = match (keep, self.class, self.explained()) {
            (true, _, Some(class)) => ClassChoice::Kept(class),
            (false, ClassChoice::Kept(class), _) => ClassChoice::Chosen(class),
            (_, class, _) => class,
        };
    }

    /// What was there stays: the model that runs, the photo on screen. If the worker has no
    /// longer the `run` of what is on screen, it is run anew.
    fn fail(&mut self, fault: Fault, message: String, run: Option<u64>) {
        // An export that can't be opened again has changed nothing yet.
        let restoring = self.restoring.take().is_some();
        self.layers.ask_again();
        self.survey.ask_again();
        let asked = self.requested.take();
        self.latest = match self.latest.take_shown() {
            Some(shown) => Latest::Ready(shown),
            None => Latest::Empty,
        };
        let shown = self.latest.shown();
        let lost = shown.is_some_and(|shown| run != Some(shown.job));
        let shown = shown.map(|shown| shown.plan.clone());
        // What the controls say again is what was there before.
        let before = shown.clone().or_else(|| self.ran.clone());
        let photo_before = shown.as_ref().and_then(|plan| plan.photo);
        match (fault, before) {
            _ if restoring => self.current = photo_before,
            (Fault::Model, Some(before)) => self.settings.adopt_model(&before),
            // At the start: without the class names first, then another model.
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
        let needed = match &shown {
            Some(shown) => lost || target != *shown,
            None => self.model.as_ref().is_none_or(|model| !model.runs(&target)),
        };
        // Not without end: what has just failed is not asked for again.
        let again = needed && asked.as_ref() != Some(&target);
        if needed && !again && lost {
            self.layers.give_up(message.clone());
        }
        self.error = Some(message);
        self.requested = (!again).then_some(target);
    }

    /// The class explained on an analysis.
    #[must_use]
    pub fn class_in(&self, analysis: &Analysis) -> ClassId {
        match self.class.class() {
            Some(class) if class.index() < analysis.logits.len() => class,
            _ => analysis.top(),
        }
    }

    /// The classes that match the search, in the table's order.
    #[must_use]
    pub fn listed_classes(&self, analysis: &Analysis) -> Vec<ClassId> {
        let labels = &analysis.model.labels;
        let mut matches = vec![false; labels.len()];
        for class in labels.search(&self.search) {
            matches[class.index()] = true;
        }
        let mut classes: Vec<ClassId> = analysis
            .ranking
            .iter()
            .copied()
            .filter(|class| matches[class.index()])
            .collect();
        let (by_name, forward) = match self.settings.order {
            ClassOrder::Score(forward) => (false, forward),
            ClassOrder::Name(forward) => (true, forward),
        };
        if by_name {
            classes.sort_by(|&a, &b| labels.folded(a).cmp(labels.folded(b)));
        }
        if !forward {
            classes.reverse();
        }
        classes
    }

    /// Sets all that the tutorial's figures were made with.
    pub fn as_in_the_tutorial(&mut self) {
        let settings = &mut self.settings;
        settings.framing = Framing::Squash;
        settings.preprocess = PreprocessChoice::Preset(Preset::Tutorial);
        settings.layer = Layer::LastConv;
        settings.variant = Variant::TutorialSum;
        for pane in &mut settings.panes {
            pane.layer = None;
        }
    }

    /// Moves the choice up or down in the table; from outside it, to its start.
    pub fn step_class(&mut self, by: isize) {
        let Some(shown) = self.latest.shown() else {
            return;
        };
        let classes = self.listed_classes(&shown.analysis);
        let now = self.class_in(&shown.analysis);
        let here = classes.iter().position(|&class| class == now);
        let there = match here {
            Some(here) => here
                .saturating_add_signed(by)
                .min(classes.len().saturating_sub(1)),
            None => 0,
        };
        if let Some(&class) = classes.get(there) {
            self.choose_class(class);
        }
    }
}

#[cfg(test)]
mod tests;
