//! What the service asks of a full-text index. An index lies beside the store, follows the store's feed, and can be
//! made again from the store at any time: it says where to look, never what is there.

use crate::{AppId, Author, ChannelName, Id, Message, Order, Result, Span};

/// Finds messages by their words.
///
/// **Candidates.** What [`Search::find`] gives may be gone meanwhile, be edited, be due, or be hidden from whoever asks.
/// So each candidate is read from the store, as history would read it, and [`Search::show`] decides by what was read.
/// Nothing that an index says reaches a caller in any other way.
///
/// All calls but [`Search::covers`] block.
pub trait Search: Send + Sync + 'static {
    /// Whether messages of this app are indexed.
    fn covers(&self, app: &AppId) -> bool;

    /// Messages that may have all of the words, from the end of the span that the order names. What is indexed goes at
    /// least up to `fresh`, for which it waits a while if it must; how far it goes, the answer tells.
    ///
    /// [`crate::ErrorKind::Invalid`] for words that cannot be looked for, `TooLarge` if far too many messages have them,
    /// `Unavailable` while the index is being made again.
    fn find(&self, sought: &Sought<'_>, fresh: Id) -> Result<Candidates>;

    /// The part of a message that shows the words; none if it does not have all of them.
    fn show(&self, words: &str, message: &Message) -> Result<Option<Vec<SnippetPiece>>>;

    /// Makes sure that no byte of what was removed or replaced before `upto` is left in the index. Returns when it is so.
    fn erase(&self, upto: Id) -> Result<()>;
}

/// What is looked for.
pub struct Sought<'a> {
    /// Whose messages.
    pub app: &'a AppId,
    /// Every one of these words, as somebody typed them.
    pub words: &'a str,
    /// Where.
    pub place: Place<'a>,
    /// When.
    pub span: Span,
    /// From which end of the span.
    pub order: Order,
    /// How many candidates at most.
    pub limit: usize,
    /// Only messages of this author.
    pub author: Option<&'a Author>,
    /// Only messages of this custom type.
    pub custom_type: Option<&'a str>,
}

/// In which channels of an app is looked.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// In these.
    Channels(&'a [ChannelName]),
    /// In all that this admits. It is asked about a channel once or a few times, never for each message.
    Admitted(&'a dyn Fn(&ChannelName) -> bool),
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidates {
    /// By growing id, or by falling id, as the order asked.
    pub list: Vec<Candidate>,
    /// There are more beyond the last one.
    pub more: bool,
    /// Everything that was stored up to here is indexed.
    pub indexed: Id,
}

/// A message that may have the words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Where.
    pub channel: ChannelName,
    /// Which.
    pub id: Id,
}

/// A piece of a message's text. The pieces that [`Search::show`] gives are, put together, the part of it in which words
/// were found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnippetPiece {
    /// As it is in the message.
    pub text: String,
    /// Whether it is what was looked for.
    pub found: bool,
}
