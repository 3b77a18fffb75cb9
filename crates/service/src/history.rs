//! Reading what is stored.

use bytes::Bytes;
use model::{Id, Order, Page, Span, UserId};
use std::sync::{Arc, OnceLock};

/// What history is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// Where to look.
    pub reach: Reach,
    /// How many messages at most.
    pub limit: u32,
    /// Only messages of this author.
    pub author: Option<UserId>,
    /// Only messages of this custom type.
    pub custom_type: Option<Arc<str>>,
}

/// Where to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// From one end of a span.
    Span {
        /// The span.
        span: Span,
        /// From which end.
        order: Order,
    },
    /// On both sides of a position: the greatest `limit / 2` ids below it and the rest at or above it. Nothing is
    /// moved over where one side has fewer.
    Around(Id),
}

impl Query {
    /// The newest messages.
    pub fn newest(limit: u32) -> Query {
        Query::of(Reach::Span { span: Span::ALL, order: Order::Descending }, limit)
    }

    /// Messages of every author and type.
    pub fn of(reach: Reach, limit: u32) -> Query {
        Query { reach, limit, author: None, custom_type: None }
    }
}

/// A page, with what its caller may know. Equal reads of a hot page get the same one.
#[derive(Debug)]
pub struct History {
    /// The page. Its `floor` and `head` are the caller's: the floor is at least where the caller's window begins, and
    /// its seq a lower bound where the page does not reach it.
    pub page: Page,
    /// The caller's window hides what is at or below this position, and something may be there.
    pub hidden_below: Option<Id>,
    rendered: OnceLock<(&'static str, Bytes)>,
}

impl History {
    pub(crate) fn new(page: Page, hidden_below: Option<Id>) -> History {
        History { page, hidden_below, rendered: OnceLock::new() }
    }

    /// The page as bytes of the format that `dialect` names, made by `render` unless they are kept already. The first
    /// dialect to ask has its bytes kept for as long as the page is.
    pub fn rendered(&self, dialect: &'static str, render: impl FnOnce(&History) -> Bytes) -> Bytes {
        match self.rendered.get() {
            Some((kept_for, bytes)) if *kept_for == dialect => bytes.clone(),
            Some(_) => render(self),
            None => {
                let bytes = render(self);
                // A second one that rendered at the same time had the same page: whichever came first is kept.
                let _ = self.rendered.set((dialect, bytes.clone()));
                bytes
            }
        }
    }
}
