//! The thread's side: what it owns, what it does next, and how.

use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use crate::explain::analysis::rank;
use crate::explain::cam::LayerMaps;
use crate::explain::engine::{Engine, EngineError};
use crate::input::photo::{Photo, Picture};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::weights::{Progress, WeightsError};
use crate::model::{ModelChoice, ModelError, Selection};
use crate::platform::panics::mistake;
use crate::worker::{
    Answer, BatchJob, Dropped, Fault, Job, LayerJob, OVERVIEW_SIDE, PhotoSource, Plan, Prediction,
    Request, RunningModel, Step, Wake, WorkerEvent,
};

/// What the thread does next.
enum Task {
    Analyze(Job),
    Explain(LayerJob),
    /// The next photo of the survey.
    Predict,
}

/// A job that is not finished: a newer one came, or something failed.
enum Stop {
    Superseded,
    Failed(Fault, String),
}

/// What the thread owns.
pub struct WorkerThread {
    inbox: Receiver<Request>,
    outbox: Sender<WorkerEvent>,
    wake: Wake,
    sent: Arc<AtomicU64>,
    /// How many jobs came out of the inbox.
    received: u64,
    /// A newer job, taken out of the inbox while another one ran.
    waiting: Option<Job>,
    /// Maps to be made when no job waits.
    explain: Option<LayerJob>,
    /// Photos to be classified when nothing else is to be done, the next one last.
    batch: Option<BatchJob>,
    engine: Option<Loaded>,
    /// The job whose run the engine still has.
    analyzed: Option<u64>,
    photo: Option<Decoded>,
}

/// The engine, and what it was asked to be.
struct Loaded {
    model: ModelChoice,
    labels: Option<PathBuf>,
    device: DeviceChoice,
    engine: Engine,
}

impl Loaded {
    /// Whether it is what a plan asks for.
    fn runs(&self, plan: &Plan) -> bool {
        self.model == plan.model && self.device == plan.device
    }
}

/// The photo of the last job, kept for the next one.
struct Decoded {
    id: u64,
    photo: Arc<Photo>,
    /// Until it is handed out: whoever shows the photo keeps it on the graphics card.
    overview: Option<Arc<Picture>>,
}

impl WorkerThread {
    /// Of a thread that hears of requests by `inbox` and of how many there were by `sent`.
    pub fn new(
        inbox: Receiver<Request>,
        outbox: Sender<WorkerEvent>,
        wake: Wake,
        sent: Arc<AtomicU64>,
    ) -> Self {
        Self {
            inbox,
            outbox,
            wake,
            sent,
            received: 0,
            waiting: None,
            explain: None,
            batch: None,
            engine: None,
            analyzed: None,
            photo: None,
        }
    }

    /// Works until nobody can ask any more.
    pub fn work_off(mut self) {
        while let Some(task) = self.next() {
            match task {
                Task::Analyze(job) => self.serve(&job),
                Task::Explain(job) => self.explain(&job),
                Task::Predict => self.predict(),
            }
        }
    }

    /// Waits for a request and takes the newest, jobs first; `None` when nobody can ask
    /// any more.
    fn next(&mut self) -> Option<Task> {
        loop {
            self.empty_inbox();
            if let Some(job) = self.waiting.take() {
                return Some(Task::Analyze(job));
            }
            if let Some(job) = self.explain.take() {
                return Some(Task::Explain(job));
            }
            if self.batch.is_some() {
                return Some(Task::Predict);
            }
            let request = self.inbox.recv().ok()?;
            self.sort(request);
        }
    }

    fn empty_inbox(&mut self) {
        while let Ok(request) = self.inbox.try_recv() {
            self.sort(request);
        }
    }

    fn sort(&mut self, request: Request) {
        match request {
            Request::Analyze(job) => {
                self.received += 1;
                self.waiting = Some(job);
            }
            Request::Explain(job) => {
                if let Some(old) = self.explain.replace(job) {
                    let why = Dropped::Replaced;
                    self.tell(WorkerEvent::LayersDropped(old.id, old.of, old.classes, why));
                }
            }
            Request::Batch(job) => {
                self.batch = job.map(|mut job| {
                    job.photos.reverse();
                    job
                });
            }
        }
    }

    /// Classifies the next photo of the survey, with the model that it was asked for with.
    fn predict(&mut self) {
        let Some(batch) = &mut self.batch else {
            return;
        };
        let (id, plan, limits) = (batch.id, batch.plan.clone(), batch.limits);
        let Some((photo, source)) = batch.photos.pop() else {
            self.batch = None; // all of them are answered
            return;
        };
        if let Err(message) = self.ready_batch(&plan) {
            self.batch = None;
            self.tell(WorkerEvent::BatchFailed(id, message));
            return;
        }
        let Some(Loaded { engine, .. }) = &mut self.engine else {
            unreachable!("it was loaded just now");
        };
        let device = engine.device();
        engine.preprocess(plan.preprocess);
        let mut changed = false;
        let answer = panic::catch_unwind(AssertUnwindSafe(|| {
            let photo = source.load(limits).map_err(|error| error.to_string())?;
            let probabilities = engine.classify(&photo, plan.framing).map_err(|error| {
                changed = matches!(error, EngineError::Changed { .. });
                error.to_string()
            })?;
            Ok(Prediction {
                size: (photo.width, photo.height),
                top: rank(&probabilities)[0],
                probabilities,
            })
        }));
        if engine.device() != device {
            self.analyzed = None; // its run was on the old device
            self.tell_model();
        }
        if changed && let Ok(Err(message)) = answer {
            // It can run nowhere any more: the next job loads the file as it is now.
            self.forget_engine();
            self.batch = None;
            self.tell(WorkerEvent::BatchFailed(id, message));
            return;
        }
        // The engine stays: a run that was given up leaves nothing behind in it.
        let answer = answer.unwrap_or_else(|panic| Err(mistake(panic.as_ref())));
        self.tell(WorkerEvent::Predicted(id, photo, answer));
    }

    /// Loads the model of a survey, should another one or none be there (after a panic).
    fn ready_batch(&mut self, plan: &Plan) -> Result<(), String> {
        if self.engine.as_ref().is_some_and(|loaded| loaded.runs(plan)) {
            return Ok(());
        }
        panic::catch_unwind(AssertUnwindSafe(|| self.load(plan, None)))
            .unwrap_or_else(|panic| Err(EngineError::Run(mistake(panic.as_ref()))))
            .map_err(|error| error.to_string())
    }

    /// Makes the maps of each class, unless something newer is wanted meanwhile. What is not
    /// made is told to be dropped.
    fn explain(&mut self, job: &LayerJob) {
        for (done, &class) in job.classes.iter().enumerate() {
            match self.maps(job.of, class) {
                Ok(maps) => self.tell(WorkerEvent::Layers(job.of, class, maps)),
                Err(why) => {
                    let rest = job.classes[done..].to_vec();
                    self.tell(WorkerEvent::LayersDropped(job.id, job.of, rest, why));
                    return;
                }
            }
        }
    }

    /// The maps of a class at all layers of the answer to job `of`, or the message if they
    /// can't be made.
    fn maps(&mut self, of: u64, class: ClassId) -> Result<Result<Arc<LayerMaps>, String>, Dropped> {
        self.empty_inbox();
        if self.waiting.is_some() || self.explain.is_some() {
            return Err(Dropped::Replaced);
        }
        let has_run = self.analyzed == Some(of);
        let Some(Loaded { engine, .. }) = self.engine.as_mut().filter(|_| has_run) else {
            return Err(Dropped::RunLost);
        };
        let device = engine.device();
        let layers = engine.model().architecture.layers();
        let wanted = || self.sent.load(Ordering::Relaxed) == self.received;
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let layer_gradients = engine.layer_gradients_while(class, layers, &wanted);
            layer_gradients.map(|layer_gradients| Arc::new(LayerMaps::new(&layer_gradients)))
        }));
        let changed = engine.device() != device;
        let maps = match result {
            Ok(Err(EngineError::Unwanted)) => Err(Dropped::Replaced), // a job waits
            Ok(Err(error @ EngineError::Changed { .. })) => {
                self.forget_engine();
                return Ok(Err(error.to_string()));
            }
            Ok(maps) => Ok(maps.map_err(|error| error.to_string())),
            Err(panic) => {
                self.forget_engine();
                Ok(Err(mistake(panic.as_ref())))
            }
        };
        if changed {
            self.tell_model();
        }
        maps
    }

    /// Lets go of the engine and its run: the next job loads its model anew.
    fn forget_engine(&mut self) {
        self.engine = None;
        self.analyzed = None;
    }

    fn tell(&self, event: WorkerEvent) {
        // Nobody listens once the window is closed.
        let _ = self.outbox.send(event);
        (self.wake)();
    }

    fn serve(&mut self, job: &Job) {
        // A survey that runs the network in another way is out of date.
        let of_all = Plan {
            photo: None,
            ..job.plan.clone()
        };
        let old = self.batch.take_if(|batch| batch.plan != of_all);
        if let Some(old) = old {
            self.tell(WorkerEvent::BatchDropped(old.id));
        }
        let result = panic::catch_unwind(AssertUnwindSafe(|| self.work(job)));
        match result {
            Ok(Ok(shown)) => self.tell(WorkerEvent::Done(job.id, shown)),
            Ok(Err(Stop::Superseded)) => {}
            Ok(Err(Stop::Failed(fault, message))) => {
                self.tell(WorkerEvent::Failed(job.id, fault, message, self.analyzed));
            }
            Err(panic) => {
                // Whatever was half done is not used again.
                self.forget_engine();
                self.photo = None;
                let message = mistake(panic.as_ref());
                self.tell(WorkerEvent::Failed(job.id, Fault::Run, message, None));
            }
        }
    }

    /// Goes on with a job unless a newer one has come.
    fn step(&mut self, job: &Job, step: Step) -> Result<(), Stop> {
        self.empty_inbox();
        if self.waiting.is_some() {
            return Err(Stop::Superseded);
        }
        self.tell(WorkerEvent::Step(job.id, step));
        Ok(())
    }

    fn work(&mut self, job: &Job) -> Result<Option<Answer>, Stop> {
        self.ready_engine(job)?;
        let (Some(id), Some(source)) = (job.plan.photo, &job.source) else {
            return Ok(None);
        };
        let photo = self.ready_photo(job, id, source)?;
        self.step(job, Step::Running)?;
        let Some(Loaded { engine, .. }) = &mut self.engine else {
            return Err(Stop::Failed(
                Fault::Model,
                "No model is loaded. Choose one from the model menu.".into(),
            ));
        };
        let device = engine.device();
        engine.preprocess(job.plan.preprocess);
        self.analyzed = None;
        let analysis = match engine.analyze(&photo, job.plan.framing) {
            Ok(analysis) => analysis,
            Err(error) => {
                if matches!(error, EngineError::Changed { .. }) {
                    // What was loaded can run nowhere any more: the next job loads the file as
                    // it is.
                    self.forget_engine();
                }
                return Err(Stop::Failed(Fault::Run, error.to_string()));
            }
        };
        self.analyzed = Some(job.id);
        if engine.device() != device {
            self.tell_model();
        }
        let overview = self.photo.as_mut().and_then(|kept| kept.overview.take());
        Ok(Some(Answer {
            job: job.id,
            plan: job.plan.clone(),
            photo,
            overview,
            analysis: Arc::new(analysis),
        }))
    }

    /// Loads the job's model unless it is there.
    fn ready_engine(&mut self, job: &Job) -> Result<(), Stop> {
        let labels = &job.plan.labels;
        let failed = |error: EngineError| Stop::Failed(Fault::Model, error.to_string());
        if let Some(loaded) = &mut self.engine
            && loaded.runs(&job.plan)
        {
            if loaded.labels != *labels {
                loaded
                    .engine
                    .name_classes(labels.as_deref())
                    .map_err(failed)?;
                loaded.labels.clone_from(labels);
                self.tell_model();
            }
            return Ok(());
        }
        self.step(job, Step::LoadingModel)?;
        let progress = self.loading(job.id);
        self.load(&job.plan, Some(progress)).map_err(|error| {
            if let Some(choices) = offers(&job.plan.model, &error) {
                self.tell(WorkerEvent::Offer(job.id, choices));
            }
            failed(error)
        })
    }

    /// Loads a plan's model. The old one stays until the new one is complete.
    fn load(&mut self, plan: &Plan, progress: Option<Progress>) -> Result<(), EngineError> {
        let Plan {
            model,
            labels,
            device,
            ..
        } = plan;
        let engine = Engine::open_with(model, labels.as_deref(), *device, progress)?;
        self.engine = Some(Loaded {
            model: model.clone(),
            labels: labels.clone(),
            device: *device,
            engine,
        });
        self.analyzed = None;
        self.tell_model();
        Ok(())
    }

    /// Tells of each percent of the weights.
    fn loading(&self, job: u64) -> Progress {
        let (outbox, wake) = (self.outbox.clone(), self.wake.clone());
        let told = AtomicU64::new(0);
        Arc::new(move |done, total| {
            let percent = 100 * done / total.max(1);
            if told.swap(percent, Ordering::Relaxed) != percent {
                let _ = outbox.send(WorkerEvent::Loading(job, done, total));
                wake();
            }
        })
    }

    fn tell_model(&self) {
        if let Some(loaded) = &self.engine {
            self.tell(WorkerEvent::Model(RunningModel {
                info: loaded.engine.model().clone(),
                choice: loaded.model.clone(),
                asked_labels: loaded.labels.clone(),
                asked_device: loaded.device,
                device: loaded.engine.device(),
                notices: loaded.engine.notices(),
            }));
        }
    }

    fn ready_photo(
        &mut self,
        job: &Job,
        id: u64,
        source: &PhotoSource,
    ) -> Result<Arc<Photo>, Stop> {
        if let Some(loaded) = self.photo.as_ref().filter(|loaded| loaded.id == id) {
            return Ok(loaded.photo.clone());
        }
        self.step(job, Step::ReadingPhoto)?;
        // Let go of the last one first: two large photos need not fit at once.
        self.photo = None;
        let started = Instant::now();
        let photo = source
            .load(job.limits)
            .map_err(|error| Stop::Failed(Fault::Photo, error.to_string()))?;
        log::debug!("{} decoded in {:?}", photo.name, started.elapsed());
        let step = photo.step_to(OVERVIEW_SIDE);
        let overview = (step > 1).then(|| Arc::new(photo.part(photo.area(), step)));
        self.photo = Some(Decoded {
            id,
            photo: photo.clone(),
            overview,
        });
        Ok(photo)
    }
}

/// The networks of a file that can't be opened because it holds several.
fn offers(choice: &ModelChoice, error: &EngineError) -> Option<Vec<ModelChoice>> {
    let EngineError::Model(ModelError::Weights(WeightsError::Several { networks, .. })) = error
    else {
        return None;
    };
    let path = choice.file()?;
    let within = |network: &Selection| ModelChoice::Within(path.into(), Box::new(network.clone()));
    Some(networks.iter().map(within).collect())
}
