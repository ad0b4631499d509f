//! What must be so in every frame.

use std::fmt::Write;

use camlens::labels::ClassId;

use super::*;

/// State from the last frame: what may remain in the next one, and what may not.
#[derive(Default)]
pub struct Watch {
    photo: Option<u64>,
    /// A key that selects another class was pressed, for whichever photo is shown when it takes
    /// effect.
    pub class_key: bool,
    /// The photo of the last manifest, whose classes come from the export.
    pub restored: Option<u64>,
    /// Classes that were pinned to panes in their menus.
    pub pinned: [Option<ClassId>; 2],
}

impl Watch {
    /// Checks the invariants of every frame.
    pub fn check(&mut self, app: &App) {
        let state = app.state();
        if !matches!(state.latest, Latest::Working { .. }) {
            let shows = state.latest.shown().is_some();
            assert_eq!(state.current.is_some(), shows, "what is asked for is shown");
        }
        let Some(shown) = state.latest.shown() else {
            return;
        };
        let analysis = &shown.analysis;
        let item = state
            .photos
            .iter()
            .find(|item| Some(item.id) == shown.plan.photo);
        assert_eq!(item.unwrap().source.name(), shown.photo.name);
        assert_eq!(analysis.logits.len(), analysis.model.labels.len());
        // A new photo on screen is explained by its top class, unless a class is kept.
        let class = state.class_in(analysis);
        let is_new = self.photo != shown.plan.photo && self.restored != shown.plan.photo;
        if is_new {
            let kept = matches!(state.class, ClassChoice::Kept(_));
            let chosen = kept || self.class_key;
            assert!(chosen || class == analysis.top(), "a class nobody chose");
        }
        for (pinned, held) in self.pinned.iter_mut().zip(state.pinned) {
            *pinned = pinned.filter(|class| held == Some(*class));
            assert!(!is_new || held == *pinned, "a class nobody pinned");
        }
        self.photo = shown.plan.photo;
        if !ready(app) {
            return;
        }
        // Every difference from the wanted plan has become a job in the same frame.
        assert_eq!(shown.plan, state.wanted());
        let running = state.model.as_ref().unwrap();
        assert_eq!(running.choice, shown.plan.model);
        assert_eq!(running.info.sha256, analysis.model.sha256);
        assert_eq!(analysis.framing, shown.plan.framing);
        let own = analysis.model.preprocessing;
        assert_eq!(analysis.preprocessing, shown.plan.preprocess.over(own));
    }
}

/// Whether nothing is in progress: the last answer and both its maps are on screen.
pub fn quiet(app: &App) -> bool {
    let state = app.state();
    match &state.latest {
        Latest::Empty => true,
        Latest::Working { .. } => false,
        Latest::Ready(shown) => state.settings.view.sides().iter().all(|&side| {
            let wanted = state.map_spec(side, &shown.analysis);
            app.drawn(side)
                .is_some_and(|(of, now)| Arc::ptr_eq(&of, &shown.analysis) && now == wanted)
        }),
    }
}

/// A description of the window's state, for debugging.
pub fn describe(app: &App) -> String {
    let state = app.state();
    let mut text = match &state.latest {
        Latest::Empty => "nothing".into(),
        Latest::Working { job, step, .. } => format!("job {job} at {step:?}"),
        Latest::Ready(shown) => format!("ready, job {} of {:?}", shown.job, shown.plan),
    };
    if let Some(shown) = state.latest.shown() {
        for &side in state.settings.view.sides() {
            let wanted = state.map_spec(side, &shown.analysis);
            let drawn = app.drawn(side).map(|(of, now)| {
                let same = Arc::ptr_eq(&of, &shown.analysis);
                format!(
                    "{now:?} of {} answer",
                    if same { "this" } else { "another" }
                )
            });
            let (there, pending) = (state.has_map(wanted), state.is_pending(wanted));
            write!(
                text,
                "; {side:?} wants {wanted:?} (there: {there}, pending: {pending}), drawn: {drawn:?}"
            )
            .unwrap();
        }
    }
    text + &format!("; error {:?}; settings {:?}", state.error, state.settings)
}
