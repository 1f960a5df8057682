//! Pippenger's buckets with batched affine additions, for any [`Kernel`].
//!
//! Per window, entries (a point or its opposite) are sorted by bucket; buckets are summed by
//! [`crate::halving`], which takes the points straight from where the caller has them.

use crate::blocks::{BLOCK, Block};
use crate::digits::{Lengths, Windows};
use crate::halving::{Workspace, Workspaces};
use crate::kernel::{Entry, Kernel};
use crate::point::Prepared;
use ark_ec::short_weierstrass::Projective;
use ark_ff::{AdditiveGroup, BigInt};
use rayon::prelude::*;
use std::ops::Range;

/// Entries summed together, so that even the last halvings make batches worth an inversion.
const GROUP_ENTRIES: usize = 16_384;
/// Points of one run. More are taken in turns, which bounds the memory for digits.
const POINTS_MAX: usize = 1 << 22;
const _: () = assert!(POINTS_MAX <= Entry::POINTS_MAX);

/// Entries of one bucket, or a part of them.
struct Run {
    bucket: usize,
    len: usize,
}

/// Neighbouring runs.
#[derive(Default)]
struct Group {
    entries: Range<usize>,
    runs: Vec<Run>,
}

/// `Σ scalars[i] · bases[i]`, over the shorter of both.
pub fn msm<P: Prepared, K: Kernel<P>>(
    kernel: K,
    bases: &[P],
    scalars: &[BigInt<4>],
) -> Projective<P::Curve> {
    let workspaces = Workspaces::new(kernel);
    let runs = bases.chunks(POINTS_MAX).zip(scalars.chunks(POINTS_MAX));
    runs.map(|(bases, scalars)| run(&workspaces, bases, scalars)).sum()
}

fn run<P: Prepared, K: Kernel<P>>(
    workspaces: &Workspaces<P, K>,
    bases: &[P],
    scalars: &[BigInt<4>],
) -> Projective<P::Curve> {
    let blocks = bases.par_chunks(BLOCK).zip(scalars.par_chunks(BLOCK)).enumerate();
    let mut blocks: Vec<Block> =
        blocks.map(|(i, (bases, scalars))| Block::new(i * BLOCK, bases, scalars)).collect();
    let mut lengths: Lengths = [0; _];
    for block in &blocks {
        lengths.iter_mut().zip(&block.lengths).for_each(|(sum, count)| *sum += count);
    }
    let windows = Windows::for_lengths(&lengths);
    blocks.par_iter_mut().for_each(|block| block.cut(&windows, scalars));
    let longest = lengths.iter().rposition(|count| *count > 0).unwrap_or(0);
    let (units, sums) = rayon::join(
        || units_sum(workspaces, bases, &blocks),
        || -> Vec<Projective<P::Curve>> {
            (0..windows.needed(longest as u32))
                .into_par_iter()
                .with_max_len(1)
                .map(|window| window_sum(workspaces, bases, &blocks, window, &windows))
                .collect()
        },
    );
    let weighted = sums.iter().rev().fold(Projective::ZERO, |mut total, sum| {
        for _ in 0..windows.bits() {
            total.double_in_place();
        }
        total + sum
    });
    weighted + units
}

/// The points whose scalar is 1 or -1.
fn units_sum<P: Prepared, K: Kernel<P>>(
    workspaces: &Workspaces<P, K>,
    bases: &[P],
    blocks: &[Block],
) -> Projective<P::Curve> {
    let units: Vec<Entry> = blocks.iter().flat_map(|block| &block.units).copied().collect();
    let sum = |units: &[Entry]| {
        let mut sum = [P::INFINITY];
        workspaces.with(|space| space.sum(bases, units, [units.len()].into_iter(), &mut sum));
        Projective::from(sum[0].to_affine())
    };
    units.par_chunks(GROUP_ENTRIES).map(sum).sum()
}

/// `Σ digit · base` of one window.
fn window_sum<P: Prepared, K: Kernel<P>>(
    workspaces: &Workspaces<P, K>,
    bases: &[P],
    blocks: &[Block],
    window: usize,
    windows: &Windows,
) -> Projective<P::Curve> {
    let (entries, ends) = sorted(blocks, window, windows);
    let groups = groups(&ends);
    let mut sums = vec![P::INFINITY; groups.iter().map(|group| group.runs.len()).sum()];
    let mut rest = &mut sums[..];
    let mut tasks = Vec::with_capacity(groups.len());
    for group in &groups {
        let out;
        (out, rest) = rest.split_at_mut(group.runs.len());
        tasks.push((group, out));
    }
    tasks.into_par_iter().for_each(|(group, out)| {
        let lens = group.runs.iter().map(|run| run.len);
        workspaces.with(|space| space.sum(bases, &entries[group.entries.clone()], lens, out));
    });
    let used = groups.last().and_then(|group| group.runs.last()).map_or(0, |run| run.bucket);
    // With room for the sums of neighbours.
    let mut buckets = Vec::with_capacity(2 * used + 64);
    buckets.resize(used + 1, P::INFINITY);
    // Parts of a bucket that is larger than a group.
    let mut parts = Vec::new();
    let runs = groups.iter().flat_map(|group| &group.runs);
    let mut previous = 0;
    for (run, point) in runs.zip(sums) {
        if run.bucket == previous {
            parts.push((run.bucket, point));
        } else {
            buckets[run.bucket] = point;
        }
        previous = run.bucket;
    }
    for parts in parts.chunk_by(|a, b| a.0 == b.0) {
        let bucket = &mut buckets[parts[0].0];
        let first = Projective::from(bucket.to_affine());
        let sum = parts.iter().fold(first, |sum, (_, point)| sum + point.to_affine());
        *bucket = P::from(sum.into());
    }
    workspaces.with(|space: &mut Workspace<P, K>| space.weighted_sum(buckets))
}

/// Entries sorted by bucket, and where each bucket ends; bucket 0 is empty.
fn sorted(blocks: &[Block], window: usize, windows: &Windows) -> (Vec<Entry>, Vec<u32>) {
    let mut counts = vec![0u32; windows.buckets() + 1];
    for block in blocks {
        for (_, digit) in block.window(window) {
            counts[usize::from(digit.unsigned_abs())] += 1;
        }
    }
    counts[0] = 0;
    let mut end = 0u32;
    // Starts; filling moves each to its bucket's end.
    for count in &mut counts {
        (*count, end) = (end, end + *count);
    }
    let mut ends = counts;
    let mut entries = vec![Entry::new(0, false); end as usize];
    for block in blocks {
        for (index, digit) in block.window(window) {
            if digit != 0 {
                let end = &mut ends[usize::from(digit.unsigned_abs())];
                entries[*end as usize] = Entry::new(index, digit < 0);
                *end += 1;
            }
        }
    }
    (entries, ends)
}

/// Buckets that hold anything, in groups of up to [`GROUP_ENTRIES`].
fn groups(ends: &[u32]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut group = Group::default();
    for (bucket, end) in ends.iter().enumerate() {
        while group.entries.end < *end as usize {
            let room = GROUP_ENTRIES - group.entries.len();
            let len = room.min(*end as usize - group.entries.end);
            group.runs.push(Run { bucket, len });
            group.entries.end += len;
            if len == room {
                let next = Group { entries: group.entries.end..group.entries.end, runs: vec![] };
                groups.push(std::mem::replace(&mut group, next));
            }
        }
    }
    if !group.runs.is_empty() {
        groups.push(group);
    }
    groups
}
