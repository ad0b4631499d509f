use super::*;
use crate::explain::analysis::Layer;
use crate::explain::cam::Method;
use crate::input::framing::Framing;
use crate::input::photo::Limits;
use crate::model::ModelChoice;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::PreprocessChoice;
use std::time::Duration;

fn job(id: u64, photo: Option<u64>, path: &str) -> Job {
    Job {
        id,
        plan: Plan {
            photo,
            model: ModelChoice::BuiltIn,
            labels: None,
            preprocess: PreprocessChoice::Model,
            device: DeviceChoice::Cpu,
            framing: Framing::Whole,
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

#[test]
fn the_newest_job_wins() {
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
    let mut done = Vec::new();
    while done.last() != Some(&49) {
        if let WorkerEvent::Done(id, _) = wait(&worker) {
            done.push(id);
        }
    }
    assert!(done.len() < 25, "{done:?} were all run");
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

/// Maps at all layers are work for idle moments: a job comes first.
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
    let request = |id, classes| LayerJob { id, of: 1, classes };
    assert!(worker.explain(request(1, classes)));
    let WorkerEvent::Layers(1, class, Ok(maps)) = wait(&worker) else {
        panic!("the maps of the first class");
    };
    assert_eq!(class, shown.analysis.top());
    assert!(maps.get(Layer::Last, Method::LayerCam.into()).is_some());

    // Of an answer that is gone nothing is made, and whoever asked is told: of the rest of the
    // first request, and of the second.
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

/// After a panic the engine is gone: a survey loads its model anew, and one whose model can't be
/// loaded says so.
#[test]
fn a_survey_after_a_panic_goes_on_or_says_why_not() {
    let mut worker = Worker::start(Arc::new(|| ())).unwrap();
    let bad = Job {
        source: Some(hollow()),
        ..job(1, Some(1), "")
    };
    worker.submit(bad).unwrap();
    while !matches!(wait(&worker), WorkerEvent::Failed(1, Fault::Run, _, None)) {}
    let batch = |id, model| BatchJob {
        id,
        plan: Plan {
            model,
            ..job(0, None, "").plan
        },
        photos: vec![(2, PhotoSource::File("assets/samples/cat.png".into()))],
        limits: Limits::default(),
    };
    assert!(worker.batch(Some(batch(5, ModelChoice::BuiltIn))));
    assert!(matches!(wait(&worker), WorkerEvent::Model(_)));
    assert!(matches!(wait(&worker), WorkerEvent::Predicted(5, 2, Ok(_))));
    let gone: ModelChoice = "/nowhere/gone.safetensors".parse().unwrap();
    assert!(worker.batch(Some(batch(6, gone))));
    let WorkerEvent::BatchFailed(6, message) = wait(&worker) else {
        panic!("an answer to the survey");
    };
    assert!(message.contains("gone.safetensors"), "{message}");
}

#[test]
fn a_survey_gives_what_opening_each_photo_gives_and_jobs_come_first() {
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
    let photos = photos.map(|(number, name)| (number as u64, PhotoSource::File(path(name).into())));
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

    // The answer of the last job can still be explained, and a new job does not wait for
    // the end of a survey.
    let many = (100..400).map(|number| (number, PhotoSource::File(path("cat").into())));
    assert!(worker.batch(Some(batch(6, many.collect()))));
    worker.submit(job(9, Some(9), &path("cat"))).unwrap();
    let mut before = 0;
    loop {
        match wait(&worker) {
            WorkerEvent::Predicted(6, ..) => before += 1,
            WorkerEvent::Done(9, _) => break,
            WorkerEvent::BatchDropped(_) => panic!("the job runs the network in the same way"),
            _ => {}
        }
    }
    assert!(before < 100, "{before} photos were classified first");
    // A job that runs it in another way ends the survey, which is told.
    let mut other = job(10, Some(9), &path("cat"));
    other.plan.framing = Framing::Squash;
    worker.submit(other).unwrap();
    let mut dropped = false;
    loop {
        match wait(&worker) {
            WorkerEvent::BatchDropped(6) => dropped = true,
            WorkerEvent::Predicted(..) => assert!(!dropped, "it goes on"),
            WorkerEvent::Done(10, _) => break,
            _ => {}
        }
    }
    assert!(dropped);
    assert!(worker.batch(None));
}

/// A photo that has none of the pixels that it says it has: everything that reads it panics.
fn hollow() -> PhotoSource {
    PhotoSource::Pixels(Arc::new(crate::input::photo::Photo {
        name: "hollow".into(),
        path: None,
        width: 100,
        height: 100,
        rgb: Vec::new(),
        had_alpha: false,
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
    assert!(message.contains("camlens made a mistake"), "{message}");
    let cat = "assets/samples/cat.png";
    assert!(!worker.submit(job(2, Some(2), cat)).unwrap(), "still alive");
    while !matches!(wait(&worker), WorkerEvent::Done(2, Some(_))) {}
    // In a survey, too, and the next photo comes all the same.
    assert!(worker.batch(Some(BatchJob {
        id: 5,
        plan: job(0, None, "").plan,
        photos: vec![(1, hollow()), (2, PhotoSource::File(cat.into()))],
        limits: Limits::default(),
    })));
    let WorkerEvent::Predicted(5, 1, Err(message)) = wait(&worker) else {
        panic!("an answer to the first");
    };
    assert!(message.contains("camlens made a mistake"), "{message}");
    assert!(matches!(wait(&worker), WorkerEvent::Predicted(5, 2, Ok(_))));
}
