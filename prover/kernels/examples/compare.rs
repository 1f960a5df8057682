//! CPU time of this crate's multi-scalar multiplications and of arkworks', alternately in one run,
//! for both groups and every path: `compare [LOG2_POINTS ...]`.

use ark_bn254::{Fr, G1Projective, G2Projective};
use ark_ec::{CurveGroup, PrimeGroup, VariableBaseMSM};
use ark_ff::{BigInt, PrimeField, UniformRand};
use kerros_kernels::{Path, PreparedG1, PreparedG2, msm_g1, msm_g2};
use rustix::time::{ClockId, clock_gettime};

const REPEATS: usize = 5;

fn main() {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    for size in if sizes.is_empty() { &[16, 18][..] } else { &sizes } {
        let len = 1 << size;
        let g1 = points::<G1Projective>(len);
        let prepared: Vec<PreparedG1> = g1.iter().map(|point| (*point).into()).collect();
        compare::<G1Projective>("G1", &g1, |path, scalars| msm_g1(path, &prepared, scalars));
        let g2 = points::<G2Projective>(len);
        let prepared: Vec<PreparedG2> = g2.iter().map(|point| (*point).into()).collect();
        compare::<G2Projective>("G2", &g2, |path, scalars| msm_g2(path, &prepared, scalars));
    }
}

/// Scalars as different assignments have them.
fn scalars(len: usize) -> Vec<(&'static str, Vec<BigInt<4>>)> {
    let mut rng = rand::thread_rng();
    let random: Vec<_> = (0..len).map(|_| Fr::rand(&mut rng)).collect();
    let each = |f: &dyn Fn(usize) -> Fr| (0..len).map(|i| f(i).into_bigint()).collect::<Vec<_>>();
    let bit = |i: usize| Fr::from(random[i].into_bigint().0[0] & 1);
    vec![
        ("random", each(&|i| random[i])),
        ("half bits", each(&|i| if i % 2 == 0 { bit(i) } else { random[i] })),
        ("64 bits", each(&|i| Fr::from(random[i].into_bigint().0[0]))),
        ("bits", each(&bit)),
    ]
}

fn compare<G: VariableBaseMSM<ScalarField = Fr> + CurveGroup>(
    group: &str,
    bases: &[G::Affine],
    ours: impl Fn(Path, &[BigInt<4>]) -> G,
) {
    let len = bases.len();
    for (name, scalars) in scalars(len) {
        let mut stock = Vec::new();
        let mut times: Vec<_> = Path::available().map(|path| (path, Vec::new())).collect();
        for _ in 0..REPEATS {
            let (expected, time) = timed(|| G::msm_bigint(bases, &scalars));
            stock.push(time);
            for (path, times) in &mut times {
                let (result, time) = timed(|| ours(*path, &scalars));
                times.push(time);
                assert_eq!(result, expected);
            }
        }
        let stock = median(stock);
        print!("{group} {len:>8} points, {name:>9}: arkworks {:>8.1} ms of CPU time", stock * 1e3);
        for (path, times) in times {
            let ours = median(times);
            print!(", {path} {:>8.1} ms ({:.2} times faster)", ours * 1e3, stock / ours);
        }
        println!();
    }
}

/// `P, P + G, P + 2G, …`: all different.
fn points<G: CurveGroup + PrimeGroup>(len: usize) -> Vec<G::Affine> {
    let mut point = G::rand(&mut rand::thread_rng());
    let points: Vec<_> = (0..len)
        .map(|_| {
            point += G::generator();
            point
        })
        .collect();
    G::normalize_batch(&points)
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
