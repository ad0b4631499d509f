use super::*;
use crate::explain::cam::Method;
use crate::input::framing::Framing;
use crate::input::photo::Limits;
use crate::labels::ClassId;
use crate::model::ModelChoice;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use crate::model::target_layer::LayerId;
use std::time::Duration;

fn job(id: u64, photo: Option<u64>, path: &str) -> Job {
    Job {
        id,
        plan: Plan {
            photo,
            model: ModelChoice::BuiltIn,
            labels: None,
            preprocess: PreprocessChoice::Model,
            scores: None,
            device: DeviceChoice::Cpu,
            framing: Framing::Whole,
            window: None,
        },
        source: photo.map(|_| PhotoSource::File(path.into())),
        limits: Limits::default(),
    }
}

fn wait(worker: &Worker) -> WorkerEvent {
    worker.event.recv_timeout(Duration::from_mins(1)).unwrap()
}

#[test]
fn steps_come_in_order_and_the_photo_is_read_once() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let cat = "assets/samples/cat.png";
    worker.submit(job(1, Some(7), cat)).unwrap();
    assert!(matches!(
        wait(&worker),
        WorkerEvent::Step(1, Step::LoadingModel)
    ));
    assert!(matches!(wait(&worker), WorkerEvent::Model(_)));
    assert!(matches!(
        wait(&worker),
        WorkerEvent::Step(1, Step::ReadingPhoto)
    ));
    assert!(matches!(wait(&worker), WorkerEvent::Step(1, Step::Running)));
    let WorkerEvent::Done(1, Some(first)) = wait(&worker) else {
        panic!("the job is done");
    };
    let mut again = job(2, Some(7), cat);
    again.plan.framing = Framing::Crop;
    worker.submit(again).unwrap();
    assert!(matches!(wait(&worker), WorkerEvent::Step(2, Step::Running)));
    let WorkerEvent::Done(2, Some(second)) = wait(&worker) else {
        panic!("the job is done");
    };
    assert!(Arc::ptr_eq(&first.photo, &second.photo));
}

/// The ID of the job that this event ends, if it ends one.
fn job_ended(event: &WorkerEvent) -> Option<u64> {
    match event {
        WorkerEvent::Done(id, _) | WorkerEvent::Failed(id, ..) | WorkerEvent::JobDropped(id, _) => {
            Some(*id)
        }
        _ => None,
    }
}

#[test]
fn the_newest_job_wins_and_each_job_is_answered_once() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    for id in 0..50 {
        let mut job = job(id, Some(7), "assets/samples/cat.png");
        job.plan.framing = if id % 2 == 0 {
            Framing::Whole
        } else {
            Framing::Squash
        };
        worker.submit(job).unwrap();
    }
    let (mut done, mut ended) = (Vec::new(), Vec::new());
    while done.last() != Some(&49) {
        let event = wait(&worker);
        ended.extend(job_ended(&event));
        match event {
            WorkerEvent::Done(id, _) => done.push(id),
            WorkerEvent::JobDropped(_, why) => assert_eq!(why, Dropped::Replaced),
            WorkerEvent::Failed(id, _, message, _) => panic!("{id}: {message}"),
            _ => {}
        }
    }
    assert!(done.len() < 25, "{done:?} were all run");
    ended.sort_unstable();
    assert_eq!(ended, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_job_without_a_photo_and_one_without_a_model_are_answered() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    worker.submit(job(1, None, "")).unwrap();
    while !matches!(wait(&worker), WorkerEvent::Done(1, None)) {}
    let mut bad = job(2, None, "");
    bad.plan.model = "/nowhere/gone.safetensors".parse().unwrap();
    worker.submit(bad).unwrap();
    while !matches!(wait(&worker), WorkerEvent::Failed(2, Fault::Model, _, None)) {}
}

fn batch(id: u64, photos: u64) -> BatchJob {
    let cat = || PhotoSource::File("assets/samples/cat.png".into());
    BatchJob {
        id,
        plan: job(0, None, "").plan,
        photos: (0..photos).map(|photo| (photo, cat(), None)).collect(),
        limits: Limits::default(),
    }
}

#[test]
fn each_batch_and_each_request_for_maps_is_answered_once() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    // Without photos a batch is done at once; replaced and cancelled ones say so.
    assert!(worker.batch(Some(batch(1, 0))));
    assert!(matches!(wait(&worker), WorkerEvent::BatchDone(1)));
    assert!(worker.batch(Some(batch(2, 1000))));
    assert!(worker.batch(Some(batch(3, 1000))));
    assert!(worker.batch(None));
    let mut ended = Vec::new();
    while ended.len() < 2 {
        if let WorkerEvent::BatchDropped(id, why) = wait(&worker) {
            ended.push((id, why));
        }
    }
    assert_eq!(ended, [(2, Dropped::Replaced), (3, Dropped::Cancelled)]);
    assert!(worker.batch(Some(batch(4, 2))));
    let mut predicted = 0;
    loop {
        match wait(&worker) {
            WorkerEvent::Predicted(4, _, Ok(_)) => predicted += 1,
            WorkerEvent::BatchDone(4) => break,
            _ => {}
        }
    }
    assert_eq!(predicted, 2);

    worker
        .submit(job(7, Some(7), "assets/samples/cat.png"))
        .unwrap();
    let shown = loop {
        if let WorkerEvent::Done(7, shown) = wait(&worker) {
            break shown.unwrap();
        }
    };
    let classes = shown.analysis.ranking[..2].to_vec();
    let of = |id, of| LayerJob {
        id,
        of,
        classes: classes.clone(),
        layers: vec![shown.analysis.model.default_layer],
    };
    // No maps for an answer that the worker never had; all maps for its own.
    assert!(worker.explain(of(1, 6)));
    let WorkerEvent::LayersDropped(1, 6, missing, Dropped::RunLost) = wait(&worker) else {
        panic!("the run is not there");
    };
    assert_eq!(missing, classes);
    assert!(worker.explain(of(2, 7)));
    for &class in &classes {
        let WorkerEvent::Layers(7, made, Ok(_)) = wait(&worker) else {
            panic!("the maps of a class");
        };
        assert_eq!(made, class);
    }
    assert!(matches!(wait(&worker), WorkerEvent::LayersDone(2)));
}

/// Every request is answered, even if the thread ends.
#[test]
fn a_thread_that_ends_answers_what_it_leaves() {
    let (sender, event) = mpsc::channel();
    let outbox = Outbox::new(sender, Arc::new(|| ()));
    let (requests, inbox) = mpsc::channel();
    let handle = thread::spawn(|| ());
    while !handle.is_finished() {
        thread::yield_now();
    }
    let mut worker = Worker {
        thread: Thread {
            requests,
            sent: Arc::default(),
            handle,
            outbox: outbox.clone(),
        },
        event,
        outbox,
    };
    let classes: Vec<ClassId> = ClassId::all(2).collect();
    let maps = LayerJob {
        id: 2,
        of: 1,
        classes: classes.clone(),
        layers: vec![LayerId::new(0)],
    };
    // Requests that wait in the inbox of a thread that ends.
    assert!(worker.send(job(1, None, "")));
    assert!(worker.explain(maps.clone()));
    assert!(worker.batch(Some(batch(3, 1))));
    drop(inbox);
    let told = |worker: &Worker, expected: &[ClassId]| {
        assert!(matches!(
            wait(worker),
            WorkerEvent::JobDropped(1, Dropped::Stopped)
        ));
        let WorkerEvent::LayersDropped(2, 1, missing, Dropped::Stopped) = wait(worker) else {
            panic!("the maps are dropped");
        };
        assert_eq!(missing, expected);
        let dropped = wait(worker);
        assert!(matches!(
            dropped,
            WorkerEvent::BatchDropped(3, Dropped::Stopped)
        ));
    };
    told(&worker, &classes);
    // Requests to a thread that has ended.
    assert!(!worker.send(job(1, None, "")));
    assert!(!worker.explain(maps));
    assert!(!worker.batch(Some(batch(3, 1))));
    told(&worker, &classes);
    // A thread that lost a request is about to end, even if it has not ended yet.
    assert!(worker.thread.outbox.has_lost_a_request());
    // The next job starts it again.
    assert!(worker.submit(job(4, None, "")).unwrap());
    while !matches!(wait(&worker), WorkerEvent::Done(4, None)) {}
}

/// A thread drops its requests before it ends: a job that comes meanwhile is for a new thread.
#[test]
fn a_thread_that_is_about_to_end_is_replaced_once() {
    let (sender, event) = mpsc::channel();
    let outbox = Outbox::new(sender, Arc::new(|| ()));
    let (requests, inbox) = mpsc::channel();
    let (_ends_with_the_test, lives) = mpsc::channel::<()>();
    let mut worker = Worker {
        thread: Thread {
            requests,
            sent: Arc::default(),
            handle: thread::spawn(move || lives.recv().unwrap_or_default()),
            outbox: outbox.for_new_thread(),
        },
        event,
        outbox,
    };
    assert!(worker.send(job(1, None, "")));
    drop(inbox);
    assert!(matches!(
        wait(&worker),
        WorkerEvent::JobDropped(1, Dropped::Stopped)
    ));
    assert!(!worker.thread.handle.is_finished());
    assert!(worker.submit(job(2, None, "")).unwrap());
    assert!(!worker.submit(job(3, None, "")).unwrap());
    while !matches!(wait(&worker), WorkerEvent::Done(3, None)) {}
}

#[test]
fn a_photo_that_fails_leaves_the_worker_well() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    worker.submit(job(1, Some(1), "/nowhere/x.png")).unwrap();
    let message = loop {
        if let WorkerEvent::Failed(1, Fault::Photo, message, None) = wait(&worker) {
            break message;
        }
    };
    assert!(message.contains("Can't read x.png"), "{message}");
    worker
        .submit(job(2, Some(2), "assets/samples/cat.png"))
        .unwrap();
    while !matches!(wait(&worker), WorkerEvent::Done(2, Some(_))) {}
}

/// Maps at all layers are computed when the worker is idle; a job comes first.
#[test]
fn a_new_job_comes_before_the_maps_of_the_last() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let cat = "assets/samples/cat.png";
    worker.submit(job(1, Some(7), cat)).unwrap();
    let shown = loop {
        if let WorkerEvent::Done(1, shown) = wait(&worker) {
            break shown.unwrap();
        }
    };
    let classes = shown.analysis.ranking[..3].to_vec();
    let request = |id, classes| LayerJob {
        id,
        of: 1,
        classes,
        layers: vec![shown.analysis.model.default_layer],
    };
    assert!(worker.explain(request(1, classes)));
    let WorkerEvent::Layers(1, class, Ok(maps)) = wait(&worker) else {
        panic!("the maps of the first class");
    };
    assert_eq!(class, shown.analysis.top());
    assert!(
        maps.get(shown.analysis.model.default_layer, Method::LayerCam.into())
            .is_some()
    );

    // No maps are computed for a replaced answer, and each request is reported as dropped: the rest
    // of the first one, and the second one.
    worker
        .submit(job(2, Some(8), "assets/samples/coffee.png"))
        .unwrap();
    assert!(worker.explain(request(2, vec![class])));
    let (mut done, mut made, mut dropped) = (false, 1, 0);
    loop {
        match wait(&worker) {
            WorkerEvent::Layers(_, late, _) => {
                assert!(!done && late != class, "a stale answer");
                made += 1;
            }
            WorkerEvent::LayersDropped(1, 1, rest, Dropped::Replaced) => dropped = rest.len(),
            WorkerEvent::LayersDropped(2, 1, rest, why) => {
                assert_eq!((rest, why), (vec![class], Dropped::RunLost));
                break;
            }
            WorkerEvent::Done(2, Some(_)) => done = true,
            _ => {}
        }
    }
    assert!(done);
    assert_eq!(made + dropped, 3, "each class has an answer");
}

/// After a panic the engine is lost: a batch loads its model again, and reports an error if that
/// fails.
#[test]
fn a_batch_after_a_panic_goes_on_or_says_why_not() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let bad = Job {
        source: Some(hollow()),
        ..job(1, Some(1), "")
    };
    worker.submit(bad).unwrap();
    while !matches!(wait(&worker), WorkerEvent::Failed(1, Fault::Run, _, None)) {}
    assert!(worker.batch(Some(batch(5, 1))));
    assert!(matches!(wait(&worker), WorkerEvent::Model(_)));
    assert!(matches!(wait(&worker), WorkerEvent::Predicted(5, 0, Ok(_))));
    assert!(matches!(wait(&worker), WorkerEvent::BatchDone(5)));
    let mut gone = batch(6, 1);
    gone.plan.model = "/nowhere/gone.safetensors".parse().unwrap();
    assert!(worker.batch(Some(gone)));
    let WorkerEvent::BatchFailed(6, message) = wait(&worker) else {
        panic!("an answer to the batch");
    };
    assert!(message.contains("gone.safetensors"), "{message}");
}

#[test]
fn a_batch_gives_what_opening_each_photo_gives_and_jobs_come_first() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let names = ["cat", "coffee", "nothing", "rocket"];
    let path = |name: &str| format!("assets/samples/{name}.png");
    let mut opened = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let number = number as u64;
        worker
            .submit(job(number, Some(number), &path(name)))
            .unwrap();
        opened.push(loop {
            match wait(&worker) {
                WorkerEvent::Done(_, shown) => break shown.map(|shown| shown.analysis),
                WorkerEvent::Failed(..) => break None,
                _ => {}
            }
        });
    }
    let photos = names.iter().enumerate();
    let photos =
        photos.map(|(number, name)| (number as u64, PhotoSource::File(path(name).into()), None));
    let batch = |id, photos| BatchJob {
        id,
        plan: job(0, None, "").plan,
        photos,
        limits: Limits::default(),
    };
    assert!(worker.batch(Some(batch(5, photos.collect()))));
    for (number, analysis) in opened.iter().enumerate() {
        let WorkerEvent::Predicted(5, photo, answer) = wait(&worker) else {
            panic!("in order, and nothing else");
        };
        assert_eq!(photo, number as u64);
        match (answer, analysis) {
            (Ok(found), Some(analysis)) => {
                assert_eq!(found.probabilities, analysis.probabilities);
                assert_eq!(found.top, analysis.top());
                assert_eq!(found.size, analysis.placement.photo);
            }
            (Err(message), None) => assert!(message.contains("Can't read nothing.png")),
            (answer, _) => panic!("{answer:?}"),
        }
    }

    // The answer of the last job can still be explained, and a new job does not wait for the end of
    // a batch.
    let many = (100..400).map(|number| (number, PhotoSource::File(path("cat").into()), None));
    assert!(worker.batch(Some(batch(6, many.collect()))));
    worker.submit(job(9, Some(9), &path("cat"))).unwrap();
    let mut before = 0;
    loop {
        match wait(&worker) {
            WorkerEvent::Predicted(6, ..) => before += 1,
            WorkerEvent::Done(9, _) => break,
            WorkerEvent::BatchDropped(..) => panic!("the job runs the network in the same way"),
            _ => {}
        }
    }
    assert!(before < 100, "{before} photos were classified first");
    // A job with another plan ends the batch, which is reported.
    let mut other = job(10, Some(9), &path("cat"));
    other.plan.framing = Framing::Squash;
    worker.submit(other).unwrap();
    let mut dropped = false;
    loop {
        match wait(&worker) {
            WorkerEvent::BatchDropped(6, Dropped::OtherPlan) => dropped = true,
            WorkerEvent::Predicted(..) => assert!(!dropped, "it goes on"),
            WorkerEvent::Done(10, _) => break,
            _ => {}
        }
    }
    assert!(dropped);
    assert!(worker.batch(None));
}

/// A photo without the pixels that its size promises: everything that reads it panics.
fn hollow() -> PhotoSource {
    PhotoSource::Pixels(Arc::new(crate::input::photo::Photo {
        name: "hollow".into(),
        path: None,
        width: 100,
        height: 100,
        rgb: Vec::new(),
        had_alpha: false,
        tones: None,
        notices: Vec::new(),
    }))
}

#[test]
fn a_panic_is_told_and_the_worker_goes_on() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let bad = Job {
        source: Some(hollow()),
        ..job(1, Some(1), "")
    };
    worker.submit(bad).unwrap();
    let message = loop {
        if let WorkerEvent::Failed(1, Fault::Run, message, None) = wait(&worker) {
            break message;
        }
    };
    assert!(message.contains("Internal error"), "{message}");
    let cat = "assets/samples/cat.png";
    assert!(!worker.submit(job(2, Some(2), cat)).unwrap(), "still alive");
    while !matches!(wait(&worker), WorkerEvent::Done(2, Some(_))) {}
    // The same in a batch, and the next photo is still classified.
    assert!(worker.batch(Some(BatchJob {
        id: 5,
        plan: job(0, None, "").plan,
        photos: vec![
            (1, hollow(), None),
            (2, PhotoSource::File(cat.into()), None)
        ],
        limits: Limits::default(),
    })));
    let WorkerEvent::Predicted(5, 1, Err(message)) = wait(&worker) else {
        panic!("an answer to the first");
    };
    assert!(message.contains("Internal error"), "{message}");
    assert!(matches!(wait(&worker), WorkerEvent::Predicted(5, 2, Ok(_))));
}
