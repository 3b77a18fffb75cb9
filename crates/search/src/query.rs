//! What somebody looks for: text taken apart as messages are, and the query that finds candidates for it.

use crate::{
    document::Fields,
    settings::{PREFIX_LETTERS, SOUGHT_BYTES, SOUGHT_PARTS},
    words::{Cell, Piece, pair_of, pieces},
};
use model::{Channel, Error, Place, Result, Sought};
use std::ops::Bound;
use tantivy::{
    Term,
    query::{BooleanQuery, Query, RangeQuery, TermQuery},
    schema::IndexRecordOption,
};

/// A part of what is looked for; a message must have all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// This word.
    Word(String),
    /// A word that begins so.
    Start(String),
    /// These characters, one behind the other.
    Run(Vec<String>),
}

/// Takes apart what somebody typed. The last word stands for every word that begins so.
pub(crate) fn parse(words: &str) -> Result<Vec<Part>> {
    if words.len() > SOUGHT_BYTES {
        return Err(Error::invalid(format!("q: at most {SOUGHT_BYTES} bytes")));
    }
    let pieces = pieces(words);
    if pieces.is_empty() {
        return Err(Error::invalid("q: there is no word in it"));
    }
    if pieces.len() > SOUGHT_PARTS {
        return Err(Error::invalid(format!("q: at most {SOUGHT_PARTS} words")));
    }
    let last = pieces.len() - 1;
    let part = |(at, piece): (usize, &Piece<'_>)| match piece {
        Piece::Word { word, .. } if at == last && word.chars().count() >= PREFIX_LETTERS => {
            Part::Start(word.to_string())
        }
        Piece::Word { word, .. } => Part::Word(word.to_string()),
        Piece::Run(cells) => Part::Run(cells.iter().map(|cell| cell.text.to_string()).collect()),
    };
    let mut parts: Vec<Part> = Vec::with_capacity(pieces.len());
    for part in pieces.iter().enumerate().map(part) {
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Ok(parts)
}

/// The query of candidates. Channels are part of it if there is only one; otherwise whoever walks the matches tells.
pub(crate) fn query(fields: &Fields, parts: &[Part], sought: &Sought<'_>) -> BooleanQuery {
    let mut all: Vec<Box<dyn Query>> = Vec::new();
    for part in parts {
        match part {
            Part::Word(word) => all.push(term(fields.word(word))),
            Part::Start(start) => all.push(beginning(fields, start)),
            Part::Run(cells) if cells.len() == 1 => all.push(beginning(fields, &cells[0])),
            Part::Run(cells) => {
                let cell = |text: &String| Cell { text: text.clone().into(), range: 0..0 };
                let pairs = cells.windows(2).map(|pair| pair_of(&cell(&pair[0]), &cell(&pair[1])));
                all.extend(pairs.map(|pair| term(fields.word(&pair))));
            }
        }
    }
    all.push(match sought.place {
        Place::Channels([name]) => term(fields.channel(&Channel { app: sought.app.clone(), name: name.clone() })),
        Place::Channels(_) | Place::Admitted(_) => term(fields.app(sought.app)),
    });
    if let Some(author) = sought.author {
        all.push(Box::new(BooleanQuery::union(fields.authors(author).map(term).collect())));
    }
    all.extend(sought.custom_type.map(|custom_type| term(fields.custom_type(custom_type))));
    BooleanQuery::intersection(all)
}

fn term(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

/// All terms that begin so.
fn beginning(fields: &Fields, start: &str) -> Box<dyn Query> {
    // U+10FFFF is no character of any text, so it ends the terms that begin so.
    let end = format!("{start}\u{10ffff}");
    Box::new(RangeQuery::new(Bound::Included(fields.word(start)), Bound::Included(fields.word(&end))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_stands_for_its_beginnings() {
        let word = |text: &str| Part::Word(text.into());
        let start = |text: &str| Part::Start(text.into());
        let run = |text: &str| Part::Run(text.chars().map(String::from).collect());
        assert_eq!(parse("Hello WOR").expect("words"), [word("hello"), start("wor")]);
        assert_eq!(parse("a b").expect("words"), [word("a"), word("b")], "one letter stands for itself");
        assert_eq!(parse("東京 tower").expect("words"), [run("東京"), start("tower")]);
        assert_eq!(parse("tower 東").expect("words"), [word("tower"), run("東")]);
        assert_eq!(parse("so so so so").expect("words"), [word("so"), start("so")]);
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        for wrong in ["", "  ", "🎉?!", &"x".repeat(SOUGHT_BYTES + 1), &"x ".repeat(SOUGHT_PARTS + 1)] {
            assert_eq!(parse(wrong).expect_err("refused").kind, model::ErrorKind::Invalid, "{wrong:?}");
        }
    }
}
