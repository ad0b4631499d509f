//! What the window must show, as far as the clicks alone determine it.
//!
//! What is refused (a damaged photo, weights that are none, names for another model) is given up
//! for what was answered last. If it is asked for while something else is on its way, it depends
//! on the threads what that is: then there is more than one plan that the window may come to rest
//! with. They are all kept here, until it rests.

use camlens::model::ModelChoice;
use camlens::model::preprocessing::PreprocessChoice;
use camlens::worker::Plan;

use super::*;

/// A plan that the window may be asked for.
#[derive(Clone, PartialEq, Debug)]
struct Wanted {
    /// What the controls say.
    controls: Plan,
    /// What the manifest of an export says, while it is being opened.
    restoring: Option<Plan>,
}

/// Files whose fate is known.
pub struct Fates {
    /// No weights.
    pub garbage: ModelChoice,
    /// The model with three classes.
    pub pets: ModelChoice,
    /// Names for it.
    pub names: PathBuf,
    /// Photos that can't be read, by their numbers.
    pub broken: Vec<u64>,
}

impl Fates {
    /// Whether a plan's model or class names will be refused.
    fn refuses_model(&self, plan: &Plan) -> bool {
        let labels = plan.labels.as_ref();
        plan.model == self.garbage
            || labels.is_some_and(|file| *file != self.names || plan.model != self.pets)
    }

    /// Whether a plan's photo will be refused.
    fn refuses_photo(&self, plan: &Plan) -> bool {
        plan.photo.is_some_and(|photo| self.broken.contains(&photo))
    }
}

/// All plans that the window may come to rest with.
pub struct Plans {
    pub fates: Fates,
    wanted: Vec<Wanted>,
    /// The plans that may have been answered last.
    answered: Vec<Plan>,
    /// Whether it may be that nothing was answered yet.
    is_new: bool,
}

impl Plans {
    /// Those of a new window, which is asked for nothing.
    pub fn new(fates: Fates, start: Plan) -> Self {
        let mut plans = Self {
            fates,
            wanted: vec![Wanted {
                controls: start,
                restoring: None,
            }],
            answered: Vec::new(),
            is_new: true,
        };
        plans.follow();
        plans
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.wanted.len()
    }

    /// A control was used.
    pub fn change(&mut self, change: impl Fn(&mut Plan)) {
        for wanted in &mut self.wanted {
            let before = wanted.controls.clone();
            change(&mut wanted.controls);
            if wanted.controls != before {
                // It is newer than the manifest.
                wanted.restoring = None;
            }
        }
        self.follow();
    }

    /// A model was asked for.
    pub fn use_model(&mut self, model: &ModelChoice) {
        self.change(|plan| {
            if plan.model != *model {
                plan.labels = None;
                plan.preprocess = PreprocessChoice::Model;
                plan.scores = None;
            }
            plan.model = model.clone();
        });
    }

    /// A manifest was opened; its photo has this number.
    pub fn restore(&mut self, photo: u64, manifest: impl Fn(&mut Plan)) {
        for wanted in &mut self.wanted {
            wanted.controls.photo = Some(photo);
            let mut plan = wanted.controls.clone();
            manifest(&mut plan);
            wanted.restoring = Some(plan);
        }
        self.follow();
    }

    /// What may come of what is wanted.
    fn follow(&mut self) {
        let mut next = 0;
        while next < self.wanted.len() {
            let now = self.wanted[next].clone();
            next += 1;
            if self.can_stay(&now) {
                self.answer(&now.controls);
            }
            for then in self.outcomes(&now) {
                if !self.wanted.contains(&then) {
                    self.wanted.push(then);
                    // It may be what others are given up for.
                    next = 0;
                }
            }
        }
    }

    fn answer(&mut self, plan: &Plan) {
        if !self.answered.contains(plan) {
            self.answered.push(plan.clone());
        }
    }

    /// Whether the window can rest with it.
    fn can_stay(&self, wanted: &Wanted) -> bool {
        let plan = &wanted.controls;
        wanted.restoring.is_none()
            && !self.fates.refuses_model(plan)
            && !self.fates.refuses_photo(plan)
    }

    /// What it may become by the answer of the worker.
    fn outcomes(&self, wanted: &Wanted) -> Vec<Wanted> {
        let plan = &wanted.controls;
        let mut outcomes = Vec::new();
        if let Some(restored) = &wanted.restoring {
            outcomes.push(restored.clone());
        } else {
            let refuses_model = self.fates.refuses_model(plan);
            let refuses_photo = self.fates.refuses_photo(plan);
            for before in &self.answered {
                if refuses_model {
                    outcomes.push(Plan {
                        photo: plan.photo,
                        framing: plan.framing,
                        ..before.clone()
                    });
                }
                if refuses_photo {
                    let photo = before.photo;
                    outcomes.push(Plan {
                        photo,
                        ..plan.clone()
                    });
                }
            }
            if self.is_new && refuses_model {
                let mut plan = plan.clone();
                if plan.labels.take().is_none() {
                    plan.model = ModelChoice::Auto;
                }
                outcomes.push(plan);
            }
            if self.is_new && refuses_photo {
                let photo = None;
                outcomes.push(Plan {
                    photo,
                    ..plan.clone()
                });
            }
        }
        let wanted = |controls| Wanted {
            controls,
            restoring: None,
        };
        outcomes.into_iter().map(wanted).collect()
    }

    /// The window is quiet: what it shows is one of them, and from here on it is known.
    pub fn rest(&mut self, now: &Plan, has_photo: bool) -> Result<(), String> {
        let may_be = |wanted: &&Wanted| self.can_stay(wanted);
        let possible: Vec<&Plan> = self
            .wanted
            .iter()
            .filter(may_be)
            .map(|wanted| &wanted.controls)
            .collect();
        if !possible.contains(&now) {
            return Err(format!("{now:?} was not asked for, but {possible:?}"));
        }
        self.wanted = vec![Wanted {
            controls: now.clone(),
            restoring: None,
        }];
        self.answered = vec![now.clone()];
        self.is_new &= !has_photo;
        Ok(())
    }
}
