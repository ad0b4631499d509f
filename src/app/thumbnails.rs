//! Thumbnails, made one after the other on a thread of their own.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::photo::Picture;
use crate::worker::{PhotoSource, Wake};

/// Longer side of a thumbnail in pixels: sharp at twice the size it is shown in.
const SIDE: usize = 192;

/// A photo's number, and its thumbnail or why there is none.
type Made = (u64, Result<Picture, String>);

/// The thumbnail thread; it ends when this is dropped.
pub struct Thumbnails {
    wanted: Sender<(u64, PhotoSource)>,
    made: Receiver<Made>,
}

impl Thumbnails {
    /// Starts the thread; `wake` is called after each thumbnail.
    pub fn start(wake: Wake) -> io::Result<Self> {
        let (wanted, inbox) = mpsc::channel::<(u64, PhotoSource)>();
        let (outbox, made) = mpsc::channel();
        thread::Builder::new()
            .name("camlens-thumbnails".into())
            .spawn(move || {
                for (id, source) in inbox {
                    let thumbnail = panic::catch_unwind(AssertUnwindSafe(|| make(&source)))
                        .unwrap_or_else(|_| Err("No thumbnail could be made.".into()));
                    if outbox.send((id, thumbnail)).is_err() {
                        return; // the window is closed
                    }
                    wake();
                }
            })?;
        Ok(Self { wanted, made })
    }

    /// Asks for a photo's thumbnail.
    pub fn want(&self, id: u64, source: PhotoSource) {
        // The thread outlives this handle.
        let _ = self.wanted.send((id, source));
    }

    /// The next thumbnail that is ready.
    pub fn next(&self) -> Option<Made> {
        self.made.try_recv().ok()
    }
}

fn make(source: &PhotoSource) -> Result<Picture, String> {
    source.thumbnail(SIDE).map_err(|error| error.to_string())
}
