//! Messages as one user sees them: stored values to the wire's shapes, with the users and members that they name
//! (`protocols/osmium.md` §4, §5.6).

use crate::{
    directory::{Chat, Directory},
    extras,
    ids::{self, Epoch},
    limits,
    reactions::{self, Reactions},
    text,
    wire::{self, Stored, message_entity::Entity},
};
use model::{Id, Kind, Message, Payload, PayloadForm, UserId};
use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// What one user sees of one chat.
pub struct View {
    /// The directory at this moment.
    pub directory: Arc<Directory>,
    /// Where ids begin to count.
    pub epoch: Epoch,
    /// Which chat.
    pub chat: Chat,
    /// Who looks.
    pub viewer: u64,
    /// The pinned messages of the chat.
    pub pins: Arc<BTreeSet<Id>>,
}

/// A message that is being rendered: what it says, taken apart once.
pub struct Spoken<'a> {
    /// As stored.
    pub message: &'a Message,
    /// Its text.
    pub text: Cow<'a, str>,
    /// What only this dialect has of it.
    pub stored: Stored,
}

impl<'a> Spoken<'a> {
    /// Takes a message apart.
    pub fn new(message: &'a Message) -> Spoken<'a> {
        let stored = extras::unpack(message.extras.as_ref());
        Spoken { message, text: shown_text(&message.payload), stored }
    }

    /// The users of the directory that its entities name.
    pub fn mentioned(&self, directory: &Directory) -> Vec<u64> {
        mentioned(directory, &self.text, &self.stored.entities)
    }
}

impl View {
    /// A message.
    pub fn message(&self, spoken: &Spoken<'_>) -> wire::Message {
        let Spoken { message, text, stored } = spoken;
        let reply = stored.reply.clone();
        wire::Message {
            chat_ref: Some(self.chat.seen_by(self.viewer)),
            message_id: self.epoch.snowflake(message.id),
            author_id: ids::author_number(message.author.as_ref()),
            message: text.to_string(),
            reply_to: reply.as_ref().and_then(|reply| reply.message_id),
            media: stored.media.clone(),
            entities: stored.entities.clone(),
            edited_at: message.edited_at.map(Id::unix_ms),
            r#type: message_type(message.kind).map(i32::from),
            forward: stored.forward,
            reply,
            bot_info: stored.bot_info.clone(),
            pinned: self.pins.contains(&message.id).then_some(true),
        }
    }

    /// The author of a message. One that no directory knows has the name that its dialect gave it.
    pub fn author(&self, message: &Message) -> wire::User {
        self.user(message.author.as_ref())
    }

    fn user(&self, user: Option<&UserId>) -> wire::User {
        let number = ids::author_number(user);
        match user {
            Some(author) if ids::directory_user(author).is_none() => {
                wire::User { id: number, name: author.id.to_string(), ..Default::default() }
            }
            Some(_) => self.directory.shown_user(number),
            None => wire::User { id: number, name: "Anonymous".to_owned(), ..Default::default() },
        }
    }

    /// A page: these messages in this order, with every user and member that they and their reactions name once, by
    /// first appearance.
    pub fn page(&self, messages: &[Spoken<'_>], reactions: &Reactions) -> wire::Messages {
        let mut users = Users { view: self, seen: HashSet::new(), list: Vec::new() };
        for spoken in messages {
            users.add(self.author(spoken.message));
            users.add_known(spoken.mentioned(&self.directory));
        }
        let mut shown = Vec::new();
        for spoken in messages {
            let Some(entries) = reactions.get(&spoken.message.id) else { continue };
            let of_message = self.reactions(spoken.message.id, entries);
            for user in reactions::previewed(&of_message, entries) {
                users.add(self.user(Some(user)));
            }
            if !of_message.reaction_fields.is_empty() {
                shown.push(of_message);
            }
        }
        let users = users.list;
        let members = self.chat.community().map_or_else(Vec::new, |community| {
            users.iter().filter_map(|user| self.member(community, user.id)).collect()
        });
        let messages = messages.iter().map(|spoken| self.message(spoken)).collect();
        wire::Messages { messages, users, members, reactions: shown }
    }

    fn member(&self, community: u64, user: u64) -> Option<wire::CommunityMember> {
        let member = self.directory.member(community, user)?;
        let role_ids = member.roles.iter().copied().collect();
        Some(wire::CommunityMember { id: user, community_id: community, role_ids, nickname: member.nickname.clone() })
    }
}

struct Users<'a> {
    view: &'a View,
    seen: HashSet<u64>,
    list: Vec<wire::User>,
}

impl Users<'_> {
    fn add(&mut self, user: wire::User) {
        if self.seen.insert(user.id) {
            self.list.push(user);
        }
    }

    fn add_known(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            if !self.seen.contains(&id) {
                self.add(self.view.directory.shown_user(id));
            }
        }
    }
}

/// The users whom entities of a text name: `@name` by its user name, a mention by the decimal id that it covers (§4).
pub fn mentioned(directory: &Directory, text: &str, entities: &[wire::MessageEntity]) -> Vec<u64> {
    let user_of = |entity: &wire::MessageEntity| {
        let covered = || text::part(text, entity.start_index, entity.length);
        let user = match entity.entity.as_ref()? {
            Entity::Username(true) => directory.user_named(covered()?.trim_start_matches('@')),
            Entity::UserMention(_) => directory.user(covered()?.trim_start_matches('@').parse().ok()?),
            _ => None,
        };
        user.map(|user| user.id)
    };
    entities.iter().filter_map(user_of).collect()
}

/// What a payload says: text as it is, a JSON string as its text, other JSON as JSON text.
fn shown_text(payload: &Payload) -> Cow<'_, str> {
    let raw = String::from_utf8_lossy(&payload.bytes);
    let text = match payload.form {
        PayloadForm::Json if raw.trim_start().starts_with('"') => {
            serde_json::from_str::<String>(&raw).map_or(raw, Cow::Owned)
        }
        PayloadForm::Json | PayloadForm::Text => raw,
    };
    match text.len() <= limits::SHOWN_TEXT_BYTES {
        true => text,
        false => text::cut(&text, limits::SHOWN_TEXT_BYTES).to_owned().into(),
    }
}

fn message_type(kind: Kind) -> Option<wire::MessageType> {
    match kind {
        Kind::Message | Kind::File => None,
        Kind::Call => Some(wire::MessageType::Call),
        Kind::Join => Some(wire::MessageType::Join),
        Kind::Leave => Some(wire::MessageType::Leave),
    }
}
