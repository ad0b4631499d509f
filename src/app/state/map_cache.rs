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
pub struct LayerBook {
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

impl LayerBook {
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
    pub fn hear(
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
    pub fn hear_dropped(
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
        let mut book = LayerBook::default();
        book.begin(7);
        let job = book
            .next_job(&[classes[0], classes[1], classes[0]])
            .unwrap();
        assert_eq!((job.of, &job.classes[..]), (7, &classes[..2]));
        assert!(book.next_job(&classes[..2]).is_none());
        assert!(book.is_pending(classes[1]));
        book.hear(6, classes[0], maps());
        assert!(book.get(classes[0]).is_none());
        book.hear(7, classes[0], maps());
        assert!(book.get(classes[0]).is_some());
        assert!(
            book.next_job(&classes[..2]).is_none(),
            "the rest is on its way"
        );
        // A third class takes the place of the one that is not there yet.
        assert_eq!(book.next_job(&[classes[2]]).unwrap().classes, [classes[2]]);
        assert_eq!(
            book.hear(7, classes[2], Err("no".into())),
            Some("no".into())
        );
        assert!(
            book.next_job(&[classes[1]]).is_none(),
            "it would only fail again"
        );
        book.begin(8);
        assert!(book.get(classes[0]).is_none());
        assert!(book.next_job(&classes).is_some());
    }

    #[test]
    fn what_was_dropped_is_asked_for_again() {
        let classes: Vec<ClassId> = ClassId::all(3).collect();
        let mut book = LayerBook::default();
        book.begin(7);
        let first = book.next_job(&classes[..2]).unwrap();
        let second = book.next_job(&classes).unwrap();
        // The worker says so of the first, which the second replaced.
        let of_first = book.hear_dropped((first.id, 7), &first.classes, Dropped::Replaced);
        assert_eq!(of_first, Remedy::None);
        assert!(
            book.next_job(&classes).is_none(),
            "the second is on its way"
        );
        book.hear(7, classes[0], Ok(Arc::new(LayerMaps::new(&[]))));
        let dropped = book.hear_dropped((second.id, 7), &classes[1..], Dropped::Replaced);
        assert_eq!(dropped, Remedy::None);
        assert!(!book.is_pending(classes[1]));
        let third = book.next_job(&classes).unwrap();
        assert_eq!(third.classes, classes[1..]);
        let lost = (third.id, 7);
        let remedy = book.hear_dropped(lost, &classes[1..], Dropped::RunLost);
        assert_eq!(remedy, Remedy::RunAgain);
        // Of another answer it changes nothing; and what failed is not tried without end.
        book.begin(8);
        let fourth = book.next_job(&classes).unwrap();
        assert_eq!(
            book.hear_dropped(lost, &classes, Dropped::RunLost),
            Remedy::None
        );
        assert!(book.is_pending(classes[2]));
        book.give_up("no".into());
        let remedy = book.hear_dropped((fourth.id, 8), &classes, Dropped::RunLost);
        assert_eq!((remedy, book.fault()), (Remedy::None, Some("no")));
    }

    #[test]
    fn what_was_given_up_is_asked_for_again() {
        let mut book = LayerBook::default();
        book.begin(1);
        let classes: Vec<ClassId> = ClassId::all(2).collect();
        assert!(book.next_job(&classes).is_some());
        assert!(book.next_job(&classes).is_none());
        book.ask_again();
        assert_eq!(book.next_job(&classes).unwrap().classes, classes);
    }
}
