//! Updates: what happens in the chats of a realm, in commit order, to everyone connected who may see it, each with its
//! own view of it (`protocols/osmium.md` §7).

use crate::{
    directory::{Chat, Directory},
    ids, limits, reactions,
    realm::Realm,
    render::Spoken,
    wire::{self, update},
};
use edge::CancellationToken;
use model::{Change, ChannelChange, Error, ErrorKind, Id, Message, Reaction, Removal, Result, What};
use service::{Access, Caller, Item, Pattern, Topic};
use std::sync::Arc;

/// Follows a realm until `stop` is cancelled, whatever happens.
pub async fn follow(realm: Arc<Realm>, stop: CancellationToken) {
    let mut from = realm.opened_at;
    while let Err(error) = tokio::spawn(follow_on(realm.clone(), from, stop.clone())).await {
        tracing::error!(%error, app = %realm.settings.app, "following the chats of an Osmium realm broke off");
        from = realm.channels.frontier();
    }
}

/// How far a realm was followed.
struct Progress {
    /// Where the next subscription begins; none for now.
    from: Option<Id>,
    /// What happened up to here on the channels of `before` was told, also where it lies after `from`.
    told: Id,
    /// The channels that were followed.
    before: Vec<Topic>,
}

/// Follows a realm until `stop` is cancelled. One subscription serves all its connections.
async fn follow_on(realm: Arc<Realm>, from: Id, stop: CancellationToken) {
    let mut progress = Progress { from: Some(from), told: from, before: Vec::new() };
    loop {
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = progress.follow(&realm) => ended,
        };
        if let Err(error) = ended {
            if error.kind == ErrorKind::Invalid {
                // So far back cannot be followed any more: clients catch up from history.
                progress.from = None;
            }
            tracing::warn!(%error, app = %realm.settings.app, "following the chats of an Osmium realm; trying again");
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::FOLLOW_AGAIN) => {}
            }
        }
    }
}

impl Progress {
    /// Follows until other channels have to be followed, or it fails.
    async fn follow(&mut self, realm: &Realm) -> Result<()> {
        let mut changes = realm.changes();
        let topics = topics(&realm.directory());
        let caller = Caller { app: realm.settings.app.clone(), user: None, access: Arc::new(Access::admin()) };
        let mut subscription = realm.channels.subscribe(&caller, topics.clone(), self.from).await?;
        loop {
            tokio::select! {
                // A change of the directory is seen before what happens after it.
                biased;
                changed = changes.changed() => {
                    changed.map_err(Error::internal)?;
                    let (directory, since) = realm.take_changes();
                    if self::topics(&directory) != topics {
                        // What happened on a channel since it has to be followed is told as well.
                        let cursor = subscription.cursor();
                        *self = Progress { from: Some(since.unwrap_or(cursor).min(cursor)), told: cursor, before: topics };
                        return Ok(());
                    }
                }
                delivery = subscription.next() => {
                    for item in delivery?.items.iter().filter(|item| !self.was_told(item, &topics)) {
                        // One that cannot be told must not keep back the others: clients see it when they read.
                        if let Err(error) = realm.tell_of_item(item).await {
                            tracing::warn!(?error, app = %realm.settings.app, "an Osmium update is lost");
                        }
                    }
                    self.from = Some(subscription.cursor());
                }
            }
        }
    }

    fn was_told(&self, item: &Item, topics: &[Topic]) -> bool {
        item.change.id() <= self.told && self.before.contains(&topics[item.topic])
    }
}

/// Everything that only this dialect reaches, and the channels with a name in the clear that hold messages of
/// communities.
fn topics(directory: &Directory) -> Vec<Topic> {
    let mut named: Vec<_> = directory.aliases().cloned().collect();
    named.sort_unstable();
    let named = named.into_iter().map(Topic::Channel);
    [Topic::Pattern(Pattern::unlisted())].into_iter().chain(named).collect()
}

impl Realm {
    async fn tell_of_item(&self, item: &Item) -> Result<()> {
        let Change::Channel(change) = &*item.change else { return Ok(()) };
        for chat in self.directory().chats_in(&change.channel.name) {
            self.tell_of_change(chat, change).await?;
        }
        Ok(())
    }

    async fn tell_of_change(&self, chat: Chat, change: &ChannelChange) -> Result<()> {
        match &change.what {
            What::Published { message, .. } => self.tell_of_new(chat, message).await,
            What::Edited(edit) => self.tell_of_message(chat, edit.message).await,
            What::Unedited(unedit) => self.tell_of_message(chat, unedit.message).await,
            What::Deleted(removal) | What::Expired(removal) => {
                self.tell_of_removal(chat, removal);
                Ok(())
            }
            What::Reacted(reaction) | What::Unreacted { was: reaction, .. } => {
                self.tell_of_reactions(chat, reaction).await
            }
            // Which messages a floor took is not told one by one. The live-only ones no history shows, and no call could
            // name them. Presence has no update that is served.
            What::Floored(_) | What::Unstored(_) | What::Signal(_) | What::Presence(_) => Ok(()),
        }
    }

    /// Of a removal that took so many that it does not name them, nobody is told: clients see it when they read again.
    fn tell_of_removal(&self, chat: Chat, removal: &Removal) {
        if removal.ids.is_empty() {
            return;
        }
        let message_ids: Vec<u64> = removal.ids.iter().map(|id| self.epoch.snowflake(*id)).collect();
        for user in self.audience(&self.directory(), chat) {
            let (chat_ref, message_ids) = (Some(chat.seen_by(user)), message_ids.clone());
            let deleted = wire::UpdateMessageDeleted { chat_ref, message_ids };
            self.tell(user, update::Update::MessageDeleted(deleted));
        }
    }

    /// All reactions to the message as they are now.
    async fn tell_of_reactions(&self, chat: Chat, reaction: &Reaction) -> Result<()> {
        let directory = self.directory();
        let audience = self.audience(&directory, chat);
        let Some(first) = audience.first().filter(|_| reactions::is_shown(reaction)) else { return Ok(()) };
        let mut view = self.view(directory, chat, *first).await?;
        let Some(message) = self.message_at(&view, reaction.message).await? else { return Ok(()) };
        let found = self.reactions(&view, std::slice::from_ref(&message)).await?;
        let entries = found.get(&message.id).map(Vec::as_slice).unwrap_or_default();
        for user in audience {
            view.viewer = user;
            let reactions = Some(view.reactions(message.id, entries));
            let update = wire::UpdateMessageReactions { chat_ref: Some(chat.seen_by(user)), reactions };
            self.tell(user, update::Update::MessageReactions(update));
        }
        Ok(())
    }

    fn tell(&self, user: u64, update: update::Update) {
        self.seats.tell(user, &Arc::new(wire::Update { update: Some(update) }));
    }

    async fn tell_of_new(&self, chat: Chat, message: &Message) -> Result<()> {
        let directory = self.directory();
        let audience = self.audience(&directory, chat);
        let Some(first) = audience.first() else { return Ok(()) };
        let mut view = self.view(directory, chat, *first).await?;
        let spoken = Spoken::new(message);
        let author = view.author(message);
        for user in audience {
            view.viewer = user;
            let created = wire::UpdateMessageCreated {
                message: Some(view.message(&spoken)),
                channel_unread_count: self.unread(&view, message.seq).await?,
                author: Some(author.clone()),
                client_id: spoken.stored.client_id.filter(|_| user == ids::author_number(message.author.as_ref())),
            };
            self.tell(user, update::Update::MessageCreated(created));
        }
        Ok(())
    }
}
