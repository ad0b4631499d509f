//! A cache of the maps at all layers for the answer on screen, filled by the worker.

use std::collections::HashMap;
use std::sync::Arc;

use crate::explain::cam::LayerMaps;
use crate::labels::ClassId;
use crate::model::target_layer::LayerId;
use crate::worker::{Dropped, LayerJob};

/// Maximum number of cached classes; the maps of one class take some hundred kilobytes.
const KEPT: usize = 32;

/// Maps are requested again this often if the inference thread stops.
const MOST_STOPS: u8 = 2;

/// Cached and requested maps.
#[derive(Debug, Default)]
pub struct MapCache {
    /// The job whose answer the maps belong to.
    of: u64,
    maps: HashMap<ClassId, Arc<LayerMaps>>,
    /// The classes and layers of the current request.
    asked: Vec<ClassId>,
    asked_layers: Vec<LayerId>,
    /// The ID of the last request.
    request: u64,
    /// The reason why no more maps are requested.
    fault: Option<String>,
    /// How often the inference thread stopped with a request of maps.
    stops: u8,
}

/// What to do after maps were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: they are requested again if they are still needed.
    None,
    /// Run the network on the photo again: the worker no longer has the run.
    RunAgain,
}

impl MapCache {
    /// Clears the cache for the answer to a job.
    pub fn begin(&mut self, of: u64) {
        *self = Self {
            of,
            request: self.request,
            // A thread that stops again and again is not asked for maps of other answers either.
            fault: self.fault.take_if(|_| self.stops >= MOST_STOPS),
            stops: self.stops,
            ..Self::default()
        };
    }

    /// Records that there will be no more maps for this answer, and why.
    pub fn give_up(&mut self, why: String) {
        self.asked.clear();
        self.fault = Some(why);
    }

    /// The reason why no more maps are computed for this answer, if there is one.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Requests missing maps again: the worker drops maps in progress when a job arrives, even if
    /// that job fails and changes nothing.
    pub fn ask_again(&mut self) {
        self.asked.clear();
    }

    /// The maps of a class, if available.
    #[must_use]
    pub fn get(&self, class: ClassId) -> Option<&Arc<LayerMaps>> {
        self.maps.get(&class)
    }

    /// Whether the maps of some classes at some layers are available.
    #[must_use]
    pub fn has(&self, classes: &[ClassId], layers: &[LayerId]) -> bool {
        let has = |class: &ClassId| self.maps.get(class).is_some_and(|maps| maps.has(layers));
        classes.iter().all(has)
    }

    /// Whether the worker is computing the maps of a class.
    #[must_use]
    pub fn is_pending(&self, class: ClassId) -> bool {
        self.asked.contains(&class)
    }

    /// The request that is needed now for the maps of some classes at some layers. It replaces the
    /// last one.
    pub fn next_job(&mut self, wanted: &[ClassId], layers: &[LayerId]) -> Option<LayerJob> {
        let mut missing: Vec<ClassId> = Vec::new();
        for &class in wanted {
            if !self.has(&[class], layers) && !missing.contains(&class) {
                missing.push(class);
            }
        }
        let is_asked = missing == self.asked && layers == self.asked_layers;
        if missing.is_empty() || is_asked || self.fault.is_some() {
            return None;
        }
        if self.maps.len() + missing.len() > KEPT {
            self.maps.retain(|class, _| wanted.contains(class));
        }
        self.asked.clone_from(&missing);
        self.asked_layers = layers.to_vec();
        self.request += 1;
        Some(LayerJob {
            id: self.request,
            of: self.of,
            classes: missing,
            layers: layers.to_vec(),
        })
    }

    /// Adds maps from the worker. If the worker failed, returns the message, and nothing more is
    /// requested for this answer.
    pub fn apply_event(
        &mut self,
        of: u64,
        class: ClassId,
        maps: Result<Arc<LayerMaps>, String>,
    ) -> Option<String> {
        if of != self.of {
            return None;
        }
        self.asked.retain(|asked| *asked != class);
        match maps {
            Ok(maps) => {
                let maps = match self.maps.get(&class) {
                    Some(others) => Arc::new(others.with(&maps)),
                    None => maps,
                };
                self.maps.insert(class, maps);
                None
            }
            Err(message) => {
                self.give_up(message.clone());
                Some(message)
            }
        }
    }

    /// Handles a request that ended without maps.
    pub fn apply_dropped(
        &mut self,
        (request, of): (u64, u64),
        classes: &[ClassId],
        why: Dropped,
    ) -> Remedy {
        // A newer request covers what is still needed, and gets its own answer.
        if of != self.of || request != self.request || self.fault.is_some() {
            return Remedy::None;
        }
        self.asked.retain(|asked| !classes.contains(asked));
        match why {
            Dropped::Stopped if self.stops >= MOST_STOPS => {
                self.give_up("The inference thread stops while it computes these maps.".into());
                Remedy::None
            }
            Dropped::Stopped => {
                self.stops += 1;
                Remedy::RunAgain
            }
            Dropped::RunLost => Remedy::RunAgain,
            Dropped::Replaced | Dropped::Cancelled | Dropped::OtherPlan => Remedy::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_asked_for_once_and_stale_answers_are_dropped() {
        let classes: Vec<ClassId> = ClassId::all(3).collect();
        let maps = || Ok(Arc::new(LayerMaps::new(&[])));
        let mut cache = MapCache::default();
        cache.begin(7);
        let job = cache
            .next_job(&[classes[0], classes[1], classes[0]], &[])
            .unwrap();
        assert_eq!((job.of, &job.classes[..]), (7, &classes[..2]));
        assert!(cache.next_job(&classes[..2], &[]).is_none());
        assert!(cache.is_pending(classes[1]));
        cache.apply_event(6, classes[0], maps());
        assert!(cache.get(classes[0]).is_none());
        cache.apply_event(7, classes[0], maps());
        assert!(cache.get(classes[0]).is_some());
        assert!(
            cache.next_job(&classes[..2], &[]).is_none(),
            "the rest is on its way"
        );
        // A third class replaces the one whose maps are not finished.
        assert_eq!(
            cache.next_job(&[classes[2]], &[]).unwrap().classes,
            [classes[2]]
        );
        assert_eq!(
            cache.apply_event(7, classes[2], Err("no".into())),
            Some("no".into())
        );
        assert!(
            cache.next_job(&[classes[1]], &[]).is_none(),
            "it would only fail again"
        );
        cache.begin(8);
        assert!(cache.get(classes[0]).is_none());
        assert!(cache.next_job(&classes, &[]).is_some());
    }

    #[test]
    fn what_was_dropped_is_asked_for_again() {
        let classes: Vec<ClassId> = ClassId::all(3).collect();
        let mut cache = MapCache::default();
        cache.begin(7);
        let first = cache.next_job(&classes[..2], &[]).unwrap();
        let second = cache.next_job(&classes, &[]).unwrap();
        // The worker reports the first request as dropped, because the second one replaced it.
        let of_first = cache.apply_dropped((first.id, 7), &first.classes, Dropped::Replaced);
        assert_eq!(of_first, Remedy::None);
        assert!(
            cache.next_job(&classes, &[]).is_none(),
            "the second is on its way"
        );
        cache.apply_event(7, classes[0], Ok(Arc::new(LayerMaps::new(&[]))));
        let dropped = cache.apply_dropped((second.id, 7), &classes[1..], Dropped::Replaced);
        assert_eq!(dropped, Remedy::None);
        assert!(!cache.is_pending(classes[1]));
        let third = cache.next_job(&classes, &[]).unwrap();
        assert_eq!(third.classes, classes[1..]);
        let lost = (third.id, 7);
        let remedy = cache.apply_dropped(lost, &classes[1..], Dropped::RunLost);
        assert_eq!(remedy, Remedy::RunAgain);
        // It changes nothing for another answer, and a failed request is not repeated endlessly.
        cache.begin(8);
        let fourth = cache.next_job(&classes, &[]).unwrap();
        assert_eq!(
            cache.apply_dropped(lost, &classes, Dropped::RunLost),
            Remedy::None
        );
        assert!(cache.is_pending(classes[2]));
        cache.give_up("no".into());
        let remedy = cache.apply_dropped((fourth.id, 8), &classes, Dropped::RunLost);
        assert_eq!((remedy, cache.fault()), (Remedy::None, Some("no")));
    }

    #[test]
    fn a_thread_that_stops_again_and_again_is_not_asked_any_more() {
        let classes: Vec<ClassId> = ClassId::all(2).collect();
        let mut cache = MapCache::default();
        for of in 1..=u64::from(MOST_STOPS) + 1 {
            cache.begin(of);
            let job = cache.next_job(&classes, &[]).unwrap();
            cache.apply_event(of, classes[0], Ok(Arc::new(LayerMaps::new(&[]))));
            let remedy = cache.apply_dropped((job.id, of), &classes[1..], Dropped::Stopped);
            let expected = if of <= u64::from(MOST_STOPS) {
                Remedy::RunAgain
            } else {
                Remedy::None
            };
            assert_eq!(remedy, expected, "after {of} stops");
        }
        assert!(cache.fault().is_some());
        // Also after the photo was run again for another reason.
        cache.begin(9);
        assert!(cache.next_job(&classes, &[]).is_none() && cache.fault().is_some());
    }

    #[test]
    fn what_was_given_up_is_asked_for_again() {
        let mut cache = MapCache::default();
        cache.begin(1);
        let classes: Vec<ClassId> = ClassId::all(2).collect();
        assert!(cache.next_job(&classes, &[]).is_some());
        assert!(cache.next_job(&classes, &[]).is_none());
        cache.ask_again();
        assert_eq!(cache.next_job(&classes, &[]).unwrap().classes, classes);
    }
}
