//! What subscribers are told that is not a message: actions (`protocols/pubnub.md` §8) and presence (§10).

use crate::wire::json;
use bytes::Bytes;
use model::{Id, Presence, PresenceEvent, Reaction, UserId};

/// `d` of an action that was added or removed.
pub fn action(out: &mut Vec<u8>, event: &str, reaction: &Reaction, id: Id) {
    out.extend_from_slice(b",\"d\":{\"source\":\"actions\",\"version\":\"1.0\",\"event\":");
    json::string(out, event);
    out.extend_from_slice(b",\"data\":{\"type\":");
    json::string(out, &reaction.kind);
    out.extend_from_slice(b",\"value\":");
    json::string(out, &reaction.value);
    out.extend_from_slice(b",\"actionTimetoken\":");
    json::token(out, id.timetoken());
    out.extend_from_slice(b",\"messageTimetoken\":");
    json::token(out, reaction.message.timetoken());
    out.extend_from_slice(b"}}");
}

/// `d` and `u` of a presence event: the same facts, with and without a prefix.
pub fn presence(out: &mut Vec<u8>, channel: &str, presence: &Presence, id: Id) {
    let told = Told::of(&presence.event);
    out.extend_from_slice(b",\"d\":{");
    write_facts(out, "", &told, presence.occupancy, id);
    if let Some(state) = told.state {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(state);
    }
    write_interval(out, &presence.event);
    out.extend_from_slice(b"},\"u\":{");
    write_facts(out, "pn_", &told, presence.occupancy, id);
    out.extend_from_slice(b",\"pn_ispresence\":1,\"pn_channel\":");
    json::string(out, channel);
    out.push(b'}');
}

struct Told<'a> {
    action: &'static str,
    user: Option<&'a UserId>,
    state: Option<&'a Bytes>,
}

impl Told<'_> {
    fn of(event: &PresenceEvent) -> Told<'_> {
        let (action, user, state) = match event {
            PresenceEvent::Joined { user, state, .. } => ("join", Some(user), state.as_ref()),
            PresenceEvent::Left { user, state, .. } => ("leave", Some(user), state.as_ref()),
            PresenceEvent::TimedOut { user, state, .. } => ("timeout", Some(user), state.as_ref()),
            PresenceEvent::StateChanged { user, state } => ("state-change", Some(user), state.as_ref()),
            PresenceEvent::Interval { .. } => ("interval", None, None),
        };
        Told { action, user, state }
    }
}

fn write_facts(out: &mut Vec<u8>, prefix: &str, told: &Told, occupancy: u64, id: Id) {
    let key = |out: &mut Vec<u8>, name: &str| json::string(out, &format!("{prefix}{name}"));
    key(out, "action");
    out.push(b':');
    json::string(out, told.action);
    if let Some(user) = told.user {
        out.push(b',');
        key(out, "uuid");
        out.push(b':');
        json::string(out, &user.id);
    }
    let numbers = [("timestamp", id.unix_ms() / 1_000), ("precise_timestamp", id.unix_ms()), ("occupancy", occupancy)];
    for (name, number) in numbers {
        out.push(b',');
        key(out, name);
        out.push(b':');
        json::number(out, number);
    }
}

/// Who came and went since the last interval; when there were too many to say, the client is told to ask.
fn write_interval(out: &mut Vec<u8>, event: &PresenceEvent) {
    let PresenceEvent::Interval { joined, left, timed_out } = event else { return };
    let lists = [("join", joined), ("leave", left), ("timeout", timed_out)];
    for (name, users) in lists.into_iter().filter(|(_, users)| !users.is_empty()) {
        out.push(b',');
        json::string(out, name);
        out.extend_from_slice(b":[");
        json::joined(out, users, |out, user| json::string(out, &user.id));
        out.push(b']');
    }
    if lists.iter().all(|(_, users)| users.is_empty()) {
        out.extend_from_slice(b",\"here_now_refresh\":true");
    }
}
