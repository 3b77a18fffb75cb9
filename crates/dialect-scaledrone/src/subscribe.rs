//! Rooms that a connection follows: joining history to live (`protocols/scaledrone.md` §6.3), and waiting for whatever
//! room has something next.

use crate::{
    convert,
    session::{Join, Joined},
};
use futures_util::{
    StreamExt,
    future::{AbortHandle, Abortable, BoxFuture},
    stream::FuturesUnordered,
};
use model::{Id, Order, Result, Span};
use service::{Channels, Delivery, Query, Reach, Subscription, Topic};
use std::{collections::HashMap, future::pending, sync::Arc};

/// Under this name a page keeps its history frames.
const DIALECT: &str = "scaledrone";

/// Follows the room, unless it is followed already, and reads its newest messages.
///
/// The subscription is made first, so nothing that history does not show can be missed; what it shows is told apart
/// from live by the id of its last message, up to which the session drops live ones. Reading the newest page, not
/// the page up to the subscription's position, lets all who subscribe share one page.
pub async fn join(channels: &Channels, join: &Join, followed: bool) -> Result<(Joined, Option<Subscription>)> {
    let topic = Topic::Channel(join.room.channel.name.clone());
    let subscription = match followed {
        true => None,
        false => Some(channels.subscribe(&join.caller, vec![topic], None).await?),
    };
    let live_from = subscription.as_ref().map_or(Id::MIN, Subscription::cursor);
    if join.count == 0 {
        let complete = join.after.is_none();
        return Ok((Joined { history: Vec::new(), upto: live_from, complete }, subscription));
    }
    let after = join.after.unwrap_or(Id::MIN);
    let reach = Reach::Span { span: Span { after, upto: Id::MAX }, order: Order::Descending };
    let history = channels.history(&join.caller, &join.room.channel, &Query::of(reach, join.count)).await?;
    let page = &history.page;
    let pack = history.rendered(DIALECT, |history| convert::pack_history(&join.room.name, &history.page));
    let upto = page.messages.last().map_or(Id::MIN, |message| message.id).max(live_from);
    let complete = !page.more && page.floor.id <= after;
    Ok((Joined { history: convert::unpack_history(pack), upto, complete }, subscription))
}

/// What one room had next, and the subscription to go on with.
type Arrival = (Arc<str>, Subscription, Result<Delivery>);

/// The subscriptions of one connection.
#[derive(Default)]
pub struct Following {
    waiting: FuturesUnordered<Abortable<BoxFuture<'static, Arrival>>>,
    rooms: HashMap<Arc<str>, AbortHandle>,
    paused: Option<Arc<str>>,
    held: Option<Arrival>,
}

impl Following {
    /// Whether a room is followed.
    pub fn contains(&self, room: &str) -> bool {
        self.rooms.contains_key(room)
    }

    /// Follows a room.
    pub fn follow(&mut self, room: Arc<str>, subscription: Subscription) {
        let (handle, registration) = AbortHandle::new_pair();
        self.rooms.insert(room.clone(), handle);
        let arrival: BoxFuture<'static, Arrival> = Box::pin(wait(room, subscription));
        self.waiting.push(Abortable::new(arrival, registration));
    }

    /// Follows it no more: nothing of it is delivered after this.
    pub fn unfollow(&mut self, room: &str) {
        if let Some(handle) = self.rooms.remove(room) {
            handle.abort();
        }
        self.held.take_if(|(held, ..)| &**held == room);
    }

    /// Holds back what a room has next, until [`Following::resume`].
    pub fn pause(&mut self, room: Arc<str>) {
        self.paused = Some(room);
    }

    /// Delivers what was held back.
    pub fn resume(&mut self) {
        self.paused = None;
    }

    /// What a room has next. Cancel-safe.
    pub async fn next(&mut self) -> (Arc<str>, Result<Delivery>) {
        loop {
            let arrival = match self.held.take_if(|_| self.paused.is_none()) {
                Some(held) => held,
                None => match self.waiting.next().await {
                    Some(Ok(arrival)) => arrival,
                    Some(Err(_aborted)) => continue,
                    None => pending().await,
                },
            };
            if self.paused.as_ref() == Some(&arrival.0) {
                self.held = Some(arrival);
                continue;
            }
            let (room, subscription, delivery) = arrival;
            // Aborted after it had become ready: the room is followed no more.
            if self.rooms.contains_key(&room) {
                self.follow(room.clone(), subscription);
                return (room, delivery);
            }
        }
    }
}

async fn wait(room: Arc<str>, mut subscription: Subscription) -> Arrival {
    let delivery = subscription.next().await;
    (room, subscription, delivery)
}
