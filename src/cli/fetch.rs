//! `camlens fetch`.

use std::io;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::FetchArgs;
use crate::model::hub;
use crate::model::hub::{Hub, HubModel};

/// Give up after this long without progress, in case the download does not time out by itself.
const STALLED: Duration = Duration::from_secs(90);

/// One line of the list of models.
fn entry(known: &HubModel) -> String {
    let here = if known.cached().is_some() { "here" } else { "" };
    let line = format!(
        "{:<24} {:<11} {:>4} MB  {:<13} {:<24} {here}",
        known.name, known.network, known.megabytes, known.license, known.accuracy
    );
    format!("{}\n", line.trim_end())
}

/// Downloads weights, or lists the models that can be downloaded; returns the text to print.
///
/// # Errors
/// Any failure, as a message for the user.
pub fn fetch(arguments: &FetchArgs) -> anyhow::Result<String> {
    let Some(name) = &arguments.name else {
        return Ok(hub::MODELS.iter().map(entry).collect());
    };
    let known = hub::find(name).with_context(|| hub::how_to_get(name))?;
    let mut fetch = Hub::from_env()
        .fetch(known, Arc::new(|| ()))
        .context("Can't start a thread for the download")?;
    let terminal = io::stderr().is_terminal();
    let mut told = u64::MAX;
    loop {
        let result = fetch.wait(Duration::from_millis(200));
        if let Some(progress) = fetch.progress() {
            let percent = 100 * progress.done / progress.total.max(1);
            // If stderr is not a terminal, print one line for every 10 %.
            let step = if terminal { percent } else { percent / 10 };
            if step != told {
                told = step;
                let speed = fetch
                    .speed()
                    .map_or(String::new(), |speed| format!(", {:.1} MB/s", speed / 1e6));
                let line = format!(
                    "{}: {percent} % of {:.1} MB{speed}",
                    known.name,
                    progress.total as f64 / 1e6
                );
                if terminal {
                    eprint!("\r\x1b[K{line}");
                } else {
                    eprintln!("{line}");
                }
            }
        }
        if let Some(result) = result {
            if terminal {
                eprintln!();
            }
            let fetched = result?;
            if !fetched.checked {
                crate::cli::say("The hub did not give a SHA-256: only the size was checked.");
            }
            return Ok(format!("{}\n", fetched.path.display()));
        }
        if fetch.silence() > STALLED {
            bail!(
                "Can't download {}: no data arrived for {} seconds. The partial download is kept: run the command again to resume.",
                known.name,
                STALLED.as_secs()
            );
        }
    }
}
