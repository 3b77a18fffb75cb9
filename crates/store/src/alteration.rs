//! What can happen to messages that are there already, as bytes: edits, removals, floors, reactions. The log, the tail
//! and the rows of `changes` and `reactions` share these forms.
//!
//! ```text
//! edited    = message ‖ seq ‖ length ‖ content (of kind 1, its author is the editor)
//! removed   = has actor u8 ‖ ranges ‖ (gap ‖ length)… ‖ span: after ‖ upto ‖ ids ‖ (difference)… ‖ [user]
//! floored   = id ‖ seq
//! reacted   = reaction;  unreacted = id of the reaction ‖ reaction
//! unedited  = has actor u8 ‖ message ‖ seq ‖ edits ‖ (difference)… ‖ [user]
//! reaction  = message ‖ user ‖ length ‖ kind ‖ length ‖ value
//! ```

use crate::{
    content::{self, User},
    settings::CONTENT_BYTES_MAX,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_runs, put_seq, put_varint},
};
use bytes::Bytes;
use model::{Edit, Id, Position, Reaction, Removal, Seq, Span, Unedit, UserId, What, limits};
use std::{ops::Range, sync::Arc};

pub(crate) const EDITED: u8 = 3;
pub(crate) const DELETED: u8 = 4;
pub(crate) const EXPIRED: u8 = 5;
pub(crate) const FLOORED: u8 = 6;
pub(crate) const REACTED: u8 = 7;
pub(crate) const UNREACTED: u8 = 8;
pub(crate) const UNEDITED: u8 = 9;

/// Something that happened to messages. Ranges are places in the body that it was read from.
#[derive(Clone, Debug)]
pub(crate) enum Alteration {
    Edited { message: Id, seq: Seq, content: Range<usize> },
    Removed { expired: bool, removal: Arc<Removal> },
    Floored(Position),
    Reacted(Arc<Reaction>),
    Unreacted { reaction: Id, was: Arc<Reaction> },
    Unedited(Arc<Unedit>),
}

impl Alteration {
    /// The number of its kind in the log.
    pub fn tag(&self) -> u8 {
        match self {
            Alteration::Edited { .. } => EDITED,
            Alteration::Removed { expired: false, .. } => DELETED,
            Alteration::Removed { expired: true, .. } => EXPIRED,
            Alteration::Floored(_) => FLOORED,
            Alteration::Reacted(_) => REACTED,
            Alteration::Unreacted { .. } => UNREACTED,
            Alteration::Unedited(_) => UNEDITED,
        }
    }

    /// Reads the fields of a kind.
    pub fn parse(tag: u8, reader: &mut Reader<'_>) -> Parsed<Alteration> {
        Ok(match tag {
            EDITED => Alteration::Edited {
                message: read_id(reader)?,
                seq: reader.seq()?,
                content: reader.prefixed_range(CONTENT_BYTES_MAX)?,
            },
            DELETED | EXPIRED => {
                Alteration::Removed { expired: tag == EXPIRED, removal: Arc::new(read_removal(reader)?) }
            }
            FLOORED => Alteration::Floored(Position { id: read_id(reader)?, seq: reader.seq()? }),
            REACTED => Alteration::Reacted(Arc::new(read_reaction(reader)?)),
            UNREACTED => Alteration::Unreacted { reaction: read_id(reader)?, was: Arc::new(read_reaction(reader)?) },
            UNEDITED => Alteration::Unedited(Arc::new(read_unedit(reader)?)),
            _ => return Err(Malformed("change: of a kind that this version does not know")),
        })
    }

    /// The change in the service's words; `body` is what it was read from.
    pub fn what(&self, body: &Bytes) -> Parsed<What> {
        Ok(match self {
            Alteration::Edited { message, seq, content } => {
                What::Edited(Arc::new(edit(*message, *seq, &body.slice(content.clone()))?))
            }
            Alteration::Removed { expired: false, removal } => What::Deleted(removal.clone()),
            Alteration::Removed { expired: true, removal } => What::Expired(removal.clone()),
            Alteration::Floored(floor) => What::Floored(*floor),
            Alteration::Reacted(reaction) => What::Reacted(reaction.clone()),
            Alteration::Unreacted { reaction, was } => What::Unreacted { reaction: *reaction, was: was.clone() },
            Alteration::Unedited(unedit) => What::Unedited(unedit.clone()),
        })
    }
}

/// The edit whose content these bytes are.
pub(crate) fn edit(message: Id, seq: Seq, content: &Bytes) -> Parsed<Edit> {
    let parts = content::Content::parse(content)?.message(message, seq, None, content);
    Ok(Edit { message, seq, editor: parts.author, payload: parts.payload, extras: parts.extras })
}

/// Appends the fields of what a store keeps beside publishes; its tag, or `None` for what it does not.
pub(crate) fn put(what: &What, out: &mut Vec<u8>) -> Option<u8> {
    match what {
        What::Edited(edit) => {
            put_varint(out, edit.message.raw());
            put_seq(out, edit.seq);
            let mut content = Vec::with_capacity(edit.payload.bytes.len() + 64);
            content::encode_edit(edit, &mut content);
            put_prefixed(out, &content);
            Some(EDITED)
        }
        What::Deleted(removal) => {
            put_removal(removal, out);
            Some(DELETED)
        }
        What::Expired(removal) => {
            put_removal(removal, out);
            Some(EXPIRED)
        }
        What::Floored(floor) => {
            put_varint(out, floor.id.raw());
            put_seq(out, floor.seq);
            Some(FLOORED)
        }
        What::Reacted(reaction) => {
            put_reaction(reaction, out);
            Some(REACTED)
        }
        What::Unreacted { reaction, was } => {
            put_varint(out, reaction.raw());
            put_reaction(was, out);
            Some(UNREACTED)
        }
        What::Unedited(unedit) => {
            put_unedit(unedit, out);
            Some(UNEDITED)
        }
        What::Published { .. } | What::Unstored(_) | What::Signal(_) | What::Presence(_) => None,
    }
}

fn read_id(reader: &mut Reader<'_>) -> Parsed<Id> {
    reader.varint().map(Id::from_raw)
}

pub(crate) fn put_removal(removal: &Removal, out: &mut Vec<u8>) {
    out.push(removal.by.is_some().into());
    put_runs(out, &removal.seqs);
    put_varint(out, removal.span.after.raw());
    put_varint(out, removal.span.upto.raw());
    put_ids(out, &removal.ids);
    if let Some(user) = &removal.by {
        content::put_user(out, user);
    }
}

fn read_removal(reader: &mut Reader<'_>) -> Parsed<Removal> {
    let has_actor = read_has_actor(reader)?;
    let seqs = reader.runs(limits::REMOVAL_RANGES, "ranges of a removal")?;
    if seqs.windows(2).any(|pair| pair[0].last.next() == pair[1].first) {
        return Err(Malformed("ranges of a removal"));
    }
    let span = Span { after: read_id(reader)?, upto: read_id(reader)? };
    let ids = read_ids(reader, limits::REMOVAL_IDS, "ids of a removal")?;
    let by = has_actor.then(|| read_user(reader)).transpose()?;
    Ok(Removal { seqs, span, ids, by })
}

fn put_unedit(unedit: &Unedit, out: &mut Vec<u8>) {
    out.push(unedit.by.is_some().into());
    put_varint(out, unedit.message.raw());
    put_seq(out, unedit.seq);
    put_ids(out, &unedit.edits);
    if let Some(user) = &unedit.by {
        content::put_user(out, user);
    }
}

fn read_unedit(reader: &mut Reader<'_>) -> Parsed<Unedit> {
    let has_actor = read_has_actor(reader)?;
    let (message, seq) = (read_id(reader)?, reader.seq()?);
    let edits = read_ids(reader, limits::UNEDITED, "edits that are taken back")?;
    let by = has_actor.then(|| read_user(reader)).transpose()?;
    Ok(Unedit { message, seq, edits, by })
}

fn read_has_actor(reader: &mut Reader<'_>) -> Parsed<bool> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("flags of a change")),
    }
}

/// Growing ids: their number, then each as the difference to the one before.
fn put_ids(out: &mut Vec<u8>, ids: &[Id]) {
    put_varint(out, ids.len() as u64);
    let mut last = 0;
    for id in ids {
        put_varint(out, id.raw().saturating_sub(last));
        last = id.raw();
    }
}

fn read_ids(reader: &mut Reader<'_>, most: usize, what: &'static str) -> Parsed<Vec<Id>> {
    let count = reader.count(most, what)?;
    let mut ids = Vec::with_capacity(count);
    let mut last = 0u64;
    for _ in 0..count {
        last = last.checked_add(reader.varint()?).ok_or(Malformed(what))?;
        ids.push(Id::from_raw(last));
    }
    Ok(ids)
}

pub(crate) fn put_reaction(reaction: &Reaction, out: &mut Vec<u8>) {
    put_varint(out, reaction.message.raw());
    content::put_user(out, &reaction.user);
    put_prefixed(out, reaction.kind.as_bytes());
    put_prefixed(out, reaction.value.as_bytes());
}

pub(crate) fn read_reaction(reader: &mut Reader<'_>) -> Parsed<Reaction> {
    Ok(Reaction {
        message: read_id(reader)?,
        user: read_user(reader)?,
        kind: reader.text(limits::REACTION_BYTES)?.into(),
        value: reader.text(limits::REACTION_BYTES)?.into(),
    })
}

fn read_user(reader: &mut Reader<'_>) -> Parsed<UserId> {
    User::parse(reader).map(User::to_user)
}
