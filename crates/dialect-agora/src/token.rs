//! Agora's access tokens, versions 006 and 007: parsing and every check of `protocols/agora-rtm.md` §7, in the order of
//! §7.3. Which header a token came in, and what a user may then do, is decided in `auth`.

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::ZlibDecoder;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::io::Read;

/// The longest token that is looked at.
pub const TOKEN_BYTES: usize = 16 << 10;
/// The most that a compressed token may inflate to.
pub const INFLATED_BYTES: u64 = 64 << 10;
/// No token lives longer than a day, whatever it says (§7.2).
const LIFE_SECONDS: u64 = 86_400;

/// Key of the login privilege in a 006 token.
const LOGIN_006: u16 = 1000;
/// Service number and login privilege of RTM in a 007 token.
const RTM_SERVICE: u16 = 2;
const LOGIN_007: u16 = 1;

/// What a token is held against.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// The app id of the request's path, compared letter by letter.
    pub app_id: &'a str,
    /// The app's live certificates: one, or two while one is being replaced.
    pub certificates: &'a [&'a str],
    /// The user id that came beside the token (`x-agora-uid`). A 006 token needs it.
    pub uid: Option<&'a str>,
    /// Unix seconds.
    pub now: u64,
}

/// Why a token was not accepted. All of them are a 401 to the caller; the name is for logs and tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Neither 006 nor 007.
    UnknownVersion,
    /// Cut, not Base64, not zlib, lengths that lie, too large.
    Malformed,
    /// Made for another app.
    WrongApp,
    /// Not made with a certificate of the app.
    BadSignature,
    /// Valid, but not for logging in to RTM: an RTC token among others.
    NoRtmPrivilege,
    /// Its time is over.
    Expired,
    /// It names no user, and none was named beside it.
    MissingUid,
    /// Made for another user.
    WrongUid,
}

/// Checks a token and tells the user that it proves.
pub fn verify(token: &str, expected: Expected<'_>) -> Result<String, Refusal> {
    if token.len() > TOKEN_BYTES {
        return Err(Refusal::Malformed);
    }
    match token.get(..3) {
        Some("006") => verify_006(&token[3..], expected),
        Some("007") => verify_007(&token[3..], expected),
        _ => Err(Refusal::UnknownVersion),
    }
}

/// Version 006 (§7.1). The user is not in the token but under its signature, so it must be named beside it.
fn verify_006(rest: &str, expected: Expected<'_>) -> Result<String, Refusal> {
    let (app_id, content) = rest.split_at_checked(32).ok_or(Refusal::Malformed)?;
    let content = STANDARD.decode(content).map_err(|_| Refusal::Malformed)?;
    let mut fields = Fields(&content);
    let signature = fields.string()?;
    let crc_of_account = fields.u32()?;
    let _crc_of_uid = fields.u32()?;
    let message = fields.string()?;
    if !fields.0.is_empty() {
        return Err(Refusal::Malformed);
    }
    let mut inner = Fields(message);
    let _salt = inner.u32()?;
    let dies_at = inner.u32()?;
    let privileges = inner.privileges()?;

    if app_id != expected.app_id {
        return Err(Refusal::WrongApp);
    }
    let uid = expected.uid.filter(|uid| !uid.is_empty()).ok_or(Refusal::MissingUid)?;
    if crc32fast::hash(uid.as_bytes()) != crc_of_account {
        return Err(Refusal::WrongUid);
    }
    let made_with = |certificate: &&str| {
        let signed = [app_id.as_bytes(), uid.as_bytes(), message];
        mac_of(certificate.as_bytes(), &signed).verify_slice(signature).is_ok()
    };
    if !expected.certificates.iter().any(made_with) {
        return Err(Refusal::BadSignature);
    }
    if !privileges.iter().any(|(key, _)| *key == LOGIN_006) {
        return Err(Refusal::NoRtmPrivilege);
    }
    if expected.now >= u64::from(dies_at) {
        return Err(Refusal::Expired);
    }
    Ok(uid.to_owned())
}

/// Version 007 (§7.2). The user is inside; one named beside it must be the same.
fn verify_007(rest: &str, expected: Expected<'_>) -> Result<String, Refusal> {
    let content = inflate(&STANDARD.decode(rest).map_err(|_| Refusal::Malformed)?)?;
    let mut fields = Fields(&content);
    let signature = fields.string()?;
    let signed = fields.0;
    let app_id = fields.string()?;
    let issued_at = fields.u32()?;
    let expire = fields.u32()?;
    let salt = fields.u32()?;
    let login = fields.rtm_login()?;

    if app_id != expected.app_id.as_bytes() {
        return Err(Refusal::WrongApp);
    }
    let made_with = |certificate: &&str| {
        let key = mac_of(&issued_at.to_le_bytes(), &[certificate.as_bytes()]).finalize().into_bytes();
        let key = mac_of(&salt.to_le_bytes(), &[&key]).finalize().into_bytes();
        mac_of(&key, &[signed]).verify_slice(signature).is_ok()
    };
    if !expected.certificates.iter().any(made_with) {
        return Err(Refusal::BadSignature);
    }
    let login = login.ok_or(Refusal::NoRtmPrivilege)?;
    let lives = |seconds: u32| expected.now <= u64::from(issued_at) + u64::from(seconds).min(LIFE_SECONDS);
    if !lives(expire) || (login.expire != 0 && !lives(login.expire)) {
        return Err(Refusal::Expired);
    }
    if login.user.is_empty() {
        return Err(Refusal::MissingUid);
    }
    let user = String::from_utf8(login.user.to_vec()).map_err(|_| Refusal::Malformed)?;
    match expected.uid {
        Some(uid) if uid != user => Err(Refusal::WrongUid),
        _ => Ok(user),
    }
}

/// HMAC-SHA256 over the parts, one after another; to be compared in constant time by `verify_slice`.
pub(crate) fn mac_of(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// The whole of a zlib stream, which must end where the bytes end and stay within [`INFLATED_BYTES`].
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut content = Vec::new();
    let mut decoder = ZlibDecoder::new(compressed);
    let read = decoder.by_ref().take(INFLATED_BYTES + 1).read_to_end(&mut content).map_err(|_| Refusal::Malformed)?;
    let whole = read as u64 <= INFLATED_BYTES && decoder.total_in() == compressed.len() as u64;
    if whole { Ok(content) } else { Err(Refusal::Malformed) }
}

/// The RTM service of a 007 token.
struct Login<'a> {
    user: &'a [u8],
    /// Seconds after the issue; 0 for none of its own.
    expire: u32,
}

/// The bytes of a token that were not read yet; all integers are little-endian (§7).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Refusal> {
        self.take(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Refusal> {
        self.take(4).map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn string(&mut self) -> Result<&'a [u8], Refusal> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    fn privileges(&mut self) -> Result<Vec<(u16, u32)>, Refusal> {
        let count = self.u16()?;
        (0..count).map(|_| Ok((self.u16()?, self.u32()?))).collect()
    }

    /// Walks the services up to the end or to one of an unknown type; tells the first RTM service that may log in.
    fn rtm_login(&mut self) -> Result<Option<Login<'a>>, Refusal> {
        let mut login = None;
        for _ in 0..self.u16()? {
            let service = self.u16()?;
            let privileges = self.privileges()?;
            match service {
                RTM_SERVICE => {
                    let user = self.string()?;
                    let granted = privileges.iter().find(|(key, _)| *key == LOGIN_007);
                    login = login.or(granted.map(|(_, expire)| Login { user, expire: *expire }));
                }
                1 | 3 | 6 => self.skip_strings(2)?,
                5 => self.skip_strings(1)?,
                4 | 9 | 10 => {}
                7 => {
                    self.skip_strings(2)?;
                    self.take(2)?;
                }
                8 => self.skip_rtm2()?,
                _ => break,
            }
        }
        Ok(login)
    }

    fn skip_strings(&mut self, count: u16) -> Result<(), Refusal> {
        (0..count).try_for_each(|_| self.string().map(drop))
    }

    /// Service 8: a string, then resources, their permissions, their names.
    fn skip_rtm2(&mut self) -> Result<(), Refusal> {
        self.string()?;
        for _ in 0..self.u16()? {
            self.u16()?;
            for _ in 0..self.u16()? {
                self.u16()?;
                let names = self.u16()?;
                self.skip_strings(names)?;
            }
        }
        Ok(())
    }
}
