//! A window, and what uses it.

use super::record::Recording;
use super::world::World;
use super::*;
use camlens::worker::Plan;

/// Large enough for every control.
pub const ROOMY: (f32, f32) = (1100.0, 750.0);

/// A window, and what uses it.
pub struct Session {
    pub harness: Harness<'static, App>,
    pub dice: Dice,
    pub world: World,
    pub watch: Watch,
    pub record: Recording,
}

impl Session {
    pub fn new(seed: u64, photos: &[&str]) -> Self {
        let mut world = World::new();
        let harness = world.open(photos);
        let mut record = Recording::new();
        record.begin();
        Self {
            harness,
            dice: Dice::new(seed),
            world,
            watch: Watch::default(),
            record,
        }
    }

    /// Closes the window in the middle of whatever it is at, and opens another one.
    pub fn reopen(&mut self, photos: &[&str]) {
        self.watch = Watch::default();
        self.harness = self.world.open(photos);
        self.record.begin();
    }

    pub fn state(&self) -> &camlens::app::State {
        self.harness.state().state()
    }

    /// The answer on screen.
    pub fn analysis(&self) -> Option<Arc<Analysis>> {
        let shown = self.state().latest.shown();
        shown.map(|shown| shown.analysis.clone())
    }

    /// Draws so many frames. Each of them is checked.
    pub fn step(&mut self, frames: usize) {
        for _ in 0..frames {
            self.harness.run_steps(1);
            self.record.take(self.harness.state());
            self.watch.check(self.harness.state());
        }
    }

    /// Draws frames until a condition is met.
    pub fn until(&mut self, what: &str, so: impl Fn(&App) -> bool) {
        let started = Instant::now();
        while !so(self.harness.state()) {
            assert!(
                started.elapsed() < PATIENCE,
                "waited in vain: {what}. {}",
                describe(self.harness.state())
            );
            std::thread::sleep(Duration::from_millis(1));
            self.step(1);
        }
    }

    /// Draws frames until all is quiet. Then the window must show what was asked for.
    pub fn rest(&mut self, what: &str) {
        self.step(2);
        self.until(what, quiet);
        self.step(2);
        let state = self.harness.state().state();
        let wanted = state.wanted();
        let shown = state.latest.shown();
        if let Some(shown) = shown {
            assert_eq!(shown.plan, wanted, "{what}");
        }
        // A window belongs to its photo, and its action looks after it.
        let wanted = Plan {
            window: None,
            ..wanted
        };
        let as_asked = self.world.plans.rest(&wanted, shown.is_some());
        as_asked.unwrap_or_else(|why| panic!("{what}: {why}. Error: {:?}", state.error));
        let names = state.photos.iter().map(|item| item.source.name());
        assert_eq!(names.collect::<Vec<_>>(), self.world.photos, "{what}");
        assert_eq!(state.settings.limits, self.world.limits, "{what}");
    }

    /// Drops files without a look at the frame in which that happens.
    pub fn drop_files(&mut self, files: &[&str]) {
        drop_files(&mut self.harness, files);
        self.record.take(self.harness.state());
    }

    /// Drops files, a number of them photos, and waits until the photos are in the browser.
    pub fn drop_photos(&mut self, files: &[&str], photos: usize) {
        let before = self.state().photos.len();
        self.drop_files(files);
        self.until("dropped files", |app| {
            app.state().photos.len() == before + photos
        });
    }

    /// Makes room for every control, and closes menus.
    pub fn roomy(&mut self) {
        self.resize(ROOMY);
        for _ in 0..2 {
            self.harness.key_press(Key::Escape);
            self.step(2);
        }
    }

    pub fn resize(&mut self, (width, height): (f32, f32)) {
        self.world.size = (width, height);
        self.harness.set_size(egui::vec2(width, height));
    }

    /// Clicks the one thing that is called so.
    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click_accesskit();
        self.step(2);
    }

    /// Clicks the one thing of a kind that is called so.
    pub fn click_a(&mut self, role: Role, label: &str) {
        self.harness
            .get_by_role_and_label(role, label)
            .click_accesskit();
        self.step(2);
    }

    /// Whether there is something of a kind that is called so.
    pub fn has(&self, role: Role, label: &str) -> bool {
        let mut found = self.harness.query_all_by_role_and_label(role, label);
        found.next().is_some()
    }

    /// Opens a menu by its name, and selects an item.
    pub fn choose(&mut self, menu: &str, item: &str) {
        self.click_a(Role::ComboBox, menu);
        self.click(item);
        self.harness.key_press(Key::Escape);
        self.step(1);
    }

    /// Types a number into a field or moves a slider to it.
    pub fn set(&mut self, role: Role, label: &str, value: f64) {
        self.harness
            .get_by_role_and_label(role, label)
            .set_value_accesskit(value);
        self.step(2);
    }

    /// Sets what the next file dialog answers.
    pub fn answer(&mut self, path: &Path) {
        path.clone_into(&mut self.world.answer.lock().unwrap());
    }

    /// Waits until the window says something with these words, and gives whether it is an error.
    pub fn said(&mut self, words: &str) -> bool {
        let says = |said: &Option<String>| said.as_ref().is_some_and(|said| said.contains(words));
        self.until(words, |app| {
            says(&app.state().info) || says(&app.state().error)
        });
        self.step(1);
        let is_error = says(&self.state().error);
        // An older error is drawn in the place of what was done since.
        let is_hidden = !is_error && self.state().error.is_some();
        let on_screen = self.harness.query_all_by_label_contains(words).count();
        assert!(is_hidden || on_screen > 0, "{words:?} is not on screen");
        is_error
    }
}
