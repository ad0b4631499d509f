//! Thumbnails of the photos in view, made one after the other on a separate thread.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::mpsc;
use std::sync::mpsc::{Receiver, Sender};
use std::{io, panic, thread};

use crate::input::photo::{Limits, Picture};
use crate::worker::{PhotoSource, Wake};

/// Longer side of a thumbnail in pixels: sharp at twice its size on screen.
const SIDE: usize = 192;

/// The photos whose thumbnails are requested, by ID.
type Wanted = Vec<(u64, PhotoSource)>;

/// A request for one thumbnail.
struct Request {
    /// The ID of the request: equal IDs mean the same request.
    number: u64,
    id: u64,
    source: PhotoSource,
    limits: Limits,
}

/// The answer to a request: the IDs of the request and of the photo, and the thumbnail or an error.
type Made = (u64, u64, Result<Picture, String>);

/// The thumbnail thread; it ends when this is dropped.
pub struct Thumbnails {
    wanted: Sender<Vec<Request>>,
    /// Photos with a pending request, and the ID of the request.
    pending: HashMap<u64, u64>,
    /// The limits of the last requests.
    limits: Limits,
    last_number: u64,
    made: Receiver<Made>,
}

impl Thumbnails {
    /// Starts the thread; `wake` is called after each thumbnail.
    pub fn start(wake: Wake) -> io::Result<Self> {
        let (wanted, inbox) = mpsc::channel();
        let (outbox, made) = mpsc::channel();
        thread::Builder::new()
            .name("camlens-thumbnails".into())
            .spawn(move || work_off(&inbox, &outbox, &wake))?;
        Ok(Self {
            wanted,
            pending: HashMap::new(),
            limits: Limits::default(),
            last_number: 0,
            made,
        })
    }

    /// Requests the thumbnails of these photos within the limits. This replaces the previous
    /// request.
    pub fn want(&mut self, photos: Wanted, limits: Limits) {
        if limits != self.limits {
            // The limits have changed: pending answers belong to the old request.
            self.pending.clear();
            self.limits = limits;
        }
        if photos.iter().all(|(id, _)| self.pending.contains_key(id)) {
            return;
        }
        let before = std::mem::take(&mut self.pending);
        let requests = photos.into_iter().map(|(id, source)| {
            let number = before.get(&id).copied().unwrap_or_else(|| {
                self.last_number += 1;
                self.last_number
            });
            self.pending.insert(id, number);
            Request {
                number,
                id,
                source,
                limits,
            }
        });
        // The thread outlives this handle.
        let _ = self.wanted.send(requests.collect());
    }

    /// The next finished thumbnail, with the ID of its photo.
    pub fn next(&mut self) -> Option<(u64, Result<Picture, String>)> {
        loop {
            let (number, id, thumbnail) = self.made.try_recv().ok()?;
            if self.pending.get(&id) == Some(&number) {
                self.pending.remove(&id);
                return Some((id, thumbnail));
            }
        }
    }
}

/// The thread: answers the newest list of requests until the window is closed.
fn work_off(inbox: &Receiver<Vec<Request>>, outbox: &Sender<Made>, wake: &Wake) {
    let mut queue: VecDeque<Request> = VecDeque::new();
    // Requests of the newest list that were answered before it arrived.
    let mut answered: Vec<u64> = Vec::new();
    loop {
        // Only the newest list counts; if it is finished, wait for another one.
        let mut newest = inbox.try_iter().last();
        if newest.is_none() && queue.is_empty() {
            newest = inbox.recv().ok();
            if newest.is_none() {
                return;
            }
        }
        if let Some(list) = newest {
            answered.retain(|number| list.iter().any(|request| request.number == *number));
            queue = list.into();
            queue.retain(|request| !answered.contains(&request.number));
        }
        let Some(request) = queue.pop_front() else {
            continue;
        };
        let thumbnail = panic::catch_unwind(AssertUnwindSafe(|| make(&request)))
            .unwrap_or_else(|_| Err("No thumbnail could be made.".into()));
        answered.push(request.number);
        if outbox
            .send((request.number, request.id, thumbnail))
            .is_err()
        {
            return;
        }
        wake();
    }
}

fn make(request: &Request) -> Result<Picture, String> {
    request
        .source
        .thumbnail(SIDE, request.limits)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;

    fn answer(thumbnails: &mut Thumbnails) -> Result<Picture, String> {
        let started = Instant::now();
        loop {
            if let Some((id, made)) = thumbnails.next() {
                assert_eq!(id, 7);
                return made;
            }
            assert!(started.elapsed() < Duration::from_mins(1), "no answer");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The same photo is requested repeatedly: after its texture was dropped, after it was
    /// rejected, and while the rejection is still pending.
    #[test]
    fn a_photo_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two-megapixels.png");
        image::RgbImage::new(2000, 1000).save(&path).unwrap();
        let mut thumbnails = Thumbnails::start(Arc::new(|| ())).unwrap();
        let want = |thumbnails: &mut Thumbnails, megapixels| {
            let limits = Limits {
                megapixels,
                ..Limits::default()
            };
            thumbnails.want(vec![(7, PhotoSource::File(path.clone()))], limits);
        };
        for _ in 0..2 {
            want(&mut thumbnails, 1);
            assert!(answer(&mut thumbnails).is_err());
        }
        for _ in 0..2 {
            want(&mut thumbnails, 2);
            assert!(answer(&mut thumbnails).is_ok());
        }
        want(&mut thumbnails, 1);
        want(&mut thumbnails, 2);
        assert!(answer(&mut thumbnails).is_ok());
    }
}
