//! What lines come to in a store: messages, their places, and the removals of those that are gone.

use super::line::Line;
use bytes::Bytes;
use model::{Id, Kind, Message, Payload, PayloadForm, Position, Removal, What};
use std::sync::Arc;

/// What a line of a channel comes to where it is new.
pub(super) fn changes_of(line: &Line) -> Vec<What> {
    match line {
        Line::Message { message, .. } => vec![What::Published { message: message.clone(), key: None, first: false }],
        Line::Gone { messages, .. } => gone(messages, false).into_iter().map(|(_, what)| what).collect(),
        Line::Edit { edit, .. } => vec![What::Edited(edit.clone())],
        Line::Reaction { reaction, .. } => vec![What::Reacted(reaction.clone())],
        Line::Header(_) | Line::Record { .. } | Line::Channel { .. } | Line::End { .. } => Vec::new(),
    }
}

/// Messages in their places, and their removal; `first` if the first of them is the channel's first stored change.
pub(super) fn gone(messages: &[(Position, bool)], first: bool) -> Vec<(Id, What)> {
    let place = |(index, (position, _)): (usize, &(Position, bool))| {
        let message = Arc::new(blank(*position));
        (position.id, What::Published { message, key: None, first: first && index == 0 })
    };
    let mut changes: Vec<(Id, What)> = messages.iter().enumerate().map(place).collect();
    for expired in [false, true] {
        let of_kind: Vec<Position> = messages.iter().filter(|(_, is)| *is == expired).map(|(at, _)| *at).collect();
        let Some(last) = of_kind.last() else { continue };
        let removal = Arc::new(Removal::of(&of_kind, None));
        changes.push((last.id, if expired { What::Expired(removal) } else { What::Deleted(removal) }));
    }
    changes
}

/// The place of a message that is gone.
pub(super) fn blank(position: Position) -> Message {
    Message {
        id: position.id,
        seq: position.seq,
        author: None,
        recipient: None,
        payload: Payload { form: PayloadForm::Text, bytes: Bytes::new() },
        kind: Kind::Message,
        custom_type: None,
        extras: None,
        edited_at: None,
        expires_at: None,
    }
}
