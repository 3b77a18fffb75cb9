//! `messages.getHistory`: which messages, in which order, how many (`protocols/osmium.md` §5).

use crate::{
    error::Answer,
    ids::Epoch,
    limits,
    realm::Realm,
    render::{Spoken, View},
    wire::{GetHistory, Messages, get_history::Offset, rpc_result},
};
use model::{Id, Message, Order, Span};
use prost::Message as _;
use service::{Query, Reach};
use std::sync::Arc;

impl Realm {
    pub(crate) async fn get_history(&self, user: u64, call: GetHistory) -> Answer<rpc_result::Result> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let messages = match reach(self.epoch, call.offset) {
            Some(reach) => {
                let (caller, channel) = self.place(&view);
                let query = Query::of(reach, limit(call.limit));
                self.channels.history(&caller, &channel, &query).await?.page.messages.clone()
            }
            None => Vec::new(),
        };
        let page = self.page(&view, messages, Shape::of(self.epoch, call.offset)).await?;
        Ok(rpc_result::Result::Messages(page))
    }

    /// Messages, given by growing id, as a page of this shape that stays within its bytes.
    pub(crate) async fn page(&self, view: &View, messages: Vec<Arc<Message>>, shape: Shape) -> Answer<Messages> {
        let reactions = self.reactions(view, &messages).await?;
        let build = |kept: &[Arc<Message>]| {
            let mut spoken: Vec<Spoken<'_>> = kept.iter().map(|message| Spoken::new(message)).collect();
            if shape == Shape::Descending {
                spoken.reverse();
            }
            view.page(&spoken, &reactions)
        };
        Ok(within_bytes(&messages, shape, build))
    }
}

/// How a page is put in order, and from where it is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// The newest ones, oldest first: the oldest go.
    Newest,
    /// Those after an anchor, oldest first: the newest go.
    After,
    /// Newest first: the oldest go.
    Descending,
    /// Those around this anchor, oldest first: the farthest go.
    Around(Id),
}

impl Shape {
    fn of(epoch: Epoch, offset: Option<Offset>) -> Shape {
        match offset {
            None => Shape::Newest,
            Some(Offset::Since(_)) => Shape::After,
            Some(Offset::Before(_)) => Shape::Descending,
            Some(Offset::Around(anchor)) => Shape::Around(epoch.from(anchor)),
        }
    }

    /// Which `keep` of these messages stay: those next to the anchor.
    fn kept(self, messages: &[Arc<Message>], keep: usize) -> &[Arc<Message>] {
        let surplus = messages.len() - keep;
        match self {
            Shape::Newest | Shape::Descending => &messages[surplus..],
            Shape::After => &messages[..keep],
            Shape::Around(anchor) => {
                let below = messages.partition_point(|message| message.id < anchor);
                let (mut older, mut newer) = (below, messages.len() - below);
                for _ in 0..surplus {
                    // The longer side reaches farther; of equal ones the older, so that the anchor stays to the last.
                    if older >= newer { older -= 1 } else { newer -= 1 }
                }
                &messages[below - older..below + newer]
            }
        }
    }
}

/// What a call without a limit gets, and with one that is too large (§5.2). 0 is as good as none.
fn limit(asked: Option<u32>) -> u32 {
    match asked {
        None | Some(0) => limits::DEFAULT_PAGE_MESSAGES,
        Some(limit) => limit.min(limits::PAGE_MESSAGES),
    }
}

/// Where to look (§5.1, §5.3); nowhere before the smallest id.
fn reach(epoch: Epoch, offset: Option<Offset>) -> Option<Reach> {
    let span = |after, upto, order| Some(Reach::Span { span: Span { after, upto }, order });
    match offset {
        None => span(Id::MIN, Id::MAX, Order::Descending),
        // The smallest ids have no room below them: "from the very beginning" includes them.
        Some(Offset::Since(0)) => span(Id::MIN, Id::MAX, Order::Ascending),
        Some(Offset::Since(anchor)) => span(epoch.upto(anchor), Id::MAX, Order::Ascending),
        Some(Offset::Before(anchor)) => span(Id::MIN, epoch.below(anchor)?, Order::Descending),
        Some(Offset::Around(anchor)) => Some(Reach::Around(epoch.from(anchor))),
    }
}

/// The largest page of this shape within its bytes; at least one message, if there is one (§5.5).
fn within_bytes(messages: &[Arc<Message>], shape: Shape, build: impl Fn(&[Arc<Message>]) -> Messages) -> Messages {
    let all = build(messages);
    if all.encoded_len() <= limits::PAGE_BYTES || messages.len() <= 1 {
        return all;
    }
    // One is always kept; all are too many.
    let (mut fits, mut too_many) = (1, messages.len());
    while too_many - fits > 1 {
        let middle = fits + (too_many - fits) / 2;
        match build(shape.kept(messages, middle)).encoded_len() <= limits::PAGE_BYTES {
            true => fits = middle,
            false => too_many = middle,
        }
    }
    build(shape.kept(messages, fits))
}
