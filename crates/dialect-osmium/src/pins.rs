//! Pinned messages (`protocols/osmium.md` §6): one record for each pin of a chat, and a cache of whole chats.

use crate::{
    directory::{Chat, Permissions},
    error::{Answer, Refusal},
    history::Shape,
    limits,
    realm::Realm,
    render::{Spoken, View},
    wire::{self, GetPinnedMessages, SetMessagePin, rpc_result, update},
};
use bytes::Bytes;
use model::{AppId, Id, RecordKey, RecordKind, Result};
use service::Channels;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};

/// The pins of a realm's chats.
#[derive(Default)]
pub struct Pins {
    kept: Mutex<HashMap<Chat, Arc<BTreeSet<Id>>>>,
    /// Held while pins are written or read back, so that memory never shows an older state than the records.
    changing: tokio::sync::Mutex<()>,
}

impl Pins {
    /// The pinned messages of a chat.
    pub async fn of(&self, channels: &Channels, app: &AppId, chat: Chat) -> Result<Arc<BTreeSet<Id>>> {
        if let Some(pins) = self.kept().get(&chat) {
            return Ok(pins.clone());
        }
        let _changing = self.changing.lock().await;
        let prefix = prefix(chat);
        let kind = RecordKind::Directory;
        let records = channels.records(app, kind, prefix.as_bytes(), None, limits::PINS as u32).await?;
        let id = |name: &[u8]| std::str::from_utf8(&name[prefix.len()..]).ok()?.parse().ok().map(Id::from_raw);
        let pins: Arc<BTreeSet<Id>> = Arc::new(records.iter().filter_map(|record| id(&record.key.name)).collect());
        self.keep(chat, pins.clone());
        Ok(pins)
    }

    /// Pins or unpins a message; says whether that changed anything.
    pub(crate) async fn set(
        &self,
        channels: &Channels,
        app: &AppId,
        chat: Chat,
        message: Id,
        pin: bool,
    ) -> Answer<bool> {
        let before = self.of(channels, app, chat).await?;
        let _changing = self.changing.lock().await;
        let mut pins = self.kept().get(&chat).cloned().unwrap_or(before);
        if pins.contains(&message) == pin {
            return Ok(false);
        }
        if pin && pins.len() >= limits::PINS {
            return Err(Refusal::invalid(format!("a chat has at most {} pinned messages", limits::PINS)));
        }
        // Of equal length, so that the names are in the order of the ids.
        let name = format!("{}{:020}", prefix(chat), message.raw());
        let key = RecordKey { app: app.clone(), kind: RecordKind::Directory, name: name.as_bytes().into() };
        channels.put_record(key, pin.then(|| Bytes::from_static(b"{}")), None).await?;
        let changed = Arc::make_mut(&mut pins);
        if pin {
            changed.insert(message)
        } else {
            changed.remove(&message)
        };
        self.keep(chat, pins);
        Ok(true)
    }

    fn keep(&self, chat: Chat, pins: Arc<BTreeSet<Id>>) {
        let mut kept = self.kept();
        if kept.len() >= limits::KEPT_PINS {
            kept.clear();
        }
        kept.insert(chat, pins);
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Chat, Arc<BTreeSet<Id>>>> {
        self.kept.lock().expect("nothing panics while it holds the pins")
    }
}

impl Realm {
    pub(crate) async fn set_pin(&self, user: u64, call: SetMessagePin) -> Answer<()> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        if !directory.may(user, chat, Permissions::PIN_MESSAGES) {
            return Err(Refusal::forbidden("pinning needs the permission PIN_MESSAGES"));
        }
        let view = self.view(directory, chat, user).await?;
        let message = self.message(&view, call.message_id).await?.ok_or(Refusal::not_found("message"))?;
        if self.pins.set(&self.channels, &self.settings.app, chat, message.id, call.pin).await? {
            self.tell_of_message(chat, message.id).await?;
        }
        Ok(())
    }

    pub(crate) async fn get_pinned(&self, user: u64, call: GetPinnedMessages) -> Answer<rpc_result::Result> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let mut messages = Vec::with_capacity(view.pins.len());
        for pin in view.pins.iter() {
            messages.extend(self.message_at(&view, *pin).await?);
        }
        let page = self.page(&view, messages, Shape::Descending).await?;
        Ok(rpc_result::Result::Messages(page))
    }

    /// Tells everyone who sees a chat how a message of it is now.
    pub(crate) async fn tell_of_message(&self, chat: Chat, message: Id) -> Result<()> {
        let directory = self.directory();
        let audience = self.audience(&directory, chat);
        let Some(first) = audience.first() else { return Ok(()) };
        let view = self.view(directory, chat, *first).await?;
        let Some(message) = self.message_at(&view, message).await? else { return Ok(()) };
        let spoken = Spoken::new(&message);
        let mut view: View = view;
        for user in audience {
            view.viewer = user;
            let update = update::Update::Message(wire::UpdateMessage { message: Some(view.message(&spoken)) });
            self.seats.tell(user, &Arc::new(wire::Update { update: Some(update) }));
        }
        Ok(())
    }
}

fn prefix(chat: Chat) -> String {
    format!("osmium-pin/{}/", chat.key())
}
