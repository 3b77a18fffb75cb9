//! What happened in a channel, as the change feed and the streams show it: an object that says its place, its kind and
//! what is different now.

use super::{push, push_content, push_field, push_place, push_position, push_user};
use crate::{convert, json::push_string};
use model::{ChannelChange, Edit, Id, Presence, PresenceEvent, Reaction, Removal, Seq, Unedit, UserId, What};

/// How a kind of change is called, as an event of a stream and as the member `change` of the feed; none for what is
/// rendered as a message.
pub(crate) fn name(what: &What) -> Option<&'static str> {
    Some(match what {
        What::Published { .. } | What::Unstored(_) | What::Signal(_) => return None,
        What::Edited(_) => "edit",
        What::Unedited(_) => "edit-removed",
        What::Deleted(_) => "delete",
        What::Expired(_) => "expire",
        What::Floored(_) => "floor",
        What::Reacted(_) => "reaction",
        What::Unreacted { .. } => "reaction-removed",
        What::Presence(_) => "presence",
    })
}

/// A change, with the name of its channel if the reader may not know it. False, and nothing added, for one that carries
/// a message.
pub(crate) fn push_change(out: &mut Vec<u8>, change: &ChannelChange, channel: Option<&str>) -> bool {
    let Some(name) = name(&change.what) else { return false };
    match &change.what {
        What::Reacted(reaction) => push_reaction(out, change.id, reaction),
        _ => push_begin(out, change.id),
    }
    push_field(out, "change", name);
    if let Some(channel) = channel {
        push_field(out, "channel", channel);
    }
    match &change.what {
        What::Published { .. } | What::Unstored(_) | What::Signal(_) | What::Reacted(_) => {}
        What::Edited(edit) => push_edit(out, edit),
        What::Unedited(unedit) => push_unedit(out, unedit),
        What::Deleted(removal) | What::Expired(removal) => push_removal(out, removal),
        What::Floored(position) => push_position(out, "floor", *position),
        What::Unreacted { reaction, was } => {
            push(out, format_args!(",\"reaction\":\"{reaction}\""));
            push_reacted(out, was);
        }
        What::Presence(presence) => push_presence(out, presence),
    }
    out.push(b'}');
    true
}

/// A reaction as an object that is not closed yet; its id is that of the change that made it.
pub(crate) fn push_reaction(out: &mut Vec<u8>, id: Id, reaction: &Reaction) {
    push_begin(out, id);
    push_reacted(out, reaction);
}

fn push_begin(out: &mut Vec<u8>, id: Id) {
    push_place(out, id, Seq::NONE);
    push(out, format_args!(",\"time\":\"{}\"", convert::time(id)));
}

fn push_reacted(out: &mut Vec<u8>, reaction: &Reaction) {
    push(out, format_args!(",\"message\":\"{}\"", reaction.message));
    push_user(out, "user", &reaction.user);
    push_field(out, "type", &reaction.kind);
    push_field(out, "value", &reaction.value);
}

fn push_edit(out: &mut Vec<u8>, edit: &Edit) {
    push(out, format_args!(",\"message\":\"{}\",\"seq\":{}", edit.message, edit.seq));
    if let Some(editor) = &edit.editor {
        push_user(out, "author", editor);
    }
    push_content(out, &edit.payload, edit.extras.as_deref());
}

/// What the message shows now is for the reader to ask.
fn push_unedit(out: &mut Vec<u8>, unedit: &Unedit) {
    push(out, format_args!(",\"message\":\"{}\",\"seq\":{}", unedit.message, unedit.seq));
    push_ids(out, "edits", &unedit.edits);
    if let Some(by) = &unedit.by {
        push_user(out, "by", by);
    }
}

fn push_removal(out: &mut Vec<u8>, removal: &Removal) {
    let (after, upto) = (removal.span.after, removal.span.upto);
    push(out, format_args!(",\"count\":{},\"after\":\"{after}\",\"upto\":\"{upto}\",\"seqs\":[", removal.count()));
    for (index, range) in removal.seqs.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        push(out, format_args!("{comma}[{},{}]", range.first, range.last));
    }
    out.push(b']');
    if !removal.ids.is_empty() {
        push_ids(out, "messages", &removal.ids);
    }
    if let Some(by) = &removal.by {
        push_user(out, "by", by);
    }
}

fn push_ids(out: &mut Vec<u8>, name: &str, ids: &[Id]) {
    push(out, format_args!(",\"{name}\":["));
    for (index, id) in ids.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        push(out, format_args!("{comma}\"{id}\""));
    }
    out.push(b']');
}

fn push_presence(out: &mut Vec<u8>, presence: &Presence) {
    let (event, who) = match &presence.event {
        PresenceEvent::Joined { user, state, .. } => ("join", Some((user, state))),
        PresenceEvent::Left { user, state, .. } => ("leave", Some((user, state))),
        PresenceEvent::TimedOut { user, state, .. } => ("timeout", Some((user, state))),
        PresenceEvent::StateChanged { user, state } => ("state", Some((user, state))),
        PresenceEvent::Interval { .. } => ("interval", None),
    };
    push_field(out, "event", event);
    if let Some((user, state)) = who {
        push_user(out, "user", user);
        if let Some(state) = state {
            push(out, format_args!(",\"state\":{}", String::from_utf8_lossy(state)));
        }
    }
    if let PresenceEvent::Interval { joined, left, timed_out } = &presence.event {
        push_users(out, "joined", joined);
        push_users(out, "left", left);
        push_users(out, "timed_out", timed_out);
    }
    push(out, format_args!(",\"occupancy\":{}", presence.occupancy));
}

fn push_users(out: &mut Vec<u8>, name: &str, users: &[UserId]) {
    push(out, format_args!(",\"{name}\":["));
    for (index, user) in users.iter().enumerate() {
        out.extend_from_slice(if index > 0 { b"," } else { b"" });
        push_string(out, &user.id);
    }
    out.push(b']');
}
