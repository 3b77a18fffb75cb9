//! Editing and deleting (`protocols/osmium.md` §6).

use crate::{
    directory::{Chat, Permissions},
    error::{Answer, Refusal},
    extras, ids, limits,
    realm::Realm,
    render::{Spoken, View},
    send,
    wire::{DeleteMessage, EditMessage},
};
use model::{Id, Message, Payload, PayloadForm, Target};
use service::Revision;

impl Realm {
    /// Only the author edits. A text that is not given stays; entities go with the text, media only when told.
    pub(crate) async fn edit_message(&self, user: u64, call: EditMessage) -> Answer<()> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let message = self.message(&view, call.message_id).await?.ok_or(Refusal::not_found("message"))?;
        if !is_author(&message, user) {
            return Err(Refusal::forbidden("only the author edits a message"));
        }
        let Spoken { text, mut stored, .. } = Spoken::new(&message);
        if call.message.is_some() || !call.entities.is_empty() {
            stored.entities = call.entities;
        }
        let media = send::media(&call.media)?;
        if !media.is_empty() && !view.directory.may(user, chat, Permissions::SEND_MEDIA) {
            return Err(Refusal::forbidden("media need the permission SEND_MEDIA"));
        }
        if call.remove_media || !media.is_empty() {
            stored.media = media;
        }
        send::check_content(call.message.as_deref().unwrap_or(&text), &stored.entities, &stored.media)?;
        let payload = match call.message {
            Some(text) => Payload { form: PayloadForm::Text, bytes: text.into_bytes().into() },
            None => message.payload.clone(),
        };
        let (caller, channel) = self.place(&view);
        let revision = Revision { payload, extras: extras::pack(&stored) };
        self.channels.edit(&caller, &channel, message.id, revision).await?;
        Ok(())
    }

    /// All of them or none. What is not there is passed over.
    pub(crate) async fn delete_messages(&self, user: u64, call: DeleteMessage) -> Answer<()> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        if call.message_ids.len() > limits::NAMED_MESSAGES {
            return Err(Refusal::invalid(format!("message_ids: at most {}", limits::NAMED_MESSAGES)));
        }
        let view = self.view(directory, chat, user).await?;
        let mut ids: Vec<Id> = Vec::with_capacity(call.message_ids.len());
        for snowflake in call.message_ids {
            let Some(message) = self.message(&view, snowflake).await? else { continue };
            if !is_author(&message, user) && !may_delete_others(&view) {
                return Err(Refusal::forbidden("deleting what others sent needs the permission DELETE_MESSAGES"));
            }
            ids.push(message.id);
        }
        if ids.is_empty() {
            return Ok(());
        }
        let (caller, channel) = self.place(&view);
        self.channels.delete(&caller, &channel, Target::Ids(ids.clone())).await?;
        for id in ids.into_iter().filter(|id| view.pins.contains(id)) {
            self.pins.set(&self.channels, &self.settings.app, chat, id, false).await?;
        }
        Ok(())
    }
}

fn is_author(message: &Message, user: u64) -> bool {
    ids::author_number(message.author.as_ref()) == user
}

/// In direct chats and groups nobody deletes what others sent.
fn may_delete_others(view: &View) -> bool {
    let in_channel = matches!(view.chat, Chat::Channel { .. });
    in_channel && view.directory.may(view.viewer, view.chat, Permissions::DELETE_MESSAGES)
}
