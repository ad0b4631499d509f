//! Numbers that look random and are the same each time.

use std::collections::HashMap;

/// A generator of such numbers.
pub struct Dice {
    state: u64,
    /// The cards that are left of each deck, by the deck's name and size.
    decks: HashMap<(&'static str, usize), Vec<usize>>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            decks: HashMap::new(),
        }
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % sides
    }

    /// One of them.
    pub fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())].clone()
    }

    /// One of them, as from a shuffled deck of cards: none comes again before all others came.
    pub fn deal<T: Clone>(&mut self, deck: &'static str, all: &[T]) -> T {
        let key = (deck, all.len());
        let mut cards = self.decks.remove(&key).unwrap_or_default();
        if cards.is_empty() {
            cards.extend(0..all.len());
            for last in (1..cards.len()).rev() {
                let other = self.roll(last + 1);
                cards.swap(last, other);
            }
        }
        let card = cards.pop().unwrap();
        self.decks.insert(key, cards);
        all[card].clone()
    }
}

#[test]
fn a_deck_gives_each_card_once() {
    let mut dice = Dice::new(6);
    for _ in 0..3 {
        let mut dealt: Vec<u32> = (0..5).map(|_| dice.deal("a", &[0, 1, 2, 3, 4])).collect();
        dealt.sort_unstable();
        assert_eq!(dealt, [0, 1, 2, 3, 4]);
    }
}
