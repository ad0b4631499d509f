//! The opened photos: their order on screen, and stepping through them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::app::state::State;
use crate::app::state::photo_item::{PhotoItem, PhotoOrder, Thumbnail};
use crate::app::state::samples::{SAMPLES, sample_id, sample_index};
use crate::input::photo::{Limits, WindowLevel};
use crate::labels::ClassId;
use crate::worker::PhotoSource;

/// Maximum number of thumbnails kept while out of view: each takes about 100 kB on the graphics
/// card.
const KEPT_THUMBNAILS: usize = 64;

/// The inputs of an arrangement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MadeOf {
    photos: usize,
    batch: u64,
    predictions: usize,
    order: PhotoOrder,
    filter: Option<ClassId>,
    explained: Option<ClassId>,
}

/// The photos that the browser shows, in order; computed again when an input changes.
#[derive(Debug, Default)]
pub struct Arrangement {
    made_of: Option<MadeOf>,
    /// Indices of the photos.
    pub order: Vec<usize>,
    /// The top classes of the photos, the most frequent first.
    pub tops: Vec<(ClassId, usize)>,
}

impl State {
    /// Sets the limits on the size of photos. Photos that could not be read are tried again.
    pub fn limit_photos(&mut self, limits: Limits) {
        self.settings.limits = limits;
        self.batch.forget_failures();
        for item in &mut self.photos {
            if matches!(item.thumbnail, Thumbnail::Made(Err(_))) {
                item.thumbnail = Thumbnail::NotWanted;
            }
        }
    }

    /// Sets the window of a photo, or its own one. It is classified again.
    pub fn set_window(&mut self, photo: u64, window: Option<WindowLevel>) {
        if let Some(item) = self.photos.iter_mut().find(|item| item.id == photo)
            && item.window != window
        {
            item.window = window;
            self.batch.forget(photo);
        }
    }

    /// Records that the thumbnail of a photo or sample was made.
    pub fn take_thumbnail(&mut self, id: u64, made: Result<(), String>) {
        if let Some(index) = sample_index(id) {
            self.samples[index] = made.is_ok();
        } else if let Some(item) = self.photos.iter_mut().find(|item| item.id == id) {
            item.thumbnail = Thumbnail::Made(made);
        }
    }

    /// The photos among `in_view` (indices) that have no thumbnail yet, and the samples on the
    /// start screen: their IDs and sources.
    #[must_use]
    pub fn missing_thumbnails(&self, in_view: &[usize]) -> Vec<(u64, PhotoSource)> {
        let items = in_view.iter().filter_map(|&index| self.photos.get(index));
        let missing = items.filter(|item| matches!(item.thumbnail, Thumbnail::NotWanted));
        let mut missing: Vec<_> = missing.map(|item| (item.id, item.source.clone())).collect();
        // Not while the first photo is loading, because the samples would delay it.
        if self.latest.shown().is_none() && self.current.is_none() {
            let samples = SAMPLES.into_iter().enumerate();
            let samples = samples.filter(|(index, _)| !self.samples[*index]);
            missing.extend(samples.map(|(index, sample)| (sample_id(index), sample)));
        }
        missing
    }

    /// Drops thumbnails out of view beyond a fixed number, so that memory does not grow with
    /// the number of photos. Returns the IDs of their photos.
    pub fn forget_thumbnails(&mut self, in_view: &[usize]) -> Vec<u64> {
        let made = |item: &PhotoItem| matches!(item.thumbnail, Thumbnail::Made(Ok(())));
        let count = self.photos.iter().filter(|item| made(item)).count();
        let spare = count.saturating_sub(KEPT_THUMBNAILS.max(2 * in_view.len()));
        if spare == 0 {
            return Vec::new();
        }
        let seen: HashSet<usize> = in_view.iter().copied().collect();
        let photos = self.photos.iter_mut().enumerate();
        let out_of_view = photos.filter(|(index, item)| made(item) && !seen.contains(index));
        let forgotten = out_of_view.take(spare).map(|(_, item)| {
            item.thumbnail = Thumbnail::NotWanted;
            item.id
        });
        forgotten.collect()
    }

    /// Adds photos to the browser and requests the first one. Returns their IDs.
    pub fn open(&mut self, sources: Vec<PhotoSource>) -> Vec<u64> {
        let ids: Vec<u64> = sources.iter().map(|_| self.next_photo()).collect();
        let items = ids.iter().zip(sources).map(|(&id, source)| PhotoItem {
            id,
            source,
            window: self.window,
            thumbnail: Thumbnail::NotWanted,
        });
        self.photos.extend(items);
        if let Some(&first) = ids.first() {
            self.show(first);
        }
        ids
    }

    /// Requests a photo of the browser.
    pub fn show(&mut self, id: u64) {
        self.current = Some(id);
        self.dismiss();
    }

    /// Requests the photo this many places further on in the browser, or the first one if the
    /// current photo is not shown.
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

    /// Sorts the photos, if something has changed.
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
        // Photos without a prediction come last.
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

    /// Sets the order of the photos. [`PhotoOrder::Class`] uses the class that is explained now,
    /// and keeps it when the photo changes.
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

    /// The name of a predicted class. While a model is being replaced, predictions may belong to
    /// the old one and have classes that the new one does not have.
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
