//! What lines consist of: ids, names of channels, users, text, each with the way from the model (`of`) and to it, where
//! it is checked (`read`).

use base64::{Engine, engine::general_purpose::STANDARD};
use model::{ChannelName, Id, Kind, Origin, UserId, limits};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Name<'a> {
    Named(Cow<'a, str>),
    Direct { direct: (Cow<'a, str>, Cow<'a, str>) },
    Member { community: Digits, channel: Digits },
}

impl<'a> Name<'a> {
    pub fn of(name: &'a ChannelName) -> Name<'a> {
        match name {
            ChannelName::Named(text) => Name::Named((&**text).into()),
            ChannelName::Direct(a, b) => Name::Direct { direct: ((&**a).into(), (&**b).into()) },
            ChannelName::Member(community, channel) => {
                Name::Member { community: Digits(*community), channel: Digits(*channel) }
            }
        }
    }

    pub fn read(self) -> Result<ChannelName, String> {
        match self {
            Name::Named(text) => ChannelName::named(&text).map_err(|error| error.message),
            Name::Direct { direct: (a, b) } => {
                let fits = |name: &str| (1..=limits::USER_ID_BYTES).contains(&name.len()) && !name.contains('\0');
                match fits(&a) && fits(&b) {
                    true => Ok(ChannelName::direct(&a, &b)),
                    false => Err("channel: the names of a direct chat are too long, or empty".into()),
                }
            }
            Name::Member { community, channel } => Ok(ChannelName::Member(community.0, channel.0)),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User<'a> {
    id: Cow<'a, str>,
    origin: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    verified: bool,
}

const ORIGINS: [(Origin, &str); 5] = [
    (Origin::Native, "native"),
    (Origin::Pubnub, "pubnub"),
    (Origin::Scaledrone, "scaledrone"),
    (Origin::Agora, "agora"),
    (Origin::Osmium, "osmium"),
];

impl<'a> User<'a> {
    pub fn of(user: &'a UserId) -> User<'a> {
        let origin = ORIGINS.iter().find(|(origin, _)| *origin == user.origin).map_or("", |(_, name)| *name);
        User { id: (&*user.id).into(), origin: origin.into(), verified: user.verified }
    }

    pub fn read(self) -> Result<UserId, String> {
        let origin = ORIGINS.iter().find(|(_, name)| *name == self.origin).map(|(origin, _)| *origin);
        let origin = origin.ok_or_else(|| format!("user: no origin {:?}", self.origin))?;
        UserId::new(origin, &self.id, self.verified).map_err(|error| error.message)
    }
}

/// Bytes that are mostly text.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Text<'a> {
    Utf8(Cow<'a, str>),
    Bytes { base64: Cow<'a, str> },
}

impl<'a> Text<'a> {
    pub fn of(bytes: &'a [u8]) -> Text<'a> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Utf8(text.into()),
            Err(_) => Text::Bytes { base64: STANDARD.encode(bytes).into() },
        }
    }

    pub fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Text::Utf8(text) => Ok(text.into_owned().into_bytes()),
            Text::Bytes { base64 } => STANDARD.decode(&*base64).map_err(|error| format!("base64: {error}")),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum EntryKind {
    File,
    Join,
    Leave,
    Call,
}

impl EntryKind {
    pub fn of(kind: Kind) -> Option<EntryKind> {
        match kind {
            Kind::Message => None,
            Kind::File => Some(EntryKind::File),
            Kind::Join => Some(EntryKind::Join),
            Kind::Leave => Some(EntryKind::Leave),
            Kind::Call => Some(EntryKind::Call),
        }
    }

    pub fn read(self) -> Kind {
        match self {
            EntryKind::File => Kind::File,
            EntryKind::Join => Kind::Join,
            EntryKind::Leave => Kind::Leave,
            EntryKind::Call => Kind::Call,
        }
    }
}

/// A number of 64 bits, as a string.
#[derive(Clone, Copy)]
pub(super) struct Digits(u64);

impl Digits {
    pub fn of(id: Id) -> Digits {
        Digits(id.raw())
    }

    pub fn id(self) -> Id {
        Id::from_raw(self.0)
    }
}

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map(Digits).map_err(|_| serde::de::Error::custom(format!("not an id: {text:?}")))
    }
}
