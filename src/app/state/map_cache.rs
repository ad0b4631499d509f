//! Maps at all layers of the answer on screen, as they come from the worker.

use std::collections::HashMap;
use std::sync::Arc;

use crate::explain::cam::LayerMaps;
use crate::labels::ClassId;
use crate::worker::{Dropped, LayerJob};

/// Classes that are kept; the maps of one take some hundred kilobytes.
const KEPT: usize = 32;

/// The maps that are there, and those that were asked for.
#[derive(Debug, Default)]
pub struct MapCache {
    /// The job whose answer they belong to.
    of: u64,
    maps: HashMap<ClassId, Arc<LayerMaps>>,
    asked: Vec<ClassId>,
    /// The number of the last request.
    request: u64,
    /// Why no more maps are asked for.
    fault: Option<String>,
}

/// What is to be done about maps that were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing: they are asked for again if they are still needed.
    None,
    /// The photo has to be run again: the worker has lost its run.
    RunAgain,
}

impl MapCache {
    /// Begins anew for the answer to a job.
    pub fn begin(&mut self, of: u64) {
        *self = Self {
            of,
            request: self.request,
            ..Self::default()
        };
    }

    /// Says that there will be no more maps of this answer, and why.
    pub fn give_up(&mut self, why: String) {
        self.asked.clear();
        self.fault = Some(why);
    }

    /// Why no more maps are made of this answer, if that is so.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Asks once more for what is not there: the worker gives up maps that it is making
    /// when a job comes, also when that job fails and changes nothing.
    pub fn ask_again(&mut self) {
        self.asked.clear();
    }

    /// The maps of a class, once they are there.
    #[must_use]
    pub fn get(&self, class: ClassId) -> Option<&Arc<LayerMaps>> {
        self.maps.get(&class)
    }

    /// Whether the worker is making the maps of a class.
    #[must_use]
    pub fn is_pending(&self, class: ClassId) -> bool {
        self.asked.contains(&class)
    }

    /// The request that is needed now. It takes the place of the last one.
    pub fn next_job(&mut self, wanted: &[ClassId]) -> Option<LayerJob> {
        let mut missing: Vec<ClassId> = Vec::new();
        for &class in wanted {
            if !self.maps.contains_key(&class) && !missing.contains(&class) {
                missing.push(class);
            }
        }
        if missing.is_empty() || missing == self.asked || self.fault.is_some() {
            return None;
        }
        if self.maps.len() + missing.len() > KEPT {
            self.maps.retain(|class, _| wanted.contains(class));
        }
        self.asked.clone_from(&missing);
        self.request += 1;
        Some(LayerJob {
            id: self.request,
            of: self.of,
            classes: missing,
        })
    }

    /// Takes in what the worker made. Gives the message if it failed; it is not asked
    /// again for this answer then.
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
                self.maps.insert(class, maps);
                None
            }
            Err(message) => {
                self.give_up(message.clone());
                Some(message)
            }
        }
    }

    /// Takes in that a request ended before its maps were made.
    pub fn apply_dropped(
        &mut self,
        (request, of): (u64, u64),
        classes: &[ClassId],
        why: Dropped,
    ) -> Remedy {
        // A newer request asked for what is still needed, and gets an answer of its own.
        if of != self.of || request != self.request || self.fault.is_some() {
            return Remedy::None;
        }
        self.asked.retain(|asked| !classes.contains(asked));
        match why {
            Dropped::Replaced => Remedy::None,
            Dropped::RunLost => Remedy::RunAgain,
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
            .next_job(&[classes[0], classes[1], classes[0]])
            .unwrap();
        assert_eq!((job.of, &job.classes[..]), (7, &classes[..2]));
        assert!(cache.next_job(&classes[..2]).is_none());
        assert!(cache.is_pending(classes[1]));
        cache.apply_event(6, classes[0], maps());
        assert!(cache.get(classes[0]).is_none());
        cache.apply_event(7, classes[0], maps());
        assert!(cache.get(classes[0]).is_some());
        assert!(
            cache.next_job(&classes[..2]).is_none(),
            "the rest is on its way"
        );
        // A third class takes the place of the one that is not there yet.
        assert_eq!(cache.next_job(&[classes[2]]).unwrap().classes, [classes[2]]);
        assert_eq!(
            cache.apply_event(7, classes[2], Err("no".into())),
            Some("no".into())
        );
        assert!(
            cache.next_job(&[classes[1]]).is_none(),
            "it would only fail again"
        );
        cache.begin(8);
        assert!(cache.get(classes[0]).is_none());
        assert!(cache.next_job(&classes).is_some());
    }

    #[test]
    fn what_was_dropped_is_asked_for_again() {
        let classes: Vec<ClassId> = ClassId::all(3).collect();
        let mut cache = MapCache::default();
        cache.begin(7);
        let first = cache.next_job(&classes[..2]).unwrap();
        let second = cache.next_job(&classes).unwrap();
        // The worker says so of the first, which the second replaced.
        let of_first = cache.apply_dropped((first.id, 7), &first.classes, Dropped::Replaced);
        assert_eq!(of_first, Remedy::None);
        assert!(
            cache.next_job(&classes).is_none(),
            "the second is on its way"
        );
        cache.apply_event(7, classes[0], Ok(Arc::new(LayerMaps::new(&[]))));
        let dropped = cache.apply_dropped((second.id, 7), &classes[1..], Dropped::Replaced);
        assert_eq!(dropped, Remedy::None);
        assert!(!cache.is_pending(classes[1]));
        let third = cache.next_job(&classes).unwrap();
        assert_eq!(third.classes, classes[1..]);
        let lost = (third.id, 7);
        let remedy = cache.apply_dropped(lost, &classes[1..], Dropped::RunLost);
        assert_eq!(remedy, Remedy::RunAgain);
        // Of another answer it changes nothing; and what failed is not tried without end.
        cache.begin(8);
        let fourth = cache.next_job(&classes).unwrap();
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
    fn what_was_given_up_is_asked_for_again() {
        let mut cache = MapCache::default();
        cache.begin(1);
        let classes: Vec<ClassId> = ClassId::all(2).collect();
        assert!(cache.next_job(&classes).is_some());
        assert!(cache.next_job(&classes).is_none());
        cache.ask_again();
        assert_eq!(cache.next_job(&classes).unwrap().classes, classes);
    }
}
