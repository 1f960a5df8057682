//! What each phase of a proof takes, by the clock and in processor time.

use rustix::time::{ClockId, clock_gettime};
use std::ops::AddAssign;
use std::time::{Duration, Instant};

/// Time by the clock and of all processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// By the clock.
    pub wall: Duration,
    /// Of the whole process: right for a phase only while the process does nothing else.
    pub cpu: Duration,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

impl Spent {
    /// Nothing.
    pub const NONE: Self = Self { wall: Duration::ZERO, cpu: Duration::ZERO };
    /// Without a part of it.
    pub fn without(self, part: Self) -> Self {
        Self { wall: self.wall.saturating_sub(part.wall), cpu: self.cpu.saturating_sub(part.cpu) }
    }
}

/// A stopwatch that runs.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    wall: Instant,
    cpu: Duration,
}

impl Watch {
    /// Starts.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu: process_time() }
    }
    /// Since its start.
    pub fn spent(self) -> Spent {
        Spent { wall: self.wall.elapsed(), cpu: process_time().saturating_sub(self.cpu) }
    }
    /// What `work` gives, and what it takes.
    pub fn of<T>(work: impl FnOnce() -> T) -> (T, Spent) {
        let watch = Self::start();
        let result = work();
        (result, watch.spent())
    }
}

fn process_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Phases of the Groth16 proof.
#[derive(Debug, Clone, Copy, Default)]
pub struct Groth16Phases {
    /// The matrices times the assignment, and the FFTs.
    pub fft: Spent,
    /// All multi-scalar multiplications, and what makes a proof of their sums.
    pub msm: Spent,
    /// Each of them, where they are told apart, in the order of [`Self::EACH`].
    pub each: Option<[Spent; 5]>,
}

impl Groth16Phases {
    /// Names of the multiplications.
    pub const EACH: [&str; 5] = ["msm_a", "msm_b_g1", "msm_b_g2", "msm_l", "msm_h"];
}

/// Phases of the proof of a batch.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Running the records and computing all wires.
    pub witness: Spent,
    /// KZG quotient Q.
    pub kzg_quotient: Spent,
    /// The Groth16 proof.
    pub groth16: Groth16Phases,
    /// KZG opening W.
    pub kzg_opening: Spent,
}

impl Phases {
    /// Sum of all phases.
    pub fn total(&self) -> Spent {
        self.named().into_iter().fold(Spent::default(), |mut sum, (_, spent)| {
            sum += spent;
            sum
        })
    }
    /// Phases with their names as in logs, metrics and tables.
    pub fn named(&self) -> [(&'static str, Spent); 5] {
        [
            ("witness", self.witness),
            ("kzg_quotient", self.kzg_quotient),
            ("groth16_fft", self.groth16.fft),
            ("groth16_msm", self.groth16.msm),
            ("kzg_opening", self.kzg_opening),
        ]
    }
}
