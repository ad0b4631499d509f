//! Some thousand actions at random, each by the control that a user has for it. After each frame:
//! does what is on screen belong to the photo, model, layer and class that the controls name? When
//! all is quiet: is it exactly what was asked for last, and is every number the one that an engine
//! of the test's own computes? In the end: was every control used, and did every [`Action`] and
//! every [`Command`] come about?
//!
//! `CAMLENS_STRESS=STEPS` and `CAMLENS_SEED=NUMBER` make it longer, and different. When it fails,
//! it leaves what the window did in a file, and says how to do that again.
//!
//! [`Action`]: camlens::app::Action
//! [`Command`]: camlens::app::Command

mod dice;
mod doors;
mod oracle;
mod plans;
mod record;
mod session;
mod variants;
mod watch;
mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use camlens::app::PhotoOrder;
use camlens::text::printable;

use super::*;
use dice::Dice;
use doors::{DOORS, Door};
use oracle::Oracle;
use session::{ROOMY, Session};
use watch::{Watch, describe, quiet};

/// Timeout until the window is quiet.
const PATIENCE: Duration = Duration::from_secs(40);

/// From so many steps on, everything must have come about.
const FULL: u64 = 1000;

fn number(variable: &str, otherwise: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(otherwise, |text| text.parse().unwrap())
}

/// When all is quiet, the window shows what was asked for, and every number is right.
fn check_when_quiet(session: &mut Session, oracle: &mut Oracle, what: &str) {
    session.rest(what);
    check_labels(session, what);
    let app = session.harness.state();
    let state = app.state();
    let Some(shown) = state.latest.shown() else {
        return;
    };
    let (analysis, maps) = oracle.maps(app, session.world.limits);
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
        let titles = session.harness.query_all_by_label_contains(&title).count();
        assert!(titles > 0, "{what}: no pane is called {title:?}");
    }
}

/// What the window says of the plan, in words, is the plan. A small window has no room for it.
fn check_labels(session: &Session, what: &str) {
    let harness = &session.harness;
    let Some(shown) = session.state().latest.shown() else {
        return;
    };
    if session.world.size != ROOMY {
        return;
    }
    if session.state().settings.view == View::SideBySide {
        let photo = format!("Photo {}", printable::name(&shown.photo.name));
        assert!(session.has(Role::Image, &photo), "{what}: {photo:?}");
    }
    for framing in Framing::ALL {
        use egui_kittest::kittest::NodeT;
        let button = harness.get_by_role_and_label(Role::Button, framing.name());
        let is_on = button.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True);
        assert_eq!(is_on, framing == shown.plan.framing, "{what}: {framing:?}");
    }
    let own = shown.analysis.model.preprocessing;
    let edited = harness.query_by_label_contains("Not the model's own input");
    let expected = shown.plan.preprocess.over(own) != own;
    assert_eq!(edited.is_some(), expected, "{what}: preprocessing");
}

/// Chooses what to do next. What could not be done is tried again.
fn next_door(session: &mut Session, owed: &mut Vec<&'static Door>) -> &'static Door {
    if !owed.is_empty() && session.dice.roll(4) == 0 {
        let index = session.dice.roll(owed.len());
        return owed.swap_remove(index);
    }
    let all: Vec<&Door> = DOORS
        .iter()
        .flat_map(|door| std::iter::repeat_n(door, door.weight))
        .collect();
    session.dice.deal("doors", &all)
}

/// Does something; whether it was possible.
fn do_something(session: &mut Session, door: &Door, lately: &mut Vec<String>) -> bool {
    let done = (door.open)(session);
    let possible = done.is_some();
    lately.extend(done);
    let frames = session.dice.roll(4);
    session.step(if possible { 1 + frames } else { 0 });
    session.watch.class_key = false;
    possible
}

#[test]
fn what_is_on_screen_belongs_to_what_the_controls_name() {
    let seed = number("CAMLENS_SEED", 6);
    let steps = number("CAMLENS_STRESS", FULL);
    let mut session = Session::new(seed, &[CAT]);
    let mut oracle = Oracle::default();
    let mut lately: Vec<String> = Vec::new();
    let mut owed: Vec<&Door> = Vec::new();
    let mut hits: BTreeMap<&str, [usize; 2]> =
        DOORS.iter().map(|door| (door.name, [0; 2])).collect();
    for step in 0..steps {
        let door = next_door(&mut session, &mut owed);
        let tried = catch_unwind(AssertUnwindSafe(|| {
            let possible = do_something(&mut session, door, &mut lately);
            if step % 23 == 0 || step + 1 == steps {
                let what = format!("seed {seed}, step {step}, after {lately:?}");
                check_when_quiet(&mut session, &mut oracle, &what);
                lately.clear();
            } else if session.world.plans.count() > 200 {
                session.rest("so many plans");
            }
            possible
        }));
        match tried {
            Ok(possible) => {
                hits.get_mut(door.name).unwrap()[usize::from(!possible)] += 1;
                if !possible {
                    owed.push(door);
                }
            }
            Err(panic) => {
                let place = format!("seed {seed}, step {step}, after {lately:?}: {}", door.name);
                report(&mut session, seed, &place);
                resume_unwind(panic);
            }
        }
        if step % 301 == 300 {
            let photos = session.dice.of(&[&[CAT][..], &[]]);
            session.reopen(photos);
            lately = vec![format!("reopened with {photos:?}")];
        }
    }
    println!("{steps} steps, seed {seed}; done, not possible:");
    for (name, [done, not]) in &hits {
        println!("{done:7} {not:4} {name}");
    }
    let (actions, commands) = (&session.record.of_actions, &session.record.of_commands);
    println!("actions:\n{}", actions.table());
    println!("commands:\n{}", commands.table());
    let never = |(name, [done, _]): (&&'static str, &[usize; 2])| (*done == 0).then_some(*name);
    let doors: Vec<_> = hits.iter().filter_map(never).collect();
    let missed = (doors, actions.missed(), commands.missed());
    let none = missed.0.is_empty() && missed.1.is_empty() && missed.2.is_empty();
    assert!(
        steps < FULL || none,
        "never came about: controls, actions, commands {missed:?}"
    );
}

/// Says where a fault was found, and how to find it again.
fn report(session: &mut Session, seed: u64, place: &str) {
    session.record.take(session.harness.state());
    let path = session.record.write(&format!("stress-{seed}.jsonl"));
    session.world.keep_files();
    eprintln!(
        "{place}. {}\n{} actions since the window was opened are in {}. To do them again:\n\
         CAMLENS_REPLAY={} cargo test --test window replay_a_file -- --ignored --nocapture",
        describe(session.harness.state()),
        session.record.actions.len(),
        path.display(),
        path.display(),
    );
}
