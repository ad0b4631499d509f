//! What the window knows, without egui: settings, photos, and the latest answer.

use super::layer_book::LayerBook;
use super::scales::Scales;
use super::settings::{ClassOrder, Settings, Side};
use super::start_screen::SAMPLES;
use crate::analysis::{Analysis, Layer};
use crate::cam::{self, Map, Recipe, Variant};
use crate::framing::Framing;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::preprocessing::{PreprocessChoice, Preset};
use crate::photo::Picture;
use crate::worker::{Fault, Job, LayerJob, News, PhotoSource, Plan, RunningModel, Shown, Step};

/// How many models are remembered.
const RECENT: usize = 8;

/// What a map pane shows of an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The method and its variant.
    pub recipe: Recipe,
    /// The layer.
    pub layer: Layer,
    /// The class.
    pub class: ClassId,
}

/// Which class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassChoice {
    /// The most probable one of each photo.
    #[default]
    Top,
    /// This one, whatever the photo.
    Fixed(ClassId),
}

/// A thumbnail in the making.
#[derive(Debug)]
pub enum Thumbnail {
    /// Nobody sees it yet.
    NotWanted,
    /// The thumbnail thread has been asked.
    Wanted,
    /// It is there, or the reason why it can't be.
    Made(Result<Picture, String>),
}

/// One opened photo.
#[derive(Debug)]
pub struct PhotoItem {
    /// The number it was opened under.
    pub id: u64,
    /// Where it comes from.
    pub source: PhotoSource,
    /// Its thumbnail in the strip.
    pub thumbnail: Thumbnail,
}

/// The latest answer, which stays on screen until the next one is there.
#[derive(Debug, Default)]
pub enum Latest {
    /// Nothing has been asked for.
    #[default]
    Empty,
    /// A job is running.
    Working {
        /// Its number.
        job: u64,
        /// What it is at.
        step: Option<Step>,
        /// What is on screen meanwhile.
        previous: Option<Box<Shown>>,
    },
    /// The answer to the last job.
    Ready(Box<Shown>),
}

impl Latest {
    /// What is on screen.
    #[must_use]
    pub fn shown(&self) -> Option<&Shown> {
        match self {
            Self::Empty => None,
            Self::Working { previous, .. } => previous.as_deref(),
            Self::Ready(shown) => Some(shown),
        }
    }

    pub(super) fn shown_mut(&mut self) -> Option<&mut Shown> {
        match self {
            Self::Empty => None,
            Self::Working { previous, .. } => previous.as_deref_mut(),
            Self::Ready(shown) => Some(shown),
        }
    }

    fn take_shown(&mut self) -> Option<Box<Shown>> {
        match std::mem::take(self) {
            Self::Empty => None,
            Self::Working { previous, .. } => previous,
            Self::Ready(shown) => Some(shown),
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

    /// Adds photos to the strip and asks for the first of them. Gives the numbers
    /// they were opened under.
    pub fn open(&mut self, sources: Vec<PhotoSource>) -> Vec<u64> {
        let ids: Vec<u64> = sources.iter().map(|_| self.next_number()).collect();
        let items = ids.iter().zip(sources).map(|(&id, source)| PhotoItem {
            id,
            source,
            thumbnail: Thumbnail::NotWanted,
        });
        self.photos.extend(items);
        if let Some(&first) = ids.first() {
            self.show(first);
        }
        ids
    }

    /// Asks for a photo of the strip.
    pub fn show(&mut self, id: u64) {
        self.current = Some(id);
        self.error = None;
        self.info = None;
    }

    /// Asks for the photo so many places further on in the strip.
    pub fn step_photo(&mut self, by: isize) {
        let here = self
            .photos
            .iter()
            .position(|item| Some(item.id) == self.current);
        let there = here.and_then(|here| here.checked_add_signed(by));
        if let Some(id) = there
            .and_then(|there| self.photos.get(there))
            .map(|item| item.id)
        {
            self.show(id);
        }
    }

    /// The job that is needed now, if what is asked for has changed.
    pub fn next_job(&mut self) -> Option<Job> {
        let plan = Plan {
            photo: self.current,
            model: self.settings.model.clone(),
            labels: self.settings.labels.clone(),
            preprocess: self.settings.preprocess,
            device: self.settings.device,
            framing: self.settings.framing,
        };
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
        Some(Job { id, plan, source })
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
            }
            News::Failed(id, fault, message) if Some(id) == current_job => {
                self.fail(fault, message);
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
            self.held = [None; 2];
        }
        if matches!(model.choice, ModelChoice::File(_) | ModelChoice::Hub(_)) {
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

    /// What a map pane shows of an analysis. A layer that the network does not have
    /// counts as its last.
    #[must_use]
    pub fn subject(&self, side: Side, analysis: &Analysis) -> Subject {
        let pane = self.settings.panes[side.index()];
        let held = self.held[side.index()];
        let held = held.filter(|class| class.index() < analysis.logits.len());
        Subject {
            recipe: Recipe::new(pane.method, self.settings.variant),
            layer: available(pane.layer.unwrap_or(self.settings.layer), analysis),
            class: held.unwrap_or_else(|| self.class_in(analysis)),
        }
    }

    /// The layer chosen for all, as far as the network has it.
    #[must_use]
    pub fn layer_in(&self, analysis: &Analysis) -> Layer {
        available(self.settings.layer, analysis)
    }

    /// A map, once it can be had: at the last layer always, at the others when the
    /// worker has made it.
    #[must_use]
    pub fn map(&self, analysis: &Analysis, subject: Subject) -> Option<Map> {
        match subject.layer {
            Layer::Last => Some(cam::explain(
                subject.recipe,
                &analysis.evidence(subject.class),
            )),
            layer => self
                .layers
                .get(subject.class)?
                .get(layer, subject.recipe)
                .cloned(),
        }
    }

    /// Whether [`State::map`] has a map of the analysis on screen.
    #[must_use]
    pub fn has_map(&self, subject: Subject) -> bool {
        subject.layer == Layer::Last || self.layers.get(subject.class).is_some()
    }

    /// The maps at other layers that are needed now.
    pub fn next_layer_job(&mut self) -> Option<LayerJob> {
        let Latest::Ready(shown) = &self.latest else {
            return None; // another answer is on its way
        };
        let analysis = &shown.analysis;
        if analysis.model.architecture.layers().len() < 2 {
            return None;
        }
        // The small multiples show the class chosen for all.
        let mut wanted = vec![self.class_in(analysis)];
        for &side in self.settings.view.sides() {
            let subject = self.subject(side, analysis);
            if subject.layer != Layer::Last {
                // The top class, too, to say how alike the two maps are.
                wanted.extend([subject.class, analysis.top()]);
            }
        }
        self.layers.next_job(&wanted)
    }

    /// What was there stays: the model that runs, the photo on screen.
    fn fail(&mut self, fault: Fault, message: String) {
        self.error = Some(message);
        let asked = self.requested.take();
        self.latest = match self.latest.take_shown() {
            Some(shown) => Latest::Ready(shown),
            None => Latest::Empty,
        };
        let shown = self.latest.shown().map(|shown| shown.plan.clone());
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
            }
        }
        // What is on screen need not be asked for again.
        if shown.is_some() {
            self.requested = shown;
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

    /// Chooses an earlier or later layer for all.
    pub fn step_layer(&mut self, by: isize) {
        let Some(shown) = self.latest.shown() else {
            return;
        };
        let now = self.layer_in(&shown.analysis);
        let layers = shown.analysis.model.architecture.layers();
        let here = layers.iter().position(|layer| *layer == now).unwrap_or(0);
        let there = here.saturating_add_signed(by).min(layers.len() - 1);
        self.settings.layer = layers[there];
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

/// A layer, if the network has it, else its last.
fn available(layer: Layer, analysis: &Analysis) -> Layer {
    let layers = analysis.model.architecture.layers();
    if layers.contains(&layer) {
        layer
    } else {
        Layer::Last
    }
}

#[cfg(test)]
mod tests;
