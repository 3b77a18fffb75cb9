//! Messages with their actions (`protocols/pubnub.md` §7.2).

use crate::{call::Call, error::Refusal, limits};
use model::{Channel, Id, Message, Order, ReactionEntry, Span};
use service::Caller;

/// A message, and what was done to it.
pub type Acted<'a> = (&'a Message, Vec<ReactionEntry>);

/// The messages with their actions, from the end that the call began at, until there are too many actions for one answer.
pub async fn acted<'a>(
    call: &Call<'_>,
    caller: &Caller,
    channel: &Channel,
    messages: &[&'a Message],
    order: Order,
) -> Result<Vec<Acted<'a>>, Refusal> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(Vec::new()) };
    let all = Span { after: first.id.previous(), upto: last.id };
    let found = call.channels.reactions(caller, channel, all, None, limits::ACTIONS_PAGE).await?;
    if !found.more {
        let of = |id: Id| -> Vec<ReactionEntry> {
            found.entries.iter().filter(|entry| entry.reaction.message == id).cloned().collect()
        };
        return Ok(messages.iter().map(|message| (*message, of(message.id))).collect());
    }
    let (mut acted, mut count) = (Vec::new(), 0);
    let walk: Vec<&&Message> = match order {
        Order::Ascending => messages.iter().collect(),
        Order::Descending => messages.iter().rev().collect(),
    };
    for message in walk {
        let only = Span { after: message.id.previous(), upto: message.id };
        let entries = call.channels.reactions(caller, channel, only, None, limits::ACTIONS_FETCHED).await?.entries;
        count += entries.len();
        acted.push((*message, entries));
        if count >= limits::ACTIONS_FETCHED as usize {
            break;
        }
    }
    if order == Order::Descending {
        acted.reverse();
    }
    Ok(acted)
}
