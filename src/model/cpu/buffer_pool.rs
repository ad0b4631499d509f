//! A pool of reusable memory for activations: a network needs the same sizes in every run, and
//! freshly allocated memory costs a page fault for every 4 KB.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of unused bytes that are kept. A ResNet-18 needs 11 MB for a 3:2 photo.
const KEEP: usize = 32 << 20;

/// A pool of buffers. Clones share their buffers.
#[derive(Clone, Debug, Default)]
pub struct BufferPool(Arc<Mutex<Vec<Vec<f32>>>>);

impl BufferPool {
    /// A buffer with this many values, with arbitrary contents: the smallest free buffer that fits
    /// and is not more than twice as large, otherwise a new one.
    #[must_use]
    pub fn take(&self, values: usize) -> Buffer {
        let mut free = self.lock();
        let fits = |buffer: &Vec<f32>| (values..=2 * values).contains(&buffer.len());
        let best = (0..free.len())
            .filter(|at| fits(&free[*at]))
            .min_by_key(|at| free[*at].len());
        let memory = best.map(|at| free.swap_remove(at));
        drop(free);
        Buffer {
            memory: memory.unwrap_or_else(|| vec![0.0; values]),
            values,
            pool: self.clone(),
        }
    }

    fn give_back(&self, memory: Vec<f32>) {
        let mut free = self.lock();
        free.push(memory);
        // Drop the oldest first: their size is no longer requested.
        let mut bytes: usize = free.iter().map(|buffer| 4 * buffer.len()).sum();
        while bytes > KEEP {
            bytes -= 4 * free.remove(0).len();
        }
    }

    /// A panic in another thread can't leave the list inconsistent, because the lock is held only
    /// for single operations.
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory of a [`BufferPool`], returned to it when dropped.
#[derive(Debug)]
pub struct Buffer {
    memory: Vec<f32>,
    values: usize,
    pool: BufferPool,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.values]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.values]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_not_hoarded() {
        let pool = BufferPool::default();
        let first = pool.take(1000);
        let place = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(400).len(), 400); // too small for it: a new one
        let second = pool.take(600);
        assert_eq!((second.as_ptr(), second.len()), (place, 600));
        drop(second);
        drop(pool.take(KEEP / 4 + 1));
        assert!(pool.lock().is_empty());
    }
}
