use super::*;
use crate::app::state::settings::{ClassOrder, Side};
use crate::explain::engine::Engine;
use crate::input::photo::Photo;
use crate::model::Scores;
use crate::model::device::DeviceChoice;
use crate::render::heatmap::Scaling;
use crate::render::rendered_map::{RenderedMap, Rendering};
use crate::report::export::{Located, Manifest};
use crate::worker::{Answer, Dropped, PhotoSource, Prediction};
use std::sync::Arc;

fn file(name: &str) -> PhotoSource {
    PhotoSource::File(format!("assets/samples/{name}.png").into())
}

fn path(name: &str) -> ModelChoice {
    name.parse().unwrap()
}

fn running(engine: &Engine) -> RunningModel {
    RunningModel {
        info: engine.model().clone(),
        choice: ModelChoice::BuiltIn,
        asked_labels: None,
        asked_device: DeviceChoice::Cpu,
        device: engine.device(),
        notices: Vec::new(),
    }
}

/// Answers a job as the worker would.
fn answer(engine: &mut Engine, job: &Job) -> WorkerEvent {
    let photo = Photo::from_rgb("gray", 64, 64, vec![128; 3 * 64 * 64]);
    let analysis = engine.analyze(&photo, job.plan.framing).unwrap();
    let shown = Answer {
        job: job.id,
        plan: job.plan.clone(),
        photo: Arc::new(photo),
        overview: None,
        analysis: Arc::new(analysis),
    };
    WorkerEvent::Done(job.id, Some(shown))
}

fn start() -> (State, Engine) {
    let engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let settings = Settings {
        model: ModelChoice::BuiltIn,
        device: DeviceChoice::Cpu,
        ..Settings::default()
    };
    let mut state = State::new(settings);
    let first = state.next_job().unwrap();
    assert!(first.source.is_none());
    state.apply_event(WorkerEvent::Model(running(&engine)));
    state.apply_event(WorkerEvent::Done(first.id, None));
    (state, engine)
}

#[test]
fn a_stale_answer_changes_nothing() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let first = state.next_job().unwrap();
    state.open(vec![file("coffee")]);
    let second = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &first));
    assert!(state.latest.shown().is_none());
    state.apply_event(answer(&mut engine, &second));
    assert_eq!(state.latest.shown().unwrap().plan, second.plan);
    state.apply_event(WorkerEvent::Failed(
        first.id,
        Fault::Photo,
        "too late".into(),
        None,
    ));
    state.apply_event(answer(&mut engine, &first));
    assert_eq!(state.latest.shown().unwrap().plan, second.plan);
    assert!(state.error.is_none());
}

#[test]
fn the_same_question_is_asked_once_and_looks_ask_nothing() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    assert!(state.next_job().is_none());
    state.apply_event(answer(&mut engine, &job));
    state.settings.display_options.scaling = crate::render::heatmap::Scaling::MinMax;
    state.settings.view = state.settings.view.flipped();
    state.choose_class(ClassId::all(9).last().unwrap());
    assert!(state.next_job().is_none());
    state.settings.framing = Framing::Crop;
    assert_eq!(state.next_job().unwrap().plan.framing, Framing::Crop);
}

#[test]
fn a_photo_that_fails_leaves_the_old_one_on_screen() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    state.open(vec![PhotoSource::File("bad.png".into())]);
    let bad = state.next_job().unwrap();
    assert_eq!(state.latest.shown().unwrap().plan, good.plan);
    state.apply_event(WorkerEvent::Failed(
        bad.id,
        Fault::Photo,
        "Can't read bad.png".into(),
        Some(good.id),
    ));
    assert_eq!(state.latest.shown().unwrap().plan, good.plan);
    assert_eq!(state.current, good.plan.photo);
    assert_eq!(state.error.as_deref(), Some("Can't read bad.png"));
    assert!(state.next_job().is_none(), "nothing is requested again");
}

#[test]
fn a_first_photo_that_fails_leaves_the_start_screen() {
    let (mut state, _) = start();
    state.open(vec![PhotoSource::File("bad.png".into())]);
    let bad = state.next_job().unwrap();
    state.apply_event(WorkerEvent::Failed(bad.id, Fault::Photo, "no".into(), None));
    assert!(state.current.is_none() && state.latest.shown().is_none());
    assert!(state.next_job().is_none());
}

#[test]
fn a_model_that_fails_leaves_the_running_one() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    state.use_model(path("broken.safetensors"));
    let bad = state.next_job().unwrap();
    state.apply_event(WorkerEvent::Failed(
        bad.id,
        Fault::Model,
        "no".into(),
        Some(good.id),
    ));
    assert_eq!(state.settings.model, ModelChoice::BuiltIn);
    assert!(state.next_job().is_none());
    assert!(state.error.is_some() && state.latest.shown().is_some());
}

/// A model brings its own class names and preprocessing. If it is rejected, so are they.
#[test]
fn a_model_that_fails_leaves_preprocessing_names_and_class_alone() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    state.settings.preprocess = PreprocessChoice::Preset(Preset::Half);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    let analysis = state.latest.shown().unwrap().analysis.clone();
    state.choose_class(analysis.ranking[3]);
    let settings = state.settings.clone();
    for (fault, run) in [
        (Fault::Model, Some(good.id)),
        (Fault::Run, Some(good.id)),
        (Fault::Run, None),
    ] {
        state.use_model(path("refused.pth"));
        let bad = state.next_job().unwrap();
        assert_eq!(bad.plan.preprocess, PreprocessChoice::Model);
        if fault == Fault::Run {
            state.apply_event(WorkerEvent::Model(RunningModel {
                choice: bad.plan.model.clone(),
                ..running(&engine)
            }));
        }
        state.apply_event(WorkerEvent::Failed(bad.id, fault, "no".into(), run));
        assert_eq!(state.settings, settings, "{fault:?}");
        assert_eq!(state.class_in(&analysis), analysis.ranking[3]);
        // The run on screen is repeated only if the worker no longer has it.
        let again = state.next_job();
        assert_eq!(
            again.as_ref().map(|job| &job.plan),
            run.is_none().then_some(&good.plan)
        );
    }
}

/// A model and a photo were opened together, and only the photo can't be read.
#[test]
fn a_model_stays_when_only_the_photo_fails() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    state.use_model(path("other.pth"));
    state.open(vec![file("no-such-photo")]);
    let bad = state.next_job().unwrap();
    state.apply_event(WorkerEvent::Failed(bad.id, Fault::Photo, "no".into(), None));
    let next = state.next_job().unwrap().plan;
    assert_eq!(
        (next.photo, next.model),
        (good.plan.photo, path("other.pth"))
    );
}

#[test]
fn a_first_model_that_fails_is_replaced_by_the_automatic_one() {
    let mut state = State::new(Settings {
        model: path("gone.pth"),
        labels: Some("gone.txt".into()),
        ..Settings::default()
    });
    let job = state.next_job().unwrap();
    state.apply_event(WorkerEvent::Failed(job.id, Fault::Model, "no".into(), None));
    let job = state.next_job().unwrap();
    assert_eq!(
        (&job.plan.model, &job.plan.labels),
        (&path("gone.pth"), &None)
    );
    state.apply_event(WorkerEvent::Failed(job.id, Fault::Model, "no".into(), None));
    assert_eq!(state.next_job().unwrap().plan.model, ModelChoice::Auto);
    assert!(state.error.is_some());
}

#[test]
fn the_next_photo_starts_with_its_top_class_unless_one_is_kept() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let analysis = state.latest.shown().unwrap().analysis.clone();
    assert_eq!(state.class_in(&analysis), analysis.top());
    state.step_class(1);
    assert_eq!(state.class_in(&analysis), analysis.ranking[1]);
    state.search = "tiger cat".into();
    state.step_class(1);
    let chosen = state.class_in(&analysis);
    assert_eq!(analysis.model.labels.name(chosen), "tiger cat");
    state.contrast_class = Some(analysis.top());

    // The same photo is run again, and the class stays.
    state.settings.framing = Framing::Crop;
    let mut run = |state: &mut State| {
        let job = state.next_job().unwrap();
        state.apply_event(answer(&mut engine, &job));
        state.latest.shown().unwrap().analysis.clone()
    };
    run(&mut state);
    assert_eq!(state.class, ClassChoice::Chosen(chosen));
    assert_eq!(state.contrast_class, Some(analysis.top()));

    // Another photo starts with its top class, and without a contrast class.
    state.open(vec![file("coffee")]);
    assert_eq!(
        state.class,
        ClassChoice::Chosen(chosen),
        "of what is on screen"
    );
    let next = run(&mut state);
    assert_eq!(
        (state.class_in(&next), state.contrast_class),
        (next.top(), None)
    );

    // A kept class stays, and one step leads back to the top class.
    state.choose_class(chosen);
    state.keep_class(true);
    state.open(vec![file("rocket")]);
    let next = run(&mut state);
    assert_eq!(state.class_in(&next), chosen);
    state.explain_top();
    assert_eq!(state.class, ClassChoice::Top);
    // When it is no longer kept, it is still used for the photo on screen.
    state.choose_class(chosen);
    state.keep_class(true);
    state.keep_class(false);
    assert_eq!(state.class, ClassChoice::Chosen(chosen));
}

#[test]
fn the_table_is_sorted_as_asked() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let analysis = state.latest.shown().unwrap().analysis.clone();
    assert_eq!(state.listed_classes(&analysis), analysis.ranking);
    state.settings.order = ClassOrder::Score(false);
    assert_eq!(state.listed_classes(&analysis)[999], analysis.top());
    state.settings.order = ClassOrder::Name(true);
    let first = state.listed_classes(&analysis)[0];
    assert_eq!(analysis.model.labels.name(first), "abacus");
    state.search = "retriever".into();
    assert_eq!(state.listed_classes(&analysis).len(), 5);
}

#[test]
fn photos_are_stepped_through_to_the_ends() {
    let (mut state, _) = start();
    let ids = state.open(vec![file("cat"), file("coffee")]);
    assert_eq!(state.current, Some(ids[0]));
    state.step_photo(1);
    state.step_photo(1);
    assert_eq!(state.current, Some(ids[1]));
    state.step_photo(-1);
    state.step_photo(-1);
    assert_eq!(state.current, Some(ids[0]));
}

#[test]
fn why_not_is_the_difference_of_two_maps() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let analysis = state.latest.shown().unwrap().analysis.clone();
    let (top, second) = (analysis.top(), analysis.ranking[1]);
    state.contrast_class = Some(top);
    let map_spec = state.map_spec(Side::Left, &analysis);
    assert_eq!(
        map_spec.contrast_class, None,
        "a class is not compared with itself"
    );
    assert!(!state.shows_difference());

    state.contrast_class = Some(second);
    let map_spec = state.map_spec(Side::Left, &analysis);
    assert_eq!(
        (map_spec.class, map_spec.contrast_class),
        (top, Some(second))
    );
    assert_eq!(state.scaling(map_spec), Scaling::Signed);
    assert!(state.shows_difference());
    let sum = state.map(&analysis, map_spec).unwrap().sum();
    let logits = analysis.logit(top) - analysis.logit(second);
    let biases = analysis.bias(top).unwrap() - analysis.bias(second).unwrap();
    assert!((sum - (logits - biases)).abs() < 1e-4, "{sum}");
}

/// A prediction of one of the first three classes.
fn prediction(logits: [f32; 3]) -> Prediction {
    Prediction::new((640, 480), logits.to_vec(), Scores::Softmax)
}

#[test]
fn photos_are_classified_sorted_and_filtered() {
    let (mut state, mut engine) = start();
    let ids = state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    assert!(
        state.next_batch().is_none(),
        "one photo is on screen anyway"
    );
    let more = state.open(vec![file("coffee"), file("rocket"), file("astronaut")]);
    let job = state.next_job().unwrap();
    assert!(state.next_batch().is_none(), "the job comes first");
    state.apply_event(answer(&mut engine, &job));
    let batch = state.next_batch().unwrap();
    assert_eq!(batch.photos.len(), 4);
    assert!(state.next_batch().is_none(), "requested once");

    let ids = [ids[0], more[0], more[1], more[2]];
    let answers = [
        Ok(prediction([3.0, 0.0, 0.0])),
        Ok(prediction([0.0, 9.0, 0.0])),
        Ok(prediction([5.0, 0.0, 0.0])),
        Err("damaged".into()),
    ];
    for (id, answer) in ids.into_iter().zip(answers) {
        state.apply_event(WorkerEvent::Predicted(batch.id, id, answer));
    }
    state.apply_event(WorkerEvent::Predicted(
        batch.id + 7,
        ids[0],
        Err("stale".into()),
    ));
    let order = |state: &mut State, order| {
        state.sort_photos(order);
        state.arrange();
        state.arrangement.order.clone()
    };
    assert_eq!(order(&mut state, PhotoOrder::Opened), [0, 1, 2, 3]);
    assert_eq!(order(&mut state, PhotoOrder::Name), [3, 0, 1, 2]);
    assert_eq!(order(&mut state, PhotoOrder::Confidence), [1, 2, 0, 3]);
    assert_eq!(order(&mut state, PhotoOrder::Doubt), [0, 2, 1, 3]);
    let classes: Vec<ClassId> = ClassId::all(3).collect();
    state.choose_class(classes[0]);
    assert_eq!(order(&mut state, PhotoOrder::Class), [2, 0, 1, 3]);
    assert_eq!(state.arrangement.tops, [(classes[0], 2), (classes[1], 1)]);

    // Stepping follows the order of the photos in view.
    state.filter = Some(classes[0]);
    assert_eq!(order(&mut state, PhotoOrder::Confidence), [2, 0]);
    state.show(ids[1]);
    state.step_photo(1);
    assert_eq!(state.current, Some(ids[2]));
    state.step_photo(1);
    assert_eq!(state.current, Some(ids[0]));

    // Another framing needs new predictions.
    state.filter = None;
    state.settings.framing = Framing::Crop;
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    assert_eq!(state.next_batch().unwrap().photos.len(), 4);
    assert!(state.batch.is_empty());
}

#[test]
fn a_stopped_batch_goes_on_where_it_was() {
    let (mut state, mut engine) = start();
    let ids = state.open(vec![file("cat"), file("coffee")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let batch = state.next_batch().unwrap();
    let first = prediction([1.0, 0.0, 0.0]);
    state.apply_event(WorkerEvent::Predicted(batch.id, ids[0], Ok(first)));
    let progress = state.batch.progress(2).unwrap();
    assert_eq!((progress.done, progress.total), (1, 2));
    assert!(progress.left.is_some());
    state.batch.stop();
    assert!(state.next_batch().is_none() && state.batch.progress(2).is_none());
    state.batch.resume();
    let rest = state.next_batch().unwrap().photos;
    let rest: Vec<u64> = rest.iter().map(|(id, ..)| *id).collect();
    assert_eq!(rest, [ids[1]]);
}

/// Another window is another input for the network: that photo is run and classified again.
#[test]
fn a_window_belongs_to_its_photo() {
    let (mut state, mut engine) = start();
    let ids = state.open(vec![file("cat"), file("coffee")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let batch = state.next_batch().unwrap();
    for id in &ids {
        let found = prediction([1.0, 0.0, 0.0]);
        state.apply_event(WorkerEvent::Predicted(batch.id, *id, Ok(found)));
    }
    let window = WindowLevel::new(40.0, 400.0);
    state.set_window(ids[0], window);
    let job = state.next_job().unwrap();
    assert_eq!((job.plan.photo, job.plan.window), (Some(ids[0]), window));
    state.apply_event(answer(&mut engine, &job));
    let again = state.next_batch().unwrap();
    assert!(again.id != batch.id && again.plan.window.is_none());
    let photos = again.photos.iter().map(|(id, _, window)| (*id, *window));
    assert_eq!(photos.collect::<Vec<_>>(), [(ids[0], window)]);
    // What the old batch still says about it is not taken.
    let found = prediction([0.0, 1.0, 0.0]);
    state.apply_event(WorkerEvent::Predicted(batch.id, ids[0], Ok(found)));
    assert!(state.batch.get(ids[0]).is_none() && state.batch.get(ids[1]).is_some());
    state.show(ids[1]);
    assert_eq!(state.next_job().unwrap().plan.window, None);
}

/// Large probabilities are the same number: the logits tell which class is the first.
#[test]
fn saturated_scores_are_ranked_by_logit() {
    let found = Prediction::new((1, 1), vec![30.0, 40.0, 35.0], Scores::Sigmoid);
    assert_eq!((found.top.index(), found.probability(found.top)), (1, 1.0));
}

#[test]
fn the_table_has_a_row_for_each_photo_in_view() {
    let (mut state, mut engine) = start();
    let ids = state.open(vec![file("cat"), file("coffee"), file("rocket")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let batch = state.next_batch().unwrap();
    let found = prediction([0.0, 2.0, 0.0]);
    state.apply_event(WorkerEvent::Predicted(batch.id, ids[0], Ok(found)));
    let fault = "Can't read it: \"odd\", cut short".to_owned();
    state.apply_event(WorkerEvent::Predicted(batch.id, ids[1], Err(fault.clone())));
    state.arrange();
    let table = state.table().unwrap();
    let mut reader = csv::Reader::from_reader(&table[..]);
    assert_eq!(reader.headers().unwrap().len(), 21);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 3);
    // The table does not reveal the folders of the photos.
    let files: Vec<&str> = rows.iter().map(|row| &row[0]).collect();
    assert_eq!(files, ["cat.png", "coffee.png", "rocket.png"]);
    assert_eq!((&rows[0][1], &rows[0][2], &rows[0][3]), ("640", "480", "1"));
    let probability: f32 = rows[0][5].parse().unwrap();
    let softmax = Scores::Softmax.of(&[0.0, 2.0, 0.0]);
    assert!((probability - softmax[1]).abs() < 1e-7);
    assert_eq!(&rows[0][19], "softmax");
    assert_eq!(&rows[1][20], fault);
    assert!(rows[2].iter().skip(1).all(str::is_empty));
}

/// The worker no longer has the run on screen: the controls return to it, and it is run again.
#[test]
fn a_run_that_fails_brings_the_last_one_back() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    state.use_model(path("overflows.safetensors"));
    let bad = state.next_job().unwrap();
    state.apply_event(WorkerEvent::Failed(bad.id, Fault::Run, "no".into(), None));
    assert_eq!(state.settings.model, ModelChoice::BuiltIn);
    let again = state.next_job().unwrap();
    assert_eq!(again.plan, good.plan);
    // If that fails as well, neither it nor its maps are requested endlessly.
    state.apply_event(WorkerEvent::Failed(again.id, Fault::Run, "no".into(), None));
    assert!(state.next_job().is_none());
    assert_eq!(state.latest.shown().unwrap().plan, good.plan);
    assert_eq!(state.layers.fault(), Some("no"));
}

/// A batch or a GPU failure made the worker lose the run on screen, which maps at earlier layers
/// need.
#[test]
fn a_run_that_was_lost_is_run_again_when_its_maps_are_wanted() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let classes = [state.latest.shown().unwrap().analysis.top()];
    let request = state.layers.next_job(&classes, &[]).unwrap();
    let dropped = |of, why| WorkerEvent::LayersDropped(request.id, of, classes.to_vec(), why);
    state.apply_event(dropped(job.id + 1, Dropped::RunLost));
    state.apply_event(dropped(job.id, Dropped::Replaced));
    assert!(state.next_job().is_none());
    assert!(
        state.layers.next_job(&classes, &[]).is_some(),
        "requested again"
    );
    let request = state
        .layers
        .next_job(&[classes[0], ClassId::all(2).last().unwrap()], &[]);
    let request = request.unwrap();
    let lost = WorkerEvent::LayersDropped(request.id, job.id, request.classes, Dropped::RunLost);
    state.apply_event(lost);
    let again = state.next_job().unwrap();
    assert_eq!(again.plan, job.plan);
    state.apply_event(answer(&mut engine, &again));
    assert!(state.next_job().is_none());
}

#[test]
fn a_batch_that_fails_is_said_and_stops() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat"), file("coffee")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let batch = state.next_batch().unwrap();
    state.apply_event(WorkerEvent::BatchFailed(batch.id + 1, "another".into()));
    assert!(state.batch.progress(2).is_some() && state.error.is_none());
    // A dropped batch is requested again when the worker is idle, unless the user cancelled it or
    // a newer request replaced it.
    state.apply_event(WorkerEvent::BatchDropped(batch.id + 1, Dropped::OtherPlan));
    state.apply_event(WorkerEvent::BatchDropped(batch.id, Dropped::Cancelled));
    state.apply_event(WorkerEvent::BatchDropped(batch.id, Dropped::Replaced));
    assert!(state.next_batch().is_none());
    state.apply_event(WorkerEvent::BatchDropped(batch.id, Dropped::OtherPlan));
    assert_eq!(state.next_batch().unwrap().photos.len(), 2);
    state.apply_event(WorkerEvent::BatchFailed(batch.id, "no model".into()));
    assert!(state.batch.progress(2).is_none() && state.batch.is_stopped());
    assert_eq!(state.error.as_deref(), Some("no model"));
}

/// A thread that ends is an error on screen, and the job is requested again.
#[test]
fn a_job_that_was_dropped_is_not_waited_for() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let first = state.next_job().unwrap();
    state.apply_event(WorkerEvent::JobDropped(first.id, Dropped::Replaced));
    let second = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &second));
    assert!(state.next_job().is_none());
    state.settings.framing = crate::input::framing::Framing::Squash;
    let third = state.next_job().unwrap();
    state.apply_event(WorkerEvent::JobDropped(second.id, Dropped::Stopped));
    assert!(state.error.is_none(), "an old job");
    state.apply_event(WorkerEvent::JobDropped(third.id, Dropped::Stopped));
    assert!(state.error.is_some());
    // The worker has lost the run of what is on screen.
    let again = state.next_job().unwrap();
    assert_eq!(again.plan, second.plan);
}

/// A late answer, which the window ignored, has replaced the run on screen in the worker.
#[test]
fn a_run_that_was_replaced_unseen_is_run_anew() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let good = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &good));
    state.open(vec![file("coffee")]);
    let late = state.next_job().unwrap();
    for fault in [Fault::Photo, Fault::Model, Fault::Run] {
        match fault {
            Fault::Photo => _ = state.open(vec![PhotoSource::File("bad.png".into())]),
            Fault::Model | Fault::Run => state.use_model(path("bad.pth")),
        }
        let bad = state.next_job().unwrap();
        state.apply_event(answer(&mut engine, &late));
        state.apply_event(WorkerEvent::Failed(
            bad.id,
            fault,
            "no".into(),
            Some(late.id),
        ));
        let again = state.next_job().unwrap();
        assert_eq!(again.plan, good.plan);
        state.apply_event(answer(&mut engine, &again));
        assert!(state.next_job().is_none());
    }
}

/// The manifest of what is on screen, with two maps.
fn manifest(state: &State) -> Manifest {
    let shown = state.latest.shown().unwrap();
    let analysis = &shown.analysis;
    let panes = Side::BOTH.map(|side| {
        let map_spec = state.map_spec(side, analysis);
        let scaling = state.scaling(map_spec);
        let map = state.map(analysis, map_spec).unwrap();
        let how = Rendering {
            scaling,
            range: None,
            display_options: &state.settings.display_options,
            placement: &analysis.placement,
            grid: analysis.placement.photo,
        };
        crate::report::export::MapView {
            rendered: RenderedMap::new(map, &how),
            class: map_spec.class,
            contrast_class: map_spec.contrast_class,
        }
    });
    let scene = crate::report::export::ExportScene {
        photo: shown.photo.clone(),
        analysis: analysis.clone(),
        model: shown.plan.model.clone(),
        labels: None,
        panes: panes.to_vec(),
        display_options: state.settings.display_options,
        regions: Vec::new(),
    };
    Manifest::new(&scene, "/nowhere".as_ref(), None)
}

fn restore(state: &mut State, manifest: &Manifest) {
    let located = Located {
        photo: "assets/samples/cat.png".into(),
        model: manifest.model.choice.clone(),
        labels: None,
    };
    state.restore(manifest.clone(), located);
}

/// Until the answer to a manifest is available, the controls describe what is on screen. A failure
/// and actions of the user do not change that.
#[test]
fn a_manifest_changes_nothing_before_its_answer() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    state.settings.framing = Framing::Crop;
    state.settings.display_options.scaling = Scaling::Signed;
    let first = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &first));
    let second = state.latest.shown().unwrap().analysis.ranking[1];
    state.choose_class(second);
    let manifest = manifest(&state);

    state.settings.framing = Framing::Squash;
    state.settings.display_options.scaling = Scaling::Max;
    state.open(vec![file("coffee")]);
    let now = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &now));
    let before = state.settings.clone();
    for fault in [Fault::Model, Fault::Photo, Fault::Run] {
        restore(&mut state, &manifest);
        let job = state.next_job().unwrap();
        assert_eq!(job.plan.framing, Framing::Crop);
        assert!(matches!(job.plan.preprocess, PreprocessChoice::Custom(_)));
        assert_eq!(state.settings, before);
        state.apply_event(WorkerEvent::Failed(
            job.id,
            fault,
            "no".into(),
            Some(now.id),
        ));
        assert_eq!(state.settings, before, "{fault:?}");
        assert_eq!(state.wanted(), now.plan, "{fault:?}");
        assert!(state.next_job().is_none(), "{fault:?}");
    }

    // A newer request: the manifest is cancelled.
    restore(&mut state, &manifest);
    state.next_job().unwrap();
    state.open(vec![file("rocket")]);
    let newer = state.next_job().unwrap();
    assert_eq!(newer.plan.framing, Framing::Squash);
    state.apply_event(answer(&mut engine, &newer));
    assert_eq!((&state.settings, state.class), (&before, ClassChoice::Top));

    // Its answer restores everything.
    restore(&mut state, &manifest);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let restored = &state.settings;
    assert_eq!(
        (restored.framing, restored.display_options.scaling),
        (Framing::Crop, Scaling::Signed)
    );
    assert_eq!(state.class, ClassChoice::Chosen(second));
    assert!(
        state.next_job().is_none(),
        "the controls describe the last run"
    );
    assert!(
        state
            .info
            .as_deref()
            .unwrap()
            .contains("2 maps, the same to the bit")
    );
}

/// A class that an export had pinned belongs to its photo.
#[test]
fn what_an_export_pinned_ends_with_its_photo() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let first = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &first));
    let ranking = state.latest.shown().unwrap().analysis.ranking.clone();
    state.choose_class(ranking[1]);
    state.pinned[1] = Some(ranking[2]);
    let manifest = manifest(&state);
    state.pinned[1] = None;
    restore(&mut state, &manifest);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    assert_eq!(state.pinned, [None, Some(ranking[2])]);
    state.open(vec![file("coffee")]);
    let next = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &next));
    assert_eq!((state.pinned, state.class), ([None; 2], ClassChoice::Top));
}

/// A photo and a model were opened together in an empty window, and only the model is rejected.
#[test]
fn a_first_photo_runs_although_its_model_or_names_are_refused() {
    for names in [false, true] {
        let (mut state, mut engine) = start();
        if names {
            state.use_labels(Some("bad.txt".into()));
        } else {
            state.use_model(path("bad.pth"));
        }
        state.open(vec![file("cat")]);
        let bad = state.next_job().unwrap();
        state.apply_event(WorkerEvent::Failed(bad.id, Fault::Model, "no".into(), None));
        let good = state.next_job().unwrap();
        assert_eq!(good.plan.photo, bad.plan.photo);
        let wanted = (&good.plan.model, &good.plan.labels);
        assert_eq!(wanted, (&ModelChoice::BuiltIn, &None));
        state.apply_event(answer(&mut engine, &good));
        assert!(state.next_job().is_none() && state.latest.shown().is_some());
    }
}

/// The class pinned to a pane is unpinned only in that pane.
#[test]
fn the_way_back_in_a_pinned_pane_leaves_the_other_alone() {
    let (mut state, mut engine) = start();
    state.open(vec![file("cat")]);
    let job = state.next_job().unwrap();
    state.apply_event(answer(&mut engine, &job));
    let analysis = state.latest.shown().unwrap().analysis.clone();
    let [top, second, third] = [0, 1, 2].map(|place| analysis.ranking[place]);
    let classes = |state: &State| Side::BOTH.map(|side| state.map_spec(side, &analysis).class);
    state.choose_class(second);
    state.keep_class(true);
    state.pinned[1] = Some(third);
    state.explain_top_in(Side::Right);
    assert_eq!(classes(&state), [second, top]);
    assert_eq!(state.class, ClassChoice::Kept(second));
    state.explain_top_in(Side::Left);
    assert_eq!(classes(&state), [top, top]);
    state.pinned[1] = Some(third);
    state.explain_top_in(Side::Right);
    assert_eq!((classes(&state), state.pinned), ([top, top], [None; 2]));
}
