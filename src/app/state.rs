//! What the window knows, without egui: settings, photos, and the latest answer.

mod album;
mod latest;
mod restore;
mod subject;

use super::layer_book::LayerBook;
use super::regions::Regions;
use super::scales::Scales;
use super::settings::{ClassOrder, Settings};
use super::start_screen::SAMPLES;
use super::survey::Survey;
use crate::analysis::{Analysis, Layer};
use crate::cam::Variant;
use crate::framing::Framing;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::preprocessing::{PreprocessChoice, Preset};
use crate::photo::Picture;
use crate::worker::{Fault, Job, News, Plan, RunningModel, SurveyJob};
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
    /// This one, whatever the photo.
    Fixed(ClassId),
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
    /// How many bytes of how many of its weights are read, while it is loaded.
    pub loading: Option<(u64, u64)>,
    /// Which class is explained.
    pub class: ClassChoice,
    /// The class that the maps are compared with: why not this one.
    pub against: Option<ClassId>,
    /// Classes that a map pane holds for itself.
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

    /// The job that is needed now, if what is asked for has changed.
    pub fn next_job(&mut self) -> Option<Job> {
        let plan = self.plan(self.current);
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
            News::Model(model) => self.change_model(model),
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
            News::Layers(of, class, maps) => {
                if let Some(message) = self.layers.hear(of, class, maps) {
                    self.error = Some(message);
                }
            }
            News::Done(id, shown) if Some(id) == current_job => {
                if let Some(shown) = &shown {
                    self.layers.begin(shown.job);
                }
                let previous = self.latest.take_shown();
                self.latest = match shown.map(Box::new).or(previous) {
                    Some(shown) => Latest::Ready(shown),
                    None => Latest::Empty,
                };
                self.finish_restoring();
            }
            News::Failed(id, fault, message, run) if Some(id) == current_job => {
                self.restoring = None;
                self.fail(fault, message, run);
            }
            News::Step(..) | News::Loading(..) | News::Done(..) | News::Failed(..) => {}
        }
    }

    fn change_model(&mut self, model: RunningModel) {
        let classes = model.info.labels.len();
        let other_classes = self
            .model
            .as_ref()
            .is_some_and(|old| old.info.labels.len() != classes);
        if other_classes {
            self.class = ClassChoice::Top;
            self.against = None;
            self.filter = None;
            self.held = [None; 2];
        }
        if model.choice.file().is_some() || matches!(model.choice, ModelChoice::Hub(_)) {
            let recent = &mut self.settings.recent;
            recent.retain(|choice| *choice != model.choice);
            recent.insert(0, model.choice.clone());
            recent.truncate(RECENT);
        }
        self.model = Some(model);
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

    /// What was there stays: the model that runs, the photo on screen. If the worker has no
    /// longer the `run` of what is on screen, it is run anew.
    fn fail(&mut self, fault: Fault, message: String, run: Option<u64>) {
        self.error = Some(message);
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
        // Not without end, should that fail as well.
        let again = lost && asked != shown;
        match fault {
            Fault::Model => match &self.model {
                Some(running) => {
                    self.settings.model = running.choice.clone();
                    self.settings.labels.clone_from(&running.asked_labels);
                    self.settings.device = running.asked_device;
                }
                // At the start: without the class names first, then another model.
                None if self.settings.labels.is_some() => self.settings.labels = None,
                None if self.settings.model != ModelChoice::Auto => {
                    self.settings.model = ModelChoice::Auto;
                }
                // Nothing else to try: do not ask for the same again.
                None => self.requested = asked,
            },
            Fault::Photo => {
                self.current = shown.as_ref().and_then(|plan| plan.photo);
                self.requested = asked.map(|plan| Plan {
                    photo: None,
                    ..plan
                });
                if let Some(plan) = shown.as_ref().filter(|_| again) {
                    // The controls name what is on screen.
                    self.settings.model = plan.model.clone();
                    self.settings.labels.clone_from(&plan.labels);
                    self.settings.preprocess = plan.preprocess;
                    self.settings.device = plan.device;
                    self.settings.framing = plan.framing;
                }
            }
        }
        if shown.is_some() {
            self.requested = shown.filter(|_| !again);
        }
    }

    /// The class explained on an analysis.
    #[must_use]
    pub fn class_in(&self, analysis: &Analysis) -> ClassId {
        match self.class {
            ClassChoice::Fixed(class) if class.index() < analysis.logits.len() => class,
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
            self.class = ClassChoice::Fixed(class);
        }
    }
}

#[cfg(test)]
mod tests;
