//! Who calls and what it may do. Access is decided here and nowhere else: a dialect makes a [`Caller`] out of keys and
//! tokens, every method of [`crate::Channels`] asks it.
//!
//! An access is rules, a dialect's own policy, or both, as far as the dialect's scope reaches; and it may end: at a time,
//! or with the record that it stands on. A window (newest n, not older than, since) becomes a bound of the seek, so what is hidden is never read.

use crate::{
    Group, Scope, Standing,
    policy::{Policy, Remembered},
};
use model::{AppId, ChannelName, Error, ErrorKind, Head, Id, Result, Seq, Span, TICKS_PER_SECOND};
use std::{fmt, ops::BitOr, sync::Arc, time::Duration};

/// Who calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant that it belongs to; it sees nothing of any other.
    pub app: AppId,
    /// Who it says it is, if it says so.
    pub user: Option<model::UserId>,
    /// What it may do.
    pub access: Arc<Access>,
}

/// What a caller may do, how far back it may see, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    rules: Vec<Rule>,
    policy: Option<Remembered>,
    within: Option<Arc<[Scope]>>,
    /// How far back it may see, on every channel.
    pub window: AccessWindow,
    /// From this position on it may do nothing more, and nothing above it is handed to a subscription.
    pub until: Option<Id>,
    /// It may do nothing more when the record that it stands on changes.
    pub stands_on: Option<Standing>,
}

/// Rights on some channels. Rules add up; nothing takes a right away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Where.
    pub scope: Scope,
    /// What.
    pub rights: Rights,
}

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

/// How far back a caller may see. The narrowest of its bounds holds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct AccessWindow {
    /// Only this many of the newest messages that were stored in a channel.
    pub newest: Option<u32>,
    /// Only what is younger.
    pub not_older_than: Option<Duration>,
    /// Only what came after this position.
    pub since: Option<Id>,
}

/// The part of a channel that a window leaves, as bounds of a seek.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Visible {
    /// Only ids above this one.
    pub after: Id,
    /// Only this many of the newest seqs.
    pub newest: Option<u64>,
}

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);
    /// To follow a channel live.
    pub const READ: Rights = Rights(1);
    /// To publish and to signal.
    pub const WRITE: Rights = Rights(1 << 1);
    /// To delete messages.
    pub const DELETE: Rights = Rights(1 << 2);
    /// To change who belongs to a channel.
    pub const MANAGE: Rights = Rights(1 << 3);
    /// To read what is stored: pages, counts, subscriptions from the past.
    pub const HISTORY: Rights = Rights(1 << 4);
    /// To change settings and grants.
    pub const ADMIN: Rights = Rights(1 << 5);
    /// To see who is on a channel, and to follow that live.
    pub const PRESENCE: Rights = Rights(1 << 6);
    /// Every right.
    pub const ALL: Rights = Rights(0b111_1111);

    /// Whether all of `other` are among these.
    pub const fn contains(self, other: Rights) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Rights {
    type Output = Rights;

    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 7] = ["read", "write", "delete", "manage", "history", "admin", "presence"];
        let held = NAMES.iter().enumerate().filter(|(bit, _)| self.0 & 1 << bit != 0);
        f.debug_set().entries(held.map(|(_, name)| name)).finish()
    }
}

impl Access {
    /// Everything, everywhere, from the beginning.
    pub fn admin() -> Access {
        Access::new([Rule { scope: Scope::Everything, rights: Rights::ALL }])
    }

    /// What these rules give, without a window; set [`Access::window`] to narrow it.
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Access {
        Access {
            rules: rules.into_iter().collect(),
            policy: None,
            within: None,
            window: AccessWindow::default(),
            until: None,
            stands_on: None,
        }
    }

    /// What a dialect's own rules give. A name is asked for once, then remembered.
    pub fn by_policy(policy: Arc<dyn Policy>) -> Access {
        Access { policy: Some(Remembered::new(policy)), ..Access::new([]) }
    }

    /// The same on these channels only: all that a dialect lets its callers see. No other channel is reached through
    /// it, be it by its name, a pattern, or a group that holds it.
    pub fn within(mut self, scopes: impl IntoIterator<Item = Scope>) -> Access {
        self.within = Some(scopes.into_iter().collect());
        self
    }

    /// Whether it gives all of these rights on a channel.
    pub fn allows(&self, channel: &ChannelName, rights: Rights) -> bool {
        let said = || self.policy.as_ref().map_or(Rights::NONE, |policy| policy.channel(channel));
        self.reaches(channel) && self.holds(rights, |scope| scope.covers(channel), said)
    }

    /// Whether it gives all of these rights on every channel whose name in the clear begins so.
    pub fn allows_prefix(&self, prefix: &str, rights: Rights) -> bool {
        let within = self.within.as_ref().is_none_or(|within| within.iter().any(|scope| scope.covers_prefix(prefix)));
        let said = || self.policy.as_ref().map_or(Rights::NONE, |policy| policy.prefix(prefix));
        within && self.holds(rights, |scope| scope.covers_prefix(prefix), said)
    }

    /// Whether it gives all of these rights on a group.
    pub fn allows_group(&self, group: &Group, rights: Rights) -> bool {
        let said = || self.policy.as_ref().map_or(Rights::NONE, |policy| policy.group(group));
        self.holds(rights, |scope| scope.covers_group(group), said)
    }

    /// Whether the channel is one of those that the dialect lets its callers see.
    pub fn reaches(&self, channel: &ChannelName) -> bool {
        self.within.as_ref().is_none_or(|within| within.iter().any(|scope| scope.covers(channel)))
    }

    /// The policy is asked only when the rules do not suffice.
    fn holds(&self, rights: Rights, applies: impl Fn(&Scope) -> bool, said: impl Fn() -> Rights) -> bool {
        let mut held = Rights::NONE;
        let by_rules = self.rules.iter().any(|rule| {
            if applies(&rule.scope) {
                held = held | rule.rights;
            }
            held.contains(rights)
        });
        by_rules || (held | said()).contains(rights)
    }

    /// [`ErrorKind::Forbidden`] when its time is over at `now`, or what it stood on has changed.
    pub(crate) fn check_stands(&self, now: Id) -> Result<()> {
        if self.until.is_some_and(|until| until <= now) {
            return Err(expired());
        }
        match self.stands_on.as_ref().and_then(Standing::ended_at) {
            Some(_) => Err(withdrawn()),
            None => Ok(()),
        }
    }

    /// [`ErrorKind::Forbidden`] unless it gives these rights on the channel.
    pub(crate) fn demand(&self, channel: &ChannelName, rights: Rights) -> Result<()> {
        if self.allows(channel, rights) { Ok(()) } else { Err(forbidden(channel, rights)) }
    }

    /// [`ErrorKind::Forbidden`] unless it gives these rights on everything below the prefix.
    pub(crate) fn demand_prefix(&self, prefix: &str, rights: Rights) -> Result<()> {
        if self.allows_prefix(prefix, rights) { Ok(()) } else { Err(forbidden(&format_args!("{prefix}*"), rights)) }
    }

    /// [`ErrorKind::Forbidden`] unless it gives these rights on all direct chats of a user.
    pub(crate) fn demand_chats(&self, user: &str, rights: Rights) -> Result<()> {
        let in_scope = |scope: &Scope| scope.covers_chats(user);
        let within = self.within.as_ref().is_none_or(|within| within.iter().any(in_scope));
        if within && self.holds(rights, in_scope, || Rights::NONE) {
            Ok(())
        } else {
            Err(forbidden(&"of direct chats", rights))
        }
    }

    /// [`ErrorKind::Forbidden`] unless it gives these rights on every channel without a name in the clear.
    pub(crate) fn demand_unlisted(&self, rights: Rights) -> Result<()> {
        let everywhere = self.holds(rights, |scope| *scope == Scope::Everything, || Rights::NONE);
        if everywhere && self.within.is_none() {
            Ok(())
        } else {
            Err(forbidden(&"without a name in the clear", rights))
        }
    }

    /// [`ErrorKind::Forbidden`] unless it gives these rights on the group.
    pub(crate) fn demand_group(&self, group: &Group, rights: Rights) -> Result<()> {
        if self.allows_group(group, rights) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forbidden, format!("group {group}: this needs the rights {rights:?}")))
    }

    /// What the window leaves at `now_ticks`.
    pub(crate) fn visible(&self, now_ticks: u64) -> Visible {
        let since = self.window.since.unwrap_or(Id::MIN);
        let young = self.window.not_older_than.map_or(Id::MIN, |age| oldest_allowed(now_ticks, age));
        Visible { after: since.max(young), newest: self.window.newest.map(u64::from) }
    }
}

impl Visible {
    /// Whether nothing is hidden.
    pub(crate) fn is_all(self) -> bool {
        self.after == Id::MIN && self.newest.is_none()
    }

    /// What both leave.
    pub(crate) fn and(self, other: Visible) -> Visible {
        let newest = [self.newest, other.newest].into_iter().flatten().min();
        Visible { after: self.after.max(other.after), newest }
    }

    /// What is left of a span.
    pub(crate) fn cut(self, span: Span) -> Span {
        Span { after: span.after.max(self.after), upto: span.upto }
    }

    /// The greatest seq that is hidden in a channel that goes up to `head`.
    pub(crate) fn above(self, head: Seq) -> Seq {
        self.newest.map_or(Seq::NONE, |newest| head.minus(newest))
    }

    /// The same; [`Seq::NONE`] if nothing lies there.
    pub(crate) fn above_some(self, head: Head) -> Seq {
        let above = self.above(head.last.seq);
        // What an import brought lies below the start.
        if above > head.floor.seq.min(Seq::START) { above } else { Seq::NONE }
    }
}

/// The newest position that is too old. Windows of a minute or more move by whole seconds, towards the present, so
/// that equal reads of one second share a page.
fn oldest_allowed(now_ticks: u64, age: Duration) -> Id {
    let age_ticks = u64::try_from(age.as_nanos() / 100).unwrap_or(u64::MAX);
    let oldest = now_ticks.saturating_sub(age_ticks);
    let step = if age.as_secs() >= 60 { TICKS_PER_SECOND } else { 1 };
    Id::last_before(oldest.div_ceil(step).saturating_mul(step))
}

fn expired() -> Error {
    Error::new(ErrorKind::Forbidden, "access: its time is over")
}

fn withdrawn() -> Error {
    Error::new(ErrorKind::Forbidden, "access: it was withdrawn")
}

fn forbidden(place: &dyn fmt::Display, rights: Rights) -> Error {
    Error::new(ErrorKind::Forbidden, format!("channel {place}: this needs the rights {rights:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChannelName {
        ChannelName::named(text).expect("a valid name")
    }

    #[test]
    fn rules_add_up_and_reach_no_further() {
        let access = Access::new([
            Rule { scope: Scope::Prefix("room.".into()), rights: Rights::READ },
            Rule { scope: Scope::Channel(name("room.1")), rights: Rights::WRITE },
        ]);
        assert!(access.allows(&name("room.1"), Rights::READ | Rights::WRITE));
        assert!(!access.allows(&name("room.2"), Rights::READ | Rights::WRITE));
        assert!(access.allows_prefix("room.a.", Rights::READ));
        assert!(!access.allows_prefix("room", Rights::READ));
        let all_in_the_clear = Access::new([Rule { scope: Scope::Prefix("".into()), rights: Rights::ALL }]);
        assert!(!all_in_the_clear.allows(&ChannelName::direct("a", "b"), Rights::READ));
    }

    #[test]
    fn a_window_never_shows_what_is_older() {
        let mut access = Access::admin();
        let now = 1_000 * TICKS_PER_SECOND + 5;
        access.window.not_older_than = Some(Duration::from_secs(100));
        let after = access.visible(now).after;
        assert!(after >= Id::last_before(900 * TICKS_PER_SECOND + 5), "nothing older than asked");
        assert!(after < Id::new(901 * TICKS_PER_SECOND, 0), "and not a second less than asked");
        access.window.since = Some(Id::new(950 * TICKS_PER_SECOND, 0));
        assert_eq!(access.visible(now).after, Id::new(950 * TICKS_PER_SECOND, 0), "the narrowest bound holds");
    }
}
