//! How a text is taken apart: into words by Unicode's rules (UAX #29), and into runs of the scripts that put no spaces
//! between words. Case, accents and widths are folded away. The same for messages and for what is looked for.

use crate::settings::WORD_BYTES;
use std::{borrow::Cow, ops::Range};
use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};
use unicode_segmentation::UnicodeSegmentation;

/// A part of a text that can be looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Piece<'a> {
    /// A word.
    Word {
        /// Folded.
        word: Cow<'a, str>,
        /// Where it is in the text.
        range: Range<usize>,
    },
    /// Characters without spaces between words.
    Run(Vec<Cell<'a>>),
}

/// A character, as readers count them, of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cell<'a> {
    /// Folded.
    pub text: Cow<'a, str>,
    /// Where it is in the text.
    pub range: Range<usize>,
}

/// The pieces of a text, in its order.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for (at, word) in text.unicode_word_indices() {
        if word.is_ascii() {
            pieces.push(Piece::Word { word: cut(fold(word)), range: at..at + word.len() });
        } else {
            split(word, at, &mut pieces);
        }
    }
    pieces
}

/// The terms under which pieces are found: words themselves; each two neighbours of a run, and its last character.
pub(crate) fn terms(pieces: &[Piece<'_>], mut add: impl FnMut(&str)) {
    for piece in pieces {
        match piece {
            Piece::Word { word, .. } => add(word),
            Piece::Run(cells) => {
                for pair in cells.windows(2) {
                    add(&pair_of(&pair[0], &pair[1]));
                }
                if let Some(last) = cells.last() {
                    add(&last.text);
                }
            }
        }
    }
}

/// The term of two neighbours.
pub(crate) fn pair_of(first: &Cell<'_>, second: &Cell<'_>) -> String {
    [&*first.text, &*second.text].concat()
}

/// A word that may change between scripts with and without spaces.
fn split<'a>(word: &'a str, at: usize, pieces: &mut Vec<Piece<'a>>) {
    let mut spaced: Option<Range<usize>> = None;
    let close = |spaced: &mut Option<Range<usize>>, pieces: &mut Vec<Piece<'a>>| {
        if let Some(range) = spaced.take() {
            let folded = cut(fold(&word[range.start - at..range.end - at]));
            pieces.push(Piece::Word { word: folded, range });
        }
    };
    for (offset, cluster) in word.grapheme_indices(true) {
        let range = at + offset..at + offset + cluster.len();
        if !cluster.chars().next().is_some_and(is_unspaced) {
            spaced = Some(spaced.map_or(range.clone(), |before| before.start..range.end));
            continue;
        }
        close(&mut spaced, pieces);
        let cell = Cell { text: fold(cluster), range };
        match pieces.last_mut() {
            Some(Piece::Run(cells)) if cells.last().is_some_and(|last| last.range.end == cell.range.start) => {
                cells.push(cell);
            }
            _ => pieces.push(Piece::Run(vec![cell])),
        }
    }
    close(&mut spaced, pieces);
}

/// Case, accents and widths folded away.
fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            true => Cow::Owned(text.to_ascii_lowercase()),
            false => Cow::Borrowed(text),
        };
    }
    let bare = text.nfkd().filter(|character| !is_accent(*character));
    // Upper case first: ß and ss, σ and ς become one.
    let folded = bare.flat_map(char::to_uppercase).flat_map(char::to_lowercase).map(straight);
    Cow::Owned(folded.nfc().collect())
}

/// An accent, a diacritic or a vowel point. Marks that are letters of their own (nukta, kana voicing, virama) have the
/// classes below 10.
fn is_accent(character: char) -> bool {
    canonical_combining_class(character) >= 10
}

/// People type either apostrophe.
fn straight(character: char) -> char {
    if character == '\u{2019}' { '\'' } else { character }
}

fn cut(word: Cow<'_, str>) -> Cow<'_, str> {
    if word.len() <= WORD_BYTES {
        return word;
    }
    let end = word.floor_char_boundary(WORD_BYTES);
    match word {
        Cow::Borrowed(word) => Cow::Borrowed(&word[..end]),
        Cow::Owned(mut word) => {
            word.truncate(end);
            Cow::Owned(word)
        }
    }
}

/// Whether a character is of a script in which words are not told apart by spaces, or hardly.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..=0x0eff       // Thai, Lao
        | 0x1000..=0x109f     // Myanmar
        | 0x1100..=0x11ff     // Hangul Jamo
        | 0x1780..=0x17ff     // Khmer
        | 0x2e80..=0x2fdf     // CJK radicals
        | 0x3005..=0x3007     // ideographic iteration, closing mark, zero
        | 0x3040..=0x30ff     // Hiragana, Katakana
        | 0x3100..=0x312f     // Bopomofo
        | 0x3130..=0x318f     // Hangul compatibility Jamo
        | 0x31a0..=0x31ff     // Bopomofo and Katakana extensions
        | 0x3400..=0x4dbf     // CJK extension A
        | 0x4e00..=0x9fff     // CJK
        | 0xac00..=0xd7ff     // Hangul syllables
        | 0xf900..=0xfaff     // CJK compatibility
        | 0xff66..=0xffdc     // halfwidth Katakana and Hangul
        | 0x1b000..=0x1b16f   // Kana supplement
        | 0x20000..=0x323af   // CJK extensions
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let piece = |piece: &Piece<'_>| match piece {
            Piece::Word { word, .. } => word.to_string(),
            Piece::Run(cells) => format!("<{}>", cells.iter().map(|cell| &*cell.text).collect::<Vec<_>>().join("|")),
        };
        pieces(text).iter().map(piece).collect()
    }

    #[test]
    fn words_are_those_of_unicode_without_case_and_accents() {
        assert_eq!(words("Hello, WORLD! it’s 3.14"), ["hello", "world", "it's", "3.14"]);
        assert_eq!(words("Crème brûlée, ÅNGSTRÖM"), ["creme", "brulee", "angstrom"]);
        assert_eq!(words("Straße STRASSE Οδυσσεύς"), ["strasse", "strasse", "οδυσσευσ"]);
        assert_eq!(words("ﬁne ＡＢＣ"), ["fine", "abc"], "ligatures and widths");
        assert_eq!(words("мир Ёлка"), ["мир", "елка"]);
        assert_eq!(words("🎉 — …"), [] as [&str; 0]);
    }

    #[test]
    fn scripts_without_spaces_become_runs() {
        assert_eq!(words("東京都に住むTom"), ["<東|京|都|に|住|む>", "tom"]);
        assert_eq!(words("東京 都"), ["<東|京>", "<都>"]);
        assert_eq!(words("한국어"), ["<한|국|어>"]);
        assert_eq!(words("ｶﾞス ガス"), ["<ガ|ス>", "<ガ|ス>"], "a voicing mark belongs to its letter");
        assert_eq!(words("K팝"), ["k", "<팝>"]);
    }

    #[test]
    fn terms_of_a_run_are_pairs_and_its_last_character() {
        let mut found = Vec::new();
        terms(&pieces("東京都 x"), |term| found.push(term.to_owned()));
        assert_eq!(found, ["東京", "京都", "都", "x"]);
    }

    #[test]
    fn ranges_lead_back_to_the_text() {
        let text = "Süße 東京!";
        for piece in pieces(text) {
            match piece {
                Piece::Word { range, .. } => assert_eq!(&text[range], "Süße"),
                Piece::Run(cells) => assert_eq!(&text[cells[1].range.clone()], "京"),
            }
        }
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(words(&"é".repeat(100)), ["e".repeat(WORD_BYTES)]);
        assert_eq!(words(&"я".repeat(100)), ["я".repeat(WORD_BYTES / 2)]);
    }
}
