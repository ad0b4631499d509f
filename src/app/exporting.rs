//! What is on screen, as files or on the clipboard.

use std::path::PathBuf;

use crate::app::App;
use crate::app::state::range_locks;
use crate::app::state::settings::Side;
use crate::report::export::{Exhibit, Pane};

/// What is copied to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// The photo as it is.
    Photo,
    /// A map pane.
    Map(Side),
}

impl App {
    /// Everything on screen, each map in the range in which its pane draws it; `None` while
    /// a map is still being made.
    fn exhibit(&self, sides: &[Side]) -> Option<Exhibit> {
        let shown = self.state.latest.shown()?;
        let analysis = &shown.analysis;
        let panes = sides.iter().map(|&side| {
            let subject = self.state.subject(side, analysis);
            let scaling = self.state.scaling(subject);
            let map = self.state.map(analysis, subject)?;
            let held = self.state.scales.held(analysis, subject, scaling);
            Some(Pane {
                range: range_locks::range(&map, scaling, held),
                map,
                class: subject.class,
                against: subject.against,
                scaling,
                held: held.is_some(),
            })
        });
        Some(Exhibit {
            photo: shown.photo.clone(),
            analysis: analysis.clone(),
            model: shown.plan.model.clone(),
            labels: shown.plan.labels.clone(),
            panes: panes.collect::<Option<_>>()?,
            look: self.state.settings.look,
            regions: self.state.regions.of(shown.plan.photo).to_vec(),
        })
    }

    fn exhibit_or_say(&mut self, sides: &[Side]) -> Option<Exhibit> {
        let exhibit = self.exhibit(sides);
        if exhibit.is_none() && self.state.latest.shown().is_some() {
            self.state.error =
                Some("The maps are not ready yet. Try again once they are on screen.".into());
        }
        exhibit
    }

    /// Writes everything on screen into a new folder in `parent`.
    pub(super) fn export(&mut self, parent: PathBuf) {
        let sides = self.state.settings.view.sides();
        if let Some(exhibit) = self.exhibit_or_say(sides) {
            self.errands.export(exhibit, parent);
        }
    }

    /// Copies a pane as it is drawn, at the photo's full size.
    pub(super) fn copy(&mut self, what: Copied) {
        match what {
            Copied::Photo => {
                if let Some(shown) = self.state.latest.shown() {
                    self.errands.copy_photo(shown.photo.clone());
                }
            }
            Copied::Map(side) => {
                if let Some(exhibit) = self.exhibit_or_say(&[side]) {
                    self.errands.copy_panes(exhibit);
                }
            }
        }
    }
}
