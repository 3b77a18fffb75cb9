//! Deletions: what a caller takes out of a channel, all of it or nothing.

use crate::{
    Caller, Channels, Rights,
    access::Visible,
    channels::Shared,
    history,
    order::{Aim, Order, Placed},
};
use model::{
    Channel, Effort, Error, ErrorKind, Id, Order as From, Position, Result, Seq, Span, Store, Target, What, Window,
};

/// What a deletion took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deleted {
    /// The id of the change; none if there was nothing to take.
    pub id: Option<Id>,
    /// How many messages went.
    pub messages: u64,
}

impl Channels {
    /// Deletes messages, all of them or none. Needs [`Rights::DELETE`]. Takes what the caller's window shows and what
    /// was there when it was called: an end of a span above the frontier is taken as the frontier. Ids that name no
    /// message are passed over. `Conflict` names the legal hold that forbids it; `TooLarge` if it names too many ids or
    /// would tear too many holes at once.
    pub async fn delete(&self, caller: &Caller, channel: &Channel, target: Target) -> Result<Deleted> {
        self.shared.admit(caller, &channel.app)?;
        caller.access.demand(&channel.name, Rights::DELETE)?;
        let target = self.shared.checked(target)?;
        let visible = caller.access.visible(self.shared.now().ticks());
        let target = match visible.is_all() {
            true => target,
            false => {
                let channel = channel.clone();
                let after = self.shared.reads.run(move |store| hidden_upto(store, &channel, visible)).await?;
                cut(target, after)
            }
        };
        let aim = Aim::Delete { target, by: caller.user.clone() };
        self.shared.submit_one(self.shared.removal_order(channel, aim)).await.map(Deleted::of)
    }
}

impl Shared {
    /// The order of a removal; what it comes to is found by its look-up.
    pub(crate) fn removal_order(&self, channel: &Channel, aim: Aim) -> Order {
        removal_order(channel, self.live.hasher.place(channel), aim)
    }

    fn checked(&self, target: Target) -> Result<Target> {
        let most = self.settings.delete_ids;
        match target {
            Target::Ids(ids) if ids.len() > most => {
                Err(Error::new(ErrorKind::TooLarge, format!("ids: at most {most} at once; nothing was deleted")))
            }
            Target::Ids(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                Ok(Target::Ids(ids))
            }
            Target::Span(span) if span.after > span.upto => {
                Err(Error::invalid("span: it ends before it begins; nothing was deleted"))
            }
            Target::Span(span) => Ok(Target::Span(Span { upto: span.upto.min(self.live.frontier()), ..span })),
        }
    }
}

impl Deleted {
    pub(crate) fn of(placed: Placed) -> Deleted {
        Deleted { id: (placed.messages > 0).then_some(placed.id), messages: placed.messages }
    }
}

/// See [`Shared::removal_order`].
pub(crate) fn removal_order(channel: &Channel, place: u128, aim: Aim) -> Order {
    Order::aimed(channel, place, What::Floored(Position::default()), aim)
}

/// The newest position that a window hides. Blocks.
pub(crate) fn hidden_upto(store: &dyn Store, channel: &Channel, visible: Visible) -> Result<Id> {
    let above = history::above(store, channel, visible)?;
    if above == Seq::NONE {
        return Ok(visible.after);
    }
    let window = Window {
        span: visible.cut(Span::ALL),
        order: From::Ascending,
        limit: 1,
        above,
        author: None,
        custom_type: None,
        now: Id::MIN,
    };
    let page = store.read(channel, &window, Effort::Disk)?;
    let first = page.as_ref().and_then(|page| page.messages.first());
    // Nothing is left above: everything that is there now is hidden.
    let head = page.as_ref().map_or(Id::MIN, |page| page.head.id);
    Ok(first.map_or(head, |first| first.id.previous()).max(visible.after))
}

fn cut(target: Target, after: Id) -> Target {
    match target {
        Target::Span(span) => Target::Span(Span { after: span.after.max(after), ..span }),
        Target::Ids(ids) => Target::Ids(ids.into_iter().filter(|id| *id > after).collect()),
    }
}
