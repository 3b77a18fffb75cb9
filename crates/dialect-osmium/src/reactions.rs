//! Reactions (`protocols/osmium.md` §6): one per user, message and emoji. An emoji of Unicode is kept as other dialects
//! keep theirs, kind `reaction`; a custom one under a kind of its own, by its number.

use crate::{
    directory::Permissions,
    error::{Answer, Refusal},
    ids, limits,
    realm::Realm,
    render::View,
    wire::{self, ChatRef, MessageReactionField, MessageReactions, ReactionEmoji, reaction_emoji::Emoji},
};
use model::{ErrorKind, Id, Message, Reaction, ReactionEntry, Result, Span, UserId};
use service::Unreact;
use std::{collections::HashMap, sync::Arc};

const UNICODE: &str = "reaction";
const CUSTOM: &str = "custom_emoji";
/// As many as one message can have.
const READ_AT_ONCE: u32 = model::limits::REACTIONS_PER_MESSAGE as u32;

/// The reactions to messages, each message's in the order in which they came.
pub type Reactions = HashMap<Id, Vec<ReactionEntry>>;

impl Realm {
    pub(crate) async fn add_reaction(&self, user: u64, call: wire::AddReaction) -> Answer<()> {
        let (view, reaction) = self.reaction(user, call.chat_ref, call.message_id, call.emoji).await?;
        if !view.directory.may(user, view.chat, Permissions::ADD_REACTIONS) {
            return Err(Refusal::forbidden("reacting needs the permission ADD_REACTIONS"));
        }
        let (caller, channel) = self.place(&view);
        match self.channels.react(&caller, &channel, reaction, true).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::Conflict => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn remove_reaction(&self, user: u64, call: wire::RemoveReaction) -> Answer<()> {
        let (view, reaction) = self.reaction(user, call.chat_ref, call.message_id, call.emoji).await?;
        let (caller, channel) = self.place(&view);
        match self.channels.unreact(&caller, &channel, Unreact::Same(reaction)).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn reaction(
        &self,
        user: u64,
        chat_ref: Option<ChatRef>,
        message_id: u64,
        emoji: Option<ReactionEmoji>,
    ) -> Answer<(View, Reaction)> {
        let directory = self.directory();
        let chat = directory.chat(user, chat_ref.as_ref())?;
        let (kind, value) = kept(emoji)?;
        let view = self.view(directory, chat, user).await?;
        let message = self.message(&view, message_id).await?.ok_or(Refusal::not_found("message"))?.id;
        let reaction = Reaction { message, user: ids::user_id(user), kind: kind.into(), value: value.into() };
        Ok((view, reaction))
    }

    /// The reactions to messages, given by growing id.
    pub(crate) async fn reactions(&self, view: &View, messages: &[Arc<Message>]) -> Result<Reactions> {
        let mut found = Reactions::new();
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(found) };
        let (caller, channel) = self.place(view);
        let span = Span { after: first.id.previous(), upto: last.id };
        let mut after = None;
        loop {
            let page = self.channels.reactions(&caller, &channel, span, after, READ_AT_ONCE).await?;
            after = page.end();
            for entry in page.entries {
                found.entry(entry.reaction.message).or_default().push(entry);
            }
            if after.is_none() {
                return Ok(found);
            }
        }
    }
}

impl View {
    /// The reactions to a message, as the viewer sees them; those that only other dialects know are left out.
    pub fn reactions(&self, message: Id, entries: &[ReactionEntry]) -> MessageReactions {
        let mut fields: Vec<MessageReactionField> = Vec::new();
        for (entry, emoji) in entries.iter().filter_map(|entry| Some((entry, shown(&entry.reaction)?))) {
            let user = ids::author_number(Some(&entry.reaction.user));
            let at = fields.iter().position(|field| field.emoji.as_ref() == Some(&emoji)).unwrap_or_else(|| {
                fields.push(MessageReactionField { emoji: Some(emoji), ..Default::default() });
                fields.len() - 1
            });
            let field = &mut fields[at];
            field.count += 1;
            field.me |= user == self.viewer;
            if field.preview_user_ids.len() < limits::REACTION_PREVIEWS {
                field.preview_user_ids.push(user);
            }
        }
        MessageReactions { message_id: self.epoch.snowflake(message), reaction_fields: fields }
    }
}

/// Whether a reaction is one that this dialect shows.
pub fn is_shown(reaction: &Reaction) -> bool {
    shown(reaction).is_some()
}

/// The users whom a page shows beside these reactions.
pub fn previewed<'a>(shown: &MessageReactions, entries: &'a [ReactionEntry]) -> Vec<&'a UserId> {
    let ids = shown.reaction_fields.iter().flat_map(|field| &field.preview_user_ids);
    let user =
        |id: &u64| entries.iter().map(|entry| &entry.reaction.user).find(|user| ids::author_number(Some(user)) == *id);
    ids.filter_map(user).collect()
}

fn kept(emoji: Option<ReactionEmoji>) -> Answer<(&'static str, String)> {
    match emoji.and_then(|emoji| emoji.emoji) {
        Some(Emoji::UnicodeEmoji(text)) if (1..=limits::EMOJI_BYTES).contains(&text.len()) => Ok((UNICODE, text)),
        Some(Emoji::CustomEmoji(id)) if id != 0 => Ok((CUSTOM, id.to_string())),
        _ => Err(Refusal::invalid(format!("emoji: 1 to {} bytes, or the id of a custom one", limits::EMOJI_BYTES))),
    }
}

fn shown(reaction: &Reaction) -> Option<ReactionEmoji> {
    let emoji = match &*reaction.kind {
        UNICODE => Emoji::UnicodeEmoji(reaction.value.to_string()),
        CUSTOM => Emoji::CustomEmoji(reaction.value.parse().ok()?),
        _ => return None,
    };
    Some(ReactionEmoji { emoji: Some(emoji) })
}
