//! How the service writes the values of its own records: a version, then numbers in big-endian order and texts behind
//! their length. Names of channels are written so that they sort like the names.

use model::{ChannelName, Error, Origin, Result, UserId};

/// The version of all values that are written now.
const VERSION: u8 = 1;

/// Writes a value.
pub(crate) struct Writer(Vec<u8>);

/// Reads a value.
pub(crate) struct Reader<'a>(&'a [u8]);

impl Writer {
    pub fn new() -> Writer {
        Writer(vec![VERSION])
    }

    pub fn byte(mut self, byte: u8) -> Writer {
        self.0.push(byte);
        self
    }

    pub fn number(mut self, number: u64) -> Writer {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub fn maybe(self, number: Option<u64>) -> Writer {
        match number {
            Some(number) => self.byte(1).number(number),
            None => self.byte(0),
        }
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Writer {
        self.0.extend((bytes.len() as u32).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    pub fn user(self, user: &UserId) -> Writer {
        self.byte(user.origin as u8).byte(u8::from(user.verified)).bytes(user.id.as_bytes())
    }

    pub fn finish(self) -> bytes::Bytes {
        self.0.into()
    }
}

impl<'a> Reader<'a> {
    /// Refuses a value of a version that is not known here.
    pub fn new(value: &'a [u8]) -> Result<Reader<'a>> {
        let mut reader = Reader(value);
        match reader.byte()? {
            VERSION => Ok(reader),
            version => Err(Error::internal(format!("a record was written in version {version}"))),
        }
    }

    pub fn byte(&mut self) -> Result<u8> {
        Ok(self.take::<1>()?[0])
    }

    pub fn number(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.take()?))
    }

    pub fn maybe(&mut self) -> Result<Option<u64>> {
        Ok(if self.byte()? == 1 { Some(self.number()?) } else { None })
    }

    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(Error::internal)
    }

    pub fn user(&mut self) -> Result<UserId> {
        let origin =
            Origin::from_number(self.byte()?).ok_or_else(|| Error::internal("a record of an unknown origin"))?;
        let verified = self.byte()? == 1;
        UserId::new(origin, self.text()?, verified)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*taken)
    }
}

fn short() -> Error {
    Error::internal("a record ends too early")
}

/// A channel's name as part of a record's name.
pub(crate) fn name_bytes(name: &ChannelName) -> Vec<u8> {
    match name {
        ChannelName::Named(text) => [b"n", text.as_bytes()].concat(),
        ChannelName::Member(community, channel) => {
            [&b"p"[..], &community.to_be_bytes(), &channel.to_be_bytes()].concat()
        }
        ChannelName::Direct(low, high) => [&b"q"[..], low.as_bytes(), b"\0", high.as_bytes()].concat(),
    }
}

/// The name of a channel that was written as part of a record's name.
pub(crate) fn name_of(bytes: &[u8]) -> Result<ChannelName> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(Error::internal);
    let unknown = || Error::internal("a record of a channel whose name is not understood");
    match bytes.split_first().ok_or_else(unknown)? {
        (b'n', name) => ChannelName::named(&text(name)?),
        (b'p', numbers) => {
            let (community, channel) = numbers.split_first_chunk::<8>().ok_or_else(unknown)?;
            let channel = channel.try_into().map_err(|_| unknown())?;
            Ok(ChannelName::Member(u64::from_be_bytes(*community), u64::from_be_bytes(channel)))
        }
        (b'q', names) => {
            let end = names.iter().position(|byte| *byte == 0).ok_or_else(unknown)?;
            Ok(ChannelName::direct(&text(&names[..end])?, &text(&names[end + 1..])?))
        }
        _ => Err(unknown()),
    }
}

/// A place in a listing of all channels, as callers carry it: they hand it back, and no more comes of it.
pub(crate) fn place_text(name: &ChannelName) -> String {
    name_bytes(name).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The channel behind which a listing goes on.
pub(crate) fn place_of(text: &str) -> Result<ChannelName> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    let name = bytes.and_then(|bytes| name_of(&bytes).ok());
    name.ok_or_else(|| Error::invalid("after: no listing has named this place"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_channels_come_back() {
        let named = ChannelName::named("room/ä").expect("a name");
        for name in [named, ChannelName::Member(7, u64::MAX), ChannelName::direct("bob", "ann")] {
            assert_eq!(name_of(&name_bytes(&name)).expect("it is understood"), name);
            assert_eq!(place_of(&place_text(&name)).expect("it is understood"), name);
        }
    }

    #[test]
    fn a_value_that_ends_too_early_or_is_of_another_version_is_refused() {
        let user = UserId::new(Origin::Pubnub, "ann", true).expect("a user");
        let value = Writer::new().maybe(Some(5)).maybe(None).user(&user).finish();
        let mut reader = Reader::new(&value).expect("this version");
        assert_eq!((reader.maybe().expect("a number"), reader.maybe().expect("none")), (Some(5), None));
        assert_eq!(reader.user().expect("a user"), user);
        assert!(reader.byte().is_err());
        assert!(Reader::new(&[9]).is_err());
    }
}
