//! Thousands of random actions. After each frame, the screen must belong to the photo, model, layer
//! and class of the controls. When the window is quiet, it must show the last request, and every
//! number must equal the result of a separate engine.
//!
//! `CAMLENS_STRESS=ACTIONS` sets the number of actions, and `CAMLENS_SEED=NUMBER` the random seed.

mod actions;
mod oracle;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write;

use camlens::labels::ClassId;
use camlens::worker::Plan;

use super::*;
use actions::ACTIONS;
use oracle::Oracle;
use world::World;

/// Timeout until the window is quiet.
const PATIENCE: Duration = Duration::from_secs(40);

/// Reproducible pseudo-random numbers.
pub struct Dice(u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())].clone()
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

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

/// The plan that a quiet window must have, as far as the actions determine it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// The photo's name.
    pub photo: Option<String>,
    /// The rest of the plan.
    pub plan: Option<Plan>,
}

impl Expected {
    fn check(&self, app: &App, what: &str) {
        let state = app.state();
        let shown = state.latest.shown().unwrap();
        if let Some(name) = &self.photo {
            assert_eq!(shown.photo.name, *name, "{what}");
        }
        if let Some(plan) = &self.plan {
            let photo = shown.plan.photo;
            let expected = Plan {
                photo,
                ..plan.clone()
            };
            assert_eq!(shown.plan, expected, "{what}");
        }
    }
}

/// Whether nothing is in progress: the last answer and both its maps are on screen.
fn quiet(app: &App) -> bool {
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

/// Draws frames until the window is quiet.
pub fn rest(harness: &mut Harness<App>, watch: &mut Watch, what: &str) {
    harness.run_steps(2);
    let started = Instant::now();
    while !quiet(harness.state()) {
        assert!(
            started.elapsed() < PATIENCE,
            "{what}: never quiet. {}",
            describe(harness.state())
        );
        std::thread::sleep(Duration::from_millis(2));
        harness.run_steps(1);
        watch.check(harness.state());
    }
    harness.run_steps(2);
    watch.check(harness.state());
}

/// When the window is quiet, every number must match the last request.
fn check_when_quiet(
    harness: &mut Harness<App>,
    (watch, oracle): (&mut Watch, &mut Oracle),
    expected: &mut Expected,
    what: &str,
) {
    rest(harness, watch, what);
    let app = harness.state();
    let state = app.state();
    let Some(shown) = state.latest.shown() else {
        return;
    };
    assert_eq!(state.current, shown.plan.photo, "{what}");
    expected.check(app, what);
    // From here on it is known.
    expected.photo = Some(shown.photo.name.clone());
    expected.plan = Some(shown.plan.clone());
    let (analysis, maps) = oracle.maps(app);
    assert_eq!(shown.analysis.logits, analysis.logits, "{what}");
    for (side, expected) in maps {
        let map_spec = state.map_spec(side, &shown.analysis);
        let map = state.map(&shown.analysis, map_spec).unwrap();
        assert_eq!(map.cells, expected.cells, "{what}: {map_spec:?}");
        // The title must contain its name.
        let name = shown.analysis.model.labels.name(map_spec.class);
        let title = match map_spec.contrast_class {
            None => format!("{} map of {name},", map_spec.recipe.method.name()),
            Some(_) => format!("{} map of {name} minus", map_spec.recipe.method.name()),
        };
        let titles = harness.query_all_by_label_contains(&title).count();
        assert!(titles > 0, "{what}: no pane is called {title:?}");
    }
}

/// A description of the window's state, for debugging.
fn describe(app: &App) -> String {
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

#[test]
fn what_is_on_screen_belongs_to_what_the_controls_name() {
    let seed = number("CAMLENS_SEED", 6);
    let actions = number("CAMLENS_STRESS", 1000);
    let mut dice = Dice(seed);
    let mut world = World::new();
    let (mut oracle, mut watch) = (Oracle::default(), Watch::default());
    let mut harness = world.open(&[CAT]);
    let mut lately: Vec<String> = Vec::new();
    let mut hits: BTreeMap<&str, usize> = ACTIONS.iter().map(|action| (action.name, 0)).collect();
    let weights: usize = ACTIONS.iter().map(|action| action.weight).sum();
    for number in 0..actions {
        let mut at = dice.roll(weights);
        let action = ACTIONS.iter().find(|action| {
            let found = at < action.weight;
            at = at.saturating_sub(action.weight);
            found
        });
        let action = action.unwrap();
        let context = format!(
            "seed {seed}, action {number}, after {lately:?}: {}",
            action.name
        );
        // The last actions, for debugging.
        let trace = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let done = (action.act)(&mut harness, &mut dice, &mut world, &mut watch);
            if done.is_some() {
                for _ in 0..=dice.roll(3) {
                    harness.run_steps(1);
                    watch.check(harness.state());
                }
            }
            watch.class_key = false;
            done
        }));
        match trace {
            Ok(Some(what)) => {
                lately.push(what);
                *hits.get_mut(action.name).unwrap() += 1;
            }
            Ok(None) => {} // not possible now
            Err(panic) => {
                eprintln!("{context}. {}", describe(harness.state()));
                std::panic::resume_unwind(panic);
            }
        }
        if number % 23 == 0 {
            let what = format!("seed {seed}, action {number}, after {lately:?}");
            let expected = &mut world.expected;
            check_when_quiet(&mut harness, (&mut watch, &mut oracle), expected, &what);
            lately.clear();
        }
        if number % 301 == 300 {
            // Close the window in the middle of its work, and open it again.
            watch = Watch::default();
            let photos = dice.of(&[&[CAT][..], &[]]);
            harness = world.open(photos);
            lately = vec![format!("reopened with {photos:?}")];
        }
    }
    check_when_quiet(
        &mut harness,
        (&mut watch, &mut oracle),
        &mut world.expected,
        &format!("seed {seed}, at the end after {lately:?}"),
    );
    println!("{actions} actions, seed {seed}: {hits:?}");
    let missed: Vec<_> = hits.iter().filter(|(_, hits)| **hits == 0).collect();
    assert!(
        actions < 1000 || missed.is_empty(),
        "never done: {missed:?}"
    );
}
