//! Payloads to publish: text that looks like chat, and random text of a fixed size. Both are seeded.

use super::zipf::Zipf;
use anyhow::{Result, ensure};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{ops::RangeInclusive, str::FromStr, sync::Arc};

/// Bytes of text in a chat-like message.
const CHAT_BYTES: RangeInclusive<usize> = 100..=300;
/// Words of the chat's vocabulary: the common ones below, the rest made up from syllables.
const VOCABULARY_WORDS: usize = 6_000;
/// Sizes of fixed payloads, the quotes included. The upper bound is the server's.
const FIXED_BYTES: RangeInclusive<usize> = 2..=model::limits::PAYLOAD_BYTES;

/// What sort of payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PayloadKind {
    /// Text of 100 to 300 bytes from a vocabulary by Zipf.
    Chat,
    /// Random letters and digits; this many bytes with the quotes.
    Fixed(usize),
}

impl FromStr for PayloadKind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<PayloadKind> {
        if text == "chat" {
            return Ok(PayloadKind::Chat);
        }
        let bytes = text.parse().map_err(|_| anyhow::anyhow!("`chat` or a number of bytes"))?;
        ensure!(FIXED_BYTES.contains(&bytes), "{} to {} bytes", FIXED_BYTES.start(), FIXED_BYTES.end());
        Ok(PayloadKind::Fixed(bytes))
    }
}

/// Makes payloads of one kind. Cheap to clone: the vocabulary is shared.
#[derive(Clone)]
pub enum Payloads {
    Chat(Arc<Vocabulary>),
    Fixed(usize),
}

/// Words and how often each is said.
pub struct Vocabulary {
    words: Vec<String>,
    popularity: Zipf,
}

impl Payloads {
    /// The vocabulary depends on nothing, so that runs with different seeds speak the same language.
    pub fn new(kind: PayloadKind) -> Payloads {
        match kind {
            PayloadKind::Chat => Payloads::Chat(Arc::new(Vocabulary::new())),
            PayloadKind::Fixed(bytes) => Payloads::Fixed(bytes),
        }
    }

    /// Appends one JSON string to `out`.
    pub fn write(&self, random: &mut impl Rng, out: &mut String) {
        out.push('"');
        match self {
            Payloads::Chat(vocabulary) => vocabulary.write_text(random, out),
            Payloads::Fixed(bytes) => {
                const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
                let letters = (2..*bytes).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
                out.extend(letters);
            }
        }
        out.push('"');
    }
}

impl Vocabulary {
    fn new() -> Vocabulary {
        let mut random = StdRng::seed_from_u64(1);
        let mut words: Vec<String> = COMMON_WORDS.split_whitespace().map(str::to_owned).collect();
        while words.len() < VOCABULARY_WORDS {
            words.push(made_up_word(&mut random));
        }
        let popularity = Zipf::new(words.len(), 1.0);
        Vocabulary { words, popularity }
    }

    /// Words, some punctuation, now and then an emoji or a number, until the drawn size is reached exactly.
    fn write_text(&self, random: &mut impl Rng, out: &mut String) {
        let size = random.random_range(CHAT_BYTES);
        let end = out.len() + size;
        while out.len() < end {
            out.push_str(&self.words[self.popularity.draw(random)]);
            match random.random_range(0..40) {
                0..3 => out.push_str(". "),
                3..6 => out.push_str(", "),
                6 => out.push_str("? "),
                7 => out.push_str(" 🎉 "),
                8 => out.push_str(&format!(" {} ", random.random_range(1..2_000))),
                _ => out.push(' '),
            }
        }
        while out.len() > end {
            out.pop();
        }
        while out.len() < end {
            out.push('.'); // Half an emoji was taken away.
        }
    }
}

fn made_up_word(random: &mut impl Rng) -> String {
    const STARTS: [&str; 20] =
        ["b", "br", "c", "ch", "d", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "w"];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "ou", "ie"];
    const ENDS: [&str; 10] = ["", "", "n", "r", "s", "t", "l", "ck", "ng", "m"];
    let mut pick = |from: &[&'static str]| from[random.random_range(0..from.len())];
    let mut word = String::new();
    word.extend([pick(&STARTS), pick(&VOWELS), pick(&ENDS), pick(&STARTS), pick(&VOWELS), pick(&ENDS)]);
    word
}

/// The most frequent words of English talk, the most frequent first.
const COMMON_WORDS: &str = "the I you to a and it that of in is we for on have be this with not are just can do was so \
    but if at what my all like your me they get know no one out up think now about go time there good see will would \
    when from how yes ok make he she them some really need want say here then more right also today work back well as \
    an or by could should who why where which because still only over new people thing look way use first day even \
    much take come than been had has were did does any our us him her his their other after before again maybe later \
    tomorrow tonight morning meeting call send sent link file photo video thanks thank please sorry sure great nice \
    cool awesome haha lol hey hi hello bye done fine okay wait let try found find fix fixed broken build test merge \
    release server channel message history team project plan week month year home office train bus lunch dinner coffee \
    food money phone number name question answer problem idea help start stop open close move change read write wrote \
    keep leave left meet talk tell told ask asked feel hope love happy sad tired busy free late early soon never always \
    sometimes often every each both few many most same different better best worse bad old big small long short next \
    last part place point case group company system program country world school house room night life hand eye head \
    side kind lot bit game music movie book song party weekend birthday holiday weather rain sun snow city street car";

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(kind: PayloadKind, seed: u64, count: usize) -> Vec<String> {
        let payloads = Payloads::new(kind);
        let mut random = StdRng::seed_from_u64(seed);
        let one = |_| {
            let mut text = String::new();
            payloads.write(&mut random, &mut text);
            text
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn chat_is_json_text_within_its_sizes() {
        for payload in texts(PayloadKind::Chat, 3, 1_000) {
            let text: String = serde_json::from_str(&payload).expect("a JSON string");
            assert!(CHAT_BYTES.contains(&text.len()), "{} bytes", text.len());
        }
    }

    #[test]
    fn a_fixed_payload_has_its_size() {
        for bytes in [2, 3, 256] {
            for payload in texts(PayloadKind::Fixed(bytes), 3, 10) {
                assert_eq!(payload.len(), bytes);
                assert!(serde_json::from_str::<String>(&payload).is_ok());
            }
        }
    }

    #[test]
    fn a_seed_decides_what_is_said() {
        assert_eq!(texts(PayloadKind::Chat, 5, 20), texts(PayloadKind::Chat, 5, 20));
        assert_ne!(texts(PayloadKind::Chat, 5, 20), texts(PayloadKind::Chat, 6, 20));
    }

    #[test]
    fn kinds_are_read_from_the_command_line() {
        assert_eq!("chat".parse::<PayloadKind>().expect("a kind"), PayloadKind::Chat);
        assert_eq!("256".parse::<PayloadKind>().expect("a kind"), PayloadKind::Fixed(256));
        for wrong in ["", "1", "-5", "talk", "99999999999"] {
            assert!(wrong.parse::<PayloadKind>().is_err(), "{wrong}");
        }
    }
}
