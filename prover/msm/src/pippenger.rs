//! Pippenger's buckets with batched affine additions.
//!
//! Per window, entries (a point or its opposite) are sorted by bucket. Each bucket's entries are
//! then halved by adding neighbours until one is left; the halvings of many buckets make one
//! batch of independent additions. No two additions of a batch touch the same point, so nothing
//! needs scheduling.

use crate::addition::{Scratch, Sum};
use crate::digits::{Digit, Windows};
use crate::lanes::Lanes;
use crate::point::Point;
use ark_bn254::{G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt};
use rayon::prelude::*;

/// Entries halved together: their points and the batch's scratch memory fit into a level 2 cache.
const GROUP_ENTRIES: usize = 8_192;
/// Scalars cut into digits together.
const BLOCK: usize = 4_096;
/// Chains of running sums of a window's buckets.
const CHUNKS: usize = 512;
/// So few buckets are summed one by one.
const BUCKETS_SERIAL: usize = 32;
/// An entry is a point's index and a sign.
pub const POINTS_MAX: usize = 1 << 31;

/// Entries of one bucket, or a part of them.
struct Run {
    bucket: usize,
    start: usize,
    len: usize,
}

/// `Σ scalars[i] · bases[i]`; both have the same length of at most [`POINTS_MAX`].
pub fn msm(lanes: Lanes, bases: &[G1Affine], scalars: &[BigInt<4>]) -> G1Projective {
    assert!(bases.len() == scalars.len() && bases.len() <= POINTS_MAX);
    let windows = Windows::for_points(bases.len());
    let blocks: Vec<Vec<Digit>> = bases
        .par_chunks(BLOCK)
        .zip(scalars.par_chunks(BLOCK))
        .map(|(bases, scalars)| block(&windows, bases, scalars))
        .collect();
    let sums: Vec<G1Projective> = (0..windows.count())
        .into_par_iter()
        .map(|window| window_sum(lanes, bases, &blocks, window, &windows))
        .collect();
    sums.iter().rev().fold(G1Projective::ZERO, |mut total, sum| {
        for _ in 0..windows.bits() {
            total.double_in_place();
        }
        total + sum
    })
}

/// Digits of a block, window by window; a point at infinity gets none.
fn block(windows: &Windows, bases: &[G1Affine], scalars: &[BigInt<4>]) -> Vec<Digit> {
    let mut digits = vec![0; windows.count() * bases.len()];
    for (i, (base, scalar)) in bases.iter().zip(scalars).enumerate() {
        if !base.is_zero() {
            windows.split(scalar, |window, digit| digits[window * bases.len() + i] = digit);
        }
    }
    digits
}

/// `Σ digit · base` of one window.
fn window_sum(
    lanes: Lanes,
    bases: &[G1Affine],
    blocks: &[Vec<Digit>],
    window: usize,
    windows: &Windows,
) -> G1Projective {
    let (entries, ends) = sorted(blocks, window, windows);
    let groups = groups(&ends);
    let grouped: Vec<Vec<Point>> = groups
        .par_iter()
        .map_init(Workspace::default, |workspace, runs| {
            workspace.sums_of(lanes, bases, &entries, runs)
        })
        .collect();
    let used = groups.last().and_then(|runs| runs.last()).map_or(0, |run| run.bucket);
    let mut buckets = vec![Point::INFINITY; used];
    // Parts of a bucket that is larger than a group.
    let mut parts = Vec::new();
    let runs = groups.iter().flatten();
    let mut previous = 0;
    for (run, point) in runs.zip(grouped.into_iter().flatten()) {
        if run.bucket == previous {
            parts.push((run.bucket, point));
        } else {
            buckets[run.bucket - 1] = point;
        }
        previous = run.bucket;
    }
    for parts in parts.chunk_by(|a, b| a.0 == b.0) {
        let bucket = &mut buckets[parts[0].0 - 1];
        let sum = parts
            .iter()
            .fold(bucket.to_affine().into_group(), |sum, (_, point)| sum + point.to_affine());
        *bucket = G1Affine::from(sum).into();
    }
    weighted_sum(lanes, buckets, &mut Workspace::default())
}

/// Indices and signs sorted by bucket, and where each bucket ends; bucket 0 is empty.
fn sorted(blocks: &[Vec<Digit>], window: usize, windows: &Windows) -> (Vec<u32>, Vec<usize>) {
    let of_window = |block: &Vec<Digit>| {
        let len = block.len() / windows.count();
        window * len..(window + 1) * len
    };
    let mut counts = vec![0usize; windows.buckets() + 1];
    for block in blocks {
        for digit in &block[of_window(block)] {
            counts[usize::from(digit.unsigned_abs())] += 1;
        }
    }
    counts[0] = 0;
    let mut end = 0;
    // Starts; filling moves each to its bucket's end.
    for count in &mut counts {
        (*count, end) = (end, end + *count);
    }
    let mut ends = counts;
    let mut entries = vec![0u32; end];
    let mut index = 0u32;
    for block in blocks {
        for digit in &block[of_window(block)] {
            if *digit != 0 {
                let end = &mut ends[usize::from(digit.unsigned_abs())];
                entries[*end] = index << 1 | u32::from(*digit < 0);
                *end += 1;
            }
            index += 1;
        }
    }
    (entries, ends)
}

/// Buckets that hold anything, in groups of up to [`GROUP_ENTRIES`].
fn groups(ends: &[usize]) -> Vec<Vec<Run>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    let (mut start, mut room) = (0, GROUP_ENTRIES);
    for (bucket, end) in ends.iter().enumerate() {
        while start < *end {
            let len = room.min(*end - start);
            group.push(Run { bucket, start, len });
            start += len;
            room -= len;
            if room == 0 {
                groups.push(std::mem::take(&mut group));
                room = GROUP_ENTRIES;
            }
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// Memory that one thread uses again and again.
#[derive(Default)]
struct Workspace {
    points: Vec<Point>,
    sums: Vec<Sum>,
    scratch: Scratch,
}

impl Workspace {
    /// The sum of each run.
    fn sums_of(
        &mut self,
        lanes: Lanes,
        bases: &[G1Affine],
        entries: &[u32],
        runs: &[Run],
    ) -> Vec<Point> {
        self.points.clear();
        for run in runs {
            self.points.extend(
                entries[run.start..run.start + run.len]
                    .iter()
                    .map(|entry| Point::signed(&bases[(entry >> 1) as usize], entry & 1 == 1)),
            );
        }
        let lens: Vec<usize> = runs.iter().map(|run| run.len).collect();
        self.halve(lanes, &lens)
    }

    /// The sum of each stretch of `self.points`.
    fn halve(&mut self, lanes: Lanes, lens: &[usize]) -> Vec<Point> {
        let mut start = 0;
        let mut stretches: Vec<(usize, usize)> = Vec::with_capacity(lens.len());
        for len in lens {
            stretches.push((start, *len));
            start += len;
        }
        loop {
            self.sums.clear();
            for (start, len) in &stretches {
                self.sums
                    .extend((0..len / 2).map(|i| sum(start + 2 * i, start + 2 * i + 1, start + i)));
            }
            if self.sums.is_empty() {
                return stretches.iter().map(|(start, _)| self.points[*start]).collect();
            }
            lanes.add_all(&mut self.points, &self.sums, &mut self.scratch);
            for (start, len) in &mut stretches {
                if *len % 2 == 1 {
                    self.points[*start + *len / 2] = self.points[*start + *len - 1];
                }
                *len = len.div_ceil(2);
            }
        }
    }
}

/// Indices fit: a workspace holds at most a window's buckets or a group's entries.
fn sum(left: usize, right: usize, into: usize) -> Sum {
    let index = |i| u32::try_from(i).expect("few points are kept at once");
    Sum { left: index(left), right: index(right), into: index(into) }
}

/// `Σ (i + 1) · buckets[i]`.
///
/// Chunks of buckets have their running sums side by side. With `run` a chunk's plain sum and
/// `total` its sum weighted from 1, the whole is `Σ total + width · Σ chunk · run`, and the second
/// sum is of the same kind.
fn weighted_sum(lanes: Lanes, mut buckets: Vec<Point>, workspace: &mut Workspace) -> G1Projective {
    if buckets.len() <= BUCKETS_SERIAL {
        let (mut run, mut total) = (G1Projective::ZERO, G1Projective::ZERO);
        for bucket in buckets.iter().rev() {
            run += bucket.to_affine();
            total += run;
        }
        return total;
    }
    let width = buckets.len().div_ceil(CHUNKS).next_power_of_two().max(8);
    let chunks = buckets.len().div_ceil(width);
    buckets.resize(chunks * width, Point::INFINITY);
    let (run, total) = (buckets.len(), buckets.len() + chunks);
    for _ in 0..2 {
        for chunk in 0..chunks {
            buckets.push(buckets[(chunk + 1) * width - 1]);
        }
    }
    // Runs and totals start with their chunk's last bucket. In one batch a total takes the run as
    // it was before the batch, so totals begin one step later and end one step later.
    for step in 1..=width {
        workspace.sums.clear();
        if step < width {
            let bucket = width - 1 - step;
            workspace.sums.extend((0..chunks).map(|m| sum(run + m, m * width + bucket, run + m)));
        }
        if step > 1 {
            workspace.sums.extend((0..chunks).map(|m| sum(total + m, run + m, total + m)));
        }
        lanes.add_all(&mut buckets, &workspace.sums, &mut workspace.scratch);
    }
    workspace.points.clear();
    workspace.points.extend_from_slice(&buckets[total..]);
    let totals = workspace.halve(lanes, &[chunks])[0].to_affine();
    let runs = buckets[run + 1..total].to_vec();
    let mut weighted = weighted_sum(lanes, runs, workspace);
    for _ in 0..width.ilog2() {
        weighted.double_in_place();
    }
    weighted + totals
}
