//! The files that actions use, and what a window must show after them.

use camlens::model::preprocessing::PreprocessChoice;

use super::*;

/// The files that actions use.
pub struct World {
    pub folder: tempfile::TempDir,
    _weights: tempfile::TempDir,
    pub pets: PathBuf,
    pub garbage: PathBuf,
    pub names: PathBuf,
    pub wrong_names: PathBuf,
    /// The manifests of the exports.
    pub manifests: Vec<PathBuf>,
    /// Number of exports.
    pub exports: usize,
    /// The answer of the next file dialog.
    pub answer: Arc<Mutex<PathBuf>>,
    /// What the window must show when it is quiet.
    pub expected: Expected,
    /// Whether something that will be rejected is in progress.
    pub refusal: bool,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (weights, pets) = made_up_resnet();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let garbage = file("garbage.pth", b"PK\x03\x04 and nothing else");
        // In a place that is searched: next to the weights.
        let names = pets.with_file_name("names.txt");
        std::fs::write(&names, b"cat, tabby\ncat, calico\ndog\n").unwrap();
        let wrong_names = file("wrong.txt", b"cat\ndog\n");
        let photos = folder.path().join("photos");
        std::fs::create_dir(&photos).unwrap();
        std::fs::copy(CAT, photos.join("a-cat.png")).unwrap();
        std::fs::copy(COFFEE, photos.join("b-coffee.png")).unwrap();
        std::fs::write(photos.join("c-broken.jpg"), b"no photo").unwrap();
        Self {
            folder,
            _weights: weights,
            pets,
            garbage,
            names,
            wrong_names,
            manifests: Vec::new(),
            exports: 0,
            answer: Arc::default(),
            expected: Expected::default(),
            refusal: false,
        }
    }

    /// Opens a new window, with or without a photo.
    pub fn open(&mut self, photos: &[&str]) -> Harness<'static, App> {
        self.expected = Expected::default();
        self.refusal = false;
        let answer = self.answer.clone();
        let picker: Picker = Arc::new(move |_| {
            let path = answer.lock().unwrap().clone();
            Box::pin(async move { Some(vec![path]) })
        });
        window_with(photos, picker)
    }

    /// A photo was requested.
    pub fn expect_photo(&mut self, path: &str) {
        let name = Path::new(path).file_name().unwrap();
        self.expected.photo = Some(name.to_string_lossy().into_owned());
    }

    /// A photo was requested that will be rejected. The screen is unchanged; which photo it shows
    /// is known only if the window was quiet.
    pub fn expect_photo_refused(&mut self, was_quiet: bool) {
        if !was_quiet {
            self.expected.photo = None;
        }
    }

    /// A part of the plan was changed.
    pub fn expect(&mut self, change: impl FnOnce(&mut Plan)) {
        if let Some(plan) = &mut self.expected.plan {
            change(plan);
        }
    }

    /// A setting that belongs to the model was changed.
    pub fn expect_of_model(&mut self, change: impl FnOnce(&mut Plan)) {
        if self.refusal {
            // When the request is rejected, everything changed in the meantime is reset as well.
            self.expected.plan = None;
        }
        self.expect(change);
    }

    pub fn expect_model(&mut self, model: ModelChoice) {
        self.expect_of_model(|plan| {
            if plan.model != model {
                plan.labels = None;
                plan.preprocess = PreprocessChoice::Model;
            }
            plan.model = model;
        });
    }

    /// A model or class names were requested that will be rejected.
    pub fn expect_refusal(&mut self, was_quiet: bool) {
        self.refusal = true;
        if !was_quiet {
            self.expected.plan = None;
        }
    }

    /// The window is quiet, so nothing is in progress any more.
    pub fn was_quiet(&mut self, harness: &Harness<App>) -> bool {
        let quiet = quiet(harness.state());
        if quiet {
            self.refusal = false;
        }
        quiet
    }
}
