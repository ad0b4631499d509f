//! Every change is an action, so recorded actions can be replayed in another window.

use camlens::app::{Action, Command};

use super::*;

#[test]
fn what_was_done_can_be_done_again() {
    let mut harness = window(&[]);
    wait(&mut harness, "the model", |app| app.state().model.is_some());
    harness.get_by_label("sample coffee.png").click();
    harness.run_steps(2);
    wait(&mut harness, "the coffee", |app| shows(app, "coffee.png"));
    harness.get_by_label("squash").click();
    harness.run_steps(2);
    for key in [Key::G, Key::S, Key::Num2, Key::ArrowDown] {
        harness.key_press(key);
        harness.run_steps(1);
    }
    harness
        .get_by_role_and_label(Role::Slider, "Opacity")
        .set_value_accesskit(25.0);
    harness.run_steps(2);
    wait(&mut harness, "the maps", ready);
    let done: Vec<Action> = harness.state().log().actions.after(0).cloned().collect();
    assert!(
        matches!(done.first(), Some(Action::Run(Command::Open(_)))),
        "{done:?}"
    );

    let mut again = window(&[]);
    wait(&mut again, "the model", |app| app.state().model.is_some());
    for action in done {
        let line = serde_json::to_string(&action).unwrap();
        let action: Action = serde_json::from_str(&line).unwrap();
        again.state_mut().act(action);
        again.run_steps(1);
        wait(&mut again, "an answer", ready);
    }
    let [first, second] = [&harness, &again].map(|harness| harness.state().state());
    assert_eq!(first.settings, second.settings);
    assert_eq!(first.class, second.class);
    assert_eq!(first.wanted(), second.wanted());
}
