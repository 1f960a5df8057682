//! Where constraints come from: for each, the calls in the source that made it.
//!
//! Recorded so that the tests can take the constraints of any one call out and demand that an attack
//! then succeeds (`circuits/tests/deletion`). The circuit does not depend on it.

use std::collections::HashMap;
use std::panic::Location;

type Place = &'static Location<'static>;

/// Chains of calls, and the one of each constraint.
#[derive(Debug, Default)]
pub struct Sites {
    /// Chains as a tree: a place and the chain it was called from. Chain `i + 1` is at `i`; 0 is
    /// the empty one.
    chains: Vec<(Place, u32)>,
    known: HashMap<(Place, u32), u32>,
    current: u32,
    of: Vec<u32>,
}

impl Sites {
    fn chain(&mut self, place: Place) -> u32 {
        let next = u32::try_from(self.chains.len() + 1).expect("sources are short");
        let chain = *self.known.entry((place, self.current)).or_insert(next);
        if chain == next {
            self.chains.push((place, self.current));
        }
        chain
    }
    /// What follows is called from `place`; gives the chain that was in force.
    pub(crate) fn enter(&mut self, place: Place) -> u32 {
        let chain = self.chain(place);
        std::mem::replace(&mut self.current, chain)
    }
    /// Returns to a chain given by [`Sites::enter`].
    pub(crate) fn leave(&mut self, chain: u32) {
        self.current = chain;
    }
    /// The next constraint was made at `place`.
    pub(crate) fn push(&mut self, place: Place) {
        let chain = self.chain(place);
        self.of.push(chain);
    }
    /// The chain of each constraint, a number.
    pub fn of_constraints(&self) -> &[u32] {
        &self.of
    }
    /// The places of a chain, the innermost one first.
    pub fn places(&self, mut chain: u32) -> Vec<Place> {
        let mut places = Vec::new();
        while let Some((place, outer)) = (chain as usize).checked_sub(1).map(|i| self.chains[i]) {
            places.push(place);
            chain = outer;
        }
        places
    }
}
