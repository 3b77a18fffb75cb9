//! Finds what an order of something that happens to stored messages comes to: which messages go, whether the message
//! is there, whether a reaction stands. Runs on the threads of the look-ups, beside the sequencer, which accepts the
//! answer only if nothing decided meanwhile contradicts it (`alter.rs`).

use crate::{
    holds::first_held,
    order::{Aim, Found, Order},
    policies::Policies,
};
use model::{
    Author, Change, Channel, ChannelNumber, Effort, Error, ErrorKind, Head, Id, Position, Reaction, Removal, Result,
    Seq, Span, Store, Target, Unedit, UserId, What, Window, limits,
};
use std::sync::Arc;

/// Looks up what the order is about. Its head was looked up before. Everything up to `as_of` is there to be found.
pub(crate) fn resolve(store: &dyn Store, policies: &Policies, order: &mut Order, as_of: Id, now: Id) -> Result<()> {
    let Some(aim) = order.aim.as_deref() else { return Ok(()) };
    let Change::Channel(change) = &*order.change else { return Ok(()) };
    let (channel, what) = (&change.channel, &change.what);
    let head = order.found.head.unwrap_or_default();
    let mut found = Found { head: order.found.head, as_of, ..Found::default() };
    let mut resolved = None;
    match (aim, what) {
        _ if head.number == ChannelNumber::NONE => found.nothing = true,
        (Aim::Unedit, What::Unedited(unedit)) => {
            let versions = store.versions(channel, unedit.message)?;
            let going = versions.iter().skip(1).filter(|version| unedit.edits.contains(&version.at));
            for editor in going.clone().filter_map(|version| version.by.as_ref()) {
                refuse_held_person(policies, channel, editor)?;
            }
            refuse_held(store, policies, channel, &Target::Ids(vec![unedit.message]))?;
            let edits: Vec<Id> = going.map(|version| version.at).collect();
            found.nothing = edits.is_empty();
            resolved = Some(What::Unedited(Arc::new(Unedit { edits, ..Unedit::clone(unedit) })));
        }
        (Aim::Edit, What::Edited(edit)) => found.nothing = message(store, channel, edit.message, Id::MIN)?.is_none(),
        (Aim::Delete { target, by }, _) => {
            refuse_held(store, policies, channel, target)?;
            let (what, messages) = deletion(store, channel, head, target, by.as_ref(), now)?;
            found.messages = messages;
            found.nothing = messages == 0;
            resolved = Some(what);
        }
        (Aim::EraseMessages { ids, by }, _) => {
            let target = Target::Ids(ids.clone());
            refuse_held(store, policies, channel, &target)?;
            // Nothing is due at the beginning of time.
            let removal = Removal { by: Some(by.clone()), ..store.removable(channel, &target, Id::MIN)? };
            found.messages = removal.count();
            found.nothing = found.messages == 0;
            resolved = Some(What::Deleted(Arc::new(removal)));
        }
        (Aim::Expire { ids, .. }, _) => {
            // Nothing is due at the beginning of time: what is due and still there is what expires.
            let ids = not_held(store, policies, channel, ids)?;
            let removal = store.removable(channel, &Target::Ids(ids), Id::MIN)?;
            found.nothing = removal.seqs.is_empty();
            resolved = Some(What::Expired(Arc::new(removal)));
        }
        (Aim::Floor(floor), _) => {
            let taken = Span { after: head.floor.id, upto: floor.id };
            let held = first_held(store, &policies.of(&channel.app), channel, taken)?;
            found.nothing = floor.seq <= head.floor.seq || held.is_some();
            resolved = Some(What::Floored(*floor));
        }
        (Aim::React, What::Reacted(reaction))
        | (Aim::Unreact | Aim::EraseReaction, What::Unreacted { was: reaction, .. }) => {
            if matches!(aim, Aim::EraseReaction) {
                refuse_held_person(policies, channel, &reaction.user)?;
            }
            found.reaction = store.reaction(channel, reaction)?;
            found.reactions = reactions(store, channel, reaction)?;
        }
        (Aim::Edit | Aim::Unedit | Aim::React | Aim::Unreact | Aim::EraseReaction, _) => {
            return Err(Error::internal("an order of two minds"));
        }
    }
    order.found = found;
    if let Some(what) = resolved {
        let change = Arc::get_mut(&mut order.change).expect("nobody else holds a change before it has an id");
        if let Change::Channel(change) = change {
            change.what = what;
        }
    }
    Ok(())
}

/// The message with this id, if it is there at `now`.
pub(crate) fn message(store: &dyn Store, channel: &Channel, id: Id, now: Id) -> Result<Option<Arc<model::Message>>> {
    let window = Window {
        span: Span { after: id.previous(), upto: id },
        order: model::Order::Ascending,
        limit: 1,
        above: Seq::NONE,
        author: None,
        custom_type: None,
        now,
    };
    let page = store.read(channel, &window, Effort::Disk)?;
    Ok(page.and_then(|page| page.messages.into_iter().next()))
}

/// What a deletion comes to, and how many messages it takes.
fn deletion(
    store: &dyn Store,
    channel: &Channel,
    head: Head,
    target: &Target,
    by: Option<&UserId>,
    now: Id,
) -> Result<(What, u64)> {
    if let Target::Span(span) = target
        && span.after <= head.floor.id
    {
        let everything = span.upto >= head.last.id;
        let messages = store.count(channel, *span, Seq::NONE, now)?;
        if messages > 0 && (everything || messages > limits::REMOVAL_IDS as u64) {
            let floor = if everything { head.last } else { store.floor_for(channel, 0, span.upto)? };
            return Ok((What::Floored(floor), messages));
        }
    }
    let removal = store.removable(channel, target, now)?;
    let removal = Removal { by: by.cloned(), ..removal };
    let messages = removal.count();
    Ok((What::Deleted(Arc::new(removal)), messages))
}

/// `Conflict` if a legal hold lies on any message of the target.
fn refuse_held(store: &dyn Store, policies: &Policies, channel: &Channel, target: &Target) -> Result<()> {
    let policies = policies.of(&channel.app);
    if policies.holds.is_empty() {
        return Ok(());
    }
    let held = match target {
        Target::Span(span) => first_held(store, &policies, channel, *span)?,
        Target::Ids(ids) => {
            let mut held = None;
            for id in ids {
                held = first_held(store, &policies, channel, Span { after: id.previous(), upto: *id })?;
                if held.is_some() {
                    break;
                }
            }
            held
        }
    };
    match held {
        None => Ok(()),
        Some((name, _)) => Err(held_by(&name)),
    }
}

/// `Conflict` if a legal hold lies on everything of a person, or on everything in the channel.
fn refuse_held_person(policies: &Policies, channel: &Channel, user: &UserId) -> Result<()> {
    let policies = policies.of(&channel.app);
    policies.hold_on(&channel.name, &Author::person(user)).map_or(Ok(()), |hold| Err(held_by(&hold.name)))
}

/// Those of these messages that no legal hold keeps.
fn not_held(store: &dyn Store, policies: &Policies, channel: &Channel, ids: &[Id]) -> Result<Vec<Id>> {
    let policies = policies.of(&channel.app);
    if policies.holds.is_empty() {
        return Ok(ids.to_vec());
    }
    if policies.holds_channel(&channel.name) {
        return Ok(Vec::new());
    }
    let mut free = Vec::with_capacity(ids.len());
    for id in ids {
        if first_held(store, &policies, channel, Span { after: id.previous(), upto: *id })?.is_none() {
            free.push(*id);
        }
    }
    Ok(free)
}

/// The refusal of what a legal hold forbids.
pub(crate) fn held_by(name: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("legal hold {name}: what it holds is not removed"))
}

/// How many reactions the message of this one has.
fn reactions(store: &dyn Store, channel: &Channel, reaction: &Reaction) -> Result<u64> {
    let message = Span { after: reaction.message.previous(), upto: reaction.message };
    let most = limits::REACTIONS_PER_MESSAGE as u32;
    Ok(store.reactions(channel, message, None, most)?.len() as u64)
}

/// Where a floor lies that leaves the newest `messages` of those that were stored.
pub(crate) fn floor_by_count(store: &dyn Store, channel: &Channel, head: Head, messages: u64) -> Result<Position> {
    let above = head.last.seq.minus(messages);
    if above <= head.floor.seq {
        return Ok(Position::NONE);
    }
    let window = Window {
        span: Span::ALL,
        order: model::Order::Ascending,
        limit: 1,
        above,
        author: None,
        custom_type: None,
        now: Id::MIN,
    };
    let page = store.read(channel, &window, Effort::Disk)?;
    let first_kept = page.and_then(|page| page.messages.first().map(|message| message.id));
    store.floor_for(channel, 0, first_kept.map_or(Id::MAX, Id::previous))
}
