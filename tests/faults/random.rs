//! Moments that nobody has chosen.

use std::time::{Duration, SystemTime};

/// Numbers that look random: Marsaglia's xorshift.
pub struct Random(pub u64);

impl Random {
    /// A time before `end`.
    pub fn below(&mut self, end: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        end.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Of this run, or of the one that is to be repeated: `THESEUS_SEED=… cargo test --test faults`.
pub fn seed() -> u64 {
    let given = std::env::var("THESEUS_SEED").ok();
    given.map_or_else(
        || {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            now.unwrap().as_nanos() as u64 | 1
        },
        |text| text.parse().unwrap(),
    )
}
