//! What a selection has, in the plainest reading: every message of every channel of the app is looked at.

use crate::ChannelState;
use model::{
    AppId, Channel, ChannelName, Id, Message, Order, Selected, Selection, SelectionPage, SelectionWindow, Selector,
    Span, limits,
};

/// The messages of a span that a selection has at `now`, by growing id.
pub fn selected<'a>(
    channels: impl Iterator<Item = (&'a Channel, &'a ChannelState)>,
    app: &AppId,
    selection: &Selection,
    span: Span,
    now: Id,
) -> Vec<Selected> {
    let mut found = Vec::new();
    for (channel, state) in channels.filter(|(channel, _)| channel.app == *app) {
        let wanted = |message: &Message| {
            let mut parts = selection.parts().iter();
            span.contains(message.id)
                && !message.is_expired(now)
                && parts.any(|(selector, after)| message.id > *after && has(selector, &channel.name, message))
        };
        let messages = state.there().filter(|message| wanted(message));
        found.extend(messages.map(|message| Selected { channel: channel.clone(), message: message.clone() }));
    }
    found.sort_by_key(|selected| selected.message.id);
    found
}

/// The page of a window that has these messages.
pub(crate) fn page(mut all: Vec<Selected>, window: &SelectionWindow) -> SelectionPage {
    let total = all.len() as u64;
    if window.order == Order::Descending {
        all.reverse();
    }
    let offset = usize::try_from(window.offset).unwrap_or(usize::MAX).min(all.len());
    let mut messages = all.split_off(offset);
    messages.truncate(window.limit.min(limits::PAGE_MESSAGES) as usize);
    let mut bytes = 0;
    let room = messages.iter().take_while(|selected| {
        let open = bytes < limits::PAGE_BYTES;
        bytes += selected.message.payload.bytes.len();
        open
    });
    messages.truncate(room.count());
    if window.order == Order::Descending {
        messages.reverse();
    }
    SelectionPage::of(window, messages, total)
}

fn has(selector: &Selector, channel: &ChannelName, message: &Message) -> bool {
    let is_chat = matches!(channel, ChannelName::Direct(..));
    let author = message.author.as_ref().map(|user| &user.id);
    let recipient = message.recipient.as_ref().map(|user| &user.id);
    match selector {
        Selector::Author(name) => channel.as_named().is_some() && author == Some(name),
        Selector::Sender(name) => is_chat && author == Some(name),
        Selector::Recipient(name) => is_chat && recipient == Some(name),
        Selector::Pair { author: from, recipient: to } => is_chat && author == Some(from) && recipient == Some(to),
        Selector::AuthorIn { author: name, channel: place } => !is_chat && author == Some(name) && channel == place,
        Selector::Channel(name) => channel == name,
    }
}
