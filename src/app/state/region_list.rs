//! The regions of all photos, and the tools that draw them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::explain::region::{MOST_REGIONS, Region, Shape};

/// What dragging in a pane does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tool {
    /// Moves the photo.
    #[default]
    Move,
    /// Draws a rectangle.
    Rectangle,
    /// Draws a free-form outline.
    Lasso,
}

impl Tool {
    /// All tools, in the order of menus.
    pub const ALL: [Self; 3] = [Self::Move, Self::Rectangle, Self::Lasso];

    /// The name in menus.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Move => "Move the photo",
            Self::Rectangle => "Draw a rectangle",
            Self::Lasso => "Draw a lasso",
        }
    }
}

/// The regions of all photos, by photo ID.
#[derive(Debug, Default)]
pub struct Regions {
    of: HashMap<u64, Vec<Region>>,
}

impl Regions {
    /// A photo's regions.
    #[must_use]
    pub fn of(&self, photo: Option<u64>) -> &[Region] {
        let regions = photo.and_then(|photo| self.of.get(&photo));
        regions.map_or(&[], Vec::as_slice)
    }

    /// The regions of a photo, mutable.
    pub fn of_mut(&mut self, photo: u64) -> &mut Vec<Region> {
        self.of.entry(photo).or_default()
    }

    /// Adds a shape to the regions of a photo, with an unused name: A, B, …. A photo has at most
    /// [`MOST_REGIONS`].
    pub fn add(&mut self, photo: u64, shape: Shape) {
        let regions = self.of_mut(photo);
        if regions.len() >= MOST_REGIONS {
            return;
        }
        let letters = ('A'..='Z').map(String::from);
        let numbers = (1..).map(|number| format!("region {number}"));
        let is_free = |name: &String| regions.iter().all(|region| region.name != *name);
        if let Some(name) = letters.chain(numbers).find(is_free) {
            regions.push(Region { name, shape });
        }
    }

    /// Replaces a photo's region, if there is one with this index.
    pub fn replace(&mut self, photo: u64, index: usize, region: Region) {
        if let Some(old) = self.of_mut(photo).get_mut(index) {
            *old = region;
        }
    }

    /// Removes a photo's region, if there is one with this index.
    pub fn remove(&mut self, photo: u64, index: usize) {
        let regions = self.of_mut(photo);
        if index < regions.len() {
            regions.remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_get_names_that_are_free() {
        let mut regions = Regions::default();
        let shape = Shape::Rectangle([0.0, 0.0, 5.0, 5.0]);
        for _ in 0..28 {
            regions.add(7, shape.clone());
        }
        let names: Vec<&str> = regions
            .of(Some(7))
            .iter()
            .map(|region| &*region.name)
            .collect();
        assert_eq!((names[0], names[25], names[27]), ("A", "Z", "region 2"));
        regions.of_mut(7).remove(1);
        regions.add(7, shape);
        assert_eq!(regions.of(Some(7))[27].name, "B");
        assert!(regions.of(Some(8)).is_empty() && regions.of(None).is_empty());
    }
}
