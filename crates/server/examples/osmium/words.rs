//! Sentences of words that come as often as those of a language: the rank of a word says how often it comes.

/// Words that there are.
const WORDS: u64 = 20_000;
const SYLLABLES: [&str; 20] = [
    "ba", "do", "fi", "ga", "ho", "ki", "la", "me", "no", "pu", "ra", "se", "ti", "vo", "wa", "xe", "yo", "zu", "lin",
    "ter",
];

/// Numbers that are the same in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0, below 1.
    pub fn part(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        (self.part() * bound as f64) as u64
    }
}

/// Eight to fifteen words, the word of rank n about n times less often than the first one.
pub fn sentence(numbers: &mut Numbers) -> String {
    let count = 8 + numbers.below(8);
    let words: Vec<String> = (0..count).map(|_| word((WORDS as f64).powf(numbers.part()) as u64)).collect();
    words.join(" ")
}

/// A word that comes often, and one that comes less often.
pub fn two_words(numbers: &mut Numbers) -> String {
    format!("{} {}", word(1 + numbers.below(200)), word(200 + numbers.below(2_000)))
}

fn word(mut rank: u64) -> String {
    let mut word = String::new();
    loop {
        word += SYLLABLES[(rank % 20) as usize];
        rank /= 20;
        if rank == 0 {
            return word;
        }
    }
}
