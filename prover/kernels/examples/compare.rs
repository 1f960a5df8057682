//! CPU time of this crate's multi-scalar multiplication and of arkworks', alternately in one run:
//! `compare [LOG2_POINTS ...]`.

use ark_bn254::{Fr, G1Affine, G1Projective};
use ark_ec::{CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{PrimeField, UniformRand};
use rustix::time::{ClockId, clock_gettime};

const REPEATS: usize = 5;

fn main() {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    println!("path {}", kerros_kernels::Path::detect());
    for size in if sizes.is_empty() { &[16, 18][..] } else { &sizes } {
        compare(1 << size);
    }
}

fn compare(len: usize) {
    let mut rng = rand::thread_rng();
    let bases = points(len);
    let random: Vec<_> = (0..len).map(|_| Fr::rand(&mut rng).into_bigint()).collect();
    let bits: Vec<_> = (0..len).map(|i| Fr::from((i % 2) as u64).into_bigint()).collect();
    let amounts: Vec<_> = random.iter().map(|s| Fr::from(s.0[0]).into_bigint()).collect();
    for (name, scalars) in [("random", random), ("64 bits", amounts), ("bits", bits)] {
        let (mut ours, mut stock) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let (result, time) = timed(|| {
                kerros_kernels::msm_g1_bigint(kerros_kernels::Path::detect(), &bases, &scalars)
            });
            ours.push(time);
            let (expected, time) = timed(|| G1Projective::msm_bigint(&bases, &scalars));
            stock.push(time);
            assert_eq!(result, expected);
        }
        let (ours, stock) = (median(ours), median(stock));
        println!(
            "{len:>8} points, {name:>7}: {:>8.1} ms, arkworks {:>8.1} ms of CPU time, ratio {:.2}",
            ours * 1e3,
            stock * 1e3,
            stock / ours
        );
    }
}

/// `P, P + G, P + 2G, …`: all different.
fn points(len: usize) -> Vec<G1Affine> {
    let mut point = G1Projective::rand(&mut rand::thread_rng());
    let points: Vec<_> = (0..len)
        .map(|_| {
            point += G1Projective::generator();
            point
        })
        .collect();
    G1Projective::normalize_batch(&points)
}

fn timed<T>(f: impl FnOnce() -> T) -> (T, f64) {
    let now = || {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
    };
    let start = now();
    let result = f();
    (result, now() - start)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
