//! Sending and forwarding (`protocols/osmium.md` §6).

use crate::{
    directory::{Chat, Permissions},
    error::{Answer, Refusal},
    extras, ids, limits,
    realm::Realm,
    render::{Spoken, View},
    text,
    wire::{
        self, ForwardMessage, MediaRef, MessageReply, SendMessage, SentBotInfo, SentMessage, Stored, media_ref,
        message_media, rpc_result,
    },
};
use model::{Channel, Message, Payload, PayloadForm, UserId};
use service::{Caller, Draft};
use std::sync::Arc;

impl Realm {
    pub(crate) async fn send_message(&self, user: u64, call: SendMessage) -> Answer<rpc_result::Result> {
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        let view = self.view(directory, chat, user).await?;
        let media = media(&call.media)?;
        check_content(&call.message, &call.entities, &media)?;
        self.check_may_send(&view, !media.is_empty())?;
        let reply = call
            .reply_to
            .or_else(|| call.reply_to_old.map(|message_id| MessageReply { message_id: Some(message_id), quote: None }));
        if let Some(reply) = &reply {
            self.check_reply(&view, reply).await?;
        }
        let bot_info = call.bot_info.map(|info| self.bot_info(&view, info)).transpose()?;
        let stored =
            Stored { entities: call.entities, media, reply, forward: None, bot_info, client_id: call.client_id };
        let draft = self.draft(&view, call.message, &stored);
        let (caller, channel) = self.place(&view);
        let published = self.channels.publish(&caller, &channel, draft).await?;
        Ok(rpc_result::Result::SentMessage(SentMessage { message_id: self.epoch.snowflake(published.id) }))
    }

    /// Copies messages from one chat to another, in the order in which they are named.
    pub(crate) async fn forward_messages(&self, user: u64, call: ForwardMessage) -> Answer<()> {
        let directory = self.directory();
        let target = directory.chat(user, call.chat_ref.as_ref())?;
        let source = directory.chat(user, call.from.as_ref())?;
        if call.message_ids.is_empty() || call.message_ids.len() > limits::NAMED_MESSAGES {
            return Err(Refusal::invalid(format!("message_ids: 1 to {}", limits::NAMED_MESSAGES)));
        }
        let source = self.view(directory.clone(), source, user).await?;
        let target = self.view(directory, target, user).await?;
        self.check_may_send(&target, false)?;
        let (caller, channel) = self.place(&target);
        let mut drafts: Vec<(Channel, Draft)> = Vec::with_capacity(call.message_ids.len());
        for snowflake in call.message_ids {
            let original = self.message(&source, snowflake).await?.ok_or(Refusal::not_found("message"))?;
            drafts.push((channel.clone(), self.forwarded(&target, &original)?));
        }
        self.publish_forwarded(&caller, drafts).await
    }

    async fn publish_forwarded(&self, caller: &Caller, drafts: Vec<(Channel, Draft)>) -> Answer<()> {
        for outcome in self.channels.publish_all(caller, drafts).await {
            outcome?;
        }
        Ok(())
    }

    fn forwarded(&self, target: &View, original: &Arc<Message>) -> Answer<Draft> {
        let spoken = Spoken::new(original);
        if !spoken.stored.media.is_empty() {
            self.check_may_send(target, true)?;
        }
        // A forward of a forward tells the time of the first one.
        let date = spoken.stored.forward.and_then(|forward| forward.date).unwrap_or(original.id.unix_ms());
        let stored = Stored {
            entities: spoken.stored.entities,
            media: spoken.stored.media,
            forward: Some(wire::MessageForward { date: Some(date) }),
            ..Default::default()
        };
        let mut draft = self.draft(target, String::new(), &stored);
        draft.payload = original.payload.clone();
        Ok(draft)
    }

    fn draft(&self, view: &View, text: String, stored: &Stored) -> Draft {
        let payload = Payload { form: PayloadForm::Text, bytes: text.into_bytes().into() };
        let mut draft = Draft::new(payload);
        draft.author = Some(ids::user_id(view.viewer));
        draft.recipient = recipient(view.chat, view.viewer);
        draft.extras = extras::pack(stored);
        draft
    }

    fn check_may_send(&self, view: &View, media: bool) -> Answer<()> {
        let may = |permission| view.directory.may(view.viewer, view.chat, permission);
        if !may(Permissions::SEND_MESSAGES) {
            return Err(Refusal::forbidden("sending needs the permission SEND_MESSAGES"));
        }
        if media && !may(Permissions::SEND_MEDIA) {
            return Err(Refusal::forbidden("media need the permission SEND_MEDIA"));
        }
        Ok(())
    }

    async fn check_reply(&self, view: &View, reply: &MessageReply) -> Answer<()> {
        if let Some(quote) = &reply.quote {
            if text::units(&quote.message) > limits::TEXT_UNITS {
                return Err(Refusal::invalid(format!("quote: at most {} characters", limits::TEXT_UNITS)));
            }
            text::check_entities(&quote.message, &quote.entities)?;
        }
        let target = match reply.message_id {
            Some(snowflake) => self.message(view, snowflake).await?,
            None => None,
        };
        target.map(drop).ok_or(Refusal::invalid("reply_to: there is no such message in this chat"))
    }

    /// The other name that a program speaks under.
    fn bot_info(&self, view: &View, info: SentBotInfo) -> Answer<wire::BotInfo> {
        if !view.directory.user(view.viewer).is_some_and(|user| user.bot) {
            return Err(Refusal::forbidden("bot_info is for bots"));
        }
        let cloak = info.cloak.map(|cloak| {
            let photo = cloak.photo_id.map(|file_id| wire::ChatPhoto { file_id, preview: Vec::new() });
            wire::Cloak { name: cloak.name, photo }
        });
        match cloak.as_ref().is_some_and(|cloak| cloak.name.len() > limits::NAME_BYTES) {
            true => Err(Refusal::invalid(format!("bot_info: a name has at most {} bytes", limits::NAME_BYTES))),
            false => Ok(wire::BotInfo { cloak }),
        }
    }
}

/// What a message may hold: text or media, of bounded size, and entities that lie in the text.
pub fn check_content(message: &str, entities: &[wire::MessageEntity], media: &[wire::MessageMedia]) -> Answer<()> {
    if message.is_empty() && media.is_empty() {
        return Err(Refusal::invalid("message: there is neither text nor media"));
    }
    if text::units(message) > limits::TEXT_UNITS {
        return Err(Refusal::invalid(format!("message: at most {} characters", limits::TEXT_UNITS)));
    }
    text::check_entities(message, entities)
}

/// Media as they are shown. Only addresses: files are not kept here.
pub fn media(refs: &[MediaRef]) -> Answer<Vec<wire::MessageMedia>> {
    if refs.len() > limits::MEDIA {
        return Err(Refusal::invalid(format!("media: at most {}", limits::MEDIA)));
    }
    refs.iter().map(one_media).collect()
}

fn one_media(media: &MediaRef) -> Answer<wire::MessageMedia> {
    match &media.media {
        Some(media_ref::Media::Embed(embed)) if (1..=limits::SHORT_TEXT_BYTES).contains(&embed.url.len()) => {
            let embed = wire::EmbedMedia { url: embed.url.clone(), ..Default::default() };
            Ok(wire::MessageMedia { media: Some(message_media::Media::Embed(embed)) })
        }
        Some(media_ref::Media::Embed(_)) => {
            Err(Refusal::invalid(format!("media: an address has 1 to {} bytes", limits::SHORT_TEXT_BYTES)))
        }
        Some(media_ref::Media::Uploaded(_)) => Err(Refusal::not_served("uploading files")),
        None => Err(Refusal::invalid("media: one is empty")),
    }
}

/// To whom a message of a direct chat goes.
fn recipient(chat: Chat, sender: u64) -> Option<UserId> {
    match chat {
        Chat::Direct(low, high) => Some(ids::user_id(if low == sender { high } else { low })),
        Chat::Channel { .. } | Chat::Group(_) => None,
    }
}
