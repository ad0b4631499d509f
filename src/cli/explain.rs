//! `camlens explain`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use npyz::WriterBuilder;

use super::{ExplainArgs, Preprocess, Preset};
use crate::analysis::Layer;
use crate::cam::{self, Map, Method, Recipe, Variant};
use crate::engine::Engine;
use crate::export::{self, Look};
use crate::framing::{Framing, InputSize};
use crate::model::ModelInfo;
use crate::model::cpu::Precision;
use crate::model::preprocessing::{self, PreprocessChoice};
use crate::photo::Photo;
use crate::report::{Report, milliseconds};

/// The options that a preset and the others come down to.
struct Chosen {
    framing: Framing,
    preprocess: PreprocessChoice,
    layer: Layer,
    variant: Variant,
}

/// Reads the options together, for a model.
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
    };
    let mut exact = preset.over(model.preprocessing);
    if let Some(mean) = arguments.mean {
        exact.mean = mean.0;
    }
    if let Some(std) = arguments.std {
        exact.std = std.0;
    }
    if let Some(side) = arguments.input_size {
        exact.size =
            InputSize::of_side(side).map_err(|problem| anyhow!("--input-size: {problem}"))?;
    }
    exact.check().map_err(|problem| anyhow!(problem))?;
    let layer = match (&arguments.layer, tutorial) {
        (Some(name), _) => model
            .architecture
            .find_layer(name)
            .map_err(|problem| anyhow!(problem))?,
        (None, true) if model.architecture.layers().contains(&Layer::LastConv) => Layer::LastConv,
        (None, true) => bail!(
            "The tutorial's layer is a ResNet's: {} has none like it. Give --model resnet18.",
            model.architecture.name()
        ),
        (None, false) => Layer::Last,
    };
    let (framing, variant) = if tutorial {
        (Framing::Squash, Variant::TutorialSum)
    } else {
        (Framing::Whole, Variant::Eq19)
    };
    Ok(Chosen {
        framing: arguments.framing.unwrap_or(framing),
        preprocess: PreprocessChoice::Custom(exact),
        layer,
        variant: arguments.variant.unwrap_or(variant),
    })
}

/// Explains one photo; gives what to print.
///
/// # Errors
/// Whatever stands in its way, in words for the user.
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

    let started = Instant::now();
    let photo = Photo::open(&arguments.photo)?;
    let decode = started.elapsed();
    let labels = arguments.labels.as_deref();
    let mut engine = Engine::open_with(&arguments.model, labels, arguments.device, None)?;
    let chosen = choose(arguments, engine.model())?;
    let class = match arguments.class.as_str() {
        "top" => None,
        text => Some(engine.model().labels.find(text)?),
    };
    engine.preprocess(chosen.preprocess);
    if chosen.layer != Layer::Last {
        engine.run_in(Precision::Double); // as gradients need it
    }
    let mut run = || -> anyhow::Result<_> {
        let analysis = engine.analyse(&photo, chosen.framing)?;
        let class = class.unwrap_or_else(|| analysis.top());
        let started = Instant::now();
        let evidence = engine.evidence(class, &[chosen.layer])?;
        let explain = |&method: &Method| {
            let recipe = Recipe::new(method, chosen.variant);
            cam::explain(recipe, &evidence[0])
        };
        let maps: Vec<Map> = methods.iter().map(explain).collect();
        let times = [
            analysis.timings.frame,
            analysis.timings.forward,
            started.elapsed(),
        ];
        Ok((analysis, class, maps, times.map(milliseconds)))
    };
    let (analysis, class, maps, mut times) = run()?;
    if let Some(repeat) = arguments.repeat {
        let mut all = Vec::new();
        for _ in 0..repeat {
            all.push(run()?.3);
        }
        times = std::array::from_fn(|step| median(all.iter().map(|times| times[step])));
    }
    for notice in engine.notices() {
        eprintln!("camlens: {notice}");
    }

    let path = arguments.photo.display().to_string();
    let mut report = Report::new(path, &photo, &analysis, class, &maps);
    report.notices = engine.notices();
    report.timings_ms.decode = milliseconds(decode);
    [
        report.timings_ms.frame,
        report.timings_ms.forward,
        report.timings_ms.explain,
    ] = times;
    report.timings_ms.repeats = arguments.repeat;
    if let Some(out) = &arguments.out {
        let started = Instant::now();
        let usual = Look::default();
        let look = Look {
            opacity: arguments.opacity,
            scaling: arguments.scale,
            colormap: arguments.colormap.unwrap_or(usual.colormap),
            diverging: arguments.colormap.unwrap_or(usual.diverging),
        };
        let drawn = maps.iter().map(|map| (map, look.scaling.range(map)));
        let drawn: Vec<_> = drawn.collect();
        let picture = export::compose(&photo, &analysis, &drawn, look);
        report.timings_ms.render = milliseconds(started.elapsed());
        export::write_png(&picture, out, Some(&arguments.photo))?;
    }
    if let Some(path) = &arguments.map {
        write_npy(&maps[0], path).with_context(|| {
            format!(
                "Can't write {}. Give a folder that exists and may be written",
                path.display()
            )
        })?;
    }
    if arguments.json {
        return Ok(serde_json::to_string(&report)? + "\n");
    }
    Ok(report.text())
}

/// The one in the middle, or between the two there; 0 of none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted[..] {
        [] => 0.0,
        _ => f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]),
    }
}

/// The cells as a little-endian f32 array `[height, width]`.
fn write_npy(map: &Map, path: &Path) -> anyhow::Result<()> {
    let file = io::BufWriter::new(File::create(path)?);
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(&[map.height as u64, map.width as u64])
        .writer(file)
        .begin_nd()?;
    writer.extend(&map.cells)?;
    writer.finish()?;
    Ok(())
}
