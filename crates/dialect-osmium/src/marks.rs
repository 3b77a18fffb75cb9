//! How far users have read (`protocols/osmium.md` §6): a record for each user and chat that only moves forwards, and
//! what is unread above it.

use crate::{
    directory::{Chat, Directory},
    error::Answer,
    ids, limits,
    realm::Realm,
    render::{Spoken, View},
    wire::{self, GetUnreadMentions, MarkChatRead, UnreadMentions, rpc_result, update},
};
use model::{AppId, Error, ErrorKind, Id, Order, Position, RecordKey, RecordKind, Result, Seq, Span};
use serde::{Deserialize, Serialize};
use service::{Channels, Query, Reach};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// The read marks of a realm.
#[derive(Default)]
pub struct Marks {
    kept: Mutex<HashMap<(u64, Chat), Position>>,
}

#[derive(Serialize, Deserialize)]
struct StoredMark {
    id: u64,
    seq: i64,
}

impl Marks {
    /// Moves a mark forwards; says whether it moved.
    async fn advance(&self, channels: &Channels, app: &AppId, user: u64, chat: Chat, to: Position) -> Result<bool> {
        loop {
            let key = record_key(app, user, chat);
            let record = channels.record(&key).await?;
            let before = record.as_ref().map(|record| parse(&record.value)).transpose()?.unwrap_or_default();
            if to.id <= before.id {
                return Ok(false);
            }
            let stored = StoredMark { id: to.id.raw(), seq: to.seq.0 };
            let value = serde_json::to_vec(&stored).expect("numbers are always JSON").into();
            let expected = record.map_or(Id::MIN, |record| record.version);
            match channels.put_record(key, Some(value), Some(expected)).await {
                Ok(_) => {
                    self.keep(user, chat, to);
                    return Ok(true);
                }
                // Another connection of the user was quicker: it may have gone further.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn keep(&self, user: u64, chat: Chat, mark: Position) {
        let mut kept = self.kept();
        if kept.len() >= limits::KEPT_MARKS {
            kept.clear();
        }
        let kept = kept.entry((user, chat)).or_default();
        if mark.id >= kept.id {
            *kept = mark;
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(u64, Chat), Position>> {
        self.kept.lock().expect("nothing panics while it holds the marks")
    }
}

impl Realm {
    pub(crate) async fn mark_read(&self, user: u64, call: MarkChatRead) -> Answer<()> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let (app, channels) = (&self.settings.app, &self.channels);
        // The mark is the newest message up to the one that is named, which may be gone.
        let newest = self.newest_upto(&view, self.epoch.upto(call.message_id)).await?;
        let Some(mark) = newest else { return Ok(()) };
        if self.marks.advance(channels, app, user, chat, mark).await? {
            let update = self.last_read(&view, mark).await?;
            self.seats.tell(user, &Arc::new(update));
        }
        Ok(())
    }

    pub(crate) async fn get_unread_mentions(&self, user: u64, call: GetUnreadMentions) -> Answer<rpc_result::Result> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let mark = self.mark(&view).await?;
        let message_ids = self.unread_mentions(&view, mark.id).await?;
        Ok(rpc_result::Result::UnreadMentions(UnreadMentions { message_ids }))
    }

    /// How many messages were stored in a chat after what the viewer has read of it, up to this one.
    pub(crate) async fn unread(&self, view: &View, newest: Seq) -> Result<u32> {
        let mark = self.mark(view).await?;
        Ok(u32::try_from(newest.above(mark.seq)).unwrap_or(u32::MAX))
    }

    /// Up to where the viewer has read the chat.
    async fn mark(&self, view: &View) -> Result<Position> {
        let (user, chat) = (view.viewer, view.chat);
        if let Some(mark) = self.marks.kept().get(&(user, chat)) {
            return Ok(*mark);
        }
        let record = self.channels.record(&record_key(&self.settings.app, user, chat)).await?;
        let mut mark = Position::default();
        if let Some(record) = record {
            mark = parse(&record.value)?;
            // An import may have brought it from a store in which the message had another seq.
            let there = self.newest_upto(view, mark.id).await?;
            mark = there.filter(|there| there.id == mark.id).unwrap_or(mark);
        }
        self.marks.keep(user, chat, mark);
        Ok(mark)
    }

    async fn newest_upto(&self, view: &View, upto: Id) -> Result<Option<Position>> {
        let (caller, channel) = self.place(view);
        let reach = Reach::Span { span: Span { after: Id::MIN, upto }, order: Order::Descending };
        let page = self.channels.history(&caller, &channel, &Query::of(reach, 1)).await?;
        Ok(page.page.messages.last().map(|message| message.position()))
    }

    async fn last_read(&self, view: &View, mark: Position) -> Answer<wire::Update> {
        let (caller, channel) = self.place(view);
        let unread = self.channels.count(&caller, &channel, Span { after: mark.id, upto: Id::MAX }).await?;
        let mentions = self.unread_mentions(view, mark.id).await?;
        let update = wire::UpdateConversationLastRead {
            chat_ref: Some(view.chat.seen_by(view.viewer)),
            last_read_message_id: self.epoch.snowflake(mark.id),
            unread_count: Some(u32::try_from(unread).unwrap_or(u32::MAX)),
            unread_mentions_count: Some(mentions.len() as u32),
        };
        Ok(wire::Update { update: Some(update::Update::ConversationLastRead(update)) })
    }

    /// The messages above a position, of the newest that are looked through, in which somebody else names the viewer.
    async fn unread_mentions(&self, view: &View, after: Id) -> Result<Vec<u64>> {
        let (caller, channel) = self.place(view);
        let reach = Reach::Span { span: Span { after, upto: Id::MAX }, order: Order::Descending };
        let page = self.channels.history(&caller, &channel, &Query::of(reach, limits::MENTION_SCAN)).await?;
        let names_viewer = |spoken: &Spoken<'_>, directory: &Directory| {
            let author = ids::author_number(spoken.message.author.as_ref());
            author != view.viewer && spoken.mentioned(directory).contains(&view.viewer)
        };
        let spoken = page.page.messages.iter().map(|message| Spoken::new(message));
        let naming = spoken.filter(|spoken| names_viewer(spoken, &view.directory));
        Ok(naming.map(|spoken| self.epoch.snowflake(spoken.message.id)).collect())
    }
}

fn record_key(app: &AppId, user: u64, chat: Chat) -> RecordKey {
    let name = format!("osmium/{user}/{}", chat.key());
    RecordKey { app: app.clone(), kind: RecordKind::ReadMark, name: name.as_bytes().into() }
}

fn parse(value: &[u8]) -> Result<Position> {
    let stored: StoredMark = serde_json::from_slice(value).map_err(Error::internal)?;
    Ok(Position { id: Id::from_raw(stored.id), seq: Seq(stored.seq) })
}
