//! The opened photos: their order on screen, and the way from one to the next.

use std::path::{Path, PathBuf};

use crate::app::state::State;
use crate::input::photo::{Limits, Picture};
use crate::labels::ClassId;
use crate::worker::PhotoSource;

/// A thumbnail in the making.
#[derive(Debug)]
pub enum Thumbnail {
    /// Nobody sees it.
    NotWanted,
    /// It is there, or the reason why it can't be. Once it was drawn, without its pixels.
    Made(Result<Picture, String>),
}

/// One opened photo.
#[derive(Debug)]
pub struct PhotoItem {
    /// The number it was opened under.
    pub id: u64,
    /// Where it comes from.
    pub source: PhotoSource,
    /// Its thumbnail in the browser.
    pub thumbnail: Thumbnail,
}

/// The order of the photos in the browser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PhotoOrder {
    /// As they were opened.
    #[default]
    Opened,
    /// By name.
    Name,
    /// From the largest probability of the top class on.
    Confidence,
    /// From the smallest on: where the network is least sure.
    Doubt,
    /// From the largest probability of the chosen class on.
    Class,
}

impl PhotoOrder {
    /// Each of them, in the order of menus.
    pub const ALL: [Self; 5] = [
        Self::Opened,
        Self::Name,
        Self::Confidence,
        Self::Doubt,
        Self::Class,
    ];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "as opened",
            Self::Name => "by name",
            Self::Confidence => "most confident",
            Self::Doubt => "least confident",
            Self::Class => "by chosen class",
        }
    }
}

/// What an arrangement follows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MadeOf {
    photos: usize,
    batch: u64,
    predictions: usize,
    order: PhotoOrder,
    filter: Option<ClassId>,
    explained: Option<ClassId>,
}

/// Which photos the browser shows, in which order; made anew when something of it changes.
#[derive(Debug, Default)]
pub struct Arrangement {
    made_of: Option<MadeOf>,
    /// Indices of the photos.
    pub order: Vec<usize>,
    /// The top classes that there are, the most frequent first.
    pub tops: Vec<(ClassId, usize)>,
}

impl State {
    /// Sets how large photos may be. Those that could not be read are tried again.
    pub fn limit_photos(&mut self, limits: Limits) {
        self.settings.limits = limits;
        self.batch.forget_failures();
        for item in &mut self.photos {
            if matches!(item.thumbnail, Thumbnail::Made(Err(_))) {
                item.thumbnail = Thumbnail::NotWanted;
            }
        }
    }

    /// Adds photos to the browser and asks for the first of them. Gives the numbers
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

    /// Asks for a photo of the browser.
    pub fn show(&mut self, id: u64) {
        self.current = Some(id);
        self.dismiss();
    }

    /// Asks for the photo so many places further on in the browser; from a photo that is
    /// not in it, for the first.
    pub fn step_photo(&mut self, by: isize) {
        self.arrange();
        let order = &self.arrangement.order;
        let is_current = |&index: &usize| Some(self.photos[index].id) == self.current;
        let there = match order.iter().position(is_current) {
            Some(here) => here.checked_add_signed(by),
            None => Some(0),
        };
        let there = there.and_then(|there| order.get(there));
        if let Some(id) = there.map(|&index| self.photos[index].id) {
            self.show(id);
        }
    }

    /// Puts the photos in order, if something changed.
    pub fn arrange(&mut self) {
        let explained = match self.order {
            PhotoOrder::Class => self.sorted_by,
            _ => None, // each photo's own top class
        };
        let made_of = MadeOf {
            photos: self.photos.len(),
            batch: self.batch.id(),
            predictions: self.batch.len(),
            order: self.order,
            filter: self.filter,
            explained,
        };
        if self.arrangement.made_of == Some(made_of) {
            return;
        }
        let prediction = |index: usize| {
            let answer = self.batch.get(self.photos[index].id);
            answer.and_then(|answer| answer.as_ref().ok())
        };
        let mut counts = std::collections::BTreeMap::new();
        for prediction in (0..self.photos.len()).filter_map(prediction) {
            *counts.entry(prediction.top).or_insert(0) += 1;
        }
        let mut tops: Vec<(ClassId, usize)> = counts.into_iter().collect();
        tops.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let wanted = |index: &usize| {
            self.filter
                .is_none_or(|class| prediction(*index).is_some_and(|found| found.top == class))
        };
        let mut order: Vec<usize> = (0..self.photos.len()).filter(wanted).collect();
        let score = |index: usize, class: Option<ClassId>| {
            prediction(index).map(|found| found.probability(class.unwrap_or(found.top)))
        };
        // Photos without an answer come last.
        match self.order {
            PhotoOrder::Opened => {}
            PhotoOrder::Name => {
                order.sort_by_cached_key(|&index| self.photos[index].source.name().to_lowercase());
            }
            PhotoOrder::Confidence => {
                order.sort_by(|&a, &b| descending(score(a, None), score(b, None)));
            }
            PhotoOrder::Doubt => order.sort_by(|&a, &b| {
                let less = |index| score(index, None).map(|probability| -probability);
                descending(less(a), less(b))
            }),
            PhotoOrder::Class => {
                order.sort_by(|&a, &b| descending(score(a, explained), score(b, explained)));
            }
        }
        self.arrangement = Arrangement {
            made_of: Some(made_of),
            order,
            tops,
        };
    }

    /// Chooses the order of the photos. [`PhotoOrder::Class`] is by the class that is explained
    /// now, and stays by that one while photos change.
    pub fn sort_photos(&mut self, order: PhotoOrder) {
        self.order = order;
        if order == PhotoOrder::Class {
            self.sorted_by = self.explained();
        }
    }

    /// Files that the user has opened: photos, models, class names.
    #[must_use]
    pub fn known_files(&self) -> Vec<PathBuf> {
        let photos = self.photos.iter().filter_map(|item| match &item.source {
            PhotoSource::File(path) => Some(path.clone()),
            PhotoSource::Embedded { .. } | PhotoSource::Pixels(_) => None,
        });
        let models = std::iter::once(&self.settings.model).chain(&self.settings.recent);
        let models = models.filter_map(|choice| choice.file().map(Path::to_owned));
        photos
            .chain(models)
            .chain(self.settings.labels.clone())
            .collect()
    }

    /// What a predicted class is called. While a model is replaced, predictions may be the old
    /// one's, of classes that the new one does not have.
    #[must_use]
    pub fn class_name(&self, class: ClassId) -> String {
        let labels = self.model.as_ref().map(|model| &model.info.labels);
        match labels.filter(|labels| class.index() < labels.len()) {
            Some(labels) => labels.name(class).into(),
            None => format!("class {class}"),
        }
    }

    /// The class explained on what is on screen.
    #[must_use]
    pub fn explained(&self) -> Option<ClassId> {
        let shown = self.latest.shown();
        shown.map(|shown| self.class_in(&shown.analysis))
    }
}

fn descending(a: Option<f32>, b: Option<f32>) -> std::cmp::Ordering {
    let value = |score: Option<f32>| score.unwrap_or(f32::NEG_INFINITY);
    value(b).total_cmp(&value(a))
}
