//! The report of `explain`: one JSON object, or text.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::explain::analysis::Analysis;
use crate::explain::cam::{Map, Method};
use crate::explain::class_correlation::{ClassCorrelation, References, comparable};
use crate::explain::region::{Measure, Region};
use crate::input::photo::{Photo, WindowLevel};
use crate::labels::ClassId;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::{Preprocessing, PreprocessingSource};
use crate::model::{GradientCheck, Scores, Selection, device};
use crate::render::legend;
use crate::render::legend::percent;
use crate::text::printable::quotation;

/// How many of the most probable classes are reported.
const TOP: usize = 5;

/// The whole report; field names are those of the JSON object.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The photo as it was read, upright.
    pub photo: PhotoReport,
    /// The model that ran.
    pub model: ModelReport,
    /// The device that it ran on: `cpu`, `cuda:N`, `metal`.
    #[serde(serialize_with = "device::as_option")]
    pub device: DeviceChoice,
    /// Fallbacks that were used, if any.
    pub notices: Vec<String>,
    /// `whole`, `crop`, `squash` or `letterbox`.
    pub framing: &'static str,
    /// How logits became probabilities: `softmax`, `sigmoid` (several labels at once, nothing adds
    /// up to 1) or `one-logit`.
    pub scores: Scores,
    /// The five most probable classes.
    pub top: Vec<ClassReport>,
    /// The class explained.
    pub class: ClassReport,
    /// With `--against`: the class whose maps were subtracted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "against")]
    pub contrast_class: Option<ClassReport>,
    /// The target layer, by its name in the network.
    pub layer: String,
    /// How pixels were normalized before they entered the network.
    pub preprocessing: Preprocessing,
    /// Where the preprocessing came from, and whether it is a guess.
    pub preprocessing_from: PreprocessingSource,
    /// One for each method.
    pub maps: Vec<MapReport>,
    /// With `--region`: the measures of each map in each region.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionReport>,
    /// Milliseconds for each step.
    pub timings_ms: TimingsReport,
}

/// The photo.
#[derive(Debug, Serialize)]
pub struct PhotoReport {
    /// As given on the command line.
    pub path: String,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
    /// The window of a gray photo with many levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_level: Option<WindowLevel>,
}

/// The model.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    /// The network and where its weights came from.
    pub name: String,
    /// The network.
    pub architecture: String,
    /// Number of classes.
    pub classes: usize,
    /// Where its class names came from.
    pub labels: String,
    /// Of the weight file.
    pub sha256: String,
    /// What is known about its accuracy.
    pub accuracy: String,
    /// What was assumed about the network because no weight file records it; `None` if nothing was
    /// assumed.
    pub assumed: Option<String>,
    /// Which network of the file was used, if it holds several or one was chosen.
    #[serde(skip_serializing_if = "Selection::is_none")]
    pub network: Selection,
    /// The check of its gradients, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_check: Option<GradientCheck>,
}

/// One class.
#[derive(Debug, Serialize)]
pub struct ClassReport {
    /// Index in the model's output.
    pub index: usize,
    /// Its label.
    pub label: String,
    /// By `scores`, 0..=1.
    pub probability: f32,
    /// Before softmax or sigmoid.
    pub logit: f32,
}

/// One map, before ReLU and scaling.
#[derive(Debug, Serialize)]
pub struct MapReport {
    /// `grad-cam`, `grad-cam++`, `hirescam`, `layercam` or `xgrad-cam`.
    pub method: &'static str,
    /// Which formula of Grad-CAM++: `eq19`, `pytorch-grad-cam` or `tutorial`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<&'static str>,
    /// `logit` where the cells add up to the logit minus its bias, otherwise `relative`.
    pub unit: &'static str,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
    /// The smallest cell.
    pub min: f32,
    /// The largest cell.
    pub max: f32,
    /// The sum of all cells.
    pub sum: f32,
    /// `ok`, `nearly_flat`, or `no_positive_evidence` if no cell is above 0.
    pub state: &'static str,
    /// Whether the map depends on rounding errors: the method divides by sums that nearly cancel.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unstable: bool,
    /// A remark about the map in words, if there is one.
    #[serde(skip)]
    pub remark: Option<String>,
    /// How much it depends on the class (at the last layer).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "sensitivity")]
    pub class_correlation: Option<ClassCorrelationReport>,
}

/// The mean correlation of a map with those of other classes.
#[derive(Debug, Serialize)]
pub struct ClassCorrelationReport {
    /// Pearson correlation, −1..=1.
    pub mean_correlation: f32,
    /// Number of other classes compared.
    pub classes: usize,
    /// Whether the correlation is so high that the map hardly depends on the class.
    pub class_insensitive: bool,
}

/// A region.
#[derive(Debug, Serialize)]
pub struct RegionReport {
    /// Its name.
    pub name: String,
    /// For each map, in the order of `maps`.
    pub measures: Vec<Measure>,
}

/// Milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct TimingsReport {
    /// From the file to upright RGB8.
    pub decode: f64,
    /// Resizing and cropping.
    pub frame: f64,
    /// The network.
    pub forward: f64,
    /// Both maps, from activations to cells.
    pub explain: f64,
    /// Heat, colors and blending at full size; 0 without `--out`.
    pub render: f64,
    /// With `--repeat`: the number of runs after the first; `frame`, `forward` and `explain` are
    /// their medians. Otherwise the times are those of the first run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
}

/// A duration in milliseconds.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Report {
    /// Collects the results of a run; the caller fills in `timings_ms` and `notices`.
    #[must_use]
    pub fn new(
        path: String,
        photo: &Photo,
        analysis: &Analysis,
        (class, contrast_class): (ClassId, Option<ClassId>),
        maps: &[Map],
        regions: &[Region],
    ) -> Self {
        let describe = |class: ClassId| ClassReport {
            index: class.index(),
            label: analysis.model.labels.full(class).to_owned(),
            probability: analysis.probability(class),
            logit: analysis.logit(class),
        };
        let info = &analysis.model;
        Self {
            photo: PhotoReport {
                path,
                width: photo.width,
                height: photo.height,
                window_level: photo.window(),
            },
            model: ModelReport {
                name: info.to_string(),
                architecture: info.architecture.clone(),
                classes: info.labels.len(),
                labels: info.labels_from.clone(),
                sha256: info.sha256.clone(),
                accuracy: info.accuracy.clone(),
                assumed: info.assumed.clone(),
                network: info.network.clone(),
                gradient_check: info.gradient_check,
            },
            device: analysis.device,
            notices: Vec::new(),
            framing: analysis.framing.name(),
            scores: analysis.scores,
            top: analysis
                .ranking
                .iter()
                .take(TOP)
                .copied()
                .map(describe)
                .collect(),
            class: describe(class),
            contrast_class: contrast_class.map(describe),
            layer: info
                .layer_name(maps.first().map_or(info.default_layer, |map| map.layer.id))
                .to_owned(),
            preprocessing: analysis.preprocessing,
            preprocessing_from: analysis.preprocessing_from.clone(),
            maps: maps
                .iter()
                .map(|map| {
                    // The difference of two classes is not the map of one class.
                    let comparable = contrast_class.is_none() && comparable(analysis.scores);
                    let class_correlation = if map.layer.is_pooled && comparable {
                        References::at_last_layer(analysis, map.recipe).compare(map, class)
                    } else {
                        None
                    };
                    MapReport::new(map, class_correlation)
                })
                .collect(),
            regions: regions
                .iter()
                .map(|region| RegionReport {
                    name: region.name.clone(),
                    measures: maps
                        .iter()
                        .map(|map| region.shape.measure(map, &analysis.placement))
                        .collect(),
                })
                .collect(),
            timings_ms: TimingsReport::default(),
        }
    }

    /// The report as text. Each class takes one line, even if its name contains control characters.
    /// All maps of a run have the same size.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.describe_run(&mut text);
        let class = &self.class;
        for ClassReport {
            index,
            label,
            probability,
            logit,
        } in &self.top
        {
            let _ = writeln!(
                text,
                "{:>7}  {} ({index}), logit {logit:.2}",
                percent(*probability),
                quotation(label)
            );
        }
        let _ = writeln!(
            text,
            "\nExplained: {} ({}), {}, logit {:.2}",
            quotation(&class.label),
            class.index,
            percent(class.probability),
            class.logit
        );
        if let Some(other) = &self.contrast_class {
            let _ = writeln!(
                text,
                "Minus:     {} ({}), {}, logit {:.2}",
                quotation(&other.label),
                other.index,
                percent(other.probability),
                other.logit
            );
        }
        for map in &self.maps {
            let _ = if map.state != "no_positive_evidence" || self.contrast_class.is_some() {
                writeln!(
                    text,
                    "  {:<11} cells {:.4} to {:.4}, sum {:.4}",
                    map.method, map.min, map.max, map.sum
                )
            } else {
                writeln!(
                    text,
                    "  {:<11} no positive evidence for {}",
                    map.method,
                    quotation(&class.label)
                )
            };
            if let Some(remark) = &map.remark {
                let _ = writeln!(text, "              {remark}");
            }
            if let Some(found) = map
                .class_correlation
                .as_ref()
                .filter(|found| found.class_insensitive)
            {
                let _ = writeln!(
                    text,
                    "              class-insensitive: correlates at {:.2} with the maps of {} other classes",
                    found.mean_correlation, found.classes
                );
            }
        }
        self.describe_regions(&mut text);
        text
    }

    /// The photo, the model, and how the network ran.
    fn describe_run(&self, text: &mut String) {
        let Self { photo, model, .. } = self;
        let _ = writeln!(
            text,
            "{}, {}×{} pixels",
            quotation(&photo.path),
            photo.width,
            photo.height
        );
        if let Some(window) = photo.window_level {
            let _ = writeln!(text, "Gray levels: {window}");
        }
        let _ = writeln!(
            text,
            "{} on {}; {}",
            quotation(&model.name),
            self.device.option(),
            model.accuracy
        );
        if let Some(assumed) = &model.assumed {
            let _ = writeln!(text, "{assumed}");
        }
        if let Some(check) = model.gradient_check {
            let _ = writeln!(text, "{}", sentence(check));
        }
        let cells = self
            .maps
            .first()
            .map_or((0, 0), |map| (map.height, map.width));
        let _ = writeln!(
            text,
            "Framing {}; {}; target layer {}, {}×{} cells\n",
            self.framing, self.preprocessing, self.layer, cells.0, cells.1
        );
        if self.preprocessing_from.is_guess {
            let _ = writeln!(
                text,
                "The preprocessing is a guess ({}): check it, or choose another with --preprocess.\n",
                self.preprocessing_from.source
            );
        }
        // One class that excludes the others is what everyone expects.
        if self.scores != Scores::Softmax {
            let _ = writeln!(text, "{}\n", self.scores.meaning());
        }
    }

    fn describe_regions(&self, text: &mut String) {
        for region in &self.regions {
            let _ = writeln!(text, "Region {}", quotation(&region.name));
            for (map, measure) in self.maps.iter().zip(&region.measures) {
                let percent = |share: Option<f64>| {
                    share.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share))
                };
                let _ = writeln!(
                    text,
                    "  {:<11} sum {:+.4} ({} of all), {} of the positive evidence, peak {}",
                    map.method,
                    measure.sum,
                    percent(measure.share),
                    percent(measure.positive_share),
                    match measure.peak_inside {
                        Some(true) => "inside",
                        Some(false) => "outside",
                        None => "–",
                    }
                );
            }
        }
    }
}

/// The check of the gradients as a line of text; a failure with what it means.
fn sentence(check: GradientCheck) -> String {
    let mut words = check.to_string();
    words[..1].make_ascii_uppercase();
    if check.is_failed() {
        format!("{words}. {}", check.meaning())
    } else {
        words
    }
}

impl MapReport {
    fn new(map: &Map, class_correlation: Option<ClassCorrelation>) -> Self {
        Self {
            method: map.recipe.method.id(),
            variant: (map.recipe.method == Method::GradCamPlusPlus)
                .then(|| map.recipe.variant.id()),
            unit: map.unit(),
            height: map.height,
            width: map.width,
            min: map.min(),
            max: map.max(),
            sum: map.sum(),
            state: if !map.has_positive_evidence() {
                "no_positive_evidence"
            } else if map.is_nearly_flat() {
                "nearly_flat"
            } else {
                "ok"
            },
            unstable: map.is_unstable(),
            remark: legend::instability(map),
            class_correlation: class_correlation.map(|found| ClassCorrelationReport {
                mean_correlation: found.correlation,
                classes: found.classes,
                class_insensitive: found.is_insensitive(),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
