//! The files that actions use, and what a window must show after them.

use camlens::input::photo::Limits;
use camlens::model::preprocessing::PreprocessChoice;
use camlens::worker::Plan;

use super::plans::{Fates, Plans};
use super::*;

/// The files that actions use.
pub struct World {
    pub folder: tempfile::TempDir,
    weights: tempfile::TempDir,
    pub pets: PathBuf,
    pub garbage: PathBuf,
    pub names: PathBuf,
    pub wrong_names: PathBuf,
    /// The manifests of the exports.
    pub manifests: Vec<PathBuf>,
    /// How many files and folders were made.
    made: usize,
    /// The answer of the next file dialog.
    pub answer: Arc<Mutex<PathBuf>>,
    /// A hub that never answers.
    pub hub: DeafHub,
    /// What the window may rest with.
    pub plans: Plans,
    /// The names of the photos that were opened, in order. Their numbers begin with 1.
    pub photos: Vec<String>,
    /// How large photos may be.
    pub limits: Limits,
    /// The order of the photos that was chosen.
    pub order: PhotoOrder,
    /// The size of the window, in points.
    pub size: (f32, f32),
}

/// A hub that takes calls and never answers.
pub struct DeafHub {
    address: String,
    calls: Arc<Mutex<Vec<std::net::TcpStream>>>,
}

impl DeafHub {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let kept = calls.clone();
        std::thread::spawn(move || {
            for call in listener.incoming().flatten() {
                kept.lock().unwrap().push(call);
            }
        });
        Self { address, calls }
    }

    /// Ends all calls.
    pub fn hang_up(&self) {
        self.calls.lock().unwrap().clear();
    }
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
        let fates = Fates {
            garbage: file_model(&garbage),
            pets: file_model(&pets),
            names: names.clone(),
            broken: Vec::new(),
        };
        Self {
            folder,
            weights,
            pets,
            garbage,
            names,
            wrong_names,
            manifests: Vec::new(),
            made: 0,
            answer: Arc::default(),
            hub: DeafHub::new(),
            plans: Plans::new(fates, start()),
            photos: Vec::new(),
            limits: Limits::default(),
            order: PhotoOrder::default(),
            size: ROOMY,
        }
    }

    /// Opens a new window, with or without a photo.
    pub fn open(&mut self, photos: &[&str]) -> Harness<'static, App> {
        let fates = Fates {
            garbage: file_model(&self.garbage),
            pets: file_model(&self.pets),
            names: self.names.clone(),
            broken: Vec::new(),
        };
        self.plans = Plans::new(fates, start());
        self.photos.clear();
        self.limits = Limits::default();
        self.order = PhotoOrder::default();
        self.size = ROOMY;
        self.opened(photos);
        let answer = self.answer.clone();
        let picker: Picker = Arc::new(move |_| {
            let path = answer.lock().unwrap().clone();
            Box::pin(async move { Some(vec![path]) })
        });
        let cache = self.folder.path().join("hub");
        let hub = Hub::new(&self.hub.address, cache);
        let arguments = WindowArgs {
            model: Some(ModelChoice::BuiltIn),
            ..WindowArgs::default()
        };
        window_at(photos, arguments, picker, hub)
    }

    /// Photos are opened, and the first of them is asked for.
    pub fn opened(&mut self, paths: &[&str]) {
        let first = self.photos.len() as u64 + 1;
        for path in paths {
            let name = Path::new(path).file_name().unwrap().to_string_lossy();
            self.photos.push(name.into_owned());
            if is_broken(path) {
                let photo = self.photos.len() as u64;
                self.plans.fates.broken.push(photo);
            }
        }
        if !paths.is_empty() {
            self.plans.change(|plan| plan.photo = Some(first));
        }
    }

    /// A path within the folder at which nothing is yet.
    pub fn new_path(&mut self, name: &str) -> PathBuf {
        self.made += 1;
        self.folder.path().join(format!("{}-{name}", self.made))
    }

    /// A copy of a photo, whose name no other photo has.
    pub fn copy(&mut self, photo: &str) -> String {
        let path = Path::new(photo);
        let name = path.file_name().unwrap().to_string_lossy();
        let copy = self.new_path(&name);
        std::fs::copy(path, &copy).unwrap();
        copy.to_str().unwrap().to_owned()
    }

    /// Files stay after the test, for whoever does it again.
    pub fn keep_files(&mut self) {
        self.folder.disable_cleanup(true);
        self.weights.disable_cleanup(true);
    }
}

/// What a new window is asked for before any photo.
fn start() -> Plan {
    Plan {
        photo: None,
        model: ModelChoice::BuiltIn,
        labels: None,
        preprocess: PreprocessChoice::Model,
        scores: None,
        device: DeviceChoice::Cpu,
        framing: Framing::default(),
        window: None,
    }
}

/// Photos that can't be read.
pub const BROKEN: [&str; 4] = [
    "tests/corpus/60000x60000.png",
    "tests/corpus/zero-bytes.png",
    "tests/corpus/text.jpg",
    "/nowhere/gone.png",
];

fn is_broken(path: &str) -> bool {
    BROKEN.contains(&path) || path.ends_with("c-broken.jpg")
}
