//! Some thousand actions at random, and after each: does what is on screen belong to the
//! photo, model, layer and class that the controls name?
//!
//! `CAMLENS_STRESS=ACTIONS` and `CAMLENS_SEED=NUMBER` make it longer, and different.

use std::collections::HashMap;
use std::fmt::Write;

use camlens::analysis::Analysis;
use camlens::cam::{self, Map};
use camlens::engine::Engine;
use camlens::model::cpu::Precision;
use camlens::photo::Photo;

use super::*;

const PHOTOS: [&str; 4] = [
    CAT,
    COFFEE,
    "assets/samples/rocket.png",
    "tests/corpus/1x20000.png",
];
const BROKEN: [&str; 4] = [
    "tests/corpus/60000x60000.png",
    "tests/corpus/zero-bytes.png",
    "tests/corpus/text.jpg",
    "/nowhere/gone.png",
];

/// For the window to come to rest.
const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

/// What must be so in every frame.
fn check(app: &App) {
    let state = app.state();
    let Some(shown) = state.latest.shown() else {
        return;
    };
    let item = state
        .photos
        .iter()
        .find(|item| Some(item.id) == shown.plan.photo);
    assert_eq!(item.unwrap().source.name(), shown.photo.name);
    assert_eq!(
        shown.analysis.logits.len(),
        shown.analysis.model.labels.len()
    );
    if !ready(app) {
        return;
    }
    let (plan, settings) = (&shown.plan, &state.settings);
    let agrees = plan.photo == state.current
        && plan.model == settings.model
        && plan.labels == settings.labels
        && plan.framing == settings.framing
        && plan.preprocess == settings.preprocess
        && plan.device == settings.device;
    // What was chosen in this frame becomes a job in the next.
    if agrees {
        let running = state.model.as_ref().unwrap();
        assert_eq!(running.choice, plan.model);
        // It may have been loaded anew meanwhile.
        assert_eq!(running.info.sha256, shown.analysis.model.sha256);
    }
}

/// Answers of engines of our own.
#[derive(Default)]
struct Oracle(HashMap<String, Engine>);

impl Oracle {
    fn maps(&mut self, app: &App) -> (Analysis, Vec<(Side, Map)>) {
        let state = app.state();
        let shown = state.latest.shown().unwrap();
        let choice = &state.settings.model;
        let engine = self
            .0
            .entry(format!("{choice:?}"))
            .or_insert_with(|| Engine::open(choice, DeviceChoice::Cpu).unwrap());
        let item = state
            .photos
            .iter()
            .find(|item| Some(item.id) == state.current);
        let photo = item.unwrap().source.load(state.settings.limits).unwrap();
        let photo: &Photo = &photo;
        engine.run_in(Precision::Single);
        let analysis = engine.analyse(photo, state.settings.framing).unwrap();
        let sides = state.settings.view.sides().iter();
        let maps = sides.map(|&side| {
            let subject = state.subject(side, &shown.analysis);
            let mut map_of = |class| {
                let evidence = engine.evidence(class, &[subject.layer]).unwrap();
                cam::explain(subject.recipe, &evidence[0])
            };
            let map = map_of(subject.class);
            let map = match subject.against {
                Some(other) => map.minus(&map_of(other)),
                None => map,
            };
            (side, map)
        });
        let maps = maps.collect();
        (analysis, maps)
    }
}

/// When all is quiet, every number must be the one that the controls ask for.
fn check_when_quiet(harness: &mut Harness<App>, oracle: &mut Oracle, what: &str) {
    let quiet = |app: &App| {
        let state = app.state();
        match &state.latest {
            Latest::Empty => true,
            Latest::Working { .. } => false,
            Latest::Ready(shown) => state.settings.view.sides().iter().all(|&side| {
                let wanted = state.subject(side, &shown.analysis);
                app.drawn(side)
                    .is_some_and(|(of, now)| Arc::ptr_eq(&of, &shown.analysis) && now == wanted)
            }),
        }
    };
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
        check(harness.state());
    }
    harness.run_steps(2);
    let app = harness.state();
    check(app);
    let state = app.state();
    let Some(shown) = state.latest.shown() else {
        return;
    };
    assert_eq!(state.current, shown.plan.photo, "{what}");
    let (analysis, maps) = oracle.maps(app);
    assert_eq!(shown.analysis.logits, analysis.logits, "{what}");
    for (side, expected) in maps {
        let subject = state.subject(side, &shown.analysis);
        let map = state.map(&shown.analysis, subject).unwrap();
        assert_eq!(map.cells, expected.cells, "{what}: {subject:?}");
        // And it is called so.
        let name = shown.analysis.model.labels.name(subject.class);
        let title = match subject.against {
            None => format!("{} map of {name},", subject.recipe.method.name()),
            Some(_) => format!("{} map of {name} less", subject.recipe.method.name()),
        };
        harness.get_all_by_label_contains(&title).next().unwrap();
    }
}

/// What the window is at, for whoever has to find the fault.
fn describe(app: &App) -> String {
    let state = app.state();
    let mut text = match &state.latest {
        Latest::Empty => "nothing".into(),
        Latest::Working { job, step, .. } => format!("job {job} at {step:?}"),
        Latest::Ready(shown) => format!("ready, job {} of {:?}", shown.job, shown.plan),
    };
    if let Some(shown) = state.latest.shown() {
        for &side in state.settings.view.sides() {
            let wanted = state.subject(side, &shown.analysis);
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

fn open(photos: &[&str]) -> Harness<'static, App> {
    window_with(photos, picker(None))
}

/// One action; gives its name.
fn act(harness: &mut Harness<App>, dice: &mut Dice, weights: &[&str; 2]) -> String {
    let press = |harness: &mut Harness<App>, key| {
        harness.key_press(key);
        format!("{key:?}")
    };
    match dice.roll(20) {
        0 | 1 => {
            let photo = dice.of(&PHOTOS);
            drop_files(harness, &[photo]);
            format!("drop {photo}")
        }
        2 => {
            let files = [dice.of(&PHOTOS), dice.of(&BROKEN), dice.of(&PHOTOS)];
            drop_files(harness, &files);
            format!("drop {files:?}")
        }
        3 => {
            let file = dice.of(&BROKEN);
            drop_files(harness, &[file]);
            format!("drop {file}")
        }
        4 => {
            let file = dice.of(weights);
            drop_files(harness, &[file]);
            format!("drop {file}")
        }
        5 => {
            if let Some(menu) = harness.query_by_role_and_label(Role::ComboBox, "Model") {
                menu.click();
                harness.run_steps(2);
                if let Some(item) = harness.query_by_label("EfficientNet-Lite0 (built in)") {
                    item.click();
                }
            }
            "the built-in model".into()
        }
        6 | 7 => {
            let framing = dice.of(&["whole", "crop", "squash"]);
            if let Some(button) = harness.query_by_label(framing) {
                button.click();
            }
            framing.into()
        }
        8 => {
            let size = [
                (480.0, 360.0),
                (800.0, 600.0),
                (1100.0, 750.0),
                (2000.0, 300.0),
            ];
            let (width, height) = dice.of(&size);
            harness.set_size(egui::vec2(width, height));
            format!("{width}×{height}")
        }
        9 | 10 => press(harness, dice.of(&[Key::PageUp, Key::PageDown])),
        11 | 12 => press(harness, dice.of(&[Key::OpenBracket, Key::CloseBracket])),
        13 | 14 => press(harness, dice.of(&[Key::ArrowUp, Key::ArrowDown])),
        15 => press(
            harness,
            dice.of(&[Key::Num1, Key::Num2, Key::Num3, Key::Space, Key::X]),
        ),
        16 => press(
            harness,
            dice.of(&[Key::S, Key::C, Key::G, Key::O, Key::K, Key::F, Key::I]),
        ),
        17 => press(
            harness,
            dice.of(&[Key::Plus, Key::Minus, Key::R, Key::L, Key::V]),
        ),
        18 => press(
            harness,
            dice.of(&[Key::F1, Key::Escape, Key::Escape, Key::Tab]),
        ),
        _ => {
            let text = dice.of(&["/nowhere/x.png", CAT, "no path", ""]);
            harness.event(Event::Paste(text.into()));
            format!("paste {text:?}")
        }
    }
}

#[test]
fn what_is_on_screen_belongs_to_what_the_controls_name() {
    let seed = number("CAMLENS_SEED", 6);
    let actions = number("CAMLENS_STRESS", 800);
    let (folder, pets) = made_up_resnet();
    let garbage = folder.path().join("garbage.pth");
    std::fs::write(&garbage, b"PK\x03\x04 and nothing else").unwrap();
    let weights = [pets.to_str().unwrap(), garbage.to_str().unwrap()];
    let mut dice = Dice(seed);
    let mut oracle = Oracle::default();
    let mut harness = open(&[CAT]);
    let mut lately = Vec::new();
    for number in 0..actions {
        let what = act(&mut harness, &mut dice, &weights);
        lately.push(what);
        for _ in 0..=dice.roll(3) {
            harness.run_steps(1);
            check(harness.state());
        }
        if number % 23 == 0 {
            // What was done last, for whoever has to find the fault.
            let what = format!("seed {seed}, action {number}, after {lately:?}");
            check_when_quiet(&mut harness, &mut oracle, &what);
            lately.clear();
        }
        if number % 301 == 300 {
            // Closed in the middle of whatever it is at, and opened again.
            harness = open(&[dice.of(&PHOTOS), dice.of(&PHOTOS)]);
            lately = vec!["reopened".into()];
        }
    }
    check_when_quiet(
        &mut harness,
        &mut oracle,
        &format!("seed {seed}, at the end"),
    );
}
