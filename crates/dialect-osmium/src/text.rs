//! Spans of a text as the wire counts them: in UTF-16 code units (`protocols/osmium.md` §4).

use crate::{
    error::{Answer, Refusal},
    limits,
    wire::MessageEntity,
};

/// How many units a text has.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The part of a text that begins at a unit and has so many; none if it lies outside or cuts a character in two.
pub fn part(text: &str, start: u32, length: u32) -> Option<&str> {
    let from = byte_at(text, u64::from(start))?;
    let to = byte_at(text, u64::from(start) + u64::from(length))?;
    Some(&text[from..to])
}

/// Whether every entity covers a part of the text (§6).
pub fn check_entities(text: &str, entities: &[MessageEntity]) -> Answer<()> {
    if entities.len() > limits::ENTITIES {
        return Err(Refusal::invalid(format!("entities: at most {}", limits::ENTITIES)));
    }
    match entities.iter().all(|entity| part(text, entity.start_index, entity.length).is_some()) {
        true => Ok(()),
        false => Err(Refusal::invalid("entities: one does not lie in the text")),
    }
}

/// The beginning of a text of at most so many bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

fn byte_at(text: &str, unit: u64) -> Option<usize> {
    let mut seen = 0;
    for (at, character) in text.char_indices() {
        if seen == unit {
            return Some(at);
        }
        seen += character.len_utf16() as u64;
    }
    (seen == unit).then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_count_utf16_units_and_cut_no_character() {
        let text = "a😀ö!";
        assert_eq!(units(text), 5);
        assert_eq!(part(text, 0, 5), Some(text));
        assert_eq!(part(text, 1, 2), Some("😀"));
        assert_eq!(part(text, 3, 1), Some("ö"));
        assert_eq!(part(text, 5, 0), Some(""));
        assert_eq!(part(text, 2, 1), None, "inside a surrogate pair");
        assert_eq!(part(text, 4, 2), None, "beyond the end");
        assert_eq!(part(text, u32::MAX, u32::MAX), None);
    }
}
