//! The command line: the window's start, `explain` and `devices`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use npyz::WriterBuilder;

use crate::cam::{self, Map, Method};
use crate::colormap::Colormap;
use crate::engine::Engine;
use crate::export::{self, Look};
use crate::framing::Framing;
use crate::heatmap::Scaling;
use crate::model::ModelChoice;
use crate::model::device::{self, DeviceChoice};
use crate::overlay::Opacity;
use crate::photo::Photo;
use crate::report::{Report, milliseconds};

/// Shows why an image classifier answered as it did: Grad-CAM and Grad-CAM++.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do without a window.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What the window opens with.
    #[command(flatten)]
    pub window: WindowArgs,
}

/// What the window opens with. What is not given is as it was last time.
#[derive(Debug, Default, Args)]
pub struct WindowArgs {
    /// Photos to open
    pub photos: Vec<PathBuf>,
    /// The model: auto, efficientnet-lite0, resnet18, or the path of a weight file
    #[arg(long)]
    pub model: Option<ModelChoice>,
    /// The device: auto, cpu, cuda, cuda:N or metal
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// How the photo becomes the network's input
    #[arg(long)]
    pub framing: Option<Framing>,
}

/// Commands that need no window.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain one photo: report on stdout, overlays and maps into files
    Explain(ExplainArgs),
    /// List the devices, which can be used, and why not
    Devices,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The photo
    pub photo: PathBuf,
    /// The model: auto, efficientnet-lite0, resnet18, or the path of a weight file
    #[arg(long, default_value = "auto")]
    pub model: ModelChoice,
    /// The method; may be given twice [default: both]
    #[arg(long = "method")]
    pub methods: Vec<Method>,
    /// The class: top, an index, or a name
    #[arg(long, default_value = "top")]
    pub class: String,
    /// How the photo becomes the network's input
    #[arg(long, default_value = "whole")]
    pub framing: Framing,
    /// How cells become colours: divided by the maximum, or min-max
    #[arg(long, default_value = "max")]
    pub scale: Scaling,
    /// The heat's colours
    #[arg(long, default_value = "turbo")]
    pub colormap: Colormap,
    /// The share of the heat's colour in the picture, 0 to 1
    #[arg(long, default_value = "0.55", value_parser = parse_opacity)]
    pub opacity: Opacity,
    /// The device: auto, cpu, cuda, cuda:N or metal
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// Write the overlay at full size, side by side if there are two methods
    #[arg(long, value_name = "FILE.png")]
    pub out: Option<PathBuf>,
    /// Write the cells before ReLU and scaling, f32 [h,w], in NumPy's format (one method)
    #[arg(long, value_name = "FILE.npy")]
    pub map: Option<PathBuf>,
    /// Print one JSON object instead of a report to read
    #[arg(long)]
    pub json: bool,
}

fn parse_opacity(text: &str) -> Result<Opacity, String> {
    let share = text.parse().ok().and_then(Opacity::new);
    share.ok_or_else(|| "give a number from 0 to 1".into())
}

/// Reads the command line. `Err` holds what to print and the exit status: help
/// and version are not faults.
///
/// # Errors
/// The text for stdout (status 0), or one line for stderr (status 1).
pub fn parse(arguments: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Cli, (String, u8)> {
    Cli::try_parse_from(arguments).map_err(|error| {
        let text = error.render().to_string();
        if error.use_stderr() {
            let words: Vec<&str> = text.split_whitespace().collect();
            (words.join(" "), 1)
        } else {
            (text, 0)
        }
    })
}

/// Runs a command that needs no window.
///
/// # Errors
/// Whatever stands in its way, in words for the user.
pub fn run(command: &Command) -> anyhow::Result<()> {
    let text = match command {
        Command::Explain(arguments) => explain(arguments)?,
        Command::Devices => devices(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever read has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("Can't write to stdout"),
    }
}

fn devices() -> String {
    device::list()
        .iter()
        .map(|status| match &status.unusable {
            None => format!("{}: usable\n", status.choice),
            Some(reason) => format!("{}: not usable: {reason}\n", status.choice),
        })
        .collect()
}

fn explain(arguments: &ExplainArgs) -> anyhow::Result<String> {
    let mut methods = arguments.methods.clone();
    methods.sort_unstable();
    methods.dedup();
    if methods.is_empty() {
        methods = Method::ALL.to_vec();
    }
    if arguments.map.is_some() && methods.len() != 1 {
        bail!("--map writes the cells of one method: add --method grad-cam or --method grad-cam++");
    }

    let started = Instant::now();
    let photo = Photo::open(&arguments.photo)?;
    let decode = started.elapsed();
    let mut engine = Engine::open(&arguments.model, arguments.device)?;
    let labels = &engine.model().labels;
    let chosen = match arguments.class.as_str() {
        "top" => None,
        text => Some(labels.find(text)?),
    };
    let analysis = engine.analyse(&photo, arguments.framing)?;
    for notice in engine.notices() {
        eprintln!("camlens: {notice}");
    }

    let class = chosen.unwrap_or_else(|| analysis.top());
    let started = Instant::now();
    let maps: Vec<Map> = methods
        .iter()
        .map(|&method| cam::explain(method, &analysis.features, &analysis.head, class))
        .collect();
    let explained = started.elapsed();

    let path = arguments.photo.display().to_string();
    let mut report = Report::new(path, &photo, &analysis, class, &maps);
    engine.notices().clone_into(&mut report.notices);
    report.timings_ms.decode = milliseconds(decode);
    report.timings_ms.frame = milliseconds(analysis.timings.frame);
    report.timings_ms.forward = milliseconds(analysis.timings.forward);
    report.timings_ms.explain = milliseconds(explained);
    if let Some(out) = &arguments.out {
        let started = Instant::now();
        let look = Look {
            opacity: arguments.opacity,
            colormap: arguments.colormap,
            scaling: arguments.scale,
        };
        let picture = export::compose(&photo, &analysis, &maps, look);
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
            panic!("explain was asked for");
        };
        assert_eq!(explain.methods, [Method::GradCamPlusPlus]);
        assert_eq!(
            (explain.class.as_str(), explain.device),
            ("3", DeviceChoice::Cuda(1))
        );
    }

    #[test]
    fn mistakes_are_one_line_with_status_1() {
        for line in [
            "camlens explain",
            "camlens explain a.png --framing round",
            "camlens explain a.png --opacity 2",
            "camlens explain a.png --device gpu",
        ] {
            let (text, status) = parsed(line).unwrap_err();
            assert!(status == 1 && text.lines().count() == 1, "{text}");
        }
        assert_eq!(parsed("camlens --help").unwrap_err().1, 0);
    }
}
