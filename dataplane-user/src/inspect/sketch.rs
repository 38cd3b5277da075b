//! How many distinct values there were, in 16 KiB, to about 1 %: HyperLogLog (Flajolet and others 2007) with the
//! estimator of Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), which needs no tables
//! of corrections.

use siphasher::sip::SipHasher13;

/// Bits of a hash that choose a register.
const BITS: u32 = 14;
const REGISTERS: usize = 1 << BITS;
/// The most that a register can hold, less one.
const RANKS: usize = (u64::BITS - BITS) as usize;

/// A set of values, of which only the size can be asked.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    registers: Vec<u8>,
}

impl Sketch {
    /// Of no values.
    pub(super) fn new() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }

    /// Adds a value, once more or for the first time.
    pub(super) fn add(&mut self, value: u128) {
        let hash = SipHasher13::new().hash(&value.to_le_bytes());
        let register = (hash >> (u64::BITS - BITS)) as usize;
        // Zeroes before the first one of what is left, plus one; a one after them ends the search.
        let rank = ((hash << BITS) | 1 << (BITS - 1)).leading_zeros() + 1;
        if let Some(register) = self.registers.get_mut(register) {
            *register = (*register).max(rank as u8);
        }
    }

    /// About how many distinct values were added.
    pub(super) fn count(&self) -> u64 {
        let mut counts = [0_u32; RANKS + 2];
        for register in &self.registers {
            if let Some(count) = counts.get_mut(usize::from(*register)) {
                *count += 1;
            }
        }
        let registers = REGISTERS as f64;
        let [empty, ranks @ .., full] = counts;
        let mut sum = registers * tau(1.0 - f64::from(full) / registers);
        for count in ranks.iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += registers * sigma(f64::from(empty) / registers);
        (registers * registers / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
    }
}

/// x + Σ x^(2^k) 2^(k-1): what registers that are empty stand for.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum <= before {
            return sum;
        }
    }
}

/// (1 - x - Σ (1 - x^(2^-k))² 2^-k) / 3: what registers that are full stand for.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_right_to_a_few_percent_at_any_scale() {
        let mut sketch = Sketch::new();
        assert_eq!(sketch.count(), 0);
        let mut value = 0_u128;
        for wanted in [1_u64, 10, 100, 1_000, 10_000, 30_000, 100_000, 300_000, 1_000_000] {
            while value < u128::from(wanted) {
                // Neighbours, and each twice.
                sketch.add(value);
                sketch.add(value << 64 >> 64);
                value += 1;
            }
            let error = sketch.count() as f64 / wanted as f64 - 1.0;
            println!("{wanted}: {} ({:+.2} %)", sketch.count(), error * 100.0);
            assert!(error.abs() < 0.03, "{wanted}: {}", sketch.count());
        }
    }
}
