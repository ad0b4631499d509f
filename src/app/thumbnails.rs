//! Thumbnails, made one after the other on a thread of their own: of what is in view.

use std::collections::VecDeque;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::photo::{Limits, Picture};
use crate::worker::{PhotoSource, Wake};

/// Longer side of a thumbnail in pixels: sharp at twice the size it is shown in.
const SIDE: usize = 192;

/// A photo's number, and its thumbnail or why there is none.
type Made = (u64, Result<Picture, String>);
type Wanted = Vec<(u64, PhotoSource)>;
type List = (Wanted, Limits);

/// The thumbnail thread; it ends when this is dropped.
pub struct Thumbnails {
    wanted: Sender<List>,
    /// Those asked for last.
    asked: Vec<u64>,
    made: Receiver<Made>,
}

impl Thumbnails {
    /// Starts the thread; `wake` is called after each thumbnail.
    pub fn start(wake: Wake) -> io::Result<Self> {
        let (wanted, inbox) = mpsc::channel::<List>();
        let (outbox, made) = mpsc::channel();
        thread::Builder::new()
            .name("camlens-thumbnails".into())
            .spawn(move || {
                let mut queue = VecDeque::new();
                let mut last = None;
                let mut limits = Limits::default();
                loop {
                    // The newest list counts; without work, wait for one.
                    let mut newest = inbox.try_iter().last();
                    if newest.is_none() && queue.is_empty() {
                        newest = inbox.recv().ok();
                        if newest.is_none() {
                            return; // the window is closed
                        }
                    }
                    if let Some((list, now)) = newest {
                        queue = list.into();
                        limits = now;
                    }
                    let Some((id, source)) = queue.pop_front() else {
                        continue;
                    };
                    if last.replace(id) == Some(id) {
                        continue; // it was on its way when the list was written
                    }
                    let thumbnail = panic::catch_unwind(AssertUnwindSafe(|| make(&source, limits)))
                        .unwrap_or_else(|_| Err("No thumbnail could be made.".into()));
                    if outbox.send((id, thumbnail)).is_err() {
                        return;
                    }
                    wake();
                }
            })?;
        Ok(Self {
            wanted,
            asked: Vec::new(),
            made,
        })
    }

    /// Asks for the thumbnails of these photos, as far as they are within limits, in place
    /// of those asked for before.
    pub fn want(&mut self, photos: Wanted, limits: Limits) {
        let asked: Vec<u64> = photos.iter().map(|(id, _)| *id).collect();
        if asked.iter().any(|id| !self.asked.contains(id)) {
            // The thread outlives this handle.
            let _ = self.wanted.send((photos, limits));
            self.asked = asked;
        }
    }

    /// The next thumbnail that is ready.
    pub fn next(&mut self) -> Option<Made> {
        let made = self.made.try_recv().ok()?;
        self.asked.retain(|id| *id != made.0);
        Some(made)
    }
}

fn make(source: &PhotoSource, limits: Limits) -> Result<Picture, String> {
    source
        .thumbnail(SIDE, limits)
        .map_err(|error| error.to_string())
}
