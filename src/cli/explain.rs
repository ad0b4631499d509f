//! `camlens explain`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{anyhow, bail};

use crate::cli::{ExplainArgs, LineKind, Preprocess, Preset, Sides};
use crate::explain::analysis::Analysis;
use crate::explain::cam;
use crate::explain::cam::{Map, Method, Recipe, Variant};
use crate::explain::engine::Engine;
use crate::explain::region::MOST_REGIONS;
use crate::input::framing::{Framing, InputSize};
use crate::input::photo::{Limits, Photo};
use crate::labels::ClassId;
use crate::model::cpu::Precision;
use crate::model::preprocessing::{ChannelOrder, PreprocessChoice, Preprocessing};
use crate::model::target_layer::LayerId;
use crate::model::{ModelInfo, Scores, preprocessing};
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::Scaling;
use crate::render::rendered_map::{RenderedMap, Rendering};
use crate::report::answer::{Report, milliseconds};
use crate::report::export;
use crate::report::export::{Existing, ExportScene, MapView};

/// The settings that result from the preset and the other options.
struct Chosen {
    framing: Framing,
    preprocess: PreprocessChoice,
    layer: LayerId,
    variant: Variant,
}

/// Combines the options for a model.
fn choose(arguments: &ExplainArgs, model: &ModelInfo) -> anyhow::Result<Chosen> {
    let tutorial = arguments.preset == Some(Preset::Tutorial);
    let usual = if tutorial {
        Preprocess::Tutorial
    } else {
        Preprocess::Model
    };
    let preset = match arguments.preprocess.unwrap_or(usual) {
        Preprocess::Model => PreprocessChoice::Model,
        Preprocess::Imagenet => PreprocessChoice::Preset(preprocessing::Preset::Imagenet),
        Preprocess::Tutorial => PreprocessChoice::Preset(preprocessing::Preset::Tutorial),
        Preprocess::Half => PreprocessChoice::Preset(preprocessing::Preset::Half),
        Preprocess::Bytes => PreprocessChoice::Preset(preprocessing::Preset::Bytes),
        Preprocess::CaffeBgr => PreprocessChoice::Preset(preprocessing::Preset::CaffeBgr),
    };
    let preset_only = preset.over(model.preprocessing);
    let exact = by_hand(arguments, preset_only, model)?;
    let preprocess = if exact == preset_only {
        preset
    } else {
        PreprocessChoice::Custom(exact)
    };
    let layer = match (&arguments.layer, tutorial) {
        (Some(choice), _) => model
            .need_layer(choice)
            .map_err(|problem| anyhow!(problem))?,
        (None, true) => model.last_conv().ok_or_else(|| {
            anyhow!(
                "The tutorial uses a layer of a ResNet, which {} does not have. Use --model resnet18.",
                model.architecture
            )
        })?,
        (None, false) => model.default_layer,
    };
    let (framing, variant) = if tutorial {
        (Framing::Squash, Variant::TutorialSum)
    } else {
        (model.framing(Framing::Whole), Variant::Eq19)
    };
    let framing = arguments.framing.unwrap_or(framing);
    if !model.allows(framing) {
        bail!(
            "{} takes only inputs of {} pixels, so --framing whole is not possible. Use crop, squash or letterbox.",
            model.architecture,
            described(model.preprocessing.size)
        );
    }
    Ok(Chosen {
        framing,
        preprocess,
        layer,
        variant: arguments.variant.unwrap_or(variant),
    })
}

/// Width and height in words.
fn described(size: InputSize) -> String {
    format!("{}×{}", size.width, size.height)
}

/// The options that change single values of the preprocessing.
fn by_hand(
    arguments: &ExplainArgs,
    mut exact: Preprocessing,
    model: &ModelInfo,
) -> anyhow::Result<Preprocessing> {
    if let Some(mean) = arguments.mean {
        exact.mean = mean.0;
    }
    if let Some(std) = arguments.std {
        exact.std = std.0;
    }
    if let Some(order) = arguments.channel_order {
        if model.needs.channels == 1 && order != ChannelOrder::Gray {
            bail!(
                "{} takes one channel, so --channel-order can only be gray.",
                model.architecture
            );
        }
        exact.order = order;
    }
    exact.resampling = arguments.resample.unwrap_or(exact.resampling);
    if let Some(pad) = arguments.pad {
        exact.pad = pad.0;
    }
    let fixed = model.needs.fixed_size;
    if let Some(Sides { height, width }) = arguments.input_size {
        if fixed.is_some_and(|fixed| fixed != (height, width)) {
            bail!(
                "{} takes only inputs of {} pixels (width × height): leave out --input-size.",
                model.architecture,
                described(model.preprocessing.size)
            );
        }
        if fixed.is_none() {
            let size = InputSize::of_sides(width, height)
                .map_err(|problem| anyhow!("--input-size: {problem}"))?;
            exact.size = size.with_rounding_down(exact.size.rounds_down);
        }
    }
    if let Some(part) = arguments.crop_pct {
        let InputSize { width, height, .. } = exact.size;
        let size = InputSize::of_part(width, height, part)
            .map_err(|problem| anyhow!("--crop-pct: {problem}"))?;
        exact.size = size.with_rounding_down(exact.size.rounds_down);
    }
    exact.check().map_err(|problem| anyhow!(problem))?;
    Ok(exact)
}

/// Explains one photo, and returns the text to print.
///
/// # Errors
/// Any failure, as a message for the user.
pub fn explain(arguments: &ExplainArgs) -> anyhow::Result<String> {
    let mut methods = arguments.methods.clone();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() {
        methods = Method::DEFAULT.to_vec();
    }
    if arguments.map.is_some() && methods.len() != 1 {
        bail!("--map writes the cells of one method: add --method grad-cam or another");
    }
    if arguments.regions.len() > MOST_REGIONS {
        bail!("--region can be given at most {MOST_REGIONS} times");
    }
    let path = arguments.photo.as_deref().unwrap_or(Path::new(""));

    let started = Instant::now();
    let photo = open_photo(arguments, path)?;
    let decode = started.elapsed();
    let model = arguments.model.clone().unwrap_or_default();
    let device = arguments.device.unwrap_or_default();
    let mut engine = Engine::open_with(&model, arguments.labels.as_deref(), device, None)?;
    let chosen = choose(arguments, engine.model())?;
    let labels = &engine.model().labels;
    let class = match arguments.class.as_str() {
        "top" => None,
        text => Some(labels.find(text)?),
    };
    let contrast_class = arguments.contrast_class.as_deref();
    let contrast_class = contrast_class.map(|text| labels.find(text)).transpose()?;
    engine.preprocess(chosen.preprocess);
    engine.score(chosen_scores(arguments, engine.model())?);
    if !engine.model().has_closed_form(chosen.layer) {
        engine.run_in(Precision::Double); // required for gradients
    }
    let mut run = || -> anyhow::Result<_> {
        let analysis = engine.analyze(&photo, chosen.framing)?;
        let class = class.unwrap_or_else(|| analysis.top());
        let started = Instant::now();
        let mut maps_of = |class: ClassId| -> anyhow::Result<Vec<Map>> {
            let layer_gradients = engine.layer_gradients(class, &[chosen.layer])?;
            let explain = |&method: &Method| {
                let recipe = Recipe::new(method, chosen.variant);
                cam::explain(recipe, &layer_gradients[0])
            };
            Ok(methods.iter().map(explain).collect())
        };
        let mut maps = maps_of(class)?;
        if let Some(other) = contrast_class {
            let less = maps_of(other)?;
            let pairs = maps.into_iter().zip(&less);
            maps = pairs.map(|(map, less)| map.minus(less)).collect();
        }
        let times = [
            analysis.timings.frame,
            analysis.timings.forward,
            started.elapsed(),
        ];
        Ok((analysis, class, maps, times.map(milliseconds)))
    };
    let (analysis, class, maps, mut times) = run()?;
    if contrast_class == Some(class) {
        bail!(
            "--against is the explained class itself, {}: the difference would be zero. Choose another class.",
            analysis.model.labels.name(class)
        );
    }
    if let Some(repeat) = arguments.repeat {
        let mut all = Vec::new();
        for _ in 0..repeat {
            all.push(run()?.3);
        }
        times = std::array::from_fn(|step| median(all.iter().map(|times| times[step])));
    }
    let mut notices = engine.notices();
    notices.extend_from_slice(&photo.notices);
    for notice in &notices {
        crate::cli::say(notice);
    }

    let name = path.display().to_string();
    let map_spec = (class, contrast_class);
    let mut report = Report::new(name, &photo, &analysis, map_spec, &maps, &arguments.regions);
    report.notices = notices;
    report.timings_ms.decode = milliseconds(decode);
    [
        report.timings_ms.frame,
        report.timings_ms.forward,
        report.timings_ms.explain,
    ] = times;
    report.timings_ms.repeats = arguments.repeat;
    if arguments.out.is_some() || arguments.map.is_some() || arguments.export.is_some() {
        let started = Instant::now();
        let scene = scene(arguments, (photo, analysis), map_spec, maps);
        write(arguments, &scene, started, &mut report)?;
    }
    if arguments.json {
        return Ok(serde_json::to_string(&report)? + "\n");
    }
    Ok(report.text())
}

/// Reads the photo, with the window that was asked for.
fn open_photo(arguments: &ExplainArgs, path: &Path) -> anyhow::Result<Arc<Photo>> {
    let limits = arguments.limits.over(Limits::default());
    let photo = Arc::new(Photo::open_within(path, limits)?);
    if arguments.window_level.is_some() && photo.tones.is_none() {
        bail!(
            "--window-level is for DICOM and gray photos with 16 bits, and this photo has 8 bits for each color. Leave it out."
        );
    }
    Ok(photo.with_window(arguments.window_level))
}

/// How logits become scores; `None` for the model's own.
fn chosen_scores(arguments: &ExplainArgs, model: &ModelInfo) -> anyhow::Result<Option<Scores>> {
    if arguments.scores.is_some() && model.scores == Scores::OneLogit {
        bail!(
            "--scores is not possible: this network has one logit for its two classes, so their probabilities are sigmoid(y) and 1 − sigmoid(y). Leave it out."
        );
    }
    Ok(arguments.scores)
}

/// Collects what is drawn and exported.
fn scene(
    arguments: &ExplainArgs,
    (photo, analysis): (Arc<Photo>, Analysis),
    (class, contrast_class): (ClassId, Option<ClassId>),
    maps: Vec<Map>,
) -> ExportScene {
    let usual = DisplayOptions::default();
    let display_options = DisplayOptions {
        opacity: arguments.opacity,
        scaling: arguments.scale,
        colormap: arguments.colormap.unwrap_or(usual.colormap),
        diverging: arguments.colormap.unwrap_or(usual.diverging),
        interpolation: arguments.interpolation,
        threshold: arguments.threshold,
        contours: arguments.lines.contains(&LineKind::Contours),
        grid: arguments.lines.contains(&LineKind::Cells),
        display: arguments.display,
    };
    // The difference of two classes can only be shown as signed.
    let scaling = contrast_class.map_or(display_options.scaling, |_| Scaling::Signed);
    let how = Rendering {
        scaling,
        range: None,
        display_options: &display_options,
        placement: &analysis.placement,
        grid: analysis.placement.photo,
    };
    let panes = maps.into_iter().map(|map| MapView {
        rendered: RenderedMap::new(map, &how),
        class,
        contrast_class,
    });
    let panes = panes.collect();
    ExportScene {
        photo,
        analysis: Arc::new(analysis),
        model: arguments.model.clone().unwrap_or_default(),
        labels: arguments.labels.clone(),
        panes,
        display_options,
        regions: arguments.regions.clone(),
    }
}

/// Writes the files that the options ask for. The maps were rendered from `started` on.
fn write(
    arguments: &ExplainArgs,
    scene: &ExportScene,
    started: Instant,
    report: &mut Report,
) -> anyhow::Result<()> {
    if let Some(out) = &arguments.out {
        let picture = scene.overlays(&scene.panes)?;
        report.timings_ms.render = milliseconds(started.elapsed());
        export::write_png(&picture, out, scene.photo.path.as_deref())?;
    }
    if let (Some(path), [pane, ..]) = (&arguments.map, &scene.panes[..]) {
        let map = &pane.rendered.map;
        let shape = (map.height, map.width);
        export::write_atomically(path, Existing::Replace, |out| {
            export::write_npy(out, &map.cells, shape)
        })?;
    }
    if let Some(folder) = &arguments.export {
        export::write_folder(scene, folder, existing(arguments), &|| true)?;
    }
    Ok(())
}

/// Whether existing files may be overwritten.
pub fn existing(arguments: &ExplainArgs) -> Existing {
    if arguments.overwrite {
        Existing::Replace
    } else {
        Existing::Keep
    }
}

/// The median: the middle value, or the mean of the two middle values; 0 for an empty list.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted[..] {
        [] => 0.0,
        _ => f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]),
    }
}
