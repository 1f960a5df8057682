//! Sums of many stretches of points by halving.
//!
//! Neighbours in a stretch are added until one point is left; the halvings of many stretches make
//! one batch of independent additions. Points move between two buffers, so no addition of a batch
//! touches another's operands, and nothing needs scheduling.

use crate::kernel::{Entry, Kernel, Sum};
use crate::point::Prepared;
use ark_ec::short_weierstrass::Projective;
use ark_ff::AdditiveGroup;
use std::sync::{Mutex, PoisonError};

/// Additions that share an inversion: their scratch memory fits into a level 2 cache.
const BATCH: usize = 2_048;
/// So few buckets are summed one by one.
const BUCKETS_SERIAL: usize = 16;

/// Memory that one thread uses again and again.
pub struct Workspace<P: Prepared, K: Kernel<P>> {
    kernel: K,
    sums: Vec<Sum>,
    /// Entries that have no neighbour, and their places.
    odd: Vec<(Entry, u32)>,
    lens: Vec<u32>,
    buffers: [Vec<P>; 2],
    scratch: K::Scratch,
}

/// Workspaces that no thread uses at the moment.
pub struct Workspaces<P: Prepared, K: Kernel<P>> {
    kernel: K,
    idle: Mutex<Vec<Workspace<P, K>>>,
}

impl<P: Prepared, K: Kernel<P>> Workspaces<P, K> {
    /// None yet.
    pub fn new(kernel: K) -> Self {
        Self { kernel, idle: Mutex::new(Vec::new()) }
    }

    /// Runs `f` with one.
    pub fn with<T>(&self, f: impl FnOnce(&mut Workspace<P, K>) -> T) -> T {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut workspace = idle.unwrap_or_else(|| Workspace::new(self.kernel));
        let result = f(&mut workspace);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        result
    }
}

impl<P: Prepared, K: Kernel<P>> Workspace<P, K> {
    fn new(kernel: K) -> Self {
        Self {
            kernel,
            sums: Vec::new(),
            odd: Vec::new(),
            lens: Vec::new(),
            buffers: [Vec::new(), Vec::new()],
            scratch: K::Scratch::default(),
        }
    }

    /// `out[i]` becomes the sum of the i-th stretch of entries, which are points of `from`.
    /// Stretches are not empty.
    pub fn sum(
        &mut self,
        from: &[P],
        entries: &[Entry],
        stretches: impl Iterator<Item = usize>,
        out: &mut [P],
    ) {
        self.lens.clear();
        self.lens.extend(stretches.map(place));
        self.pair(|i| entries[i]);
        let points = &mut self.buffers[0];
        fit(points, self.sums.len() + self.odd.len());
        add(self.kernel, from, points, &self.sums, &self.odd, &mut self.scratch);
        while self.lens.iter().any(|len| *len > 1) {
            self.pair(|i| Entry::new(place(i), false));
            let [points, next] = &mut self.buffers;
            fit(next, self.sums.len() + self.odd.len());
            add(self.kernel, points, next, &self.sums, &self.odd, &mut self.scratch);
            std::mem::swap(points, next);
        }
        out.copy_from_slice(&self.buffers[0][..out.len()]);
    }

    /// The additions that halve all stretches of `self.lens`, which becomes their lengths then.
    fn pair(&mut self, entry: impl Fn(usize) -> Entry) {
        self.sums.clear();
        self.odd.clear();
        let (mut first, mut into) = (0, 0);
        for len in &mut self.lens {
            for _ in 0..*len / 2 {
                self.sums.push(Sum { left: entry(first), right: entry(first + 1), into });
                first += 2;
                into += 1;
            }
            if *len % 2 == 1 {
                self.odd.push((entry(first), into));
                first += 1;
                into += 1;
            }
            *len = len.div_ceil(2);
        }
    }

    /// `Σ i · buckets[i]`.
    ///
    /// Indices are taken apart into bits: the buckets whose index is odd are summed, then
    /// neighbours are added, which drops the lowest bit of all indices, and so on.
    pub fn weighted_sum(&mut self, mut buckets: Vec<P>) -> Projective<P::Curve> {
        let mut entries = Vec::with_capacity(buckets.len());
        let mut odds = Vec::new();
        let (mut start, mut len) = (0, buckets.len());
        while len > BUCKETS_SERIAL {
            entries.extend((0..len / 2).map(|i| Entry::new(place(start + 2 * i + 1), false)));
            odds.push(len / 2);
            self.lens.clear();
            self.lens.extend(std::iter::repeat_n(2, len / 2));
            self.lens.extend((len % 2 == 1).then_some(1));
            self.pair(|i| Entry::new(place(start + i), false));
            start += len;
            len = len.div_ceil(2);
            fit(&mut buckets, start + len);
            let (from, into) = buckets.split_at_mut(start);
            add(self.kernel, from, into, &self.sums, &self.odd, &mut self.scratch);
        }
        let mut sums = vec![P::INFINITY; odds.len()];
        self.sum(&buckets, &entries, odds.into_iter(), &mut sums);
        let (mut run, mut total) = (Projective::ZERO, Projective::ZERO);
        for bucket in buckets[start..][1..len].iter().rev() {
            run += bucket.to_affine();
            total += run;
        }
        sums.iter().rev().fold(total, |total, sum| total.double() + sum.to_affine())
    }
}

/// Runs all additions, and copies the points that have no neighbour.
fn add<P: Prepared, K: Kernel<P>>(
    kernel: K,
    from: &[P],
    into: &mut [P],
    sums: &[Sum],
    odd: &[(Entry, u32)],
    scratch: &mut K::Scratch,
) {
    let batches = sums.len().div_ceil(BATCH);
    if batches > 0 {
        for batch in sums.chunks(sums.len().div_ceil(batches)) {
            kernel.add_all(from, into, batch, scratch);
        }
    }
    for (entry, at) in odd {
        let point = from[entry.index()];
        into[*at as usize] = if entry.sign() == 0 { point } else { (-point.to_affine()).into() };
    }
}

/// Makes a buffer long enough.
fn fit<P: Prepared>(buffer: &mut Vec<P>, len: usize) {
    if buffer.len() < len {
        buffer.resize(len, P::INFINITY);
    }
}

fn place(i: usize) -> u32 {
    u32::try_from(i).expect("few points are kept at once")
}
