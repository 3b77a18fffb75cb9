//! Popularity as it is found in the wild: a few channels have most of the traffic, and a few words most of the text.

use rand::{Rng, RngExt};

/// Numbers from 0 to `n - 1`, where number k comes up in proportion to 1 / (k + 1)^exponent. An exponent of 0 makes all
/// alike.
pub struct Zipf {
    /// The share of all numbers up to and with k; the last one is 1.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Over `n` numbers (at least one), eight bytes each.
    pub fn new(n: usize, exponent: f64) -> Zipf {
        let mut cumulative: Vec<f64> = (1..=n.max(1))
            .scan(0.0, |sum, rank| {
                *sum += (rank as f64).powf(-exponent);
                Some(*sum)
            })
            .collect();
        let total = cumulative[cumulative.len() - 1];
        cumulative.iter_mut().for_each(|share| *share /= total);
        Zipf { cumulative }
    }

    /// Draws one.
    pub fn draw(&self, random: &mut impl Rng) -> usize {
        let point: f64 = random.random();
        self.cumulative.partition_point(|share| *share <= point).min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn counts(n: usize, exponent: f64, draws: usize) -> Vec<usize> {
        let zipf = Zipf::new(n, exponent);
        let mut random = StdRng::seed_from_u64(7);
        let mut counts = vec![0; n];
        (0..draws).for_each(|_| counts[zipf.draw(&mut random)] += 1);
        counts
    }

    #[test]
    fn shares_follow_the_law() {
        let counts = counts(100, 1.0, 200_000);
        let harmonic: f64 = (1..=100).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1, 2, 10, 50] {
            let expected = 200_000.0 / f64::from(rank) / harmonic;
            let found = counts[rank as usize - 1] as f64;
            assert!((found - expected).abs() < 0.15 * expected, "rank {rank}: {found} instead of {expected}");
        }
    }

    #[test]
    fn an_exponent_of_zero_makes_all_alike() {
        for count in counts(10, 0.0, 100_000) {
            assert!((9_000..11_000).contains(&count), "{count}");
        }
    }

    #[test]
    fn one_number_is_always_drawn() {
        assert_eq!(counts(1, 1.0, 10), [10]);
    }
}
