//! Selections: messages by who wrote them, to whom and where, over all channels of an app. Rights, windows and retention
//! become bounds of the seek, as everywhere; nothing is read and then left out.

use crate::{Access, Caller, Channels, Rights, access::Visible, channels::Shared, history::above};
use model::{
    AppId, Channel, ChannelName, Effort, Error, ErrorKind, Id, Order, Result, Selection, SelectionPage,
    SelectionWindow, Selector, Seq, Span, Store, Window,
};
use std::collections::HashMap;

/// What a selection is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SelectionQuery {
    /// Where to look.
    pub span: Span,
    /// From which end.
    pub order: Order,
    /// How many messages to leave out first, counted from that end.
    pub offset: u64,
    /// How many messages at most.
    pub limit: u32,
}

impl Channels {
    /// Part of a selection of the caller's app. A selector that names a channel needs [`Rights::HISTORY`] there; one by
    /// author alone, on all channels with names in the clear; one about direct chats, on the chats of all users that it
    /// names (see [`crate::Scope::Chats`]). The latter two need a window without newest messages.
    pub async fn select(&self, caller: &Caller, selection: &Selection, query: SelectionQuery) -> Result<SelectionPage> {
        self.shared.check_limit(query.limit)?;
        let SelectionQuery { span, order, offset, limit } = query;
        let (bounds, now) = self.shared.bounds(caller, selection)?;
        let (app, selection) = (caller.app.clone(), selection.clone());
        let page = self.shared.reads.run(move |store| {
            let selection = bounds.cut(store, selection)?;
            store.select(&app, &selection, &SelectionWindow { span, order, offset, limit, now })
        });
        page.await
    }

    /// How many messages of a span a selection has: exact, always what the pages of [`Channels::select`] have together.
    /// Needs the same rights.
    pub async fn count_selected(&self, caller: &Caller, selection: &Selection, span: Span) -> Result<u64> {
        let (bounds, now) = self.shared.bounds(caller, selection)?;
        let (app, selection) = (caller.app.clone(), selection.clone());
        let count = self.shared.reads.run(move |store| {
            let selection = bounds.cut(store, selection)?;
            store.count_selected(&app, &selection, span, now)
        });
        count.await
    }
}

/// How far back a caller sees.
struct Bounds {
    now: Id,
    /// In the channels that selectors name.
    channels: HashMap<ChannelName, Visible>,
    /// By selectors that name none: what any channel still keeps.
    everywhere: Id,
    app: AppId,
}

impl Shared {
    /// The bounds for a caller who may ask for the selection, and what reads as now.
    fn bounds(&self, caller: &Caller, selection: &Selection) -> Result<(Bounds, Id)> {
        self.admit(caller, &caller.app)?;
        let now = self.now();
        let mut channels = HashMap::new();
        for (selector, _) in selection.parts() {
            if let Some(name) = channel_of(selector) {
                let channel = Channel { app: caller.app.clone(), name: name.clone() };
                caller.access.demand(&channel.name, Rights::HISTORY)?;
                let visible = self.reach(caller, &channel, now).visible();
                channels.insert(channel.name, visible);
                continue;
            }
            demand_everywhere(&caller.access, selector)?;
            if caller.access.window.newest.is_some() {
                let why = "selection: a window of newest messages is one of each channel";
                return Err(Error::new(ErrorKind::Forbidden, why));
            }
        }
        let kept = self.live.policies.of(&caller.app).kept_anywhere(now.ticks());
        let everywhere = caller.access.visible(now.ticks()).after.max(kept);
        Ok((Bounds { now, channels, everywhere, app: caller.app.clone() }, now))
    }
}

fn channel_of(selector: &Selector) -> Option<&ChannelName> {
    match selector {
        Selector::AuthorIn { channel, .. } | Selector::Channel(channel) => Some(channel),
        Selector::Author(_) | Selector::Sender(_) | Selector::Recipient(_) | Selector::Pair { .. } => None,
    }
}

/// [`ErrorKind::Forbidden`] unless the access reaches wherever a selector that names no channel has messages.
fn demand_everywhere(access: &Access, selector: &Selector) -> Result<()> {
    match selector {
        Selector::Author(_) => access.demand_prefix("", Rights::HISTORY),
        Selector::Sender(user) | Selector::Recipient(user) => access.demand_chats(user, Rights::HISTORY),
        Selector::Pair { author, recipient } => {
            access.demand_chats(author, Rights::HISTORY)?;
            access.demand_chats(recipient, Rights::HISTORY)
        }
        Selector::AuthorIn { .. } | Selector::Channel(_) => Ok(()),
    }
}

impl Bounds {
    /// What is left of the selection. Blocks.
    fn cut(&self, store: &dyn Store, selection: Selection) -> Result<Selection> {
        selection.above(|selector| {
            let Some(name) = channel_of(selector) else { return Ok(self.everywhere) };
            let visible = self.channels.get(name).copied();
            let visible = visible.ok_or_else(|| Error::internal("a channel of a selection was not looked at"))?;
            let channel = Channel { app: self.app.clone(), name: name.clone() };
            Ok(visible.after.max(self.id_before(store, &channel, visible)?))
        })
    }

    /// The position that what a bound of newest messages leaves lies above. Blocks.
    fn id_before(&self, store: &dyn Store, channel: &Channel, visible: Visible) -> Result<Id> {
        let above = above(store, channel, visible)?;
        if above == Seq::NONE {
            return Ok(Id::MIN);
        }
        let first = Window {
            span: Span::ALL,
            order: Order::Ascending,
            limit: 1,
            above,
            author: None,
            custom_type: None,
            now: self.now,
        };
        let page = store.read(channel, &first, Effort::Disk)?;
        let page = page.ok_or_else(|| Error::internal("the store gave no page although it may take any effort"))?;
        Ok(page.messages.first().map_or(page.head.id, |first| first.id.previous()))
    }
}
