//! Who and what there is in a run: channels, users, callers with their rights and windows, topics.

use crate::steps::NAMED;
use model::{AppId, Channel, ChannelName, Id, Origin, UserId};
use service::{Access, AccessWindow, Caller, Group, Pattern, Rights, Rule, Scope, Topic};
use std::{sync::Arc, time::Duration};

const NAMES: [&str; NAMED as usize] = ["a.x", "a.y", "a.b.x", "b.x", "c"];
const PEOPLE: [&str; 3] = ["ann", "bob", "cat"];
/// The grant on which one caller stands.
pub const GRANT: &[u8] = b"grant";

pub fn app() -> AppId {
    AppId::new("demo").expect("a valid app")
}

pub fn room(n: u8) -> Channel {
    let name = match NAMES.get(usize::from(n)) {
        Some(name) => ChannelName::named(name).expect("a valid name"),
        None if n == NAMED => ChannelName::direct(PEOPLE[0], PEOPLE[1]),
        None => ChannelName::Member(7, 1),
    };
    Channel { app: app(), name }
}

/// The last one was not proved to be who it says.
pub fn user(n: u8) -> UserId {
    UserId::new(Origin::Native, PEOPLE[usize::from(n)], n < 2).expect("a valid user")
}

pub fn group() -> Group {
    Group::new("group").expect("a valid group")
}

/// A caller: 0 may do everything; the others are users, and all but the first of them see a part of each channel, or a
/// part of the channels. The last one stands on a grant, and only follows.
pub fn caller(n: u8, since: Id) -> Caller {
    let everywhere = |rights| Access::new([Rule { scope: Scope::Everything, rights }]);
    let of_user = Rights::READ | Rights::WRITE | Rights::HISTORY | Rights::DELETE | Rights::PRESENCE;
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let window = |window| {
        let mut access = everywhere(of_user);
        access.window = window;
        access
    };
    let (who, access) = match n {
        1 => (Some(0), everywhere(of_user)),
        2 => (Some(1), window(AccessWindow { newest: Some(5), ..AccessWindow::default() })),
        3 => (Some(2), window(AccessWindow { not_older_than: seconds(40), ..AccessWindow::default() })),
        4 => (Some(0), window(AccessWindow { since: Some(since), ..AccessWindow::default() })),
        5 => (Some(1), Access::new([Rule { scope: Scope::Prefix("a.".into()), rights: Rights::ALL }])),
        6 => {
            let both = AccessWindow { newest: Some(3), not_older_than: seconds(300), ..AccessWindow::default() };
            (Some(2), window(both))
        }
        _ => (None, Access::admin()),
    };
    Caller { app: app(), user: who.map(user), access: Arc::new(access) }
}

/// A topic: the channels, then patterns, the group, and who is there.
pub fn topic(n: u8) -> Topic {
    let pattern = |text| Topic::Pattern(Pattern::new(text).expect("a valid pattern"));
    match n {
        7 => pattern("*"),
        8 => pattern("a.*"),
        9 => pattern("a.b.*"),
        10 => Topic::Pattern(Pattern::unlisted()),
        11 => Topic::Group(group()),
        12 => Topic::PresencePattern(Pattern::new("*").expect("a valid pattern")),
        13 => Topic::Presence(room(0).name),
        n => Topic::Channel(room(n).name),
    }
}
