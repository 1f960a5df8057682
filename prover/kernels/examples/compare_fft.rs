//! CPU time of this crate's passes over the scalar field and of arkworks', alternately in one run, and the time that passes:
//! `compare_fft [LOG2_SIZE ...]`. With `RAYON_NUM_THREADS=1` both run on one thread.

use ark_bn254::Fr;
use ark_ff::UniformRand;
use kerros_kernels::{Domain, Path, batch_inverse, multiply};
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let sizes: Vec<u32> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    println!("path {}, {} threads", Path::detect(), rayon::current_num_threads());
    for log_n in if sizes.is_empty() { &[12, 14, 16, 18, 20][..] } else { &sizes } {
        compare(*log_n);
    }
}

fn compare(log_n: u32) {
    let mut rng = rand::thread_rng();
    let domains = [Path::detect(), Path::Portable].map(|path| Domain::new(path, log_n));
    let [Some(ours), Some(stock)] = domains else {
        return println!("2^{log_n}: the field has no such domain");
    };
    let inputs = [(); 3].map(|()| (0..1 << log_n).map(|_| Fr::rand(&mut rng)).collect::<Vec<_>>());
    let quotient = |domain: &Domain, [a, b, c]: [Vec<Fr>; 3]| domain.quotient(a, b, c);
    let one = |f: fn(&Domain, &mut Vec<Fr>)| {
        move |domain: &Domain, [mut values, _, _]: [Vec<Fr>; 3]| {
            f(domain, &mut values);
            values
        }
    };
    report(log_n, "quotient", [&ours, &stock], &inputs, quotient);
    report(log_n, "fft", [&ours, &stock], &inputs, one(Domain::fft));
    report(log_n, "ifft", [&ours, &stock], &inputs, one(Domain::ifft));
    report(log_n, "coset fft", [&ours, &stock], &inputs, one(Domain::coset_fft));
    report(log_n, "coset ifft", [&ours, &stock], &inputs, one(Domain::coset_ifft));
    let paths = [&Path::detect(), &Path::Portable];
    report(log_n, "inverses", paths, &inputs, |path, [mut values, _, _]| {
        batch_inverse(*path, &mut values);
        values
    });
    report(log_n, "products", paths, &inputs, |path, [mut values, by, _]| {
        multiply(*path, &mut values, &by);
        values
    });
}

fn report<T>(
    log_n: u32,
    name: &str,
    [ours, stock]: [&T; 2],
    inputs: &[Vec<Fr>; 3],
    f: impl Fn(&T, [Vec<Fr>; 3]) -> Vec<Fr>,
) {
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..if log_n > 20 { 3 } else { 7 } {
        let (input, other) = (inputs.clone(), inputs.clone());
        let (result, our_cpu, our_wall) = timed(|| f(ours, input));
        let (expected, stock_cpu, stock_wall) = timed(|| f(stock, other));
        assert!(result == expected);
        for (times, time) in times.iter_mut().zip([our_cpu, stock_cpu, our_wall, stock_wall]) {
            times.push(time);
        }
    }
    let [our_cpu, stock_cpu, our_wall, stock_wall] = times.map(median);
    println!(
        "2^{log_n} {name:>10}: {our_cpu:>8.2} ms, arkworks {stock_cpu:>8.2} ms of CPU time, ratio {:.2}; \
         {our_wall:>8.2} ms, arkworks {stock_wall:>8.2} ms passed, ratio {:.2}",
        stock_cpu / our_cpu,
        stock_wall / our_wall
    );
}

/// The result, milliseconds of CPU time, milliseconds that passed.
fn timed<T>(f: impl FnOnce() -> T) -> (T, f64, f64) {
    let now = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 * 1e-6
    };
    let start = (now(ClockId::ProcessCPUTime), now(ClockId::Monotonic));
    let result = f();
    (result, now(ClockId::ProcessCPUTime) - start.0, now(ClockId::Monotonic) - start.1)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
