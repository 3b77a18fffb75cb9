//! Turns drafts into the changes that a sequencer would make of them: it looks up what it must know in the oracle and in
//! the changes of the same batch that came before.

use super::{
    drafts::{Draft, ReactionDraft},
    drive::Run,
    names::{author_of, record_key, room, text, type_of, value_of},
    steps::nth,
};
use crate::{ChannelState, Fields, channel_state::removal_of, judge::Verdict, store_suite::StoreUnderTest};
use bytes::Bytes;
use model::{
    Change, Channel, Edit, Id, IdempotencyKey, Message, Payload, PayloadForm, Position, Reaction, Span, Store, Target,
};
use std::sync::Arc;

impl<S: StoreUnderTest> Run<S> {
    pub(super) fn draft(&mut self, draft: &Draft) -> Verdict {
        match draft {
            Draft::Publish { room: n, copies, size, author, recipient, custom_type, due_in, key } => {
                let fields = Fields {
                    author: author.map(author_of),
                    recipient: recipient.map(author_of),
                    custom_type: custom_type.map(type_of),
                    expires_at: due_in.map(|ticks| Id::new(self.builder.next_id().ticks() + ticks, 0)),
                    key: self.key(*n, *key, *size)?,
                    ..Fields::default()
                };
                self.publish(&room(*n), *copies, *size, fields);
            }
            Draft::Set { name, size } => {
                let value = size.map(|size| vec![*name; usize::from(size)]);
                self.builder.set(&record_key(*name), value.as_deref());
            }
            Draft::Edit { room: n, thousandths, size, extras } => self.edit(&room(*n), *thousandths, *size, *extras),
            Draft::Unedit { room: n, thousandths, all } => self.unedit(&room(*n), *thousandths, *all),
            Draft::Delete { room: n, after, upto } => {
                let all = self.messages(&room(*n));
                let span = Span { after: after.resolve(&all), upto: upto.resolve(&all) };
                self.delete(&room(*n), &Target::Span(span))?;
            }
            Draft::DeleteSome { room: n, nth } => {
                let ids = ids_at(&self.messages(&room(*n)), nth);
                self.delete(&room(*n), &Target::Ids(ids))?;
            }
            Draft::Expire { room: n, limit } => self.expire(&room(*n), *limit),
            Draft::Floor { room: n, thousandths } => self.floor(&room(*n), *thousandths),
            Draft::React(draft) => self.react(draft),
            Draft::Unreact { room: n, thousandths } => self.unreact(&room(*n), *thousandths),
        }
        Ok(())
    }

    /// The reaction that a draft means.
    pub(super) fn reaction_of(&self, draft: &ReactionDraft) -> Reaction {
        let message = draft.to.resolve(&self.messages(&room(draft.room)));
        Reaction { message, user: author_of(draft.user), kind: "kind".into(), value: value_of(draft.value) }
    }

    fn publish(&mut self, room: &Channel, copies: u8, size: u32, mut fields: Fields) {
        for copy in 0..copies {
            let text = text(size, self.builder.next_id().raw() + u64::from(copy));
            self.builder.publish_with(room, &text, fields.clone());
            fields.key = None;
        }
    }

    fn edit(&mut self, room: &Channel, thousandths: u16, size: u32, extras: Option<u8>) {
        let all = self.messages(room);
        let Some(message) = nth(&all, thousandths) else { return };
        let salt = self.builder.next_id().raw();
        let bytes = |size, salt| Bytes::from(text(size, salt));
        self.builder.edit_with(
            room,
            Edit {
                message: message.id,
                seq: message.seq,
                editor: extras.map(|_| author_of(0)),
                payload: Payload { form: PayloadForm::Text, bytes: bytes(size, salt) },
                extras: extras.map(|size| bytes(size.into(), salt + 1)),
            },
        );
    }

    fn unedit(&mut self, room: &Channel, thousandths: u16, all: bool) {
        let state = self.state(room);
        let edited: Vec<_> = state.edited().collect();
        let at = edited.len() * usize::from(thousandths) / 1001;
        if let Some((message, edits)) = edited.get(at) {
            let some: Vec<Id> = edits.iter().copied().step_by(if all { 1 } else { 2 }).collect();
            self.builder.unedit(room, message, &some);
        }
    }

    fn delete(&mut self, room: &Channel, target: &Target) -> Verdict {
        let removal = self.state(room).removable(target, Id::MIN).map_err(|error| error.to_string())?;
        if !removal.seqs.is_empty() {
            self.builder.delete(room, removal);
        }
        Ok(())
    }

    fn expire(&mut self, room: &Channel, limit: usize) {
        let now = self.builder.next_id();
        let due: Vec<_> = self.state(room).there().filter(|m| m.is_expired(now)).take(limit).cloned().collect();
        if !due.is_empty() {
            self.builder.expire(room, removal_of(&due));
        }
    }

    fn floor(&mut self, room: &Channel, thousandths: u16) {
        let state = self.state(room);
        let all = self.messages(room);
        let Some(message) = nth(&all, thousandths) else { return };
        if message.seq > state.head().floor.seq {
            self.builder.floor(room, Position { id: message.id, seq: message.seq });
        }
    }

    fn react(&mut self, draft: &ReactionDraft) {
        let (room, reaction) = (room(draft.room), self.reaction_of(draft));
        let state = self.state(&room);
        let channel_exists = state.messages().next().is_some();
        if channel_exists && reaction.message != Id::MIN && state.reaction(&reaction).is_none() {
            self.builder.react(&room, &reaction);
        }
    }

    fn unreact(&mut self, room: &Channel, thousandths: u16) {
        let state = self.state(room);
        let made: Vec<_> = state.all_made().collect();
        let at = made.len() * usize::from(thousandths) / 1001;
        if let Some((id, was)) = made.get(at) {
            self.builder.unreact(room, **id, was);
        }
    }

    /// Everything ever published in a channel, also in the batch that is being made.
    fn messages(&self, room: &Channel) -> Vec<Arc<Message>> {
        self.state(room).messages().cloned().collect()
    }

    /// The channel as it will be when the batch that is being made has happened.
    fn state(&self, room: &Channel) -> ChannelState {
        let mut state = self.oracle.state(room);
        let of_room = |change: &&Arc<Change>| matches!(&***change, Change::Channel(change) if change.channel == *room);
        self.builder.pending().iter().filter(of_room).for_each(|change| state.apply(change));
        state
    }

    /// The key to publish under, if that was not used lately: what a sequencer looks up before it orders a publish.
    fn key(&self, n: u8, key: Option<u8>, size: u32) -> Result<Option<IdempotencyKey>, String> {
        let Some(key) = key else { return Ok(None) };
        let key = IdempotencyKey { key_hash: key.into(), payload_hash: size.into() };
        let now = self.builder.next_id();
        let stored = self.oracle.keyed(&room(n), key.key_hash, now).map_err(|error| error.to_string())?;
        let pending = self
            .state(&room(n))
            .keys()
            .any(|(message, other)| other.key_hash == key.key_hash && message.id > self.oracle.newest());
        Ok((stored.is_none() && !pending).then_some(key))
    }
}

/// The ids of the messages so many thousandths into these.
pub(super) fn ids_at(all: &[Arc<Message>], thousandths: &[u16]) -> Vec<Id> {
    thousandths.iter().filter_map(|&thousandths| nth(all, thousandths)).map(|message| message.id).collect()
}
