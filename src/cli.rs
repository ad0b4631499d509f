//! The command line: the window's options, `explain`, `fetch` and `devices`.

mod devices;
mod explain;
mod fetch;
mod reproduce;

use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::explain::cam::{Method, Variant};
use crate::explain::region::Region;
use crate::input::framing::Framing;
use crate::input::photo::{Limits, WindowLevel};
use crate::input::resample::Resampling;
use crate::model::device::DeviceChoice;
use crate::model::preprocessing::{ChannelOrder, Channels};
use crate::model::target_layer::LayerChoice;
use crate::model::{ModelChoice, Scores, Selection};
use crate::render::colormap::Colormap;
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::heatmap::{Interpolation, Scaling};
use crate::render::overlay::Opacity;
use crate::text::printable;

/// Shows why an image classifier answered as it did: Grad-CAM and Grad-CAM++.
#[derive(Debug, Parser)]
#[command(version = version(), args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// The command to run; without one, the window opens.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options for the window.
    #[command(flatten)]
    pub window: WindowArgs,
}

/// The version, the commit and the features of this build.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let features = match (cfg!(feature = "cuda"), cfg!(feature = "metal")) {
            (false, false) => "none",
            (true, false) => "cuda",
            (false, true) => "metal",
            (true, true) => "cuda, metal",
        };
        let (version, build) = (env!("CARGO_PKG_VERSION"), env!("CAMLENS_BUILD"));
        format!("{version} ({build}; features: {features})")
    });
    &VERSION
}

/// Options for the window. Options that are not given keep their last values.
#[derive(Debug, Default, Args)]
pub struct WindowArgs {
    /// Photos to open
    pub photos: Vec<PathBuf>,
    /// The model: auto, efficientnet-lite0, resnet18, a name listed by `camlens fetch`, or the path
    /// of a weight file
    #[arg(long)]
    pub model: Option<ModelChoice>,
    /// Which network in the file to use
    #[command(flatten)]
    pub network: NetworkArgs,
    /// A file with the names of the classes: one per line, or JSON
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// How logits become scores: softmax, or sigmoid for several labels at once
    #[arg(long, value_name = "softmax|sigmoid")]
    pub scores: Option<Scores>,
    /// The target layer: last, or one of the network's (layer1, …, layer4, layer4.1.conv2)
    #[arg(long)]
    pub layer: Option<LayerChoice>,
    /// The device: auto, cpu, cuda, cuda:N or metal
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// How the photo is fitted to the network's input
    #[arg(long)]
    pub framing: Option<Framing>,
    /// Which gray levels of the photos are black and white, for DICOM and gray photos with 16 bits
    /// [default: what the file says]
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true)]
    pub window_level: Option<WindowLevel>,
    /// Limits on the size of photos
    #[command(flatten)]
    pub limits: LimitArgs,
}

/// Selects one network in a weight file that holds several.
#[derive(Clone, Debug, Default, Args)]
pub struct NetworkArgs {
    /// The dictionary to load from the weight file, such as `state_dict_ema` [default: averaged
    /// weights, if there are any]
    #[arg(long, value_name = "KEY", requires = "model")]
    pub key: Option<String>,
    /// Load only the tensors whose names start with this prefix, such as `teacher.`
    #[arg(long, value_name = "PREFIX", requires = "model")]
    pub prefix: Option<String>,
    /// The linear layer to use as the classifier, such as `head2`
    #[arg(long, value_name = "NAME", requires = "model")]
    pub head: Option<String>,
    /// The output to explain, for a network with several
    #[arg(long, value_name = "NAME", requires = "model")]
    pub output: Option<String>,
}

impl NetworkArgs {
    /// Adds the selection to the choice of the model.
    fn choose(&self, model: &mut Option<ModelChoice>) -> Result<(), String> {
        let selection = Selection {
            key: self.key.clone(),
            prefix: self.prefix.clone(),
            head: self.head.clone(),
            output: self.output.clone(),
        };
        *model = match model.take() {
            Some(choice) => Some(choice.within(selection)?),
            None => None,
        };
        Ok(())
    }
}

/// Limits on the size of photos. They guard against files whose headers claim huge sizes.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LimitArgs {
    /// Maximum size of a photo, in millions of pixels [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_megapixels: Option<u32>,
    /// Maximum size of a decoded photo, in millions of bytes [default: 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_decoded_mb: Option<u32>,
    /// Maximum size of a file, in millions of bytes [default: 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_file_mb: Option<u32>,
}

impl LimitArgs {
    /// These limits; `limits` where an option was not given.
    #[must_use]
    pub fn over(self, limits: Limits) -> Limits {
        Limits {
            megapixels: self.max_megapixels.unwrap_or(limits.megapixels),
            decoded_mb: self.max_decoded_mb.unwrap_or(limits.decoded_mb),
            file_mb: self.max_file_mb.unwrap_or(limits.file_mb),
        }
    }
}

/// Commands that need no window.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain one photo: print a report, write overlays and maps to files
    Explain(Box<ExplainArgs>),
    /// Download weights from the Hugging Face hub; without a name, list the models
    Fetch(FetchArgs),
    /// List the devices and say which can be used
    Devices(DevicesArgs),
}

/// Arguments of `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// The weights to download, such as `timm/resnet50.a1_in1k`
    pub name: Option<String>,
}

/// Arguments of `devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Run a photo on every usable device and compare the maps
    #[arg(long)]
    pub check: bool,
    /// The model to run
    #[arg(long, default_value = "auto", requires = "check")]
    pub model: ModelChoice,
}

/// Named combinations of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// As in a common tutorial: squash, no normalization, the last convolution before its batch
    /// norm, the tutorial's own sum in the denominator of Grad-CAM++
    Tutorial,
}

/// Lines drawn over a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LineKind {
    /// Lines of equal heat
    Contours,
    /// The borders of the cells
    Cells,
}

/// How pixel values are normalized before they enter the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preprocess {
    /// From `preprocessor_config.json` or config.json next to the model, or the model's own file,
    /// otherwise what the network is usually trained with
    Model,
    /// ImageNet's mean and standard deviation
    Imagenet,
    /// 0 to 1, without mean and standard deviation
    Tutorial,
    /// −1 to 1: mean 0.5, standard deviation 0.5
    Half,
    /// 0 to 255
    Bytes,
    /// Blue, green, red in 0 to 255, less Caffe's mean
    CaffeBgr,
}

/// The size of an input: one side, or height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Pixels.
    pub height: usize,
    /// Pixels.
    pub width: usize,
}

impl FromStr for Sides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.trim().parse().ok();
        let sides = match text.split_once(['x', '×']) {
            Some((height, width)) => side(height).zip(side(width)),
            None => side(text).map(|side| (side, side)),
        };
        let (height, width) = sides.ok_or("use one side, or HEIGHTxWIDTH, such as 48x192")?;
        Ok(Self { height, width })
    }
}

/// The color beside a photo in a letterbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad(pub Option<[u8; 3]>);

impl FromStr for Pad {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "mean" {
            return Ok(Self(None));
        }
        let bytes: Result<Vec<u8>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match bytes.as_deref() {
            Ok([red, green, blue]) => Ok(Self(Some([*red, *green, *blue]))),
            Ok([gray]) => Ok(Self(Some([*gray; 3]))),
            _ => Err("use mean, one number from 0 to 255, or three separated by commas".into()),
        }
    }
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The photo; optional with --manifest
    #[arg(required_unless_present = "manifest")]
    pub photo: Option<PathBuf>,
    /// The model: auto, efficientnet-lite0, resnet18, a name listed by `camlens fetch`, or the path
    /// of a weight file [default: auto]
    #[arg(long)]
    pub model: Option<ModelChoice>,
    /// Which network in the file to use
    #[command(flatten)]
    pub network: NetworkArgs,
    /// A file with the names of the classes: one per line, or JSON
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// How logits become scores: softmax, or sigmoid for several labels at once [default: the
    /// model's own]
    #[arg(long, value_name = "softmax|sigmoid")]
    pub scores: Option<Scores>,
    /// The method; can be given several times [default: grad-cam and grad-cam++]
    #[arg(long = "method")]
    pub methods: Vec<Method>,
    /// The target layer: last, or one of the network's (layer1, …, layer4, layer4.1.conv2) [default: last]
    #[arg(long)]
    pub layer: Option<LayerChoice>,
    /// The formula of Grad-CAM++ [default: eq19]
    #[arg(long)]
    pub variant: Option<Variant>,
    /// A named combination of settings; other options override it
    #[arg(long)]
    pub preset: Option<Preset>,
    /// How pixel values are normalized [default: model]
    #[arg(long)]
    pub preprocess: Option<Preprocess>,
    /// Mean of each channel, for values from 0 to 1: one number or three
    #[arg(long, value_name = "R,G,B")]
    pub mean: Option<Channels>,
    /// Standard deviation of each channel: one number or three
    #[arg(long, value_name = "R,G,B")]
    pub std: Option<Channels>,
    /// The channels that the network gets
    #[arg(long, value_name = "ORDER")]
    pub channel_order: Option<ChannelOrder>,
    /// Side of the network's square input, or its height and width; whole photos are scaled in the
    /// same proportion (224 is the default)
    #[arg(long, value_name = "N or HxW")]
    pub input_size: Option<Sides>,
    /// The part of each side of the scaled photo that `--framing crop` keeps, such as 0.875
    #[arg(long, value_name = "PART")]
    pub crop_pct: Option<f64>,
    /// How the photo is resized, as in Pillow
    #[arg(long, value_name = "FILTER")]
    pub resample: Option<Resampling>,
    /// The color beside the photo with `--framing letterbox`: mean, or bytes
    #[arg(long, value_name = "R,G,B")]
    pub pad: Option<Pad>,
    /// The class: top, an index, or a name
    #[arg(long, default_value = "top")]
    pub class: String,
    /// Contrast class: show why the class and not this one (maps of the class minus maps of this
    /// class, signed)
    #[arg(long = "against", value_name = "CLASS")]
    pub contrast_class: Option<String>,
    /// Measure a region of the photo, in photo pixels; can be given several times
    #[arg(long = "region", value_name = "NAME=LEFT,TOP,RIGHT,BOTTOM")]
    pub regions: Vec<Region>,
    /// How the photo is fitted to the network's input [default: whole]
    #[arg(long)]
    pub framing: Option<Framing>,
    /// Which gray levels of the photo are black and white, for DICOM and gray photos with 16 bits
    /// [default: what the file says]
    #[arg(long, value_name = "CENTER,WIDTH", allow_hyphen_values = true)]
    pub window_level: Option<WindowLevel>,
    /// How cell values become colors: divided by the maximum, min-max, or signed
    #[arg(long, default_value = "max")]
    pub scale: Scaling,
    /// The colormap [default: turbo, or rdbu with --scale signed]
    #[arg(long)]
    pub colormap: Option<Colormap>,
    /// Opacity of the heat, 0 to 1
    #[arg(long, default_value = "0.55", value_parser = parse_opacity)]
    pub opacity: Opacity,
    /// How values between cell centers are drawn
    #[arg(long, default_value = "bilinear")]
    pub interpolation: Interpolation,
    /// Draw only heat above this percentage of the range
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=i64::from(DisplayOptions::MOST_HIDDEN)))]
    pub threshold: u8,
    /// Lines to draw; can be given several times
    #[arg(long, value_delimiter = ',')]
    pub lines: Vec<LineKind>,
    /// Whether to draw the overlay, only the heat or only the photo
    #[arg(long, default_value = "overlay")]
    pub display: Display,
    /// The device: auto, cpu, cuda, cuda:N or metal [default: auto]
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// Export everything to a folder: overlays, heat, cells, a figure, and a manifest
    #[arg(long, value_name = "FOLDER")]
    pub export: Option<PathBuf>,
    /// Let --export overwrite existing files
    #[arg(long, requires = "export")]
    pub overwrite: bool,
    /// Recompute the maps of an export and report whether they are identical
    #[arg(long, value_name = "manifest.json", conflicts_with_all = [
        "methods", "layer", "variant", "preset", "preprocess", "mean", "std", "input_size",
        "channel_order", "crop_pct", "resample", "pad",
        "class", "contrast_class", "regions", "framing", "out", "map", "repeat", "scores",
        "window_level",
    ])]
    pub manifest: Option<PathBuf>,
    /// Write the overlay at full size, side by side if there are several methods
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
    /// Write the cell values before ReLU and scaling: f32, height by width, NumPy format (one
    /// method)
    #[arg(long, value_name = "FILE.npy")]
    pub map: Option<PathBuf>,
    /// Repeat the run N times and report the median times of resizing, network and maps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: Option<u32>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub json: bool,
    /// Limits on the size of the photo
    #[command(flatten)]
    pub limits: LimitArgs,
}

fn parse_opacity(text: &str) -> Result<Opacity, String> {
    let share = text.parse().ok().and_then(Opacity::new);
    share.ok_or_else(|| "give a number from 0 to 1".into())
}

/// Parses the command line. `Err` holds the text to print and the exit status. Help and version are
/// returned this way too, with status 0.
///
/// # Errors
/// The text for stdout (status 0), or one line for stderr (status 1).
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, (String, u8)> {
    let mut cli = Cli::try_parse_from(arguments).map_err(|error| {
        let text = error.render().to_string();
        if error.use_stderr() {
            let words: Vec<&str> = text.split_whitespace().collect();
            (words.join(" "), 1)
        } else {
            (text, 0)
        }
    })?;
    let chosen = match &mut cli.command {
        Some(Command::Explain(explain)) => explain.network.choose(&mut explain.model),
        Some(_) => Ok(()),
        None => cli.window.network.choose(&mut cli.window.model),
    };
    chosen.map_err(|problem| (problem, 1))?;
    Ok(cli)
}

/// Prints a message to stderr, as one line.
pub fn say(message: &str) {
    eprintln!("camlens: {}", printable::message(message));
}

/// Prints the result of a command to stdout.
fn print(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(printable::lines(text).as_bytes()) {
        // The reader closed the pipe: not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("Can't write to stdout"),
    }
}

/// Runs a command that needs no window, and prints its result.
///
/// # Errors
/// Any failure, as a message for the user.
pub fn run(command: &Command) -> anyhow::Result<()> {
    print(&answer(command)?)
}

/// The message of a build without the `gui` feature if the window is requested.
#[cfg(not(feature = "gui"))]
#[must_use]
pub fn no_window() -> anyhow::Error {
    anyhow::anyhow!(
        "This camlens was built without its window (without the `gui` feature). \
         Use `camlens explain PHOTO`; `camlens --help` lists all commands."
    )
}

/// Runs a command that needs no window, and returns the text to print.
///
/// # Errors
/// Any failure, as a message for the user.
pub fn answer(command: &Command) -> anyhow::Result<String> {
    match command {
        Command::Explain(arguments) => match &arguments.manifest {
            Some(manifest) => reproduce::reproduce(manifest, arguments),
            None => explain::explain(arguments),
        },
        Command::Fetch(arguments) => fetch::fetch(arguments),
        Command::Devices(DevicesArgs { check: true, model }) => devices::check(model),
        Command::Devices(_) => Ok(devices::list()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, (String, u8)> {
        parse(line.split(' ').map(Into::into))
    }

    #[test]
    fn photos_open_the_window_and_commands_do_not() {
        let cli = parsed("camlens a.png b.jpg --framing crop").unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.window.photos.len(), 2);
        assert_eq!(cli.window.framing, Some(Framing::Crop));
        let cli =
            parsed("camlens explain a.png --method grad-cam++ --class 3 --device cuda:1").unwrap();
        let Some(Command::Explain(explain)) = cli.command else {
            panic!("expected the explain command");
        };
        assert_eq!(explain.methods, [Method::GradCamPlusPlus]);
        assert_eq!(
            (explain.class.as_str(), explain.device),
            ("3", Some(DeviceChoice::Cuda(1)))
        );
    }

    #[test]
    fn the_input_is_described() {
        let line = "camlens explain a.png --preprocess caffe-bgr --channel-order gray \
                    --input-size 48x192 --resample lanczos --pad 114 --crop-pct 0.9";
        let words: Vec<&str> = line.split_whitespace().collect();
        let cli = parsed(&words.join(" ")).unwrap();
        let Some(Command::Explain(explain)) = cli.command else {
            panic!("expected the explain command");
        };
        assert_eq!(explain.preprocess, Some(Preprocess::CaffeBgr));
        assert_eq!(explain.channel_order, Some(ChannelOrder::Gray));
        let sides = Sides {
            height: 48,
            width: 192,
        };
        assert_eq!(explain.input_size, Some(sides));
        assert_eq!(explain.resample, Some(Resampling::Lanczos));
        assert_eq!(explain.pad, Some(Pad(Some([114; 3]))));
        assert_eq!("mean".parse(), Ok(Pad(None)));
        assert_eq!("224".parse::<Sides>().unwrap().width, 224);
    }

    #[test]
    fn a_network_is_chosen_within_the_models_file() {
        let choice = |key: Option<&str>, prefix: Option<&str>, head: Option<&str>| {
            let selection = Selection {
                key: key.map(str::to_owned),
                prefix: prefix.map(str::to_owned),
                head: head.map(str::to_owned),
                ..Selection::default()
            };
            Some(ModelChoice::Within("w.pth".into(), Box::new(selection)))
        };
        let cli = parsed("camlens a.png --model w.pth --key ema").unwrap();
        assert_eq!(cli.window.model, choice(Some("ema"), None, None));
        let cli = parsed("camlens explain a.png --model w.pth --prefix b. --head fc2").unwrap();
        let Some(Command::Explain(explain)) = cli.command else {
            panic!("expected the explain command");
        };
        assert_eq!(explain.model, choice(None, Some("b."), Some("fc2")));
    }

    #[test]
    fn mistakes_are_one_line_with_status_1() {
        for line in [
            "camlens explain",
            "camlens explain a.png --framing round",
            "camlens explain a.png --opacity 2",
            "camlens explain a.png --device gpu",
            "camlens explain a.png --mean 1,2",
            "camlens explain a.png --input-size 48x",
            "camlens explain a.png --input-size 48x192x3",
            "camlens explain a.png --channel-order rbg",
            "camlens explain a.png --resample box",
            "camlens explain a.png --pad 1,2",
            "camlens explain a.png --pad 256",
            "camlens explain --manifest m.json --resample bicubic",
            "camlens explain a.png --variant eq20",
            "camlens explain a.png --threshold 100",
            "camlens explain a.png --region x=1,2,3",
            "camlens explain a.png --overwrite",
            "camlens explain --manifest m.json --class 3",
            "camlens explain --manifest m.json --against dog",
            "camlens a.png --key ema",
            "camlens a.png --model auto --key ema",
            "camlens explain a.png --model resnet18 --prefix ema.",
            "camlens explain a.png --head fc2",
        ] {
            let (text, status) = parsed(line).unwrap_err();
            assert!(status == 1 && text.lines().count() == 1, "{text}");
        }
        assert_eq!(parsed("camlens --help").unwrap_err().1, 0);
    }
}
