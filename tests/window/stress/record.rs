//! What the window did, as actions: counted, written down, and done again.

use camlens::app::{Action, Command};

use super::variants::Counts;
use super::*;

/// What the windows of a test did.
pub struct Recording {
    /// The actions of the window that is open.
    pub actions: Vec<Action>,
    /// How many of its actions and commands are counted.
    seen: (u64, u64),
    pub of_actions: Counts,
    pub of_commands: Counts,
}

impl Recording {
    pub fn new() -> Self {
        Self {
            actions: Vec::new(),
            seen: (0, 0),
            of_actions: Counts::of::<Action>(),
            of_commands: Counts::of::<Command>(),
        }
    }

    /// A new window was opened. Its log begins with the photos that it was opened with.
    pub fn begin(&mut self) {
        self.actions.clear();
        self.seen = (0, 0);
    }

    /// Takes in what the window has done since.
    pub fn take(&mut self, app: &App) {
        let log = app.log();
        let actions = log.actions.after(self.seen.0);
        assert_eq!(
            actions.len() as u64,
            log.actions.count() - self.seen.0,
            "lost"
        );
        for action in actions {
            self.of_actions.count(action);
            self.actions.push(action.clone());
        }
        for command in log.commands.after(self.seen.1) {
            self.of_commands.count(command);
        }
        self.seen = (log.actions.count(), log.commands.count());
    }

    /// Writes the actions of the last window into a file.
    pub fn write(&self, name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let lines = self.actions.iter().map(|action| {
            let line = serde_json::to_string(action);
            line.unwrap_or_else(|error| panic!("{action:?}: {error}")) + "\n"
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }
}

/// The actions in a file, one on each line.
fn read(path: &Path) -> Vec<Action> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Whether an action only asks something that is answered by a later action.
fn is_question(action: &Action) -> bool {
    match action {
        Action::Run(command) => variants::name_of(command).starts_with("AskFor"),
        _ => false,
    }
}

/// Whether nothing is on its way, not even what the order of the photos depends on.
pub fn is_settled(app: &App) -> bool {
    let state = app.state();
    let (batch, photos) = (&state.batch, state.photos.len());
    let by_prediction =
        state.filter.is_some() || !matches!(state.order, PhotoOrder::Opened | PhotoOrder::Name);
    quiet(app) && (!by_prediction || batch.is_stopped() || photos < 2 || batch.len() == photos)
}

/// Does actions in a new window, each when the one before it has had its effect.
fn replay(actions: &[Action]) -> Harness<'static, App> {
    let mut harness = window(&[]);
    wait(&mut harness, "the model", |app| app.state().model.is_some());
    for action in actions.iter().filter(|action| !is_question(action)) {
        harness.state_mut().act(action.clone());
        harness.run_steps(1);
        if !is_settled(harness.state()) {
            wait(&mut harness, &format!("{action:?}"), is_settled);
        }
    }
    harness
}

/// What must be the same in a window that did the same.
fn outline(app: &App) -> String {
    let state = app.state();
    let photos: Vec<_> = state.photos.iter().map(|item| item.source.name()).collect();
    let regions: Vec<_> = state
        .photos
        .iter()
        .map(|item| state.regions.of(Some(item.id)))
        .filter(|regions| !regions.is_empty())
        .collect();
    let shown = state.latest.shown();
    let maps = shown.map(|shown| Side::BOTH.map(|side| state.map_spec(side, &shown.analysis)));
    format!(
        "{:#?}",
        (
            (
                &state.settings,
                state.class,
                state.pinned,
                state.contrast_class
            ),
            (
                regions,
                photos,
                state.current,
                shown.map(|shown| &shown.plan)
            ),
            (state.order, state.filter, &state.search, state.tool),
            (state.dialogs, maps, state.batch.is_stopped()),
        )
    )
}

/// A window that did the same things shows the same.
#[test]
fn what_was_recorded_is_done_again() {
    let mut session = Session::new(number("CAMLENS_SEED", 11), &[CAT]);
    let doors: Vec<&doors::Door> = doors::DOORS.iter().filter(|door| door.repeats).collect();
    for step in 0..number("CAMLENS_REPLAYED", 40) {
        let door = session.dice.deal("doors", &doors);
        (door.open)(&mut session);
        let what = format!("step {step}: {}", door.name);
        session.until(&what, is_settled);
        session.step(2);
    }
    let path = session.record.write("recorded.jsonl");
    let actions = read(&path);
    assert!(actions.len() > 40, "{} actions", actions.len());
    let again = replay(&actions);
    let [first, second] = [&session.harness, &again].map(|harness| outline(harness.state()));
    if first != second {
        let lines = first.lines().zip(second.lines());
        let differ: Vec<_> = lines.filter(|(a, b)| a != b).take(20).collect();
        panic!("{}: {differ:#?}", path.display());
    }
}

/// Does again what is in the file that `CAMLENS_REPLAY` names: one that the test of random actions
/// left when it failed, or one that a window wrote that was started with `CAMLENS_RECORD`.
#[test]
#[ignore = "needs CAMLENS_REPLAY"]
fn replay_a_file() {
    let Some(path) = std::env::var_os("CAMLENS_REPLAY") else {
        println!("CAMLENS_REPLAY names no file");
        return;
    };
    let actions = read(Path::new(&path));
    let harness = replay(&actions);
    println!("{} actions. {}", actions.len(), outline(harness.state()));
}
