//! Pippenger's buckets with batched affine additions.
//!
//! Per window, entries (a point or its opposite) are sorted by bucket. Each bucket's entries are
//! then halved by adding neighbours until one is left; the halvings of many buckets make one
//! batch of independent additions. No two additions of a batch touch the same point, so nothing
//! needs scheduling.

use crate::addition::{Scratch, Sum};
use crate::digits::{Digit, Windows};
use crate::lanes::{Lanes, prefetch};
use crate::point::Point;
use ark_bn254::{G1Affine, G1Projective};
use ark_ec::AffineRepr;
use ark_ff::{AdditiveGroup, BigInt};
use rayon::prelude::*;
use std::ops::Range;

/// Entries halved together, so that even the last halvings make batches worth an inversion.
const GROUP_ENTRIES: usize = 16_384;
/// Additions that share an inversion: their scratch memory fits into a level 2 cache.
const BATCH: usize = 2_048;
/// How many entries ahead a point is asked for.
const PREFETCH: usize = 24;
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
    len: usize,
}

/// Neighbouring runs.
#[derive(Default)]
struct Group {
    entries: Range<usize>,
    runs: Vec<Run>,
}

/// `Σ scalars[i] · bases[i]`; both have the same length of at most [`POINTS_MAX`].
pub fn msm(lanes: Lanes, bases: &[G1Affine], scalars: &[BigInt<4>]) -> G1Projective {
    assert!(bases.len() == scalars.len() && bases.len() <= POINTS_MAX);
    let windows = Windows::for_points(bases.len());
    let order = order(&windows, bases, scalars);
    let blocks: Vec<Block> =
        order.par_chunks(BLOCK).map(|order| Block::new(&windows, order, scalars)).collect();
    // In one cache line each.
    let bases: Vec<Point> =
        order.par_iter().map(|index| Point::from(bases[*index as usize])).collect();
    let sums: Vec<G1Projective> = (0..windows.count())
        .into_par_iter()
        .map(|window| window_sum(lanes, &bases, &blocks, window, &windows))
        .collect();
    sums.iter().rev().fold(G1Projective::ZERO, |mut total, sum| {
        for _ in 0..windows.bits() {
            total.double_in_place();
        }
        total + sum
    })
}

/// The points that count, those with the largest scalars last: most blocks of small scalars need
/// few windows.
fn order(windows: &Windows, bases: &[G1Affine], scalars: &[BigInt<4>]) -> Vec<u32> {
    let needed: Vec<usize> = bases
        .par_iter()
        .zip(scalars)
        .map(|(base, scalar)| if base.is_zero() { 0 } else { windows.needed(scalar) })
        .collect();
    let mut ends = vec![0; windows.count() + 2];
    for needed in &needed {
        ends[needed + 1] += 1;
    }
    // Scalars that need nothing are left out.
    ends[1] = 0;
    for i in 1..ends.len() {
        ends[i] += ends[i - 1];
    }
    let mut order = vec![0; ends[windows.count() + 1]];
    for (i, needed) in needed.iter().enumerate().filter(|(_, needed)| **needed > 0) {
        order[ends[*needed]] = index(i);
        ends[*needed] += 1;
    }
    order
}

/// Digits of some scalars, window by window as far as any is not 0.
struct Block {
    digits: Vec<Digit>,
    len: usize,
}

impl Block {
    fn new(windows: &Windows, order: &[u32], scalars: &[BigInt<4>]) -> Self {
        let len = order.len();
        let scalars = order.iter().map(|index| &scalars[*index as usize]);
        let needed = scalars.clone().map(|scalar| windows.needed(scalar)).max();
        let mut digits = vec![0; needed.unwrap_or(0) * len];
        for (i, scalar) in scalars.enumerate() {
            windows.split(scalar, |window, digit| digits[window * len + i] = digit);
        }
        Self { digits, len }
    }

    /// Empty for windows above the highest used.
    fn window(&self, window: usize) -> &[Digit] {
        self.digits.get(window * self.len..(window + 1) * self.len).unwrap_or_default()
    }
}

/// `Σ digit · base` of one window.
fn window_sum(
    lanes: Lanes,
    bases: &[Point],
    blocks: &[Block],
    window: usize,
    windows: &Windows,
) -> G1Projective {
    let (entries, ends) = sorted(blocks, window, windows);
    let groups = groups(&ends);
    let grouped: Vec<Vec<Point>> = groups
        .par_iter()
        .map_init(Workspace::default, |workspace, group| {
            workspace.take(bases, &entries[group.entries.clone()]);
            let lens: Vec<usize> = group.runs.iter().map(|run| run.len).collect();
            workspace.halve(lanes, &lens)
        })
        .collect();
    let used = groups.last().and_then(|group| group.runs.last()).map_or(0, |run| run.bucket);
    let mut buckets = vec![Point::INFINITY; used];
    // Parts of a bucket that is larger than a group.
    let mut parts = Vec::new();
    let runs = groups.iter().flat_map(|group| &group.runs);
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
fn sorted(blocks: &[Block], window: usize, windows: &Windows) -> (Vec<u32>, Vec<u32>) {
    let mut counts = vec![0u32; windows.buckets() + 1];
    for block in blocks {
        for digit in block.window(window) {
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
    let mut entries = vec![0u32; end as usize];
    let mut first = 0;
    for block in blocks {
        for (i, digit) in block.window(window).iter().enumerate() {
            if *digit != 0 {
                let end = &mut ends[usize::from(digit.unsigned_abs())];
                entries[*end as usize] = index(first + i) << 1 | u32::from(*digit < 0);
                *end += 1;
            }
        }
        first += block.len;
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

/// Memory that one thread uses again and again.
#[derive(Default)]
struct Workspace {
    points: Vec<Point>,
    sums: Vec<Sum>,
    scratch: Scratch,
}

impl Workspace {
    /// Copies the points that entries speak of.
    fn take(&mut self, bases: &[Point], entries: &[u32]) {
        self.points.clear();
        self.points.extend(entries.iter().enumerate().map(|(i, entry)| {
            if let Some(ahead) = entries.get(i + PREFETCH) {
                prefetch(&bases[(ahead >> 1) as usize]);
            }
            bases[(entry >> 1) as usize].signed(entry & 1 == 1)
        }));
    }

    /// The sum of each stretch of `self.points`.
    fn halve(&mut self, lanes: Lanes, lens: &[usize]) -> Vec<Point> {
        let mut start = 0;
        let mut stretches: Vec<(u32, u32)> = Vec::with_capacity(lens.len());
        for len in lens {
            stretches.push((start, index(*len)));
            start += index(*len);
        }
        loop {
            self.sums.clear();
            for (start, len) in &stretches {
                let pairs = *start..*start + len / 2;
                let pair = |into| Sum { left: 2 * into - start, right: 2 * into - start + 1, into };
                self.sums.extend(pairs.map(pair));
            }
            if self.sums.is_empty() {
                return stretches.iter().map(|(start, _)| self.points[*start as usize]).collect();
            }
            // A batch writes before the places that later batches read.
            for batch in self.sums.chunks(BATCH) {
                lanes.add_all(&mut self.points, batch, &mut self.scratch);
            }
            for (start, len) in &mut stretches {
                if *len % 2 == 1 {
                    let last = self.points[(*start + *len - 1) as usize];
                    self.points[(*start + *len / 2) as usize] = last;
                }
                *len = len.div_ceil(2);
            }
        }
    }
}

fn sum(left: usize, right: usize, into: usize) -> Sum {
    Sum { left: index(left), right: index(right), into: index(into) }
}

/// A workspace holds a window's buckets or a group's entries.
fn index(i: usize) -> u32 {
    u32::try_from(i).expect("few points are kept at once")
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
