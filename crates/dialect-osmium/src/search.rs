//! `messages.search` (`protocols/osmium.md` §6): over one chat, or over every channel of a community that the caller may
//! view. Words are found as the service finds them; `docs/dialects/osmium.md` tells how that differs from substrings.

use crate::{
    directory::{Chat, Permissions},
    error::{Answer, Refusal},
    limits,
    realm::Realm,
    render::Spoken,
    wire::{Messages, Search, rpc_result, search::Offset},
};
use model::{ChannelName, Id, Order, Span};
use prost::Message as _;
use service::{Access, AccessWindow, Caller, Hit, Rights, Rule, Scope, SearchQuery};
use std::{collections::HashSet, sync::Arc};

impl Realm {
    pub(crate) async fn search(&self, user: u64, call: Search) -> Answer<rpc_result::Result> {
        if !self.channels.searches(&self.settings.app) {
            return Err(Refusal::not_served("search"));
        }
        let directory = self.directory();
        let chat = directory.chat(user, call.chat_ref.as_ref())?;
        if call.query.trim().is_empty() {
            return Err(Refusal::invalid("query: it is empty"));
        }
        let chats = match chat {
            Chat::Channel { community, .. } if !call.scoped => self.viewed_channels(user, community),
            chat => vec![chat],
        };
        let places: Vec<(ChannelName, Chat)> =
            chats.into_iter().map(|chat| (directory.channel_name(chat), chat)).collect();
        let Some((span, order)) = self.searched(call.offset) else {
            return Ok(rpc_result::Result::Messages(Messages::default()));
        };
        let query = SearchQuery {
            words: call.query,
            channels: Some(places.iter().map(|(name, _)| name.clone()).collect()),
            span,
            order,
            limit: limits::DEFAULT_PAGE_MESSAGES,
            author: None,
            custom_type: None,
        };
        let hits = self.channels.search(&self.searcher(user, &places), query).await?;
        let page = self.found(user, &places, &hits.list).await?;
        Ok(rpc_result::Result::Messages(page))
    }

    /// The channels of a community that a user may view.
    fn viewed_channels(&self, user: u64, community: u64) -> Vec<Chat> {
        let directory = self.directory();
        let Some(found) = directory.community(community) else { return Vec::new() };
        let messages = found.channels.iter().filter(|(_, channel)| !channel.category);
        let chats = messages.map(|(channel, _)| Chat::Channel { community, channel: *channel });
        chats.filter(|chat| directory.may(user, *chat, Permissions::NONE)).collect()
    }

    /// Which ids, from which end; nowhere before the smallest id. Anchors are exclusive and positions, as in history.
    fn searched(&self, offset: Option<Offset>) -> Option<(Span, Order)> {
        match offset {
            None => Some((Span::ALL, Order::Descending)),
            Some(Offset::Since(0)) => Some((Span::ALL, Order::Ascending)),
            Some(Offset::Since(anchor)) => {
                Some((Span { after: self.epoch.upto(anchor), upto: Id::MAX }, Order::Ascending))
            }
            Some(Offset::Before(anchor)) => {
                Some((Span { after: Id::MIN, upto: self.epoch.below(anchor)? }, Order::Descending))
            }
        }
    }

    /// The rights of somebody who may read these channels.
    fn searcher(&self, user: u64, places: &[(ChannelName, Chat)]) -> Caller {
        let rule =
            |(name, _): &(ChannelName, Chat)| Rule { scope: Scope::Channel(name.clone()), rights: Rights::HISTORY };
        let mut access = Access::new(places.iter().map(rule));
        access.window = AccessWindow { since: Some(self.epoch.first()), ..AccessWindow::default() };
        let (app, user) = (self.settings.app.clone(), Some(crate::ids::user_id(user)));
        Caller { app, user, access: Arc::new(access) }
    }

    /// What was found as a page within its bytes: the farthest go.
    async fn found(&self, user: u64, places: &[(ChannelName, Chat)], hits: &[Hit]) -> Answer<Messages> {
        let mut page = Messages::default();
        let (mut users, mut members) = (HashSet::new(), HashSet::new());
        let mut bytes = 0;
        for hit in hits {
            let Some((_, chat)) = places.iter().find(|(name, _)| *name == hit.channel) else { continue };
            let view = self.view(self.directory(), *chat, user).await?;
            let reactions = self.reactions(&view, std::slice::from_ref(&hit.message)).await?;
            let mut one = view.page(&[Spoken::new(&hit.message)], &reactions);
            one.users.retain(|user| users.insert(user.id));
            one.members.retain(|member| members.insert(member.id));
            bytes += one.encoded_len();
            if bytes > limits::PAGE_BYTES && !page.messages.is_empty() {
                break;
            }
            page.messages.append(&mut one.messages);
            page.users.append(&mut one.users);
            page.members.append(&mut one.members);
            page.reactions.append(&mut one.reactions);
        }
        Ok(page)
    }
}
