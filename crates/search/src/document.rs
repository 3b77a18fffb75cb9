//! What is kept of a message: a document with its terms and its place. No text is kept, and no document can be read
//! back but its channel, seq and id.

use crate::{
    settings::MESSAGE_WORDS,
    text::text_of,
    words::{pieces, terms},
};
use model::{AppId, Author, Channel, ChannelName, Message, Origin, Seq, UserId};
use std::collections::HashSet;
use tantivy::{
    TantivyDocument, Term,
    schema::{BytesOptions, FAST, Field, IndexRecordOption, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{PreTokenizedString, Token},
};

/// Raised whenever documents are made in another way: what was indexed before is made again.
pub(crate) const FORMAT: u32 = 1;

const NAMED: u8 = 1;
const MEMBER: u8 = 2;
const DIRECT: u8 = 3;

/// Columns by name, as the reader asks for them.
pub(crate) const CHANNEL: &str = "channel";
pub(crate) const ID: &str = "id";
pub(crate) const SEQ: &str = "seq";

/// The fields of a document.
#[derive(Clone)]
pub(crate) struct Fields {
    pub schema: Schema,
    words: Field,
    app: Field,
    channel: Field,
    id: Field,
    seq: Field,
    author: Field,
    custom_type: Field,
}

impl Fields {
    pub fn new() -> Fields {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer("raw")
            .set_index_option(IndexRecordOption::Basic)
            .set_fieldnorms(false);
        let text = TextOptions::default().set_indexing_options(indexing);
        Fields {
            words: schema.add_text_field("words", text.clone()),
            app: schema.add_text_field("app", text.clone()),
            channel: schema.add_bytes_field(CHANNEL, BytesOptions::default().set_indexed().set_fast()),
            id: schema.add_u64_field(ID, FAST),
            seq: schema.add_u64_field(SEQ, FAST),
            author: schema.add_text_field("author", text.clone()),
            custom_type: schema.add_text_field("type", text),
            schema: schema.build(),
        }
    }

    /// The document of a message; none if there is nothing in it to look for.
    pub fn document(&self, channel: &Channel, message: &Message) -> Option<TantivyDocument> {
        let words = words_of(message);
        if words.is_empty() {
            return None;
        }
        let mut document = TantivyDocument::default();
        let tokens = words.into_iter().enumerate().map(|(position, text)| Token { position, text, ..Token::default() });
        let words = PreTokenizedString { text: String::new(), tokens: tokens.collect() };
        document.add_pre_tokenized_text(self.words, words);
        document.add_text(self.app, channel.app.as_str());
        document.add_bytes(self.channel, &channel_bytes(channel));
        document.add_u64(self.id, message.id.raw());
        document.add_u64(self.seq, message.seq.0.cast_unsigned());
        if let Some(author) = &message.author {
            document.add_text(self.author, author_term(author));
        }
        if let Some(custom_type) = &message.custom_type {
            document.add_text(self.custom_type, &**custom_type);
        }
        Some(document)
    }

    pub fn word(&self, word: &str) -> Term {
        Term::from_field_text(self.words, word)
    }

    pub fn app(&self, app: &AppId) -> Term {
        Term::from_field_text(self.app, app.as_str())
    }

    pub fn channel(&self, channel: &Channel) -> Term {
        Term::from_field_bytes(self.channel, &channel_bytes(channel))
    }

    /// One for each user who is meant.
    pub fn authors(&self, author: &Author) -> impl Iterator<Item = Term> {
        let users = Origin::ALL.into_iter().flat_map(|origin| [false, true].map(|verified| (origin, verified)));
        let users = users.map(|(origin, verified)| UserId { origin, id: author.id.clone(), verified });
        users.filter(|user| author.is(user)).map(|user| Term::from_field_text(self.author, &author_term(&user)))
    }

    pub fn custom_type(&self, custom_type: &str) -> Term {
        Term::from_field_text(self.custom_type, custom_type)
    }
}

/// The different terms of a message.
fn words_of(message: &Message) -> HashSet<String> {
    let text = text_of(message);
    let mut words = HashSet::new();
    terms(&pieces(&text), |term| {
        if words.len() < MESSAGE_WORDS && !words.contains(term) {
            words.insert(term.to_owned());
        }
    });
    words
}

/// One term for each author, so that nobody's term is the beginning of somebody else's.
fn author_term(author: &UserId) -> String {
    format!("{}{}{}", author.origin as u8, if author.verified { '!' } else { '?' }, author.id)
}

/// What names a channel in the index.
pub(crate) fn channel_bytes(channel: &Channel) -> Vec<u8> {
    let mut bytes = channel.app.as_str().as_bytes().to_vec();
    bytes.push(0);
    bytes.extend(name_bytes(&channel.name));
    bytes
}

/// What names a channel inside its app.
pub(crate) fn name_bytes(name: &ChannelName) -> Vec<u8> {
    match name {
        ChannelName::Named(text) => [&[NAMED], text.as_bytes()].concat(),
        ChannelName::Member(community, member) => {
            [&[MEMBER][..], &community.to_be_bytes(), &member.to_be_bytes()].concat()
        }
        // No name holds a zero byte.
        ChannelName::Direct(low, high) => [&[DIRECT], low.as_bytes(), &[0], high.as_bytes()].concat(),
    }
}

/// The name that [`channel_bytes`] wrote behind the app; none if the bytes are not its own.
pub(crate) fn name_in(bytes: &[u8]) -> Option<ChannelName> {
    let behind_app = bytes.iter().position(|byte| *byte == 0)? + 1;
    parse_name(&bytes[behind_app..])
}

/// The name that [`name_bytes`] wrote.
pub(crate) fn parse_name(bytes: &[u8]) -> Option<ChannelName> {
    let (kind, rest) = bytes.split_first()?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    match *kind {
        NAMED => Some(ChannelName::Named(text(rest)?.into())),
        MEMBER => {
            let (community, member) = rest.split_first_chunk()?;
            Some(ChannelName::Member(u64::from_be_bytes(*community), u64::from_be_bytes(member.try_into().ok()?)))
        }
        DIRECT => {
            let (low, high) = text(rest)?.split_once('\0')?;
            Some(ChannelName::Direct(low.into(), high.into()))
        }
        _ => None,
    }
}

/// The order of seqs in ranges that grow and do not overlap.
pub(crate) fn holds(ranges: &[model::SeqRange], seq: Seq) -> bool {
    let at = ranges.partition_point(|range| range.last < seq);
    ranges.get(at).is_some_and(|range| range.contains(seq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::SeqRange;

    #[test]
    fn a_channels_name_comes_back() {
        let app = AppId::new("demo").expect("a valid name");
        let named = ChannelName::named("room/ä").expect("a valid name");
        for name in [named, ChannelName::Member(5, u64::MAX), ChannelName::direct("b", "a/1")] {
            let bytes = channel_bytes(&Channel { app: app.clone(), name: name.clone() });
            assert_eq!(name_in(&bytes), Some(name));
        }
        for wrong in [&b"demo"[..], b"demo\0", b"demo\0\x09x", b"demo\0\x02short", b"demo\0\x01\xff"] {
            assert_eq!(name_in(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_seq_is_found_in_its_range() {
        let ranges = [SeqRange { first: Seq(2), last: Seq(3) }, SeqRange { first: Seq(7), last: Seq(7) }];
        let held: Vec<i64> = (0..10).filter(|seq| holds(&ranges, Seq(*seq))).collect();
        assert_eq!(held, [2, 3, 7]);
        assert!(!holds(&[], Seq(1)));
    }
}
