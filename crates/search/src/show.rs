//! Whether a message has what is looked for, and the part of its text that shows it.

use crate::{
    query::{Part, parse},
    settings::{SNIPPET_BEFORE, SNIPPET_BYTES},
    text::text_of,
    words::{Cell, Piece, pieces},
};
use model::{Message, Result, SnippetPiece};
use std::ops::Range;

/// See [`model::Search::show`].
pub(crate) fn show(words: &str, message: &Message) -> Result<Option<Vec<SnippetPiece>>> {
    let parts = parse(words)?;
    let text = text_of(message);
    Ok(found(&parts, &pieces(&text)).map(|found| snippet(&text, &found)))
}

/// Where the parts are in a text, by growing place and without overlaps; none if one of them is nowhere.
fn found(parts: &[Part], pieces: &[Piece<'_>]) -> Option<Vec<Range<usize>>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for part in parts {
        let before = all.len();
        for piece in pieces {
            match (part, piece) {
                (Part::Word(sought), Piece::Word { word, range }) if word == sought => all.push(range.clone()),
                (Part::Start(start), Piece::Word { word, range }) if word.starts_with(&**start) => {
                    all.push(range.clone());
                }
                (Part::Run(sought), Piece::Run(cells)) => all.extend(places(sought, cells)),
                _ => {}
            }
        }
        if all.len() == before {
            return None;
        }
    }
    all.sort_unstable_by_key(|range| (range.start, range.end));
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(all.len());
    for range in all {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    Some(apart)
}

/// Where a run holds these characters one behind the other.
fn places<'a>(sought: &'a [String], cells: &'a [Cell<'_>]) -> impl Iterator<Item = Range<usize>> + 'a {
    let same = move |window: &&[Cell<'_>]| window.iter().zip(sought).all(|(cell, sought)| cell.text == *sought);
    let windows = cells.windows(sought.len().max(1)).filter(same);
    windows.map(|window| window[0].range.start..window[window.len() - 1].range.end)
}

fn snippet(text: &str, found: &[Range<usize>]) -> Vec<SnippetPiece> {
    let begin = beginning(text, found[0].start);
    let end = match text.len() - begin <= SNIPPET_BYTES {
        true => text.len(),
        false => text.floor_char_boundary(begin + SNIPPET_BYTES).max(found[0].end),
    };
    let mut snippet = Vec::new();
    let mut push = |range: Range<usize>, found| {
        if !range.is_empty() {
            snippet.push(SnippetPiece { text: text[range].to_owned(), found });
        }
    };
    let mut at = begin;
    for range in found.iter().take_while(|range| range.start < end) {
        push(at..range.start, false);
        push(range.start..range.end.min(end), true);
        at = range.end.min(end);
    }
    push(at..end, false);
    snippet
}

/// Not far before what was found first, at the beginning of a word if there is one on the way.
fn beginning(text: &str, first: usize) -> usize {
    if first <= SNIPPET_BEFORE {
        return 0;
    }
    let far = text.ceil_char_boundary(first - SNIPPET_BEFORE);
    let mut characters = text[far..first].char_indices();
    let space = characters.find(|(_, character)| character.is_whitespace());
    space.map_or(far, |(at, space)| far + at + space.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with what was found in brackets; nothing if it is not what is looked for.
    fn shown(words: &str, text: &str) -> Option<String> {
        let found = found(&parse(words).expect("words"), &pieces(text))?;
        let piece = |piece: SnippetPiece| if piece.found { format!("[{}]", piece.text) } else { piece.text };
        Some(snippet(text, &found).into_iter().map(piece).collect())
    }

    #[test]
    fn all_words_must_be_there_in_any_order() {
        assert_eq!(shown("world hello", "Hello, World!").as_deref(), Some("[Hello], [World]!"));
        assert_eq!(shown("hello moon", "Hello, World!"), None);
        assert_eq!(shown("hel wor", "Hello, World!"), None, "only the last word may be a beginning");
        assert_eq!(shown("hello wor", "Hello, World!").as_deref(), Some("[Hello], [World]!"));
        assert_eq!(shown("cafe", "Le café du coin").as_deref(), Some("Le [café] du coin"));
        assert_eq!(shown("orld", "Hello, World!"), None, "no part of a word but its beginning");
    }

    #[test]
    fn characters_of_a_run_must_be_neighbours() {
        assert_eq!(shown("京都", "東京都です").as_deref(), Some("東[京都]です"));
        assert_eq!(shown("東都", "東京都です"), None);
        assert_eq!(shown("東京都", "東京 京都"), None, "pairs alone do not make it");
        assert_eq!(shown("す", "東京都です").as_deref(), Some("東京都で[す]"));
        assert_eq!(shown("東京 京都", "東京都").as_deref(), Some("[東京都]"), "overlaps become one");
    }

    #[test]
    fn a_long_text_is_cut_around_what_was_found() {
        let text = format!("{}needle{}", "hay ".repeat(200), " hay".repeat(200));
        let shown = shown("needle", &text).expect("it is there");
        assert!(shown.starts_with("hay ") && shown.contains("[needle] hay"), "{shown}");
        assert!(shown.len() <= SNIPPET_BYTES + 2, "{}", shown.len());
        let word = "x".repeat(1_000);
        assert_eq!(
            super::snippet(&word, std::slice::from_ref(&(0..1_000)))[0].text.len(),
            1_000,
            "a found word is whole"
        );
    }
}
