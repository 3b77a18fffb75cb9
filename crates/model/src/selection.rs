//! Messages of an app by who wrote them, to whom and where: selectors, what they make together, and the answers.

use crate::{Channel, ChannelName, Error, Id, Message, Order, Result, Span, limits};
use std::sync::Arc;

/// Some of an app's messages. A user is named by the text of its [`crate::UserId`] alone, whatever its origin and whether
/// or not it was verified: so a message is found by its author through every dialect.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Selector {
    /// Everything that a user wrote in channels with names in the clear.
    Author(Arc<str>),
    /// Everything that a user wrote in direct chats. Whose names those are is the dialect's to say that made them: one
    /// user's names in channels and in chats need not be the same.
    Sender(Arc<str>),
    /// Every message of direct chats that a user is the recipient of.
    Recipient(Arc<str>),
    /// The messages of direct chats from one user to another: one direction.
    Pair {
        /// From whom.
        author: Arc<str>,
        /// To whom.
        recipient: Arc<str>,
    },
    /// What a user wrote in a channel. In a direct chat that is nothing: [`Selector::Pair`] tells of those.
    AuthorIn {
        /// The user.
        author: Arc<str>,
        /// The channel.
        channel: ChannelName,
    },
    /// Everything in a channel.
    Channel(ChannelName),
}

impl Selector {
    /// Whether no message can be among those of both.
    pub fn is_disjoint(&self, other: &Selector) -> bool {
        use Selector::{Author, AuthorIn, Channel, Pair, Recipient, Sender};
        match (self, other) {
            (Author(one), Author(two)) => one != two,
            (Author(one), AuthorIn { author: two, channel }) | (AuthorIn { author: two, channel }, Author(one)) => {
                one != two || channel.as_named().is_none()
            }
            (Author(_), Channel(name)) | (Channel(name), Author(_)) => name.as_named().is_none(),
            (Author(_) | AuthorIn { .. }, Sender(_) | Recipient(_) | Pair { .. })
            | (Sender(_) | Recipient(_) | Pair { .. }, Author(_) | AuthorIn { .. }) => true,
            (Sender(one), Sender(two) | Pair { author: two, .. }) | (Pair { author: one, .. }, Sender(two)) => {
                one != two
            }
            (Sender(_), Recipient(_)) | (Recipient(_), Sender(_)) => false,
            (Recipient(one), Recipient(two) | Pair { recipient: two, .. })
            | (Pair { recipient: one, .. }, Recipient(two)) => one != two,
            (Sender(_) | Recipient(_) | Pair { .. }, Channel(name))
            | (Channel(name), Sender(_) | Recipient(_) | Pair { .. }) => !matches!(name, ChannelName::Direct(..)),
            (AuthorIn { channel: one, .. }, Channel(two))
            | (Channel(one), AuthorIn { channel: two, .. } | Channel(two)) => one != two,
            (Pair { .. }, Pair { .. }) | (AuthorIn { .. }, AuthorIn { .. }) => self != other,
        }
    }

    fn check(&self) -> Result<()> {
        let users = match self {
            Selector::Author(user)
            | Selector::Sender(user)
            | Selector::Recipient(user)
            | Selector::AuthorIn { author: user, .. } => [user, user],
            Selector::Pair { author, recipient } => [author, recipient],
            Selector::Channel(_) => return Ok(()),
        };
        let is_name = |user: &&Arc<str>| (1..=limits::USER_ID_BYTES).contains(&user.len()) && !user.contains('\0');
        match users.iter().all(is_name) {
            true => Ok(()),
            false => Err(Error::invalid(format!("user: 1 to {} bytes without NUL", limits::USER_ID_BYTES))),
        }
    }
}

/// What some selectors select together. No message can be among those of two of them, so that counts add up.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Selection {
    parts: Vec<(Selector, Id)>,
}

impl Selection {
    /// What these selectors select; one that comes twice counts once. [`crate::ErrorKind::Invalid`] if a message could be
    /// among those of two different ones, if there is none, or more than [`limits::SELECTORS`].
    pub fn new(selectors: impl IntoIterator<Item = Selector>) -> Result<Selection> {
        let mut parts: Vec<(Selector, Id)> = Vec::new();
        for selector in selectors {
            selector.check()?;
            if parts.iter().any(|(known, _)| *known == selector) {
                continue;
            }
            if parts.iter().any(|(known, _)| !known.is_disjoint(&selector)) {
                return Err(Error::invalid("selection: a message could be selected twice"));
            }
            if parts.len() == limits::SELECTORS {
                return Err(Error::invalid(format!("selection: at most {} selectors", limits::SELECTORS)));
            }
            parts.push((selector, Id::MIN));
        }
        match parts.is_empty() {
            true => Err(Error::invalid("selection: it selects nothing")),
            false => Ok(Selection { parts }),
        }
    }

    /// The selectors, each with the position that its messages lie above.
    pub fn parts(&self) -> &[(Selector, Id)] {
        &self.parts
    }

    /// The same without what each selector has at or below the position that `cut` gives for it: how retention and
    /// rights cut, as bounds of the seek.
    pub fn above(mut self, mut cut: impl FnMut(&Selector) -> Result<Id>) -> Result<Selection> {
        for (selector, after) in &mut self.parts {
            *after = cut(selector)?.max(*after);
        }
        Ok(self)
    }
}

/// A question to a selection: up to `limit` messages of `span`, after leaving out `offset` of them, counted from the end
/// that `order` names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectionWindow {
    /// Where to look.
    pub span: Span,
    /// From which end.
    pub order: Order,
    /// How many to leave out first: it costs a descent, however many they are.
    pub offset: u64,
    /// How many at most, and never more than [`limits::PAGE_MESSAGES`].
    pub limit: u32,
    /// Hide what is due at this position: what reads as "now".
    pub now: Id,
}

/// The answer to a [`SelectionWindow`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectionPage {
    /// By growing id, whatever the order of the window was, with their newest content.
    pub messages: Vec<Selected>,
    /// How many messages the window has in all, whatever its offset and limit: when it is greater than the offset and the
    /// messages given together, more are left.
    pub total: u64,
    /// What was looked through: every message of it that fits, but for those that the offset left out, is in the page. It
    /// is the whole span unless messages are left; then it ends, on the side that the order moves to, at the last message
    /// given, and a window without offset beyond it goes on there.
    pub covered: Span,
}

/// A message that was selected, and where it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Selected {
    /// The channel.
    pub channel: Channel,
    /// The message.
    pub message: Arc<Message>,
}

impl SelectionPage {
    /// The page with these messages, given by growing id, of a window that has `total`.
    pub fn of(window: &SelectionWindow, messages: Vec<Selected>, total: u64) -> SelectionPage {
        let span = window.span;
        let is_whole = window.offset.saturating_add(messages.len() as u64) >= total;
        let covered = match (is_whole, window.order) {
            (true, _) => span,
            (false, Order::Ascending) => {
                Span { after: span.after, upto: messages.last().map_or(span.after, |last| last.message.id) }
            }
            (false, Order::Descending) => {
                let after = messages.first().map_or(span.upto, |first| first.message.id.previous());
                Span { after, upto: span.upto }
            }
        };
        SelectionPage { messages, total, covered }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    fn all() -> Vec<Selector> {
        let room = ChannelName::named("a").expect("a valid name");
        let chat = ChannelName::direct("a", "b");
        let pair = |author, recipient| Selector::Pair { author: name(author), recipient: name(recipient) };
        let within =
            |author, channel: &ChannelName| Selector::AuthorIn { author: name(author), channel: channel.clone() };
        vec![
            Selector::Author(name("a")),
            Selector::Author(name("b")),
            Selector::Recipient(name("a")),
            Selector::Recipient(name("b")),
            pair("a", "b"),
            pair("b", "a"),
            within("a", &room),
            within("b", &room),
            Selector::Channel(room),
            Selector::Channel(chat),
            Selector::Sender(name("a")),
            Selector::Sender(name("b")),
        ]
    }

    #[test]
    fn disjoint_is_what_the_words_say() {
        let disjoint = |one: usize, two: usize| all()[one].is_disjoint(&all()[two]);
        for one in 0..all().len() {
            for two in 0..all().len() {
                assert_eq!(disjoint(one, two), disjoint(two, one), "{one} and {two}");
            }
            assert!(!disjoint(one, one), "{one} and itself");
        }
        let with_others = |one: usize| (0..all().len()).filter(|&two| disjoint(one, two)).collect::<Vec<_>>();
        assert_eq!(
            with_others(0),
            [1, 2, 3, 4, 5, 7, 9, 10, 11],
            "what a wrote in channels: not what b wrote, no chat"
        );
        assert_eq!(with_others(2), [0, 1, 3, 4, 6, 7, 8], "to a: not to b, not in the channel a");
        assert_eq!(with_others(4), [0, 1, 2, 5, 6, 7, 8, 11], "a to b");
        assert_eq!(with_others(6), [1, 2, 3, 4, 5, 7, 9, 10, 11], "by a in the channel");
        assert_eq!(with_others(8), [2, 3, 4, 5, 9, 10, 11], "the channel");
        assert_eq!(with_others(10), [0, 1, 5, 6, 7, 8, 11], "what a wrote in chats");
    }

    #[test]
    fn selections_are_checked() {
        assert!(Selection::new([]).is_err());
        assert!(Selection::new([Selector::Author(name(""))]).is_err());
        assert!(Selection::new([Selector::Author(name("a\0b"))]).is_err());
        assert!(Selection::new([Selector::Sender(name("a")), Selector::Recipient(name("a"))]).is_err());
        let twice = Selection::new([Selector::Author(name("a")), Selector::Author(name("a"))]);
        assert_eq!(twice.expect("one selector").parts().len(), 1);
        let many = (0..=limits::SELECTORS).map(|n| Selector::Author(n.to_string().into()));
        assert!(Selection::new(many).is_err());
    }
}
