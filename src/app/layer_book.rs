//! Maps at all layers of the answer on screen, as they come from the worker.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cam::LayerMaps;
use crate::labels::ClassId;
use crate::worker::LayerJob;

/// Classes that are kept; the maps of one take some hundred kilobytes.
const KEPT: usize = 32;

/// The maps that are there, and those that were asked for.
#[derive(Debug, Default)]
pub struct LayerBook {
    /// The job whose answer they belong to.
    of: u64,
    maps: HashMap<ClassId, Arc<LayerMaps>>,
    asked: Vec<ClassId>,
    failed: bool,
}

impl LayerBook {
    /// Begins anew for the answer to a job.
    pub fn begin(&mut self, of: u64) {
        *self = Self {
            of,
            ..Self::default()
        };
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
        if missing.is_empty() || missing == self.asked || self.failed {
            return None;
        }
        if self.maps.len() + missing.len() > KEPT {
            self.maps.retain(|class, _| wanted.contains(class));
        }
        self.asked.clone_from(&missing);
        Some(LayerJob {
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
                self.failed = true;
                self.asked.clear();
                Some(message)
            }
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
