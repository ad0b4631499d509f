//! The worker's thread: its data, and how it chooses and runs its tasks.

use std::ops::ControlFlow;
use std::panic;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Instant;

use crate::explain::cam::LayerMaps;
use crate::explain::engine::{Engine, EngineError};
use crate::input::photo::{Photo, Picture};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::target_layer::LayerId;
use crate::model::weights::{Progress, WeightsError};
use crate::model::{ModelChoice, ModelError, Selection};
use crate::platform::panics::mistake;
use crate::worker::ticket::{BatchStop, JobStop, Outbox, Ticket};
use crate::worker::{
    Answer, BatchJob, Dropped, Fault, Job, LayerJob, OVERVIEW_SIDE, PhotoSource, Plan, Prediction,
    Request, RunningModel, Step, WorkerEvent, ticket,
};

/// The next task of the thread.
enum Task {
    Analyze(Ticket<Job>),
    Explain(Ticket<LayerJob>),
    /// The next photo of the batch.
    Predict(Ticket<BatchJob>),
}

type JobOutcome = <Job as ticket::Request>::Outcome;
type BatchOutcome = <BatchJob as ticket::Request>::Outcome;

/// The data of the thread.
pub struct WorkerThread {
    inbox: Receiver<Request>,
    outbox: Outbox,
    sent: Arc<AtomicU64>,
    /// Number of jobs received.
    received: u64,
    /// A newer job, received while another one was running.
    waiting: Option<Ticket<Job>>,
    /// A request for maps, handled when no job is waiting.
    explain: Option<Ticket<LayerJob>>,
    /// A request for predictions, handled when nothing else is waiting; the next photo is last.
    batch: Option<Ticket<BatchJob>>,
    engine: Option<Loaded>,
    /// The job whose run the engine still has.
    analyzed: Option<u64>,
    photo: Option<Decoded>,
}

/// The engine, and how it was requested.
struct Loaded {
    model: ModelChoice,
    labels: Option<PathBuf>,
    device: DeviceChoice,
    engine: Engine,
}

impl Loaded {
    /// Whether it is the model of a plan.
    fn runs(&self, plan: &Plan) -> bool {
        self.model == plan.model && self.device == plan.device
    }
}

/// The photo of the last job, cached for the next one.
struct Decoded {
    id: u64,
    photo: Arc<Photo>,
    /// The overview until it is sent; the receiver keeps it on the graphics card.
    overview: Option<Arc<Picture>>,
}

impl Decoded {
    fn new(id: u64, photo: Arc<Photo>) -> Self {
        let step = photo.step_to(OVERVIEW_SIDE);
        let overview = (step > 1).then(|| Arc::new(photo.part(photo.area(), step)));
        Self {
            id,
            photo,
            overview,
        }
    }
}

impl WorkerThread {
    /// For a thread that receives requests from `inbox` and the number of jobs sent from `sent`.
    pub fn new(inbox: Receiver<Request>, outbox: Outbox, sent: Arc<AtomicU64>) -> Self {
        Self {
            inbox,
            outbox,
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

    /// Works until all senders are gone.
    pub fn work_off(mut self) {
        while let Some(task) = self.next() {
            match task {
                Task::Analyze(mut ticket) => {
                    let outcome = self.serve(ticket.request());
                    ticket.close(outcome);
                }
                Task::Explain(mut ticket) => {
                    let outcome = self.explain(ticket.request());
                    ticket.close(outcome);
                }
                Task::Predict(mut ticket) => match self.predict(ticket.request()) {
                    ControlFlow::Continue(()) => self.batch = Some(ticket),
                    ControlFlow::Break(outcome) => ticket.close(outcome),
                },
            }
        }
    }

    /// Waits for a request and chooses the next task, jobs first; `None` when all senders are gone.
    fn next(&mut self) -> Option<Task> {
        loop {
            self.empty_inbox();
            if let Some(job) = self.waiting.take() {
                return Some(Task::Analyze(job));
            }
            if let Some(job) = self.explain.take() {
                return Some(Task::Explain(job));
            }
            if let Some(job) = self.batch.take() {
                return Some(Task::Predict(job));
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
                if let Some(old) = self.waiting.replace(job) {
                    old.drop_because(Dropped::Replaced);
                }
            }
            Request::Explain(job) => {
                if let Some(old) = self.explain.replace(job) {
                    old.drop_because(Dropped::Replaced);
                }
            }
            Request::Batch(mut job) => {
                job.request().photos.reverse();
                if let Some(old) = self.batch.replace(job) {
                    old.drop_because(Dropped::Replaced);
                }
            }
            Request::CancelBatch => {
                if let Some(old) = self.batch.take() {
                    old.drop_because(Dropped::Cancelled);
                }
            }
        }
    }

    /// Classifies the next photo of a batch, with the model of its request.
    fn predict(&mut self, batch: &mut BatchJob) -> ControlFlow<BatchOutcome> {
        let Some((photo, source, window)) = batch.photos.pop() else {
            return ControlFlow::Break(Ok(()));
        };
        let plan = &batch.plan;
        if let Err(message) = self.ready_batch(plan) {
            return ControlFlow::Break(Err(BatchStop::Failed(message)));
        }
        let Some(Loaded { engine, .. }) = &mut self.engine else {
            unreachable!("it was loaded just now");
        };
        let device = engine.device();
        engine.preprocess(plan.preprocess);
        engine.score(plan.scores);
        let mut changed = false;
        let answer = panic::catch_unwind(AssertUnwindSafe(|| {
            let photo = source
                .load(batch.limits)
                .map_err(|error| error.to_string())?
                .with_window(window);
            let logits = engine.classify(&photo, plan.framing).map_err(|error| {
                changed = matches!(error, EngineError::Changed { .. });
                error.to_string()
            })?;
            let size = (photo.width, photo.height);
            Ok(Prediction::new(size, logits, engine.scores()))
        }));
        if engine.device() != device {
            self.analyzed = None; // its run was on the old device
            self.tell_model();
        }
        if changed && let Ok(Err(message)) = answer {
            // It can no longer run anywhere: the next job loads the file in its current state.
            self.forget_engine();
            return ControlFlow::Break(Err(BatchStop::Failed(message)));
        }
        // The engine is kept: a cancelled run leaves no partial state in it.
        let answer = answer.unwrap_or_else(|panic| Err(mistake(panic.as_ref())));
        self.outbox
            .tell(WorkerEvent::Predicted(batch.id, photo, answer));
        if batch.photos.is_empty() {
            return ControlFlow::Break(Ok(()));
        }
        ControlFlow::Continue(())
    }

    /// Loads the model of a batch, if another model or none is loaded (after a panic).
    fn ready_batch(&mut self, plan: &Plan) -> Result<(), String> {
        if self.engine.as_ref().is_some_and(|loaded| loaded.runs(plan)) {
            return Ok(());
        }
        panic::catch_unwind(AssertUnwindSafe(|| self.load(plan, None)))
            .unwrap_or_else(|panic| Err(EngineError::Run(mistake(panic.as_ref()))))
            .map_err(|error| error.to_string())
    }

    /// Computes the maps of each class, and stops if something newer is requested. Finished classes
    /// are removed from the request.
    fn explain(&mut self, job: &mut LayerJob) -> Result<(), Dropped> {
        while let Some(&class) = job.classes.first() {
            let maps = self.maps(job.of, class, &job.layers)?;
            self.outbox.tell(WorkerEvent::Layers(job.of, class, maps));
            job.classes.remove(0);
        }
        Ok(())
    }

    /// The maps of a class at some layers for the answer to job `of`, or the message if they can't
    /// be computed.
    fn maps(
        &mut self,
        of: u64,
        class: ClassId,
        layers: &[LayerId],
    ) -> Result<Result<Arc<LayerMaps>, String>, Dropped> {
        self.empty_inbox();
        if self.waiting.is_some() || self.explain.is_some() {
            return Err(Dropped::Replaced);
        }
        let has_run = self.analyzed == Some(of);
        let Some(Loaded { engine, .. }) = self.engine.as_mut().filter(|_| has_run) else {
            return Err(Dropped::RunLost);
        };
        let device = engine.device();
        let wanted = || self.sent.load(Ordering::Relaxed) == self.received;
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let layer_gradients = engine.layer_gradients_while(class, layers, &wanted);
            layer_gradients.map(|layer_gradients| Arc::new(LayerMaps::new(&layer_gradients)))
        }));
        let changed = engine.device() != device;
        let maps = match result {
            Ok(Err(EngineError::Unwanted)) => Err(Dropped::Replaced), // a job is waiting
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

    /// Drops the engine and its run: the next job loads its model again.
    fn forget_engine(&mut self) {
        self.engine = None;
        self.analyzed = None;
    }

    fn serve(&mut self, job: &Job) -> JobOutcome {
        // A batch with another plan is outdated.
        let of_all = Plan {
            photo: None,
            window: None,
            ..job.plan.clone()
        };
        let old = self.batch.take_if(|batch| batch.request().plan != of_all);
        if let Some(old) = old {
            old.drop_because(Dropped::OtherPlan);
        }
        panic::catch_unwind(AssertUnwindSafe(|| self.work(job))).unwrap_or_else(|panic| {
            // Partial state must not be used again.
            self.forget_engine();
            self.photo = None;
            Err(JobStop::Failed(Fault::Run, mistake(panic.as_ref()), None))
        })
    }

    /// The error for a part of a job that failed, with the run that is still available.
    fn failed(&self, fault: Fault, message: &impl ToString) -> JobStop {
        JobStop::Failed(fault, message.to_string(), self.analyzed)
    }

    /// Starts the next step of a job, unless a newer job has arrived.
    fn step(&mut self, job: &Job, step: Step) -> Result<(), JobStop> {
        self.empty_inbox();
        if self.waiting.is_some() {
            return Err(JobStop::Dropped(Dropped::Replaced));
        }
        self.outbox.tell(WorkerEvent::Step(job.id, step));
        Ok(())
    }

    fn work(&mut self, job: &Job) -> JobOutcome {
        self.ready_engine(job)?;
        let (Some(id), Some(source)) = (job.plan.photo, &job.source) else {
            return Ok(None);
        };
        let photo = self.ready_photo(job, id, source)?;
        self.step(job, Step::Running)?;
        let Some(Loaded { engine, .. }) = &mut self.engine else {
            let message = "No model is loaded. Choose one from the model menu.";
            return Err(self.failed(Fault::Model, &message));
        };
        let device = engine.device();
        engine.preprocess(job.plan.preprocess);
        engine.score(job.plan.scores);
        self.analyzed = None;
        let analysis = match engine.analyze(&photo, job.plan.framing) {
            Ok(analysis) => analysis,
            Err(error) => {
                if matches!(error, EngineError::Changed { .. }) {
                    // The loaded model can no longer run anywhere: the next job loads the file in
                    // its current state.
                    self.forget_engine();
                }
                return Err(self.failed(Fault::Run, &error));
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

    /// Loads the model of a job, unless it is already loaded.
    fn ready_engine(&mut self, job: &Job) -> Result<(), JobStop> {
        let labels = &job.plan.labels;
        if let Some(loaded) = &mut self.engine
            && loaded.runs(&job.plan)
        {
            if loaded.labels != *labels {
                if let Err(error) = loaded.engine.name_classes(labels.as_deref()) {
                    return Err(self.failed(Fault::Model, &error));
                }
                loaded.labels.clone_from(labels);
                self.tell_model();
            }
            return Ok(());
        }
        self.step(job, Step::LoadingModel)?;
        let progress = self.loading(job.id);
        self.load(&job.plan, Some(progress)).map_err(|error| {
            if let Some(choices) = offers(&job.plan.model, &error) {
                self.outbox.tell(WorkerEvent::Offer(job.id, choices));
            }
            self.failed(Fault::Model, &error)
        })
    }

    /// Loads the model of a plan. The old model is kept until the new one is complete.
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

    /// Reports progress for each percent of the weights.
    fn loading(&self, job: u64) -> Progress {
        let outbox = self.outbox.clone();
        let told = AtomicU64::new(0);
        Arc::new(move |done, total| {
            let percent = 100 * done / total.max(1);
            if told.swap(percent, Ordering::Relaxed) != percent {
                outbox.tell(WorkerEvent::Loading(job, done, total));
            }
        })
    }

    fn tell_model(&self) {
        if let Some(loaded) = &self.engine {
            self.outbox.tell(WorkerEvent::Model(RunningModel {
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
    ) -> Result<Arc<Photo>, JobStop> {
        let window = job.plan.window;
        if let Some(loaded) = self.photo.as_mut().filter(|loaded| loaded.id == id) {
            let photo = loaded.photo.clone().with_window(window);
            if !Arc::ptr_eq(&photo, &loaded.photo) {
                *loaded = Decoded::new(id, photo);
            }
            return Ok(loaded.photo.clone());
        }
        self.step(job, Step::ReadingPhoto)?;
        // Drop the last photo first: there may not be enough memory for two large photos.
        self.photo = None;
        let started = Instant::now();
        let photo = source
            .load(job.limits)
            .map_err(|error| self.failed(Fault::Photo, &error))?
            .with_window(window);
        log::debug!("{} decoded in {:?}", photo.name, started.elapsed());
        self.photo = Some(Decoded::new(id, photo.clone()));
        Ok(photo)
    }
}

/// The networks in a file that can't be opened because it holds several.
fn offers(choice: &ModelChoice, error: &EngineError) -> Option<Vec<ModelChoice>> {
    let EngineError::Model(ModelError::Weights(WeightsError::Several { networks, .. })) = error
    else {
        return None;
    };
    let path = choice.file()?;
    let within = |network: &Selection| ModelChoice::Within(path.into(), Box::new(network.clone()));
    Some(networks.iter().map(within).collect())
}
