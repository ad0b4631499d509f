//! `camlens fetch`.

use std::io;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::FetchArgs;
use crate::model::hub;
use crate::model::hub::{Hub, HubModel};

/// Without progress for so long a download is given up, should it not have done so by itself.
const STALLED: Duration = Duration::from_secs(90);

/// A line of the catalog.
fn entry(known: &HubModel) -> String {
    let here = if known.cached().is_some() { "here" } else { "" };
    let line = format!(
        "{:<24} {:<11} {:>4} MB  {:<13} {:<24} {here}",
        known.name, known.network, known.megabytes, known.license, known.accuracy
    );
    format!("{}\n", line.trim_end())
}

/// Fetches weights, or lists what can be fetched; gives what to print.
///
/// # Errors
/// Whatever stands in its way, in words for the user.
pub fn fetch(arguments: &FetchArgs) -> anyhow::Result<String> {
    let Some(name) = &arguments.name else {
        return Ok(hub::MODELS.iter().map(entry).collect());
    };
    let known = hub::find(name).with_context(|| hub::how_to_get(name))?;
    let mut fetch = Hub::from_env()
        .fetch(known, Arc::new(|| ()))
        .context("The system has no thread to give")?;
    let terminal = io::stderr().is_terminal();
    let mut told = u64::MAX;
    loop {
        let result = fetch.wait(Duration::from_millis(200));
        if let Some(progress) = fetch.progress() {
            let percent = 100 * progress.done / progress.total.max(1);
            // A line for each tenth where nobody watches.
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
                crate::cli::say("The hub announced no SHA-256: only the size was checked.");
            }
            return Ok(format!("{}\n", fetched.path.display()));
        }
        if fetch.silence() > STALLED {
            bail!(
                "{} could not be fetched: nothing has come for {} seconds. What is there is kept: fetch it again to go on.",
                known.name,
                STALLED.as_secs()
            );
        }
    }
}
