//! Weights of the catalog: which are on this computer, and the one that is being downloaded.

use std::path::PathBuf;

use crate::model::hub::{Fetch, FetchError, Fetched, Hub, HubModel, MODELS};
use crate::model::known_weights::ResNet18Files;
use crate::model::{hub, known_weights};
use crate::worker::Wake;

/// Weights that can be downloaded.
pub struct Downloads {
    hub: Hub,
    wake: Wake,
    /// The download in progress.
    pub fetch: Option<Fetch>,
    /// The paths of the catalog's weights that are downloaded; looked up when the catalog is
    /// shown.
    pub cached: Vec<Option<PathBuf>>,
    /// Files that may be weights of a ResNet-18.
    pub resnet18: ResNet18Files,
}

impl Downloads {
    /// `wake` is called when a download progresses or ends.
    pub fn new(hub: Hub, wake: Wake) -> Self {
        Self {
            hub,
            wake,
            fetch: None,
            cached: Vec::new(),
            resnet18: known_weights::find_resnet18(),
        }
    }

    /// Looks up which weights of the catalog are on this computer.
    pub fn look_up(&mut self) {
        let cached = MODELS.iter().map(|known| self.hub.cached(known));
        self.cached = cached.collect();
    }

    /// Starts a download, unless one is in progress. Returns whether it was started.
    ///
    /// # Errors
    /// If the system can't start a thread.
    pub fn start(&mut self, name: &str) -> std::io::Result<bool> {
        let (None, Some(known)) = (&self.fetch, hub::find(name)) else {
            return Ok(false);
        };
        self.fetch = Some(self.hub.fetch(known, self.wake.clone())?);
        Ok(true)
    }

    /// Stops the download. The partial download is kept.
    pub fn cancel(&self) {
        if let Some(fetch) = &self.fetch {
            fetch.cancel();
        }
    }

    /// The result of the download, once it has ended.
    pub fn poll(&mut self) -> Option<(&'static HubModel, Result<Fetched, FetchError>)> {
        let result = self.fetch.as_mut()?.poll()?;
        let known = self.fetch.take()?.known;
        if result.is_ok() {
            self.resnet18 = known_weights::find_resnet18();
            self.look_up();
        }
        Some((known, result))
    }
}
