//! What a sample is drawn with: the same for a whole day, and another one tomorrow.

use std::time::{Duration, SystemTime};

/// The days since 1970 in UTC; or what `THESEUS_SEED` holds, to repeat the sample of another day.
pub fn seed() -> u64 {
    match std::env::var("THESEUS_SEED") {
        Ok(given) => given.parse().expect("THESEUS_SEED is a number"),
        Err(_) => {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.unwrap().as_secs() / 86_400
        }
    }
}

/// Numbers that look random, and are the same for the same seed.
pub struct Random(u64);

impl Random {
    /// Two purposes draw different samples with one seed.
    pub fn new(purpose: &str) -> Self {
        // FNV-1a, so that the seeds of two days have no bits in common.
        let bytes = purpose.bytes().chain(seed().to_le_bytes());
        let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, fold))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        // Knuth's generator; its upper bits are the better ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// A time before `end`.
    pub fn moment(&mut self, end: Duration) -> Duration {
        end.mul_f64(self.below(1 << 30) as f64 / f64::from(1 << 30))
    }

    /// So many of all, each at most once.
    pub fn sample<T>(&mut self, mut all: Vec<T>, count: usize) -> Vec<T> {
        let mut chosen = Vec::new();
        while chosen.len() < count && !all.is_empty() {
            chosen.push(all.swap_remove(self.below(all.len())));
        }
        chosen
    }
}
