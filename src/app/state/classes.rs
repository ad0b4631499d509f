//! Which class is explained, and for how long it is kept.

use crate::app::state::settings::{ClassOrder, Side};
use crate::app::state::{PhotoOrder, State};
use crate::explain::analysis::Analysis;
use crate::labels::ClassId;
use crate::worker::Answer;

/// Which class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassChoice {
    /// The most probable class of each photo.
    #[default]
    Top,
    /// This class, until another photo is shown.
    Chosen(ClassId),
    /// This class, also for the next photos.
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

impl State {
    /// Explains a class: on this photo, or also on the next ones if a class is kept.
    pub fn choose_class(&mut self, class: ClassId) {
        if self.order == PhotoOrder::Class {
            self.sorted_by = Some(class);
        }
        self.class = match self.class {
            ClassChoice::Kept(_) => ClassChoice::Kept(class),
            ClassChoice::Top | ClassChoice::Chosen(_) => ClassChoice::Chosen(class),
        };
    }

    /// Explains the most probable class of the photo on screen again.
    pub fn explain_top(&mut self) {
        self.class = ClassChoice::Top;
    }

    /// Explains the most probable class in a pane. If another class is pinned to the pane, the
    /// other pane is unchanged.
    pub fn explain_top_in(&mut self, side: Side) {
        let Some(shown) = self.latest.shown() else {
            return;
        };
        let top = shown.analysis.top();
        let for_all = self.class_in(&shown.analysis);
        match &mut self.pinned[side.index()] {
            Some(_) if for_all == top => self.pinned[side.index()] = None,
            Some(pinned) => *pinned = top,
            None => self.explain_top(),
        }
    }

    /// Keeps the explained class for the next photos, or stops keeping it.
    pub fn keep_class(&mut self, keep: bool) {
        self.class = match (keep, self.class, self.explained()) {
            (true, _, Some(class)) => ClassChoice::Kept(class),
            (false, ClassChoice::Kept(class), _) => ClassChoice::Chosen(class),
            (_, class, _) => class,
        };
    }

    /// Clears choices that do not apply to the next answer: class choices if the photo changes
    /// (unless a class is kept) or if the classes change.
    pub(super) fn leave(&mut self, previous: &Answer, next: &Answer) {
        let [old, new] = [previous, next].map(|shown| &shown.analysis.model);
        let same_network = old.sha256 == new.sha256 && old.network == new.network;
        if !same_network && !old.labels.same_names(&new.labels) {
            self.class = ClassChoice::Top;
            self.contrast_class = None;
            self.filter = None;
            self.sorted_by = None;
            self.pinned = [None; 2];
            self.restored = [None; 2];
        } else if previous.plan.photo != next.plan.photo {
            if !matches!(self.class, ClassChoice::Kept(_)) {
                self.class = ClassChoice::Top;
                self.contrast_class = None;
            }
            let restored = std::mem::take(&mut self.restored);
            for (pinned, restored) in self.pinned.iter_mut().zip(restored) {
                *pinned = pinned.filter(|class| Some(*class) != restored);
            }
        }
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

    /// Moves the selection up or down in the table; if the selection is not in the table, to its
    /// start.
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
