//! Scalars sorted out, a block at a time.

use crate::digits::{Digit, Lengths, Windows, magnitude};
use crate::kernel::Entry;
use crate::point::Prepared;
use ark_ff::{BigInt, BigInteger};

/// Scalars in a block.
pub const BLOCK: usize = 4_096;

/// What some scalars ask for. Those that are 0, or whose point is infinity, are left out.
pub struct Block {
    /// Points to add or to subtract.
    pub units: Vec<Entry>,
    /// Points with a longer scalar, the longest first.
    indices: Vec<u32>,
    /// How many scalars have which length.
    pub lengths: Lengths,
    /// The digits of the first window, of the second …
    digits: Vec<Digit>,
    /// Where each window's digits end. The scalars that need a window come before all others.
    ends: Vec<usize>,
}

impl Block {
    /// Looks at scalars and their points, the first of which has the index `first`.
    pub fn new<P: Prepared>(first: usize, bases: &[P], scalars: &[BigInt<4>]) -> Self {
        let mut units = Vec::new();
        let mut lengths = [0; _];
        let mut found = Vec::with_capacity(scalars.len());
        for ((base, scalar), index) in bases.iter().zip(scalars).zip(first as u32..) {
            if scalar.is_zero() || base.is_infinity() {
                continue;
            }
            let (negative, magnitude) = magnitude(scalar);
            let bits = magnitude.num_bits();
            if bits == 1 {
                units.push(Entry::new(index, negative));
            } else {
                lengths[bits as usize] += 1;
                found.push((bits as usize, index));
            }
        }
        let mut starts = [0; _];
        let mut longer = 0;
        for (start, count) in
            <Lengths as AsMut<[usize]>>::as_mut(&mut starts).iter_mut().zip(&lengths).rev()
        {
            *start = longer;
            longer += count;
        }
        let mut indices = vec![0; found.len()];
        let starts: &mut Lengths = &mut starts;
        for (bits, index) in found {
            indices[starts[bits]] = index;
            starts[bits] += 1;
        }
        Self { units, indices, lengths, digits: Vec::new(), ends: Vec::new() }
    }

    /// Cuts the scalars, which are all of the call.
    pub fn cut(&mut self, windows: &Windows, scalars: &[BigInt<4>]) {
        let mut counts = vec![0; windows.count()];
        for (bits, count) in self.lengths.iter().enumerate() {
            counts[..windows.needed(bits as u32)].iter_mut().for_each(|sum| *sum += count);
        }
        let starts = counts.iter().scan(0, |end, count| {
            *end += count;
            Some(*end - count)
        });
        let starts: Vec<usize> = starts.collect();
        self.ends = starts.iter().zip(&counts).map(|(start, count)| start + count).collect();
        self.digits = vec![0; counts.iter().sum()];
        for (i, index) in self.indices.iter().enumerate() {
            let put = |window: usize, digit| self.digits[starts[window] + i] = digit;
            windows.split(&scalars[*index as usize], put);
        }
    }

    /// Points and their digits in a window.
    pub fn window(&self, window: usize) -> impl Iterator<Item = (u32, Digit)> {
        let start = if window == 0 { 0 } else { self.ends[window - 1] };
        self.indices.iter().copied().zip(self.digits[start..self.ends[window]].iter().copied())
    }
}
